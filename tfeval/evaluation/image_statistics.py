"""Measures the images of a folder or of a run's dataset, without a model."""

import concurrent.futures
import dataclasses
import hashlib
import itertools
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import tensorflow as tf

from tfeval.analysis.shift.images import ImageStatistics
from tfeval.datasets import image_files, sampling
from tfeval.engine import pipeline
from tfeval.evaluation import images_again
from tfeval.metrics.shift import image_statistics
from tfeval.preprocess import decode, limits
from tfeval.runs.result_file import EvaluatedSection
from tfeval.utils.errors import UserError

_THREADS = 8
# Encoded images in memory at once.
_AT_ONCE = 64


def of_folder(
  path: str, name: str, most: int, advance: Callable[[int], None]
) -> ImageStatistics:
  """Measures the images in a folder and in the folders inside of it.

  Args:
    path: of the folder.
    name: what readers call it.
    most: how many images at most, drawn by their ids: their paths in the folder.
    advance: is told how many more images are done.

  Raises:
    UserError: it holds no images, or cannot be read.
  """
  root = pathlib.Path(path).expanduser()
  found = dict(sorted(image_files.images_below(root)))
  if not found:
    raise UserError(f'{path} holds no images: expected JPEG or PNG files')
  ids = list(found)
  chosen = [ids[i] for i in sampling.chosen_positions(ids, most)]
  images = ((one, image_files.read_image(found[one])) for one in chosen)
  return _measured(name, images, advance)


def of_run(
  section: EvaluatedSection,
  name: str,
  hashes: Mapping[str, bytes | None],
  where: dict[str, str | None],
  advance: Callable[[int], None],
) -> ImageStatistics:
  """Measures images that a run was made of, where they are still the same.

  Args:
    section: what the run says of its dataset.
    name: what readers call the side.
    hashes: SHA-256 of each image by its id; None where it is not known.
    where: `data_dir` and `manual_dir`, as `datasets.open_dataset` takes them.
    advance: is told how many more images are done.

  Raises:
    UserError: the dataset cannot be opened or read, or holds none of the images.
  """
  images = images_again.read(section, hashes, where)
  changed: list[str] = []
  found = _measured(name, _unchanged(images, hashes, changed), advance)
  if not found.ids and not found.failed:
    what = 'the same' if changed else 'there'
    raise UserError(f'none of the images of {name} is {what} in {section.name}')
  seen = {*found.ids, *found.failed, *changed}
  missing = [one for one in hashes if one not in seen]
  return dataclasses.replace(found, changed=changed, missing=missing)


def _unchanged(
  images: Iterable[tuple[str, bytes]],
  hashes: Mapping[str, bytes | None],
  changed: list[str],
) -> Iterator[tuple[str, bytes]]:
  """Yields the images that have their hash; the ids of others go to `changed`."""
  for one, encoded in images:
    if hashes[one] in (None, hashlib.sha256(encoded).digest()):
      yield one, encoded
    else:
      changed.append(one)


def _measured(
  name: str, images: Iterable[tuple[str, bytes]], advance: Callable[[int], None]
) -> ImageStatistics:
  ids: list[str] = []
  rows: list[dict[str, float]] = []
  failed: dict[str, str] = {}
  images = iter(images)
  with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
    while block := list(itertools.islice(images, _AT_ONCE)):
      of_block = pool.map(_measure, [encoded for _, encoded in block])
      for (one, _), found in zip(block, of_block, strict=True):
        if isinstance(found, str):
          failed[one] = found
        else:
          ids.append(one)
          rows.append(found)
        advance(1)
  names = list(rows[0]) if rows else []
  values = {key: np.array([row[key] for row in rows]) for key in names}
  return ImageStatistics(name, ids, values, failed)


def _measure(encoded: bytes) -> dict[str, float] | str:
  """Returns the statistics of an image, or what is wrong with it."""
  try:
    pixels = _decode(tf.constant(encoded)).numpy()
  except tf.errors.OpError as error:
    return pipeline.reason(error)
  quality = image_statistics.jpeg_quality(encoded)
  return {
    **image_statistics.of_pixels(pixels),
    'JPEG quality': float('nan') if quality is None else float(quality),
  }


@tf.function(autograph=False, input_signature=[tf.TensorSpec([], tf.string)])
def _decode(encoded: tf.Tensor) -> tf.Tensor:
  return limits.with_limits(encoded, decode.decode)
