"""Converts a model for another runtime: what `tfeval convert` calls."""

import contextlib
import dataclasses
import hashlib
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

import tfeval
from tfeval import datasets
from tfeval.datasets import subset
from tfeval.engine import batches
from tfeval.engine.strategies import allow_tf32
from tfeval.evaluation import resolve
from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.plans import ModelRequest
from tfeval.models.conversion import ConversionOptions, beside
from tfeval.models.keras import litert
from tfeval.models.model import Model
from tfeval.models.options import CLASS_MAPS, PROBABILITIES, SIGMOID
from tfeval.preprocess.protocol import Protocol
from tfeval.utils import files, paths
from tfeval.utils.errors import UserError
from tfeval.utils.flagfile import line
from tfeval.utils.progress import Progress

SCHEMA_VERSION = 1
_BATCH = 32
Quietly = Callable[[], contextlib.AbstractContextManager[None]]


@dataclasses.dataclass(frozen=True)
class Calibration:
  """Images whose values say which ranges 8 bits have to hold.

  Attributes:
    pixels: [size, size, channels] of the protocol's dtype, of each.
    described: which these are, for JSON.
  """

  pixels: tuple[np.ndarray, ...]
  described: dict[str, Any]

  def inputs(self, model: Model) -> Iterator[np.ndarray]:
    """Yields what the model is fed for each: float32 [1, size, size, channels]."""
    for one in self.pixels:
      images = tf.cast(one[None], tf.float32)
      yield tf.cast(model.preprocess(images), tf.float32).numpy()


def convert(
  request: ModelRequest,
  config: EvaluationConfig,
  options: ConversionOptions,
  path: pathlib.Path,
  progress: Progress,
  quietly: Quietly = contextlib.nullcontext,
) -> dict[str, Any]:
  """Converts a Keras model to a LiteRT file, and writes beside it how that was done.

  Args:
    request: the model.
    config: how images become its input; of which dataset they are, where the
      conversion is calibrated.
    options: what it becomes.
    path: of the file; what `conversion.beside` says of it is written too.
    progress: is told how many images have been read.
    quietly: where the converter prints nothing.

  Returns:
    What is written beside the file, a JSON object.

  Raises:
    UserError: something the user can fix; nothing was written then.
  """
  allow_tf32(False)
  model = resolve.load_model(request, config)
  protocol = resolve.resolve_protocol(request, config, model)
  if model.takes_encoded:
    raise UserError(
      f'{model.name} takes encoded images, and LiteRT decodes none: convert the model '
      'behind its decoding, which takes pixels'
    )
  if protocol.views > 1:
    raise UserError(f'a converted file sees one view: leave `tta={protocol.tta}` out')
  network = litert.convertible(model)
  calibration = None
  if options.calibrate is not None:
    calibration = read_calibration(config, protocol, options.calibrate, progress)
  with quietly():
    images = None if calibration is None else lambda: calibration.inputs(model)
    content = litert.convert(network, model.name, options, images)
    tensors = litert.describe_tensors(content)
  described = {
    'schema_version': SCHEMA_VERSION,
    'file': {
      'name': path.name,
      'bytes': len(content),
      'sha256': hashlib.sha256(content).hexdigest(),
    },
    'format': 'litert',
    'quantization': options.kind,
    **tensors,
    'model': model.describe(),
    'protocol': protocol.describe(),
    'calibration': None if calibration is None else calibration.described,
    'evaluate': _flags(model, protocol, path),
    'versions': {'tfeval': tfeval.__version__, **model.backend.describe()['versions']},
  }
  # A file that is there has what belongs to it: this goes first.
  files.write_json(beside(path), described)
  try:
    files.write_atomically(path, content, '`output_file`')
  except BaseException:
    with contextlib.suppress(OSError):
      beside(path).unlink(missing_ok=True)
    raise
  return described


def read_calibration(
  config: EvaluationConfig, protocol: Protocol, count: int, progress: Progress
) -> Calibration:
  """Reads the images that a conversion is calibrated on.

  They are the sample of this size by SHA-256 of the ids, as `--sample` has it: the same
  whatever the order of the dataset.

  Args:
    config: of which dataset.
    protocol: makes pixels of them.
    count: how many.
    progress: is told how many have been read.

  Raises:
    UserError: there are fewer, or one cannot be read.
  """
  dataset = datasets.open_dataset(**vars(config.dataset))
  if count > (there := dataset.num_examples):
    raise UserError(f'`calibrate={count}`: {dataset.name} has {there:,} examples')
  dataset = subset.sample(dataset, str(count))
  pixels: list[np.ndarray] = []
  ids: list[str] = []
  sha256: list[str] = []
  with progress('calibrate', count) as advance:
    for batch in batches.read_batches(dataset, protocol, _BATCH):
      pixels += list(np.asarray(batch.pixels))
      ids += batch.ids
      sha256 += [digest.hex() for digest in batch.image_sha256]
      advance(len(batch.ids))
  described = {
    'dataset': dataset.describe(),
    'images': len(ids),
    'chosen': 'the first by SHA-256 of their ids',
    'ids': ids,
    'images_digest': files.digest_of_pairs(zip(ids, sha256, strict=True)),
  }
  return Calibration(tuple(pixels), described)


def _flags(model: Model, protocol: Protocol, path: pathlib.Path) -> list[str]:
  """Returns the flags that feed the file as the model is fed."""
  output = (
    SIGMOID if model.is_single and model.output == PROBABILITIES else model.output
  )
  class_map = model.class_map
  if class_map is not None and class_map not in CLASS_MAPS:
    class_map = paths.absolute(class_map)
  given = {
    'model': path.name,
    'protocol': protocol.spec,
    'preprocess': model.preprocess_name,
    'input_size': model.input_size,
    'output': output,
    'class_map': class_map,
  }
  return [line(name, value) for name, value in given.items() if value is not None]


def summary(described: dict[str, Any], path: pathlib.Path) -> str:
  """Returns in a line what was converted to what.

  Args:
    described: what `convert` returned.
    path: of the file.
  """
  file, given = described['file'], described['input']
  shape = ' x '.join('n' if side == -1 else str(side) for side in given['shape'])
  calibrated = ''
  if (found := described['calibration']) is not None:
    dataset = found['dataset']['name']
    calibrated = f', calibrated on {found["images"]:,} images of {dataset}'
  returned = described['output']['dtype']
  return (
    f'{described["model"]["name"]} is {described["quantization"]} in {path}: '
    f'{file["bytes"] / 1e3:,.0f} kB, {given["dtype"]} {shape} to {returned}'
    f'{calibrated}; protocol {described["protocol"]["spec"]}, preprocess '
    f'{described["model"]["preprocess"]}: {beside(path).name} says how it is fed'
  )
