"""Before the long run: a few images, and what the model's outputs for them tell."""

import dataclasses
import logging
from collections.abc import Callable

import numpy as np

from tfeval.datasets.base import ImageDataset
from tfeval.engine import batches
from tfeval.evaluation.config import ERROR
from tfeval.evaluation.preflight import checks
from tfeval.models.model import Model
from tfeval.preprocess.protocol import NO_TTA, Protocol
from tfeval.utils.errors import UserError
from tfeval.utils.progress import Progress

_LOG = logging.getLogger('tfeval')
_BATCH = 32
# Pixels [n, size, size, 3] of the protocol's dtype, or encoded images, bytes [n]; and
# labels, int64 [n].
Sample = tuple[np.ndarray, np.ndarray]


def preflight(
  model: Model,
  sample: Sample,
  mode: str,
  progress: Progress,
  batch_size: int = _BATCH,
  are_pixels: bool = True,
  training: bool = False,
) -> list[str]:
  """Looks for faults that make a result meaningless.

  Args:
    model: the model.
    sample: what `read_sample` reads of the dataset that it will be evaluated on.
    mode: of `config.PREFLIGHT`: whether to raise what is found, or log it.
    progress: is told how far it is.
    batch_size: images at once, at most.
    are_pixels: whether values are in [0, 255], and not what a model is fed already.
    training: whether the model is being trained.

  Returns:
    What was found, a line each.

  Raises:
    UserError: what was found, in mode `error`, if it is certain.
  """
  pixels, labels = sample
  with progress(f'{model.name}: preflight', len(pixels)) as advance:
    findings = checks.check_model(
      _counted(model, len(pixels), advance),
      pixels,
      labels,
      min(batch_size, _BATCH),
      are_pixels,
      training,
    )
  if mode == ERROR and not all(f.doubtful for f in findings):
    raise UserError(
      f'preflight of {model.name} over {len(pixels)} images: '
      + '; '.join(map(str, findings))
      + ' (`preflight=warn` goes on all the same)'
    )
  for finding in findings:
    _LOG.warning('%s: %s', model.name, finding)
  return list(map(str, findings))


def _counted(model: Model, total: int, advance: Callable[[int], None]) -> Model:
  """Returns a model that tells of its first so many images."""
  left = total

  def function(images):
    nonlocal left
    with model.in_time():
      outputs = model.function(images)
    if left:
      advance(min(len(images), left))
    left -= min(len(images), left)
    return outputs

  return dataclasses.replace(model, function=function)


def read_sample(
  dataset: ImageDataset,
  protocol: Protocol,
  count: int = checks.MOST_IMAGES,
  skip_errors: bool = False,
) -> Sample:
  """Reads a few examples of a dataset.

  Args:
    dataset: where examples come from.
    protocol: makes pixels of them.
    count: how many, at least 1; there may be fewer.
    skip_errors: whether images that cannot be decoded are skipped.

  Returns:
    The images, one view of each and not corrupted, spread over the dataset where it is
    in an order of classes.

  Raises:
    UserError: an image is broken, or nothing can be read.
  """
  protocol = dataclasses.replace(protocol.clean, tta=NO_TTA)
  step = max(1, dataset.num_examples // count)
  if dataset.strided is not None and step > 1:
    every = dataset.strided
    dataset = dataclasses.replace(dataset, examples=lambda *_: every(step))
  dtype = object if protocol.is_encoded else np.uint8
  pixels, labels = [np.zeros((0, *protocol.shape), dtype)], [np.zeros(0, np.int64)]
  for batch in batches.decoded(dataset, protocol, min(count, _BATCH), skip_errors):
    pixels.append(batch['pixels'].numpy())
    labels.append(batch['label'].numpy())
    if sum(map(len, labels)) >= count:
      break
  return np.concatenate(pixels)[:count], np.concatenate(labels)[:count]
