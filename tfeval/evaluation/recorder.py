"""Predictions into a store, after those that an interrupted run has left there."""

import hashlib
import logging
import random
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from tfeval.datasets.base import ImageDataset
from tfeval.datasets.options import SKIP
from tfeval.engine.batches import Batch
from tfeval.evaluation.manifest import why_begins_again
from tfeval.runs import predictions, run_classes
from tfeval.runs.predictions import resume
from tfeval.runs.result_file import Manifest
from tfeval.utils.errors import UserError
from tfeval.utils.paths import Path

_LOG = logging.getLogger('tfeval')


def resumable_parts(
  store: Path, manifest: Manifest, shard: range, overwrite: bool
) -> list[dict]:
  """Returns the parts of a store to resume after; logs how many rows these are.

  Args:
    store: of a run directory that holds nothing but the same experiment.
    manifest: what is run.
    shard: the positions that the store is to hold.
    overwrite: whether to keep nothing.
  """
  if overwrite or not store.is_dir():
    return []
  parts = []
  if why_begins_again(manifest) is None:
    parts = resume.whole_parts(store, shard, manifest.dataset.on_error != SKIP)
  rows = sum(part['rows'] for part in parts)
  if rows:
    _LOG.info('%s goes on after %d of %d images', store.parent, rows, len(shard))
  elif any(store.glob('part-*.parquet')):
    _LOG.info('%s starts again: no part there can be relied on', store.parent)
  return parts


def check_same_images(
  dataset: ImageDataset, store: Path, parts: list[dict], most: int | None = None
) -> None:
  """Checks that images are still those that were evaluated: ids, labels and content.

  The manifest knows datasets by the sizes of their files.

  Args:
    dataset: what is evaluated now.
    store: directory of the parts.
    parts: entries of its index, which were found whole.
    most: how many images of each part are looked at; None: all. The first one is
      always among them.

  Raises:
    UserError: one is another one.
  """
  for part in parts:
    rows = predictions.read_part(store, part, ['id', 'image_sha256', 'label'])
    for numbers, positions in _looked_at(part['positions'], most):
      examples = dataset.examples(positions.start, positions.stop)
      for number, position, example in zip(numbers, positions, examples, strict=False):
        (row,) = rows.slice(number, 1).to_pylist()
        _check_same(store, row, position, example)


def _looked_at(
  ranges: list[list[int]], most: int | None
) -> Iterator[tuple[range, range]]:
  """Yields numbers of rows and their positions, of all or of so many in all."""
  before, chosen = 0, None
  total = sum(stop - start for start, stop in ranges)
  if most is not None and total > most:
    chosen = {0, *random.SystemRandom().sample(range(total), most)}
  for start, stop in ranges:
    numbers = range(before, before + stop - start)
    if chosen is None:
      yield numbers, range(start, stop)
    else:
      for number in sorted(chosen.intersection(numbers)):
        position = start + number - before
        yield range(number, number + 1), range(position, position + 1)
    before = numbers.stop


def _check_same(
  store: Path, row: dict[str, Any], position: int, example: dict[str, Any]
) -> None:
  label = int(example['label'])
  now = {
    'id': example['id'].numpy().decode(),
    'image_sha256': hashlib.sha256(example['image'].numpy()).digest(),
    'label': None if label < 0 else label,
  }
  if row != now:
    raise UserError(
      f'{store.parent} was begun with other data: image {position} was '
      f'{row["id"]} with label {row["label"]}, now it is {now["id"]} '
      f'with label {now["label"]}, or its content has changed: choose '
      'another `output_dir`, or delete it'
    )


def writer_of(
  store: Path, manifest: Manifest, keep: Sequence[dict] = ()
) -> predictions.Writer:
  """Returns what writes the rows that a manifest tells of.

  Args:
    store: directory of the parts.
    manifest: what is run.
    keep: what `resumable_parts` found there.

  Raises:
    UserError: it cannot be written.
  """
  classes, features = run_classes.of(manifest), manifest.store.features
  return predictions.Writer(
    store,
    manifest.store.logits,
    resume.part_size(manifest),
    classes.kept(),
    keep,
    len(classes.space),
    classes.outputs,
    classes.kept_by_rule,
    features.dimension if features else 0,
  )


class Recorder:
  """Stores the predictions of one model for a range of images.

  Attributes:
    positions: of all rows so far; those of images that were skipped are missing.
    resumed: how many of them an earlier run has stored.
    remaining: the positions that are to come, in whole batches.
    hits, labelled: how many rows that were appended are top-1 hits, of how many.
  """

  def __init__(self, store: Path, keep: list[dict], manifest: Manifest, shard: range):
    """Opens the store.

    Args:
      store: directory of the parts.
      keep: what `resumable_parts` found there.
      manifest: what is run.
      shard: the positions of the images.

    Raises:
      UserError: it cannot be written.
    """
    batch_size = manifest.compute.batch_size
    self._batch_size = batch_size = manifest.compute.batch_size
    # One thread appends, those that end a command flush.
    self._lock, self._closed = threading.RLock(), False
    self._kept = manifest.store.classes
    self.hits = self.labelled = 0
    self.positions = resume.positions_of(keep)
    self.resumed = len(self.positions)
    start = shard.start
    if self.positions:
      # Batches are stored whole.
      start = (self.positions[-1] // batch_size + 1) * batch_size
    self.remaining = range(min(start, shard.stop), shard.stop)
    self._writer = writer_of(store, manifest, keep)

  def append(self, batch: Batch, rows: pa.RecordBatch, step_size: int) -> None:
    """Stores a batch; nothing once it is closed.

    Args:
      batch: n images, of positions in `remaining` that are higher than all before.
      rows: of them, see `predictions.make_rows`.
      step_size: how many images the devices were given at once.
    """
    with self._lock:
      if self._closed:
        return
      # Of the batch size nothing is said: the manifest does.
      smaller = [step_size] if step_size < self._batch_size else []
      self._writer.write(rows, batch.positions, batch.resized_on_host, smaller)
      self.positions += batch.positions
      first = rows.column('classes').flatten().to_numpy()[:: self._kept]
      self.labelled += int((batch.labels >= 0).sum())
      self.hits += int((first == batch.labels).sum())

  @property
  def added(self) -> int:
    """How many rows were appended."""
    return len(self.positions) - self.resumed

  @property
  def stored(self) -> int:
    """How many rows are on disk."""
    return self._writer.rows

  def flush(self) -> None:
    """Writes what was appended and not written yet."""
    with self._lock:
      self._writer.flush()

  def close(self) -> None:
    """Lets go of the store, which another process may write next."""
    with self._lock:
      self._closed = True
