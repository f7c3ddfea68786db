"""Runs several models on the same image files: what `tfeval predict` calls."""

import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tfeval.datasets import image_files
from tfeval.engine import forward, output_checks, pipeline, strategies
from tfeval.evaluation import resolve
from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.plans import ModelRequest
from tfeval.models.options import LOGITS
from tfeval.preprocess import decode
from tfeval.runs import top_classes
from tfeval.runs.run_key import RunKey
from tfeval.runs.top_classes import ImagePredictions, PredictingModel
from tfeval.utils.errors import UserError


def predict_images(
  requests: list[ModelRequest],
  config: EvaluationConfig,
  paths: Sequence[pathlib.Path],
  top: int,
  advance: Callable[[int], None] = lambda count: None,
) -> tuple[list[PredictingModel], list[ImagePredictions], dict[str, str]]:
  """Asks models what is on images.

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
  # As in an evaluation: reduced products would change predictions.
  tf.config.experimental.enable_tensor_float_32_execution(False)
  # All of them before the first image: the last one may not be there.
  models, failed = [], {}
  for request in requests:
    try:
      models.append(_LoadedModel(request, config))
    except UserError as error:
      if len(failed) + 1 == len(requests):
        raise
      failed[request.spec.text] = str(error)
  images = []
  for path in paths:
    encoded = tf.constant(image_files.read_image(path))
    images.append(
      ImagePredictions(
        str(path),
        tuple(
          top_classes.rank(
            model.scores(path, encoded), top, model.output == LOGITS, model.space
          )
          for model in models
        ),
      )
    )
    advance(1)
  return [model.answerer for model in models], images, failed


def thumbnail(path: pathlib.Path, longest: int) -> np.ndarray:
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
    image = decode.decode(tf.constant(image_files.read_image(path)))
  except tf.errors.OpError as error:
    raise image_files.unreadable(path, pipeline.reason(error)) from error
  height, width = image.shape[:2]
  scale = min(1, longest / max(height, width))
  size = [max(1, round(side * scale)) for side in (height, width)]
  # Of all methods the one that does not make a float32 copy of a huge image.
  small = tf.image.resize(image, size, method='area')
  return tf.cast(tf.round(small), tf.uint8).numpy()


class _LoadedModel:
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

  def scores(self, path: pathlib.Path, encoded: tf.Tensor) -> np.ndarray:
    """Returns the float32 [outputs] for one encoded image."""
    try:
      pixels = pipeline.preprocess_image(
        self._protocol, encoded, tf.constant(path.name), jit_compile=False
      )
    except tf.errors.OpError as error:
      fault = pipeline.fault(self._protocol, encoded) or pipeline.reason(error)
      raise image_files.unreadable(path, fault) from error
    scores = self._forward(pixels[None])
    output_checks.check_scores(scores, [str(path)], self._forward.model)
    return scores[0]
