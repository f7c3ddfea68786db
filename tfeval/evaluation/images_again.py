"""The images of a run, read again by their ids: rows keep none.

What cannot be read is a reason, not an error: a report goes on without it. TensorFlow
is imported when something is decoded.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tfeval.datasets import folder_content, image_files
from tfeval.runs.result_file import EvaluatedSection
from tfeval.runs.run import Run
from tfeval.utils import arrow, errors
from tfeval.utils.errors import UserError

if TYPE_CHECKING:
  import numpy as np

_MISSING = 'the image is no longer in {}'
_CHANGED = 'another image has this name in {} now'


def thumbnails(
  run: Run,
  ids: Sequence[str],
  size: int,
  *,
  data_dir: str | None = None,
  manual_dir: str | None = None,
  dataset: str | None = None,
) -> dict[str, bytes | str]:
  """Returns small pictures of images of a run, for a page.

  Args:
    run: the run.
    ids: of images, as its rows have them.
    size: the longer side in pixels, at most.
    data_dir, manual_dir: where TFDS datasets lie, which nothing else tells.
    dataset: where to read the images instead, as evaluations take it, such as
      `folder:DIR`; by default what the run says.

  Returns:
    A JPEG for each id, upright and whole; a text where there is none, which says why.
  """
  import tensorflow as tf

  pixels = thumbnail_pixels(
    run, ids, size, data_dir=data_dir, manual_dir=manual_dir, dataset=dataset
  )
  return {
    one: found
    if isinstance(found, str)
    else tf.io.encode_jpeg(found, quality=88).numpy()
    for one, found in pixels.items()
  }


def thumbnail_pixels(
  run: Run,
  ids: Sequence[str],
  size: int,
  *,
  data_dir: str | None = None,
  manual_dir: str | None = None,
  dataset: str | None = None,
) -> 'dict[str, np.ndarray | str]':
  """Returns small pictures as pixels, see `thumbnails`.

  Returns:
    uint8 [height, width, 3], RGB, for each id, or a text that says why not.
  """
  from tfeval.evaluation import thumbnail  # TensorFlow: seconds.

  where = {'data_dir': data_dir, 'manual_dir': manual_dir}
  found: dict[str, np.ndarray | str] = {}
  for one, encoded in encoded_images(run, ids, where, dataset).items():
    if isinstance(encoded, str):
      found[one] = encoded
      continue
    try:
      found[one] = thumbnail.of_encoded(encoded, size)
    except UserError as error:
      found[one] = str(error)
  return found


def encoded_images(
  run: Run,
  ids: Sequence[str],
  where: Mapping[str, str | None],
  dataset: str | None = None,
) -> dict[str, bytes | str]:
  """Returns images of a run as their files hold them.

  Args:
    run: the run.
    ids: of images, as its rows have them.
    where: `data_dir` and `manual_dir`.
    dataset: where to read them instead; by default what the run says.

  Returns:
    The bytes of each, in the order of the ids, or a text that says why there are none.
  """
  wanted = dict.fromkeys(ids)
  if not wanted:
    return {}
  name = dataset or run.result.dataset.name
  missing = _MISSING.format(name)
  found: dict[str, bytes | str] = {}
  try:
    hashes = _hashes(run, list(wanted))
    check_at_hand(run, where, dataset)
    for one, encoded in read(run.result.dataset, wanted, where, dataset):
      same = hashes.get(one) in (None, hashlib.sha256(encoded).digest())
      found[one] = encoded if same else _CHANGED.format(name)
  except (UserError, OSError) as error:
    missing = errors.one_line(error)
  return {one: found.get(one, missing) for one in wanted}


def check_at_hand(
  run: Run, where: Mapping[str, str | None], dataset: str | None = None
) -> None:
  """Checks that the images of a run may be read, and nothing is fetched for it.

  Raises:
    UserError: nothing says where they are.
  """
  section = run.result.dataset
  kind, _, directory = section.name.partition(':')
  if dataset is not None or any(where.values()):
    return
  if kind == 'folder' and not os.path.isdir(directory):
    raise UserError(f'{directory} is not there: `dataset` says where its images are')
  if run.result.imported is not None:
    raise UserError(
      f'{run.path} was imported: `dataset` says where its images are, such as '
      'folder:DIR, or `data_dir` those of TFDS'
    )
  if not directory and kind != 'sample':
    raise UserError(
      f'{run.path} is of {section.name}: `data_dir`, `manual_dir` or `dataset` say '
      'where that lies'
    )


def read(
  section: EvaluatedSection,
  ids: Mapping[str, object],
  where: Mapping[str, str | None],
  dataset: str | None = None,
) -> Iterator[tuple[str, bytes]]:
  """Yields the encoded images with some ids, until all are found.

  Args:
    section: what a run says of its dataset.
    ids: of the images.
    where: `data_dir` and `manual_dir`, as `datasets.open_dataset` takes them.
    dataset: where to read them instead.

  Raises:
    UserError: the dataset cannot be opened or read.
  """
  kind, _, directory = (dataset or section.name).partition(':')
  if kind != 'folder':
    yield from _of_dataset(section, list(ids), where, dataset)
    return
  paths = folder_content.paths_by_id(directory)
  for one in ids:
    # Of class folders ids are file names, but for those that are there twice.
    path = paths.get(one, paths.get(one.rsplit('/', 1)[-1]))
    if path is not None:
      yield one, image_files.read_image(path)


def _of_dataset(
  section: EvaluatedSection,
  ids: list[str],
  where: Mapping[str, str | None],
  dataset: str | None,
) -> Iterator[tuple[str, bytes]]:
  import tensorflow as tf

  from tfeval import datasets
  from tfeval.engine import pipeline

  split = section.split or None
  full = section.name
  if section.config is not None:
    full += f'/{section.config}'
  if dataset is not None:
    full, split = dataset, None
  opened = datasets.open_dataset(full, split=split, **where)
  known = tf.lookup.StaticHashTable(
    tf.lookup.KeyValueTensorInitializer(ids, tf.ones(len(ids), tf.int64)), 0
  )
  examples = opened.examples().filter(lambda one: known.lookup(one['id']) > 0)
  try:
    for one in examples.take(len(ids)).as_numpy_iterator():
      yield one['id'].decode(), one['image']
  except tf.errors.OpError as error:
    raise UserError(f'{section.name}: {pipeline.reason(error)}') from error


def _hashes(run: Run, ids: list[str]) -> dict[str, bytes | None]:
  """Returns the SHA-256 of images as rows have them, None where it is not known."""
  import pyarrow as pa
  import pyarrow.compute as pc

  wanted, found = arrow.strings(ids), {}
  for part in run.parts(['id', 'image_sha256']):
    kept = part.filter(pc.is_in(part['id'], pa.array(wanted)))
    found |= dict(
      zip(kept['id'].to_pylist(), kept['image_sha256'].to_pylist(), strict=True)
    )
  return found
