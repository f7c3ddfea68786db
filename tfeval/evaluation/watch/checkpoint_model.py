"""The model that a watcher evaluates, with the values of one checkpoint at a time."""

import dataclasses
import re
from collections.abc import Hashable

from tfeval.engine import forward as predict
from tfeval.evaluation import config, resolve
from tfeval.evaluation.config import Request, Settings
from tfeval.evaluation.runtime import Place
from tfeval.models.keras import checkpoint_values, checkpoints, tracing, weights
from tfeval.models.keras.checkpoints import Checkpoint
from tfeval.models.model import Model
from tfeval.utils.errors import UserError


class WatchedModel:
  """A model that takes the values of checkpoints; its step is compiled once."""

  def __init__(self, request: Request | None, settings: Settings, place: Place):
    """Builds the model.

    Args:
      request: the model that checkpoints are of; None if each is one itself, `.keras`.
      settings: how it is evaluated.
      place: where.

    Raises:
      UserError: it cannot be built, or checkpoints do not tell all of it.
    """
    self._request, self._settings, self._place = request, settings, place
    self._model: Model | None = None
    self._forward: predict.Forward | None = None
    self._traced: Hashable = None
    if request is not None:
      weights.check_same_normalisation(request.spec)
      self._model = self._load_model(request)

  def _load_model(self, request: Request) -> Model:
    with self._place.strategy.scope():
      model = resolve.load_model(request, self._settings)
    if model.keras_model is None:
      raise UserError(
        f'{request.spec.text} is no Keras model: checkpoints cannot be loaded into it'
      )
    return model

  def _step(self, model: Model) -> predict.Forward:
    """Returns the compiled step, anew where the one before would answer otherwise."""
    traced = tracing.traced(model.keras_model)
    if self._forward is None or traced != self._traced:
      strategy, settings = self._place.strategy, self._settings
      self._traced, self._forward = (
        traced,
        predict.Forward(
          model,
          strategy,
          predict.global_batch_size(settings.batch_size, strategy),
          settings.jit,
          self._place.canvas is not None,
        ),
      )
    self._forward.model = model
    return self._forward

  def with_values_of(
    self, checkpoint: Checkpoint
  ) -> tuple[Request, Model, predict.Forward]:
    """Returns the model with the values of a checkpoint that did not change.

    Raises:
      UserError: it changed, is damaged, gone or of another model.
      OSError: it is gone.
    """
    path = str(checkpoint.path)
    sha256 = checkpoint.sha256()
    if self._request is None:
      if checkpoint.kind != checkpoints.KERAS:
        raise UserError('it holds no model: give `model`, whose weights it has')
      (request,) = config.requests([path], ['imagenet'])  # Its own.
      model, forward = self._whole_model(request)
    else:
      directory = (
        self._request.directory
        + '@'
        + re.sub(r'[^A-Za-z0-9._=-]+', '_', checkpoint.name)
      )
      request = dataclasses.replace(self._request, weights=path, directory=directory)
      model = self._model
      checkpoint_values.load(model.keras_model, checkpoint, model.name)
      tracing.settle(model.keras_model)
      model = dataclasses.replace(model, weights=path, weights_sha256=sha256)
      forward = self._step(model)
    if checkpoints.now(checkpoint) != checkpoint or checkpoint.sha256() != sha256:
      raise UserError('it changed while it was read')
    return request, model, forward

  def _whole_model(self, request: Request) -> tuple[Model, predict.Forward]:
    """Returns a checkpoint that is a model by itself.

    One of the same layers as the one before gives that one its values, whose step is
    compiled already.
    """
    loaded = self._load_model(request)
    before = self._model and self._model.keras_model
    if (
      before is None
      or not tracing.is_values_alone(before)
      or tracing.layers(loaded.keras_model) != tracing.layers(before)
    ):
      self._model = loaded
    else:
      before.set_weights(loaded.keras_model.get_weights())
      tracing.settle(before)
      self._model = dataclasses.replace(
        loaded, function=self._model.function, keras_model=before
      )
    return self._model, self._step(self._model)
