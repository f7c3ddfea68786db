"""Runs ranked by an accuracy, those that cannot be told apart on one rank.

Ranks are of groups. Models stand in the order of their figure, ties by name. The
best opens a group; each next one joins it unless its difference from the *best of
the group* is significant (McNemar's exact test, two-sided, Holm's correction over all
pairs of ranked models); then it opens the next. All of a group have the rank
1 + (number of models in better groups).

Not being told apart is not transitive: A and B may not be, B and C may not be, and A
and C yet be. That is why all are held against the best of a group. The last of one
group and the first of the next are then sometimes not told apart; `Row.ties` names
every such model, whatever its rank.

Nothing here imports TensorFlow.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfeval import alignment, comparison, errors
from tfeval import spec as spec_lib
from tfeval.alignment import METRICS, Answers
from tfeval.errors import UserError
from tfeval.label_sets import ORIGINAL, Labels, Subset
from tfeval.metrics.accuracy import Count
from tfeval.models import table
from tfeval.run import Failure, Run

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
  """

  name: str
  run: Run | None = None
  failure: str | None = None
  counts: dict[tuple[str, str], Count] = dataclasses.field(default_factory=dict)
  ranks: dict[str, int] = dataclasses.field(default_factory=dict)
  ties: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Leaderboard:
  """Ranked runs.

  Attributes:
    rows: best first, then those without a rank.
    labels: the names of the label sets.
    sort: label set and metric that are ranked by.
    level: of significance.
    tests: how many pairs were tested; None: the data differ, so that ranks are those
      of the bare figures.
    remarks: what a reader must know beside the figures.
  """

  rows: list[Row]
  labels: list[str]
  sort: tuple[str, str]
  level: float
  tests: int | None
  remarks: list[str]


def rank(runs: Sequence[Run | Failure], labels: Sequence[Labels] | None = None,
         subset: Subset | None = None, sort: str | None = None, level: float = 0.05,
         allow: Sequence[str] = ()) -> Leaderboard:
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
  answers, failures = _read(runs, labels, subset)
  protocol = _differences(answers, PROTOCOL, allow)
  data = _differences(answers, DATA, allow)
  names, remarks = alignment.used_labels(answers)
  chosen = _sort(sort, names)
  rows = [_row(one, names) for one in answers]
  ties: dict[int, list[str]] = {}
  tests = None
  for name in names:
    key = name, chosen[1]
    ranked = [i for i, row in enumerate(rows)
              if key in row.counts and row.counts[key].count]
    ranked.sort(key=lambda i, key=key: (-_rate(rows[i], key), rows[i].name))
    apart = None
    if not data:
      apart = _told_apart([answers[i] for i in ranked], *key, level)
    for i, place in zip(ranked, ranks([_rate(rows[i], key) for i in ranked], apart),
                        strict=True):
      rows[i].ranks[name] = place
    if name == chosen[0]:
      order = ranked
      if apart is not None:
        tests = len(ranked) * (len(ranked) - 1) // 2
        ties = {i: [rows[j].name for b, j in enumerate(ranked)
                    if a != b and not apart[a, b]] for a, i in enumerate(ranked)}
  unranked = [i for i in range(len(rows)) if i not in order]
  rows = [dataclasses.replace(rows[i], ties=tuple(ties.get(i, ())))
          for i in order + unranked]
  contents = [] if data else alignment.content_remarks(answers)
  return Leaderboard(rows + failures, names, chosen, level, tests,
                     data + protocol + remarks + contents + _unknown_protocols(answers))


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


def _read(runs: Sequence[Run | Failure], labels: Sequence[Labels] | None,
          subset: Subset | None) -> tuple[list[Answers], list[Row]]:
  """Reads what can be read; what cannot becomes a row that says so."""
  complete = [run for run in runs if isinstance(run, Run)]
  failures = [Row(run.name, failure=run.reason)
              for run in runs if isinstance(run, Failure)]
  answers = []
  for run, name in zip(complete, alignment.distinct_names(complete), strict=True):
    try:
      answers.append(alignment.read(run, name, labels, subset))
    except UserError as error:
      failures.append(Row(name, failure=errors.one_line(error, None)))
  if not answers:
    raise UserError(f'none of {len(failures)} runs can be ranked; the first: '
                    f'{failures[0].failure}')
  return answers, failures


def _differences(answers: Sequence[Answers], what: str,
                 allow: Sequence[str]) -> list[str]:
  """Returns remarks on what differs among runs.

  Raises:
    UserError: something does and may not.
  """
  first, found = answers[0], []
  for other in answers[1:]:
    difference = (_data_difference(first, other) if what == DATA
                  else alignment.protocol_difference(first.run, other.run))
    if difference:
      found.append(f'{first.name} and {other.name}: {difference}')
  if not found:
    return []
  title = {DATA: 'data', PROTOCOL: 'protocols'}[what]
  if what in allow:
    computed = ('; significance is not computed, ranks are of the bare figures'
                if what == DATA else '')
    return [f'DIFFERENT {title.upper()}{computed}: {one}' for one in found]
  more = f' (and {len(found) - 1} more runs differ)' if found[1:] else ''
  raise UserError(f'different {title}, not ranked together: {found[0]}{more}: leave '
                  f'runs out, or --allow={what}')


def _data_difference(one: Answers, other: Answers) -> str | None:
  found = alignment.ids_difference(one, other) or (
      alignment.labels_difference(one, other)
      or alignment.content_difference(one, other))
  if found is None:
    return None
  a, b = one.run.result['dataset'], other.run.result['dataset']
  digests = ', '.join(
      f'{key.replace("_", " ")} {a[key][:8]} and {b[key][:8]}'
      for key in ('label_digest', 'content_digest') if a[key] != b[key])
  return f'{found} ({digests})'


def _unknown_protocols(answers: Sequence[Answers]) -> list[str]:
  unknown = sum(one.run.result['protocol']['name'] == 'unknown' for one in answers)
  if not unknown or len(answers) == 1:
    return []
  return [f'the protocol of {unknown} of {len(answers)} runs is not known: imported '
          'runs may have been evaluated with different ones']


def _sort(text: str | None, names: list[str]) -> tuple[str, str]:
  if text is None:
    return (ORIGINAL if ORIGINAL in names else names[0]), 'top1'
  known = [f'{name}/{metric}' for name in names for metric in METRICS]
  if text not in known:
    raise errors.unknown('--sort', text, known)
  name, _, metric = text.rpartition('/')
  return name, metric


def _row(answers: Answers, names: list[str]) -> Row:
  counts = {(name, metric): answers.count(name, metric)
            for name in names for metric in METRICS}
  return Row(answers.name, answers.run, counts={
      key: count for key, count in counts.items() if count is not None})


def _rate(row: Row, key: tuple[str, str]) -> float:
  return row.counts[key].correct / row.counts[key].count


def _told_apart(answers: Sequence[Answers], name: str, metric: str,
                level: float) -> np.ndarray:
  """Returns bool [n, n]: whether two models differ significantly."""
  apart = np.zeros((len(answers),) * 2, bool)
  for pair in comparison.pairs(answers, name, metric) if len(answers) > 1 else ():
    apart[pair.first, pair.second] = apart[pair.second, pair.first] = (
        pair.p_holm <= level)
  return apart


def published(row: Row, metric: str) -> tuple[float | None, float | None]:
  """Returns the published accuracy of a run's weights, and measured less published.

  Args:
    row: of the run.
    metric: one of `METRICS`.

  Returns:
    The figure, in 0..1, None where none is known or the weights are others; the
    difference on the original labels, None where something else than validation
    images of ImageNet 2012 was evaluated.
  """
  if row.run is None:
    return None, None
  compared = row.run.result.get('published') or {}
  for entry in compared.get('metrics', ()):
    if entry['name'] == metric:
      count = row.counts.get((ORIGINAL, metric))
      return entry['published'], (
          count.correct / count.count - entry['published'] if count else None)
  facts = known_facts(row.run)
  percent = facts and getattr(facts, f'published_{metric}')
  if percent is None or row.run.result['model'].get('weights') != 'imagenet':
    return None, None
  return percent / 100, None


def known_facts(run: Run) -> table.ModelFacts | None:
  """Returns the row of the table of models that a run's model is, if it is one.

  The name alone says nothing: predictions of other tools may be called anything.
  """
  model = run.result['model']
  try:
    facts = table.find(spec_lib.parse(model['name']))
  except UserError:
    return None
  same = facts is not None and (facts.input_size, facts.parameters) == (
      model.get('input_size'), model.get('parameters'))
  return facts if same else None
