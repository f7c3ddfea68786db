"""The model that a watcher evaluates, with the values of one checkpoint at a time."""

import dataclasses
import zipfile
from collections.abc import Hashable

from tfeval.engine import batch_size
from tfeval.engine.forward import ForwardPass
from tfeval.evaluation import fingerprint, resolve
from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.plans import ModelRequest, requests
from tfeval.evaluation.runtime import Runtime
from tfeval.models import fitting
from tfeval.models.backend import VALUES
from tfeval.models.keras import checkpoint_values, checkpoints, tracing, weights
from tfeval.models.keras.checkpoints import Checkpoint
from tfeval.models.model import Model
from tfeval.utils.errors import Lasting, UserError


class WatchedModel:
  """A model that takes the values of checkpoints; its step is compiled once."""

  def __init__(
    self,
    request: ModelRequest | None,
    config: EvaluationConfig,
    runtime: Runtime,
    called: str | None = None,
  ):
    """Builds the model.

    Args:
      request: the model that checkpoints are of; None if each is one itself, `.keras`.
      config: how it is evaluated.
      runtime: where.
      called: what the model is called in a `tf.train.Checkpoint`, None to look.

    Raises:
      UserError: it cannot be built, or checkpoints do not say all of it.
    """
    self._request, self._config, self._runtime = request, config, runtime
    self._called = called
    self._model: Model | None = None
    self._forward: ForwardPass | None = None
    self._traced: Hashable = None
    if request is not None:
      weights.check_same_normalisation(request.spec)
      self._model = self._load_model(request)

  def digests(self) -> dict[str, str]:
    """Returns what the code of the model that was built does, for JSON."""
    if self._model is None:
      return {}
    found = {
      'architecture_sha256': fingerprint.architecture_sha256(self._model),
      'preprocess_sha256': self._model.preprocess_sha256,
    }
    return {key: value for key, value in found.items() if value is not None}

  def _load_model(self, request: ModelRequest) -> Model:
    with self._runtime.strategy.scope():
      model = resolve.load_model(request, self._config)
    if VALUES not in model.backend.capabilities:
      raise UserError(
        f'{request.spec.text} is no Keras model: checkpoints cannot be loaded into it'
      )
    dataset = self._runtime.dataset
    return fitting.fit(model, dataset.label_space, dataset.own_classes)

  def _step(self, request: ModelRequest, model: Model) -> ForwardPass:
    """Returns the compiled step, anew where the one before would answer otherwise."""
    traced = model.backend.trace_key()
    if self._forward is None or traced != self._traced:
      strategy, config = self._runtime.strategy, self._config
      protocol = resolve.resolve_protocol(request, config, model)
      self._traced, self._forward = (
        traced,
        ForwardPass(
          model,
          strategy,
          batch_size.of_host(config.devices, model, protocol, strategy),
          config.devices.jit,
          self._runtime.canvas is not None,
          tap=resolve.resolve_features(config, model),
          tta=protocol.tta,
        ),
      )
    self._forward.model = model
    return self._forward

  def with_values_of(
    self, checkpoint: Checkpoint
  ) -> tuple[ModelRequest, Model, ForwardPass]:
    """Returns the model with the values of a checkpoint that did not change.

    Raises:
      Lasting: it is whole, and cannot be evaluated.
      UserError: it changed, is damaged or gone.
      OSError: it is gone.
    """
    path = str(checkpoint.path)
    sha256 = checkpoint.sha256()
    if self._request is None:
      if checkpoint.kind != checkpoints.KERAS:
        raise Lasting('it holds no model: give `model`, whose weights it has')
      (request,) = requests([path], ['imagenet'])  # Its own.
      try:
        model, forward = self._whole_model(request)
      except UserError as error:
        if not zipfile.is_zipfile(path):  # Its end, which tells, is not there yet.
          raise
        raise Lasting(str(error)) from error
    else:
      request = dataclasses.replace(self._request, weights=path)
      model = self._model
      checkpoint_values.load(model.backend.model, checkpoint, model.name, self._called)
      tracing.refresh_derived_state(model.backend.model)
      model = dataclasses.replace(model, weights=path, weights_sha256=sha256)
      forward = self._step(request, model)
    if checkpoints.now(checkpoint) != checkpoint or checkpoint.sha256() != sha256:
      raise UserError('it changed while it was read')
    return request, model, forward

  def _whole_model(self, request: ModelRequest) -> tuple[Model, ForwardPass]:
    """Returns a checkpoint that is a model by itself.

    One of the same layers as the one before gives that one its values, whose step is
    compiled already.
    """
    loaded = self._load_model(request)
    before = self._model and self._model.backend.model
    if (
      before is None
      or not tracing.is_values_alone(before)
      or tracing.layer_configs(loaded.backend.model) != tracing.layer_configs(before)
    ):
      self._model = loaded
    else:
      before.set_weights(loaded.backend.model.get_weights())
      tracing.refresh_derived_state(before)
      self._model = dataclasses.replace(
        loaded, function=self._model.function, backend=self._model.backend
      )
    return self._model, self._step(request, self._model)
