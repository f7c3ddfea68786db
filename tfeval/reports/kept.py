"""Whether runs keep what the first one hits: a table 80 columns wide, and as JSON."""

from typing import Any

from tfeval.analysis.comparison import Comparison
from tfeval.analysis.kept import NOT_DECIDED, Margin, Verdict
from tfeval.metrics.paired import PairedHits
from tfeval.reports import terminal
from tfeval.runs import display
from tfeval.utils.errors import listed


def rule(margin: Margin) -> str:
  """Returns what is to be kept, for a title.

  >>> rule(Margin(0.01, True, '1%')), rule(Margin(0.005, False, '0.5pt'))
  ('at least 99 % of the first', 'at most 0.5 points below the first')
  """
  if margin.is_relative:
    return f'at least {100 * (1 - margin.share):.6g} % of the first'
  return f'at most {100 * margin.share:.6g} points below the first'


def table(comparison: Comparison, labels: str) -> terminal.Table:
  """Returns the table of the verdicts on one label set.

  Args:
    comparison: with a margin.
    labels: the label set's name.
  """
  rows = []
  for one in comparison.verdicts(labels):
    figures = [_figure(one, value) for value in (one.kept, one.low, one.high)]
    more = '-' if one.more_images is None else f'{one.more_images:,}'
    rows.append(
      (
        f'{one.first + 1} - {one.second + 1}',
        f'{one.hits.first:,}',
        f'{one.hits.second:,}',
        *figures,
        one.verdict,
        more,
      )
    )
  of = '% kept' if comparison.margin and comparison.margin.is_relative else 'points'
  titles = (
    'pair',
    ('only', 'first'),
    ('only', 'second'),
    of,
    'at least',
    'at most',
    'verdict',
    ('more', 'images'),
  )
  return terminal.plain_table(titles, rows, numbers=(0, 1, 2, 3, 4, 5, 7))


def _figure(verdict: Verdict, value: float | None) -> str:
  if value is None or value == float('inf'):
    return '-'
  return f'{100 * value:.2f}' if verdict.margin.is_relative else f'{100 * value:+.2f}'


def legend(comparison: Comparison) -> list[str]:
  """Says what the columns are, and which images the models disagree on.

  Args:
    comparison: with a margin.
  """
  share = f'{100 - 100 * comparison.level:g} %'
  found = [
    f'kept: what is kept at least, with a confidence of {share}, is within the margin; '
    'not kept: what is kept at most is below it. Score tests of paired rates, each '
    'one-sided and for itself, not corrected for how many there are. More images: so '
    'many of the same shares would decide it in 4 of 5 times.'
  ]
  for labels in comparison.pairs:
    for one in comparison.verdicts(labels):
      if one.verdict == NOT_DECIDED:
        found.append(_disagreement(comparison, labels, one))
  return found


def _disagreement(comparison: Comparison, labels: str, one: Verdict) -> str:
  parts = [
    f'{len(ids):,} hit by {position + 1} alone: {listed(names, count=len(ids))}'
    for position, ids in ((one.first, one.only_first), (one.second, one.only_second))
    if (names := ids[:10].to_pylist())
  ]
  name = display.metric_name(labels, comparison.metric)
  seen = '; '.join(parts) or 'no image tells them apart'
  return f'not decided by {name}, {one.first + 1} - {one.second + 1}: {seen}'


def entries(comparison: Comparison, labels: str) -> dict[str, Any]:
  """Returns the entry `kept` of a label set, for JSON; nothing where none was asked.

  Args:
    comparison: of runs.
    labels, level: as of `table`.
  """
  margin = comparison.margin
  if margin is None:
    return {}
  verdicts = comparison.verdicts(labels)
  return {'kept': [_entry(comparison, one) for one in verdicts]}


def _entry(comparison: Comparison, one: Verdict) -> dict[str, Any]:
  margin, high = one.margin, None if one.high == float('inf') else one.high
  return {
    'first': comparison.aligned[one.first].name,
    'second': comparison.aligned[one.second].name,
    'margin': {
      'text': margin.text,
      'kind': 'ratio' if margin.is_relative else 'difference',
      'share': margin.share,
    },
    **_cells(one.hits),
    'kept': one.kept,
    'bounds': {
      'method': 'Tang, Tang and Chan' if margin.is_relative else 'Tango',
      'level': 1 - comparison.level,
      'low': one.low,
      'high': high,
    },
    'z': one.z,
    'verdict': one.verdict,
    'images_needed': one.images_needed,
    'more_images': one.more_images,
    'disagreeing': {
      'only_first': one.only_first.to_pylist(),
      'only_second': one.only_second.to_pylist(),
    }
    if one.verdict == NOT_DECIDED
    else None,
  }


def _cells(hits: PairedHits) -> dict[str, int]:
  return {
    'both': hits.both,
    'only_first': hits.first,
    'only_second': hits.second,
    'neither': hits.neither,
    'skipped': hits.skipped,
  }
