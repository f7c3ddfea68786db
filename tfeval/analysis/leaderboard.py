"""Runs ranked by an accuracy, those that cannot be told apart on one rank.

Ranks are of groups. Models stand in the order of their figure, ties by name. The
best opens a group; each next one joins it unless its difference from the *best of
the group* is significant (McNemar's exact test, two-sided, Holm's correction over all
pairs of ranked models); then it opens the next. All of a group have the rank
1 + (number of models in better groups).

Not being told apart is not transitive: A and B may not be, B and C may not be, and A
and C yet be. That is why all are compared with the best of a group. The last of one
group and the first of the next are then sometimes not told apart; `Row.ties` names
every such model, whatever its rank.
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np

from tfeval.analysis import alignment, comparison, differences
from tfeval.analysis.alignment import AlignedPredictions
from tfeval.datasets import variants
from tfeval.datasets.labels.sets import ORIGINAL, LabelSource
from tfeval.datasets.labels.subsets import Subset
from tfeval.metrics import registry
from tfeval.metrics.accuracy import Count
from tfeval.metrics.competition import suffix
from tfeval.runs import discovery
from tfeval.runs.run import Failure, Run
from tfeval.utils import errors
from tfeval.utils.errors import UserError
from tfeval.utils.shown import Shown

DATA, PROTOCOL = ALLOWED = ('data', 'protocol')


@dataclasses.dataclass(frozen=True)
class Row:
  """A run among others.

  Attributes:
    name: what tells it from the others.
    run: the run; None: there is none, and `failure` says why.
    failure: what was wrong; None for a run.
    counts: by (label set, metric); without those that are not known.
    ranks: by label set, by the metric that is sorted by; without those that have no
      such figure.
    ties: names of the models whose difference in the figure that is sorted by is
      not significant; empty where that was not computed.
    reference: whether it is a packaged result, whose predictions are not there; its
      ranks are those among the reference results.
  """

  name: str
  run: Run | None = None
  failure: str | None = None
  counts: dict[tuple[str, str], Count] = dataclasses.field(default_factory=dict)
  ranks: dict[str, int] = dataclasses.field(default_factory=dict)
  ties: list[str] = dataclasses.field(default_factory=list)
  reference: bool = False


@dataclasses.dataclass(frozen=True, repr=False)
class Leaderboard(Shown):
  """Ranked runs.

  Attributes:
    rows: best first, then those without a rank.
    labels: the names of the label sets.
    sort: label set and metric that are ranked by.
    level: of significance.
    tests: how many pairs were tested; None: the data differ, so that ranks are those
      of the bare figures.
    different: what differs among the runs, of `ALLOWED`.
    remarks: what a reader must know beside the figures.
  """

  DOCUMENT = 'tfeval.reports.page.of_leaderboard:document'

  rows: list[Row]
  labels: list[str]
  sort: tuple[str, str]
  level: float
  tests: int | None
  different: list[str]
  remarks: list[str]


def rank(
  runs: Sequence[Run | Failure],
  labels: Sequence[LabelSource] | None = None,
  subset: Subset | None = None,
  sort: str | None = None,
  level: float = 0.05,
  allow: Sequence[str] = (),
) -> Leaderboard:
  """Ranks runs.

  Args:
    runs: at least one that is complete.
    labels: what to count against; by default what the rows of all runs carry.
    subset: images to count once more by themselves.
    sort: LABELS/METRIC; by default the original labels' top-1 where there are some.
    level: of significance, in (0, 1).
    allow: what may differ among the runs, of `ALLOWED`.

  Raises:
    UserError: no run is complete; the data or protocols differ and may not; there is
      nothing called `sort`.
  """
  aligned, failures = _read(runs, labels, subset)
  protocol = _check_same(aligned, PROTOCOL, allow)
  data = _check_same(aligned, DATA, allow)
  names, remarks = alignment.used_labels(aligned)
  aligned = alignment.with_common_rule(aligned)
  metrics = alignment.metric_keys(aligned)
  chosen = _sort(sort or _of_authors(aligned, names, metrics), names, metrics)
  rows = [_row(one, names, metrics) for one in aligned]
  for name in names:
    key = name, chosen[1]
    order = _ordered(rows, key)
    apart = None if data else _told_apart([aligned[i] for i in order], *key, level)
    places = ranks([_rate(rows[i], key) for i in order], apart)
    for at, (i, place) in enumerate(zip(order, places, strict=True)):
      rows[i].ranks[name] = place
      if name == chosen[0] and apart is not None:
        rows[i].ties.extend(rows[j].name for j in np.array(order)[~apart[at]] if i != j)
  order = _ordered(rows, chosen)
  others = [row for row in rows if chosen[0] not in row.ranks]
  if not data:
    remarks += differences.content_remarks(aligned)
  return Leaderboard(
    [rows[i] for i in order] + sorted(others, key=lambda row: row.name) + failures,
    names,
    chosen,
    level,
    None if data else math.comb(len(order), 2),
    [what for what, remark in ((DATA, data), (PROTOCOL, protocol)) if remark],
    data
    + protocol
    + remarks
    + differences.unknown_protocols(aligned)
    + alignment.contradictions(aligned),
  )


def _ordered(rows: Sequence[Row], key: tuple[str, str]) -> list[int]:
  """Returns the places of the rows that have a figure, best first, ties by name."""
  found = [
    i for i, row in enumerate(rows) if key in row.counts and row.counts[key].count
  ]
  sign = -1 if registry.get_metric(key[1]).higher_is_better else 1
  return sorted(found, key=lambda i: (sign * _rate(rows[i], key), rows[i].name))


def ranks(rates: Sequence[float], apart: np.ndarray | None) -> list[int]:
  """Returns the ranks of models; see the module's docstring.

  Args:
    rates: of n models, best first.
    apart: bool [n, n], whether two differ significantly; None: where rates differ.

  >>> apart = np.array([[0, 0, 1], [0, 0, 0], [1, 0, 0]], bool)
  >>> ranks([.72, .71, .70], apart)
  [1, 1, 3]
  """
  found, best = [], 0
  for i, rate in enumerate(rates):
    if (rate != rates[best]) if apart is None else apart[best, i]:
      best = i
    found.append(best + 1)
  return found


def _read(
  runs: Sequence[Run | Failure],
  labels: Sequence[LabelSource] | None,
  subset: Subset | None,
) -> tuple[list[AlignedPredictions], list[Row]]:
  """Reads what can be read; what cannot becomes a row that says so."""
  complete = [run for run in runs if isinstance(run, Run)]
  failures = [
    Row(run.name, failure=run.reason) for run in runs if isinstance(run, Failure)
  ]
  aligned = []
  for run, name in zip(complete, discovery.distinct_names(complete), strict=True):
    try:
      aligned.append(alignment.align_run(run, name, labels, subset))
    except UserError as error:
      failures.append(Row(name, failure=errors.one_line(error, None)))
  if not aligned:
    raise UserError(
      f'none of {len(failures)} runs can be ranked; the first: {failures[0].failure}'
    )
  return aligned, failures


def _check_same(
  aligned: Sequence[AlignedPredictions], what: str, allow: Sequence[str]
) -> list[str]:
  """Returns a remark if runs differ in what is one of `ALLOWED`, and may."""
  if what == DATA:
    difference, describe = _data_difference, _data
    computed = '; significance is not computed, ranks are of the bare figures'
  else:
    difference, describe, computed = _protocol_difference, _protocol, ''
  groups: list[list[AlignedPredictions]] = []
  for one in differences.known_first(aligned):
    same = next((group for group in groups if not difference(group[0], one)), None)
    if same is None:
      groups.append([one])
    else:
      same.append(one)
  if len(groups) == 1:
    return []
  if what in allow:
    members = (', '.join(one.name for one in group) for group in groups)
    found = [f'{describe(g[0])}: {m}' for g, m in zip(groups, members, strict=True)]
    return [f'DIFFERENT {what.upper()}{computed}: {"; ".join(found)}']
  one, other = (group[0] for group in groups[:2])
  raise UserError(
    f'runs of {len(groups)} different kinds of {what} are not ranked together: '
    f'{one.name} and {other.name}: {difference(one, other)}: leave runs out, or '
    f'`allow={what}`'
  )


def _data_difference(one: AlignedPredictions, other: AlignedPredictions) -> str | None:
  found = differences.data_difference(one, other)
  return found and f'{found} ({_data(one)}; {_data(other)})'


def _data(aligned: AlignedPredictions) -> str:
  dataset = aligned.run.result.dataset
  return (
    f'{len(aligned.ids):,} images, label digest {dataset.label_digest[:8]}, '
    f'content digest {dataset.content_digest[:8]}'
  )


def _protocol_difference(
  one: AlignedPredictions, other: AlignedPredictions
) -> str | None:
  return differences.protocol_difference(one.run, other.run)


def _protocol(aligned: AlignedPredictions) -> str:
  return aligned.run.result.protocol.text


def _of_authors(
  aligned: Sequence[AlignedPredictions], names: list[str], metrics: list[str]
) -> str | None:
  """Returns LABELS/METRIC by the rule of a test set's authors, None for the usual."""
  rules = {variants.first_rule(one.run.result.dataset.name) for one in aligned}
  metric = f'top1{suffix(rules.pop())}'
  if rules or metric not in metrics or ORIGINAL not in names:
    return None
  return f'{ORIGINAL}/{metric}'


def _sort(text: str | None, names: list[str], metrics: list[str]) -> tuple[str, str]:
  if text is None:
    return (ORIGINAL if ORIGINAL in names else names[0]), 'top1'
  known = [f'{name}/{metric}' for name in names for metric in metrics]
  if text not in known:
    raise errors.unknown('`sort`', text, known)
  name, _, metric = text.rpartition('/')
  return name, metric


def _row(aligned: AlignedPredictions, names: list[str], metrics: list[str]) -> Row:
  counts = {
    key: count
    for key in itertools.product(names, metrics)
    if (count := aligned.count(*key)) is not None
  }
  return Row(aligned.name, aligned.run, counts=counts)


def _rate(row: Row, key: tuple[str, str]) -> float:
  return row.counts[key].correct / row.counts[key].count


def _told_apart(
  aligned: Sequence[AlignedPredictions], name: str, metric: str, level: float
) -> np.ndarray:
  """Returns bool [n, n]: whether two models differ significantly."""
  apart = np.zeros((len(aligned),) * 2, bool)
  for pair in comparison.pairs(aligned, name, metric) if len(aligned) > 1 else ():
    apart[pair.first, pair.second] = apart[pair.second, pair.first] = (
      pair.p_holm <= level
    )
  return apart
