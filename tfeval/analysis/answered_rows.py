"""Stored rows as columns of what was right and what was predicted, a part at a time.

Of each row that is kept there are some 100 bytes, whatever else a run stores: of a
million rows no more is in memory than a part of the store and these.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from tfeval.analysis import label_losses, set_columns
from tfeval.datasets.labels import sets, subsets
from tfeval.datasets.labels.sets import ORIGINAL, LabelSource
from tfeval.metrics.accuracy import Count, LabelSets, hits
from tfeval.metrics.competition import suffix
from tfeval.metrics.entry import ALL
from tfeval.runs import summary
from tfeval.runs.run import Run
from tfeval.utils import arrow
from tfeval.utils.errors import UserError

# Ranked classes that are kept of an image.
TOP = 5


@dataclasses.dataclass(frozen=True, eq=False)
class AnsweredRows:
  """n rows of a run.

  Attributes:
    ids: string [n].
    original: int32 [n], the label that the row carries, -1 for none.
    right: the right classes by the label set that is counted by.
    real: the sets of classes that the rows carry; None: they carry none.
    ranked: int32 [n, at most 5], classes, best first.
    log_probs: float32 [n, at most 5], of these; NaN where nothing is known of them.
    hit: bool [n], whether the first of them is right.
    losses: float64 [n], see `label_losses.losses`; None where they were not asked for.
  """

  ids: pa.Array
  original: np.ndarray
  right: LabelSets
  real: LabelSets | None
  ranked: np.ndarray
  log_probs: np.ndarray
  hit: np.ndarray
  losses: np.ndarray | None = None

  def __len__(self) -> int:
    return len(self.ids)

  @functools.cached_property
  def confidence(self) -> np.ndarray:
    """float64 [n], the probability of the first class; NaN for unknown."""
    return np.exp(self.log_probs[:, 0].astype(np.float64))

  def take(self, at: np.ndarray) -> 'AnsweredRows':
    """Returns rows at places, int64 [m], in this order."""
    return AnsweredRows(
      self.ids.take(arrow.numbers(at)),
      self.original[at],
      set_columns.taken(self.right, at),
      None if self.real is None else set_columns.taken(self.real, at),
      self.ranked[at],
      self.log_probs[at],
      self.hit[at],
      None if self.losses is None else self.losses[at],
    )


@dataclasses.dataclass(frozen=True)
class Asked:
  """What is read of a run.

  Attributes:
    labels: what is right: None: a label set that the rows carry, `name`.
    name: of the label set.
    rule: the class rule that predictions are of.
    losses: whether losses are wanted.
    of_class, as_class: only rows with this right class, with this prediction.
  """

  labels: LabelSource | None
  name: str
  rule: str = ALL
  losses: bool = False
  of_class: int | None = None
  as_class: int | None = None


@dataclasses.dataclass
class Reading:
  """What was found while rows were read.

  Attributes:
    images: how many rows there were.
    counted: the metric, as `score` has it.
    of_class: how many labelled images have the class that was asked for.
  """

  images: int = 0
  counted: Count = Count(0, 0, 0)
  of_class: int = 0


def asked_labels(run: Run, labels: LabelSource | None) -> str:
  """Returns the name of the label set that a run is counted by.

  Without one that is `original`, if any image has such a label, or the other one.
  """
  if labels is not None:
    return labels.name
  there = {metric.labels for metric in run.metrics if metric.count}
  return ORIGINAL if ORIGINAL in there or not there else run.classes.label_set


def read(
  run: Run, asked: Asked, keep: Callable[[np.ndarray], np.ndarray]
) -> tuple[AnsweredRows, Reading]:
  """Reads the rows that have a label, and of these what is to be kept.

  Args:
    run: the run.
    asked: what of it.
    keep: returns which rows of a part are kept, bool [n] of bool [n], the hits.

  Raises:
    UserError: rows are missing, changed or double, or none has a label.
  """
  reading, blocks, ids = Reading(), [], []
  for part in run.parts(_columns(run, asked)):
    reading.images += len(part)
    if asked.labels is not None and asked.labels.file is not None:
      ids.append(part['id'])
    blocks.append(_of_part(run, asked, part, keep, reading))
  if reading.images != run.result.dataset.evaluated:
    raise UserError(
      f'{run.path} stores {reading.images:,} rows, its result says '
      f'{run.result.dataset.evaluated:,}: evaluate again'
    )
  if ids and asked.labels is not None:
    sets.check_ids(asked.labels, _one(ids), run.path)
  if not reading.counted.count:
    source = asked.labels or LabelSource(asked.name)
    raise summary.no_labels(source, run.path, _first_id(run))
  found = _joined(blocks, asked)
  sets_of_rows = [found.right, *([] if found.real is None else [found.real])]
  _check_classes(run, [found.ranked, *(one.values for one in sets_of_rows)])
  return found, reading


def _check_classes(run: Run, found: Sequence[np.ndarray]) -> None:
  """Checks that classes of rows are those of their run, which may be a stranger's."""
  classes = len(run.classes.space)
  most = max((int(one.max()) for one in found if one.size), default=0)
  if most >= classes:
    raise UserError(
      f'{run.path} stores class {most:,}, its result has {classes:,}: evaluate again'
    )


def _columns(run: Run, asked: Asked) -> list[str]:
  names = ['id', 'label', 'real_labels']
  names += [f'{name}{suffix(asked.rule)}' for name in ('classes', 'log_probs')]
  if asked.losses:
    names += label_losses.columns(run, asked.rule, asked.name)
  return names


def _of_part(
  run: Run,
  asked: Asked,
  part: pa.Table,
  keep: Callable[[np.ndarray], np.ndarray],
  reading: Reading,
) -> AnsweredRows:
  stored = summary.label_columns(part, run.classes.label_set)
  right = asked.labels.of_rows(part) if asked.labels else stored.get(asked.name)
  if right is None:
    # No row of this part has a set.
    right = LabelSets(np.zeros(0, np.int32), np.zeros(len(part), np.int64))
  classes = part[f'classes{suffix(asked.rule)}']
  named = under_rule(run, asked.rule, right)
  if classes.null_count:
    # A rule that other images are not for: they have no label under it.
    inside = arrow.to_numpy(classes.is_valid())
    named = LabelSets(subsets.select(named, inside).values, named.sizes * inside)
    right = LabelSets(subsets.select(right, inside).values, right.sizes * inside)
  ranked = arrow.matrix(classes)
  hit = hits(ranked, named, 1)
  labelled = named.sizes > 0
  count = int(np.count_nonzero(labelled))
  reading.counted += Count(int(np.count_nonzero(hit)), count, len(part) - count)
  kept = labelled & keep(hit)
  if asked.of_class is not None:
    of_class = _one_class(run, asked.rule, asked.of_class)
    example = np.repeat(np.arange(len(part)), named.sizes)
    found = np.zeros(len(part), bool)
    found[example[np.asarray(named.values) == of_class]] = True
    reading.of_class += int(np.count_nonzero(found))
    kept &= found
  if asked.as_class is not None:
    kept &= ranked[:, 0] == _one_class(run, asked.rule, asked.as_class)
  at = np.flatnonzero(kept)
  rows = part.take(arrow.numbers(at))
  losses = None
  if asked.losses:
    losses = label_losses.losses(run, rows, set_columns.taken(named, at), asked.rule)
  real = stored.get(run.classes.label_set)
  log_probs = arrow.matrix(part[f'log_probs{suffix(asked.rule)}'])
  return AnsweredRows(
    arrow.joined(rows['id']),
    arrow.to_numpy(rows['label'], null=-1),
    set_columns.taken(right, at),
    None if real is None else set_columns.taken(real, at),
    ranked[at, :TOP].astype(np.int32),
    log_probs[at, :TOP].astype(np.float32),
    hit[at],
    losses,
  )


def under_rule(run: Run, rule: str, labels: LabelSets) -> LabelSets:
  """Returns labels as predictions of a rule name classes that mean the same."""
  contest = run.classes.competition.contests.get(rule)
  if contest is None:
    return labels
  return LabelSets(contest.rule.named(np.asarray(labels.values)), labels.sizes)


def _one_class(run: Run, rule: str, index: int) -> int:
  one = LabelSets.from_single(np.array([index]))
  return int(under_rule(run, rule, one).values[0])


def predicted(run: Run, rule: str) -> tuple[pa.Array, np.ndarray, np.ndarray]:
  """Returns ids, string [n], and of each the first class and its log-probability.

  Returns:
    The ids in the order of the rows; int32 [n], -1 where the rule is for other images;
    float32 [n], NaN for unknown.

  Raises:
    UserError: there are no rows, or some are missing or changed.
  """
  ids, first, log_probs = [], [], []
  names = [f'{name}{suffix(rule)}' for name in ('classes', 'log_probs')]
  for part in run.parts(['id', *names]):
    ids.append(part['id'])
    classes = arrow.matrix(part[names[0]])[:, 0]
    first.append(np.where(np.isnan(classes), -1, classes).astype(np.int32))
    log_probs.append(arrow.matrix(part[names[1]])[:, 0].astype(np.float32))
  if not ids:
    raise UserError(f'{run.path} stores no rows: evaluate again')
  _check_classes(run, first)
  return _one(ids), np.concatenate(first), np.concatenate(log_probs)


def _one(chunks: Sequence[pa.ChunkedArray]) -> pa.Array:
  return arrow.joined(pa.chunked_array([c for one in chunks for c in one.chunks]))


def _first_id(run: Run) -> list[str]:
  part = next(iter(run.parts(['id'])), None)
  return [] if part is None else part['id'][:1].to_pylist()


def _joined(blocks: Sequence[AnsweredRows], asked: Asked) -> AnsweredRows:
  def column(name: str) -> np.ndarray:
    return np.concatenate([getattr(one, name) for one in blocks])

  def joined_sets(found: list[LabelSets]) -> LabelSets:
    return LabelSets(
      np.concatenate([one.values for one in found]),
      np.concatenate([one.sizes for one in found]),
    )

  real = None
  if any(one.real is not None for one in blocks):
    none = [LabelSets(np.zeros(0, int), np.zeros(len(one), int)) for one in blocks]
    real = joined_sets([one.real or none[i] for i, one in enumerate(blocks)])
  return AnsweredRows(
    arrow.joined(pa.chunked_array([one.ids for one in blocks], pa.string())),
    column('original'),
    joined_sets([one.right for one in blocks]),
    real,
    column('ranked'),
    column('log_probs'),
    column('hit'),
    column('losses') if asked.losses else None,
  )
