"""Predictions of other tools as runs like any other: what `tfeval import` calls."""

import dataclasses
import datetime
import time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfeval.datasets.labels import sets
from tfeval.datasets.labels.listing import check_rows
from tfeval.datasets.labels.sets import ORIGINAL, REAL, LabelSource
from tfeval.metrics.entry import ALL
from tfeval.runs import predictions, result_file, run_directory
from tfeval.runs.importing import directory, orders, readers, rows
from tfeval.runs.importing.directory import ImportConfig, by_validation_order
from tfeval.runs.importing.sources import Source
from tfeval.runs.result_file import Manifest
from tfeval.runs.run import Failure, Run, finish
from tfeval.runs.run_classes import RunClasses
from tfeval.runs.summary import SUMMARY_COLUMNS, TOP, SummaryRequest, summarize
from tfeval.utils import arrow, budgets, files, locks
from tfeval.utils.errors import UserError

_ROWS_PER_PART = 50_000
# Of seven published sets of predictions, sorted, the first column hits at least 4.6
# times as often as the second; of fewer hits than these it may be luck.
_LEAST_HITS = 50
# With all outputs: 8 MB.
_ROWS_PER_PART_WITH_LOGITS = 2000


@dataclasses.dataclass
class _Written:
  """What the rows were."""

  ids: list[pa.Array]
  top1: list[np.ndarray]
  labels: list[np.ndarray]
  ties: int = 0
  unsorted: int = 0
  # Of the classes as they came, where nothing says which is the best.
  hits_by_column: np.ndarray | None = None
  has_scores: bool = True
  output: str | None = None


def import_all(sources: list[Source], config: ImportConfig) -> list[Run | Failure]:
  """Imports predictions one after the other.

  Returns:
    A complete run for each model, in their order; for one of several that cannot
    be imported what is wrong with it.

  Raises:
    UserError: something is wrong with the labels, or with the only predictions.
  """
  for one in config.labels:
    if one.name == REAL and one.file is None:
      raise UserError(
        '`labels=real`: predictions carry no ReaL labels: give the path of real.json'
      )
  done: list[Run | Failure] = []
  for source in sources:
    try:
      done.append(import_predictions(source, config))
    except UserError as error:
      if len(sources) == 1:
        raise
      done.append(Failure(source.name, str(error)))
  return done


def import_predictions(source: Source, config: ImportConfig) -> Run:
  """Imports the predictions of one model.

  Args:
    source: what, and where to.
    config: how.

  Returns:
    A complete run.

  Raises:
    UserError: the predictions are not as they should be, or the run directory
      holds something else.
  """
  started = time.monotonic()
  with readers.opened(source.predictions, source.probabilities, config.space) as table:
    manifest = directory.manifest(source, config, table)
    if complete := directory.complete_run(source, config, manifest):
      return complete
    with locks.locked(source.directory):
      # Another process may have completed it in the meantime.
      if complete := directory.complete_run(source, config, manifest):
        return complete
      directory.begin_run(source, config, manifest)
      try:
        written = _write(source, config, table)
        return _complete(source, config, manifest, table, written, started)
      except UserError:
        run_directory.discard(source.directory)
        raise


def _complete(
  source: Source,
  config: ImportConfig,
  manifest: Manifest,
  table: readers.Table,
  written: _Written,
  started: float,
) -> Run:
  """Counts the rows that were written, and writes what came out.

  Raises:
    UserError: these are not the images that were expected.
  """
  ids = pa.concat_arrays(written.ids)
  if by_validation_order(config.labels):
    expected = orders.named_ids(orders.FILE_NAME)
  else:
    named = [sets.ids_as_in(one, ids) for one in config.labels]
    expected = pc.unique(pa.concat_arrays(named))
  by_order = not table.has_ids and config.order in orders.NAMED
  if not (by_order and by_validation_order(config.labels)):  # Else they are the same.
    orders.check_ids(source.predictions, ids, expected, config.partial)
  notes = _notes(source, config, table.classes, written, ids)
  # Rows carry ReaL labels from here on.
  labels = [
    dataclasses.replace(one, file=None) if one.name in (ORIGINAL, REAL) else one
    for one in config.labels
  ]
  store = source.directory / result_file.PREDICTIONS
  request = SummaryRequest(classes=RunClasses(config.space, config.space))
  parts = predictions.read_parts(store, SUMMARY_COLUMNS)
  summary = summarize(parts, labels, request=request)
  summary.check_labels(config.labels, source.predictions)
  manifest = manifest.replaced(
    model=manifest.model.replaced(output=written.output),
    dataset=manifest.dataset.replaced(
      partial=len(ids) < len(expected), expected=len(ids), notes=notes
    ),
  )
  files.write_json(source.directory / result_file.MANIFEST, manifest)
  return finish(
    source.directory,
    manifest,
    summary,
    {},
    {
      'finished': datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
      'seconds': time.monotonic() - started,
    },
  )


def _write(source: Source, config: ImportConfig, table: readers.Table) -> _Written:
  all_ids = None
  if not table.has_ids:
    all_ids = orders.row_ids(source.predictions, config.order, table.rows)
  keep = config.store_logits
  writer = predictions.Writer(
    source.directory / result_file.PREDICTIONS,
    keep,
    _ROWS_PER_PART_WITH_LOGITS if keep else _ROWS_PER_PART,
    min(table.classes, predictions.STORED_CLASSES),
    space=len(config.space),
  )
  by_name = {labels.name: labels for labels in config.labels}
  written, start, id_bytes = _Written([], [], [], output=config.output), 0, 0
  for block in table.blocks():
    n = len(block)
    ids: pa.Array = block.ids if all_ids is None else all_ids[start : start + n]
    refuse, refuse_scores = (
      rows.refuser(path, ids, start)
      for path in (source.predictions, source.probabilities or source.predictions)
    )
    if ids.null_count:
      raise UserError(f'{source.predictions}: {ids.null_count} rows have no id')
    check_rows(source.predictions, start + n)
    if (id_bytes := id_bytes + ids.nbytes) > budgets.IDS:
      raise UserError(
        f'{source.predictions} has ids of more than {budgets.IDS:,} bytes'
      )
    labels = _original(by_name, ids)
    ranked = rows.rank(
      block, labels, written.output, refuse, refuse_scores, len(config.space)
    )
    if keep and ranked.scores is None:
      raise UserError(
        f'`store_logits`: {source.predictions} has no scores of all '
        'classes: leave it out'
      )
    writer.write(
      predictions.assemble(
        ids,
        pa.nulls(n, pa.binary(32)),
        labels,
        _real(by_name, ids),
        {ALL: ranked.ranks},
        ranked.scores if keep else None,
      )
    )
    written.ids.append(ids)
    written.top1.append(ranked.classes[:, 0])
    written.labels.append(labels)
    if block.classes is not None and block.scores is None:
      hits = (block.classes == labels[:, None]).sum(axis=0)
      before = written.hits_by_column
      written.hits_by_column = hits if before is None else before + hits
    if block.classes is not None:
      written.unsorted += int(np.sum(ranked.classes[:, 0] != block.classes[:, 0]))
    written.output = ranked.output
    written.has_scores = ranked.log_probs is not None
    if ranked.log_probs is not None and ranked.log_probs.shape[1] > 1:
      written.ties += int(np.sum(ranked.log_probs[:, 0] == ranked.log_probs[:, 1]))
    start += n
  if not start:
    raise UserError(f'{source.predictions} has no rows')
  writer.flush()
  return written


def _original(by_name: dict[str, LabelSource], ids: pa.Array) -> np.ndarray:
  """Returns int32 [n], the original labels, -1 for none."""
  found = np.full(len(ids), -1, np.int32)
  if ORIGINAL not in by_name:
    return found
  one = by_name[ORIGINAL]
  labels = sets.match(one.file or sets.packaged(), ids)
  if (labels.sizes > 1).any():
    raise UserError(
      f'`labels={one.path}` has several labels for an image: expected one'
    )
  found[labels.sizes > 0] = labels.values
  return found


def _real(by_name: dict[str, LabelSource], ids: pa.Array) -> pa.Array:
  if REAL not in by_name:
    return pa.nulls(len(ids), pa.list_(pa.int32()))
  labels = by_name[REAL].of_rows(pa.Table.from_arrays([ids], ['id']))
  offsets = np.concatenate([[0], np.cumsum(labels.sizes)]).astype(np.int32)
  return pa.ListArray.from_arrays(
    arrow.numbers(offsets), arrow.numbers(labels.values.astype(np.int32))
  )


def _notes(
  source: Source, config: ImportConfig, classes: int, written: _Written, ids: pa.Array
) -> list[str]:
  """Returns what a reader of the result must know of the predictions."""
  notes = ['imported predictions']
  if not written.has_scores and classes > 1:
    notes.append('without probabilities: classes are taken to stand best first')
    notes += _unsorted_notes(written.hits_by_column)
  if written.unsorted:
    notes.append(
      f'{written.unsorted:,} images do not have their best class first: they are '
      'sorted by probability'
    )
  if classes < TOP[-1] <= len(config.space):
    known = 'class of each image is' if classes == 1 else 'classes of each image are'
    notes.append(f'only {classes} {known} known: no top-5')
  if written.ties:
    have = 'image has' if written.ties == 1 else 'images have'
    notes.append(
      f'{written.ties} {have} two best classes of equal score: the lower '
      'class index counts'
    )
  top1 = np.concatenate(written.top1)
  if by_validation_order(config.labels):
    chance = orders.explain_chance(source.predictions, top1, ids, config.order)
    notes += [chance] if chance else []
  else:
    labels, order = np.concatenate(written.labels), config.order
    own = None if order in orders.NAMED else order
    orders.check_own(source.predictions, top1, labels, ids, own, config.space)
  return notes


def _unsorted_notes(hits: np.ndarray | None) -> list[str]:
  """Says that classes probably do not stand best first; see `_LEAST_HITS`."""
  if hits is None or len(hits) < 2 or hits.sum() < _LEAST_HITS or hits[0] > 2 * hits[1]:
    return []
  by_column = ', '.join(f'{count:,}' for count in hits.tolist())
  return [
    f'UNSORTED: the columns hit {by_column} times, so the first is hardly the best '
    'class: give `probabilities`'
  ]
