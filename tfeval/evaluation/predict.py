"""Runs several models on the same image files: what `tfeval predict` calls."""

import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from tfeval.datasets import image_files
from tfeval.engine import forward, output_checks, pipeline, strategies
from tfeval.evaluation import resolve, thumbnail
from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.crops import Crops
from tfeval.evaluation.plans import ModelRequest
from tfeval.models.options import LOGITS
from tfeval.runs import top_classes
from tfeval.runs.run_key import RunKey
from tfeval.runs.top_classes import FailedImage, ImagePredictions, PredictingModel
from tfeval.utils.errors import UserError


def predict_images(
  requests: list[ModelRequest],
  config: EvaluationConfig,
  paths: Sequence[pathlib.Path],
  top: int,
  advance: Callable[[int], None] = lambda count: None,
) -> tuple[list[PredictingModel], list[ImagePredictions], dict[str, str]]:
  """Asks models what is on images, and keeps all that they say.

  Args:
    requests: the models.
    config: how images become pixels, and what cannot be known of the models.
    paths: image files.
    top: how many of a model's classes to show, at most all.
    advance: is told how many more images are done.

  Returns:
    The models, and an entry for each image, in their order; and what is wrong with
    those models among several that cannot be loaded, by name.

  Raises:
    UserError: something the user can fix, of images or of all models.
  """
  models, failed = load_models(requests, config)
  images = []
  for one in predict_each(models, paths, top):
    assert isinstance(one, ImagePredictions)  # None is skipped.
    images.append(one)
    advance(1)
  return [model.answerer for model in models], images, failed


def load_models(
  requests: list[ModelRequest], config: EvaluationConfig
) -> 'tuple[list[LoadedModel], dict[str, str]]':
  """Loads models.

  Args:
    requests, config: as for `predict_images`.

  Returns:
    The models, and what is wrong with those that cannot be loaded, by name.

  Raises:
    UserError: none can be.
  """
  # As in an evaluation: reduced products would change predictions.
  tf.config.experimental.enable_tensor_float_32_execution(False)
  # All of them before the first image: the last one may not be there.
  models, failed = [], {}
  for request in requests:
    try:
      models.append(LoadedModel(request, config))
    except UserError as error:
      if len(failed) + 1 == len(requests):
        raise
      failed[request.spec.text] = str(error)
  return models, failed


def predict_each(
  models: 'Sequence[LoadedModel]',
  paths: Iterable[pathlib.Path],
  top: int,
  skip: bool = False,
  crops: Crops | None = None,
) -> Iterator[ImagePredictions | FailedImage]:
  """Asks models what is on images, one after the other; none is kept.

  Args:
    models: the models.
    paths: image files.
    top: how many of a model's classes to show, at most all.
    skip: whether images that cannot be decoded are yielded as such.
    crops: where the pixels that models see are written; None: nowhere.

  Yields:
    An entry for each image, in their order.

  Raises:
    UserError: an image cannot be decoded, and none is skipped; a model returns what
      cannot be right; a crop cannot be written.
  """
  for path in paths:
    try:
      image_files.check_image(path)
      encoded = tf.constant(image_files.read_image(path))
      seen = [model.pixels(path, encoded) for model in models]
    except UserError as error:
      if not skip:
        raise UserError(f'{error}, or give `on_error=skip`') from error
      yield FailedImage(str(path), str(error))
      continue
    written = []
    if crops is not None:
      written = [
        crops.write(model.answerer, path, pixels)
        for model, pixels in zip(models, seen, strict=True)
      ]
    ranked = tuple(
      top_classes.rank(
        model.scores(path, pixels), top, model.output == LOGITS, model.space
      )
      for model, pixels in zip(models, seen, strict=True)
    )
    yield ImagePredictions(str(path), ranked, tuple(written))


def small_picture(path: pathlib.Path, longest: int) -> np.ndarray:
  """Returns an image, upright and whole, for a figure.

  Args:
    path: of an image that could be decoded before.
    longest: its longer side is made no longer than this.

  Returns:
    uint8 [height, width, 3], RGB.

  Raises:
    UserError: it cannot be decoded.
  """
  try:
    return thumbnail.of_encoded(image_files.read_image(path), longest)
  except UserError as error:
    raise image_files.unreadable(path, str(error)) from error


class LoadedModel:
  """A loaded model with its protocol."""

  def __init__(self, request: ModelRequest, config: EvaluationConfig):
    model = resolve.load_model(request, config)
    self.output, self.space = model.output, model.label_space
    self._protocol = resolve.resolve_protocol(request, config, model)
    # One by one: a prediction may not depend on the images beside it,
    # and in batches of another size the last digits differ.
    self._forward = forward.ForwardPass(
      model, strategies.make_strategy('default'), 1, tta=self._protocol.tta
    )
    self.answerer = PredictingModel(
      RunKey(request.spec.text, request.weights).text,
      self._protocol.spec,
      model.input_size,
    )

  def pixels(self, path: pathlib.Path, encoded: tf.Tensor) -> tf.Tensor:
    """Returns what the protocol makes of an encoded image, see `Protocol.shape`.

    Raises:
      UserError: it cannot be decoded.
    """
    try:
      return pipeline.preprocess_image(
        self._protocol, encoded, tf.constant(path.name), jit_compile=False
      )
    except tf.errors.OpError as error:
      fault = pipeline.fault(self._protocol, encoded) or pipeline.reason(error)
      raise image_files.unreadable(path, fault) from error

  def scores(self, path: pathlib.Path, pixels: tf.Tensor) -> np.ndarray:
    """Returns the float32 [outputs] for the pixels of an image."""
    scores = self._forward(pixels[None])
    output_checks.check_scores(scores, [str(path)], self._forward.model)
    return scores[0]
