"""Predictions into a store, after those that an interrupted run has left there."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from tfeval import errors, experiment, predictions, resume
from tfeval.engine import predict
from tfeval.errors import UserError
from tfeval.models import model as model_lib
from tfeval.paths import Path
from tfeval.progress import Progress
from tfeval.settings import SKIP


def kept_parts(store: Path, manifest: dict[str, Any], shard: range,
               overwrite: bool) -> list[dict]:
  """Returns the parts to go on after; says so on stderr.

  Args:
    store: of a run directory that holds nothing but the same experiment.
    manifest: what is run.
    shard: the positions that the store is to hold.
    overwrite: whether to keep nothing.
  """
  if overwrite or not store.is_dir():
    return []
  parts = []
  if experiment.can_be_told_again(manifest):
    parts = resume.whole_parts(store, shard, manifest['dataset']['on_error'] != SKIP)
  rows = sum(part['rows'] for part in parts)
  if rows:
    print(f'tfeval: {store.parent} goes on after {rows} of {len(shard)} images',
          file=sys.stderr)
  elif any(store.glob('part-*.parquet')):
    print(f'tfeval: {store.parent} starts again: no part there can be relied on',
          file=sys.stderr)
  return parts


def record(store: Path, keep: list[dict], manifest: dict[str, Any],
           shard: range, model: model_lib.Model,
           predict_from: Callable[[range], Iterator[predict.Predictions]],
           progress: Progress) -> list[int]:
  """Stores what a model says of a range of images.

  Args:
    store: directory of the parts.
    keep: what `kept_parts` found there.
    manifest: what is run.
    shard: the positions of the images.
    model: the model.
    predict_from: yields predictions of a range of positions.
    progress: is told how far it is.

  Returns:
    The positions of all stored rows; those of images that were skipped are missing.

  Raises:
    UserError: an image, the model or the disk is at fault.
    Interrupted: Ctrl-C. What was predicted before that, or before an error, is kept.
  """
  logits, batch_size = manifest['store']['logits'], manifest['compute']['batch_size']
  positions = resume.positions_of(keep)
  # Batches are stored whole.
  at = (positions[-1] // batch_size + 1) * batch_size if positions else shard.start
  rest = range(min(at, shard.stop), shard.stop)
  writer = predictions.Writer(store, logits, resume.part_size(manifest), keep=keep)
  with progress(model.name, len(rest)) as advance:
    try:
      for batch in predict_from(rest) if rest else ():
        writer.write(predictions.make_rows(
            batch.ids, batch.hashes, batch.labels, batch.real_labels, batch.scores,
            model.output, logits), batch.positions)
        positions += batch.positions
        # Images that were skipped on the way are done as well.
        advance(batch.positions[-1] + 1 - at)
        at = batch.positions[-1] + 1
      writer.flush()
      if at < rest.stop:
        advance(rest.stop - at)
    except BaseException as error:
      with contextlib.suppress(UserError):
        writer.flush()
      if isinstance(error, KeyboardInterrupt):
        raise errors.Interrupted(
            f'{len(positions)} of {len(shard)} images are kept in {store.parent}: the '
            'same command goes on from there') from error
      raise
  return positions
