"""Which images a model gets wrong, from its stored rows: the most telling first.

Orders:
  confidence: by the probability of the wrong prediction, the highest first.
  loss: by -log p of the right class (the likeliest of several), the highest first.
  disagreement: with another run on the same images, where one is right and the other
    wrong, or both are wrong and say different classes; by the lower one of both
    probabilities, so that those come first where both are sure of themselves.

Of equal values the lowest id is first, so that the order of the rows says nothing.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfeval.analysis import answered_rows, mistake, other_rules, set_columns
from tfeval.analysis.answered_rows import AnsweredRows, Asked, Reading
from tfeval.analysis.disagreement import OtherAnswers, against
from tfeval.analysis.mistake import Mistakes, NamedClass
from tfeval.datasets import variants
from tfeval.datasets.labels.meanings import Meanings, normal
from tfeval.datasets.labels.sets import LabelSource
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.metrics.accuracy import Count
from tfeval.metrics.entry import ALL
from tfeval.runs.run import Run
from tfeval.utils import arrow, errors
from tfeval.utils.errors import UserError

ORDERS = CONFIDENCE, LOSS, DISAGREEMENT = ('confidence', 'loss', 'disagreement')
# Where nothing is known of probabilities.
BY_ID = 'id'
# By how many of several runs miss an image, see `hardest`.
MISSED = 'missed'


def mistakes(
  run: Run,
  count: int | None = 20,
  *,
  labels: LabelSource | None = None,
  by: str | None = None,
  other: Run | None = None,
  of_class: str | None = None,
  as_class: str | None = None,
  rule: str | None = None,
) -> Mistakes:
  """Finds what a model gets wrong.

  Args:
    run: a complete run.
    count: how many at most; None: all.
    labels: what is right; by default the original labels that the rows carry, or the
      only set that they carry.
    by: one of `ORDERS`; by default `confidence`, with another run `disagreement`.
    other: another run on the same images.
    of_class: only images of this class: an index, an id such as a wnid, or a name.
    as_class: only images that are taken for this class.
    rule: the class rule; by default that of the authors of the dataset.

  Raises:
    UserError: a class is not known; the rows do not give the order that is asked for;
      runs are of other images; rows are missing or changed.
  """
  by = _order(by, other)
  run, asked, of, as_ = _asked(run, labels, rule, by, of_class, as_class)
  if by != DISAGREEMENT:
    rows, reading = answered_rows.read(run, asked, np.logical_not)
    said = None
  else:
    assert other is not None  # `_order` says so.
    rows, reading = answered_rows.read(run, asked, np.ones_like)
    said = against(run, other, rows, asked.rule)
    chosen = np.flatnonzero(said.disagree)
    rows, said = rows.take(chosen), said.take(chosen)
  values, shown_by = _values(run, rows, by, said)
  order = first_places(rows.ids, values, len(rows) if count is None else count)
  return dataclasses.replace(
    _of_rows(run, asked, shown_by, reading, of, as_, rows),
    unknown=int(np.count_nonzero(np.isnan(values))) if shown_by != BY_ID else 0,
    rows=rows.take(order),
    other=None if said is None else said.take(order),
  )


def everything(
  run: Run,
  *,
  labels: LabelSource | None = None,
  of_class: str | None = None,
  rule: str | None = None,
) -> Mistakes:
  """Returns all rows that have a label, right or wrong, in the order of the store.

  Args:
    run, labels, of_class, rule: as for `mistakes`.

  Raises:
    UserError: as `mistakes`.
  """
  run, asked, of, _ = _asked(run, labels, rule, CONFIDENCE, of_class, None)
  rows, reading = answered_rows.read(run, asked, np.ones_like)
  return _of_rows(run, asked, MISSED, reading, of, None, rows)


def _of_rows(
  run: Run,
  asked: Asked,
  by: str,
  reading: Reading,
  of: NamedClass | None,
  as_: NamedClass | None,
  rows: AnsweredRows,
) -> Mistakes:
  right_by_real, without_real = _of_real(rows, run, asked)
  return Mistakes(
    run,
    asked.name,
    asked.rule,
    by,
    reading.counted,
    of,
    as_,
    None if of is None else reading.of_class,
    len(rows),
    right_by_real,
    without_real,
    0,
    rows,
    remarks=tuple(_remarks(run, asked, reading.counted, by)),
  )


def _asked(
  run: Run,
  labels: LabelSource | None,
  rule: str | None,
  by: str,
  of_class: str | None,
  as_class: str | None,
) -> tuple[Run, Asked, NamedClass | None, NamedClass | None]:
  """Returns a run that has the rule, what is read of it, and the classes."""
  rule = variants.rule_in(run.result.dataset.name, rule) if rule else _rule(run)
  run = other_rules.with_rules(run, [rule])
  if not run.classes.has(rule):
    raise UserError(f'{run.path} has no rule {rule}: leave `class_rule` out')
  of, as_ = (
    None if text is None else _class(space, text, what)
    for space, text, what in (
      (run.label_space, of_class, 'of_class'),
      (run.classes.space, as_class, 'as_class'),
    )
  )
  asked = Asked(
    labels,
    answered_rows.asked_labels(run, labels),
    rule,
    by == LOSS,
    None if of is None else of.index,
    None if as_ is None else as_.index,
  )
  return run, asked, of, as_


def _order(by: str | None, other: Run | None) -> str:
  if by is None:
    return CONFIDENCE if other is None else DISAGREEMENT
  if by not in ORDERS:
    raise errors.unknown('`by`', by, ORDERS)
  if by == DISAGREEMENT and other is None:
    raise UserError('`by=disagreement` needs `other`, a run on the same images')
  if by != DISAGREEMENT and other is not None:
    raise UserError(f'`by={by}` is of one run: leave `other` out')
  return by


def _rule(run: Run) -> str:
  rule = variants.first_rule(run.result.dataset.name)
  return rule if run.classes.has(rule) else ALL


def _class(space: LabelSpace, text: str, what: str) -> NamedClass:
  index = int(Meanings(space).indices(pa.array([text]))[0])
  same = [
    one for one, name in enumerate(space.class_names) if normal(name) == normal(text)
  ]
  if index < 0 and len(same) > 1:
    ids = ' and '.join(space.class_ids[one] for one in same)
    raise UserError(f'`{what}={text}` is what {ids} are called: give one of these')
  if index < 0 or index >= len(space):
    names = [*space.class_ids, *space.readable_names]
    raise errors.unknown(f'`{what}`', text, names, '(an id, an index or a name)')
  return mistake.named(space, index)


def _values(
  run: Run, rows: AnsweredRows, by: str, said: OtherAnswers | None
) -> tuple[np.ndarray, str]:
  """Returns what rows are ordered by, float64 [n], and what that is called."""
  if by == LOSS:
    assert rows.losses is not None  # They were asked for.
    # What is unknown would be the highest: it is of classes that rank low.
    if unknown := int(np.count_nonzero(np.isnan(rows.losses))):
      raise UserError(
        f'`by=loss`: of {unknown:,} of {len(rows):,} mistakes {run.path} does not '
        'store what the right class was given: it needs all outputs, which '
        '`store_logits` keeps'
      )
    return rows.losses, LOSS
  values = rows.confidence
  if said is not None:
    values = np.minimum(values, said.confidence)
  if len(rows) and np.isnan(values).all():
    return values, BY_ID
  return values, by


def first_places(ids: pa.Array, values: np.ndarray, count: int) -> np.ndarray:
  """Returns int64 [m], the places of the highest values; of equal ones by id.

  Args:
    ids: string [n].
    values: float [n]; NaN is below all others.
    count: m, at most.

  >>> first_places(pa.array(['b', 'c', 'a']), np.array([1., 2., 1.]), 2)
  array([1, 2])
  """
  keys = np.where(np.isnan(values), -np.inf, values)
  at = np.arange(len(keys))
  if 0 < count < len(keys):
    # Millions of ids need not be sorted for some.
    least = np.partition(keys, len(keys) - count)[len(keys) - count]
    at = np.flatnonzero(keys >= least)
  place = np.empty(len(at), np.int64)
  place[arrow.to_numpy(pc.sort_indices(ids.take(arrow.numbers(at))))] = np.arange(
    len(at)
  )
  return at[np.lexsort((place, -keys[at]))][:count]


def _of_real(rows: AnsweredRows, run: Run, asked: Asked) -> tuple[int | None, int]:
  if rows.real is None or (asked.name == run.classes.label_set):
    return None, 0
  real = answered_rows.under_rule(run, asked.rule, rows.real)
  inside = set_columns.is_in(rows.ranked[:, 0], real) & ~rows.hit
  return int(np.count_nonzero(inside)), int(np.count_nonzero(real.sizes == 0))


def _remarks(run: Run, asked: Asked, counted: Count, by: str) -> Iterator[str]:
  if by == BY_ID:
    yield (
      'no probabilities are stored of the predictions, so these are ordered by id: '
      'give `probabilities` where they are imported'
    )
  entry = counted.entry('top1', asked.name).replaced(rule=asked.rule)
  if asked.labels is None and entry.key in {metric.key for metric in run.metrics}:
    if contradiction := run.contradiction([entry]):
      yield contradiction
