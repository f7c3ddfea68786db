"""Comparisons of runs as tables 80 columns wide, and as JSON."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from rich import table as rich_table

from tfeval.analysis.comparison import Comparison, Pair
from tfeval.analysis.numeric_flips import NumericVariant
from tfeval.datasets.labels.sets import SUBSET_SUFFIX
from tfeval.reports import terminal
from tfeval.runs import display

# Columns of the agreement matrix that fit beside each other.
_BLOCK = 12


def content(comparison: Comparison, level: float, seed: int) -> dict[str, Any]:
  """Returns a comparison as JSON can hold it.

  Args:
    comparison: of runs.
    level: of significance; intervals cover 1 - level.
    seed: of the resampling.
  """
  return {
    'runs': [
      {'name': one.name, 'path': str(one.run.path)} for one in comparison.aligned
    ],
    'images': len(comparison.aligned[0].ids),
    'metric': comparison.metric,
    'level': level,
    'comparisons': [
      {
        'labels': labels,
        'metrics': [
          one.count(labels, comparison.metric).entry(comparison.metric, labels)
          for one in comparison.aligned
        ],
        'pairs': [_entry(comparison, pair, level, seed) for pair in pairs],
      }
      for labels, pairs in comparison.pairs.items()
    ],
    'agreement': comparison.agreement.tolist(),
    'flips': [_flips_entry(comparison, one) for one in comparison.flips],
    'remarks': comparison.remarks,
  }


def _entry(
  comparison: Comparison, pair: Pair, level: float, seed: int
) -> dict[str, Any]:
  low, high = pair.interval(1 - level, seed)
  hits = dataclasses.asdict(pair.hits)
  return {
    'first': comparison.aligned[pair.first].name,
    'second': comparison.aligned[pair.second].name,
    'both': hits['both'],
    'only_first': hits['first'],
    'only_second': hits['second'],
    'neither': hits['neither'],
    'skipped': hits['skipped'],
    'difference': pair.hits.difference,
    'interval': {
      'method': 'paired bootstrap',
      'level': 1 - level,
      'low': low,
      'high': high,
      'seed': seed,
    },
    'p': pair.p,
    'p_holm': pair.p_holm,
    'significant': pair.p_holm <= level,
    'images_needed': pair.images_needed(level),
  }


def _flips_entry(comparison: Comparison, found: NumericVariant) -> dict[str, Any]:
  return {
    'reference': comparison.aligned[found.reference].name,
    'other': comparison.aligned[found.other].name,
    'compute': {key: [one, two] for key, one, two in found.differences},
    'labels': [
      {
        'labels': one.labels,
        'images': one.images,
        'flipped': one.flipped,
        'right_to_wrong': one.hits.first,
        'wrong_to_right': one.hits.second,
      }
      for one in found.flips
    ],
  }


def sections(
  comparison: Comparison, level: float, seed: int
) -> Iterator[tuple[str, rich_table.Table]]:
  """Yields the titles and tables of a comparison.

  Args:
    comparison: of runs.
    level: of significance; intervals cover 1 - level.
    seed: of the resampling.
  """
  for labels, pairs in comparison.pairs.items():
    title = display.metric_name(labels, comparison.metric)
    yield f'{title}:', _models(comparison, labels)
    yield f'{title}, first less second:', _pairs(pairs, level, seed)
  if comparison.flips:
    yield (
      'flipped top-1 answers of the same model, reference -> other run:',
      _flips(comparison),
    )
  images = len(comparison.aligned[0].ids)
  names = [str(i + 1) for i in range(len(comparison.aligned))]
  blocks = [
    range(len(names))[start : start + _BLOCK] for start in range(0, len(names), _BLOCK)
  ]
  for block in blocks:
    rows = [
      [names[i], *(f'{100 * comparison.agreement[i, j] / images:.1f}' for j in block)]
      for i in range(len(names))
    ]
    yield (
      f'the same answer, right or wrong, in % of {images:,} images:',
      terminal.plain_table(
        ['', *(names[j] for j in block)], rows, numbers=range(len(block) + 1)
      ),
    )


def _models(comparison: Comparison, labels: str) -> rich_table.Table:
  rows = []
  for i, one in enumerate(comparison.aligned):
    count = one.count(labels, comparison.metric)
    rate = 100 * count.correct / count.count
    state = one.run.result.state
    rows.append(
      (
        str(i + 1),
        f'{one.name} ({state})' if state else one.name,
        f'{count.correct:,}',
        f'{count.count:,}',
        f'{rate:.2f}',
      )
    )
  return terminal.plain_table(
    ('', 'model', 'correct', 'of', '%'), rows, numbers=(0, 2, 3, 4)
  )


def _pairs(pairs: list[Pair], level: float, seed: int) -> rich_table.Table:
  rows = []
  for pair in pairs:
    low, high = pair.interval(1 - level, seed)
    needed = pair.images_needed(level)
    rows.append(
      (
        f'{pair.first + 1} - {pair.second + 1}',
        f'{pair.hits.first:,}',
        f'{pair.hits.second:,}',
        points(pair.hits.difference),
        f'{points(low)} to {points(high)}',
        p_value(pair.p),
        p_value(pair.p_holm),
        '*' * (pair.p_holm <= level),
        '-' if needed is None else f'{needed:,}',
      )
    )
  return terminal.plain_table(
    (
      'pair',
      'only\nfirst',
      'only\nsecond',
      'points',
      f'{100 - 100 * level:g} % interval',
      'p',
      'p (Holm)',
      '',
      'images\nneeded',
    ),
    rows,
    numbers=range(9),
  )


def _flips(comparison: Comparison) -> rich_table.Table:
  rows = [
    (
      f'{found.reference + 1} -> {found.other + 1}',
      display.metric_name(one.labels, 'top1'),
      f'{one.flipped:,}',
      f'{one.images:,}',
      f'{100 * one.flipped / one.images:.2f}',
      f'{one.hits.first:,}',
      f'{one.hits.second:,}',
    )
    for found in comparison.flips
    for one in found.flips
  ]
  return terminal.plain_table(
    ('runs', 'by labels', 'flipped', 'of', '%', 'right to\nwrong', 'wrong to\nright'),
    rows,
    numbers=(0, 2, 3, 4, 5, 6),
  )


def points(rate: float) -> str:
  """Returns a difference of rates in percentage points, with its sign.

  >>> points(.0123), points(-.00001)
  ('+1.23', '0.00')
  """
  text = f'{100 * rate:+.2f}'
  return '0.00' if float(text) == 0 else text


def p_value(p: float) -> str:
  """Returns a p-value as short as it may be told.

  >>> p_value(.0421), p_value(3e-7), p_value(0.0), p_value(1.0)
  ('0.042', '3e-07', '<1e-99', '1.000')
  """
  if p < 1e-99:
    return '<1e-99'
  return f'{p:.3f}' if p >= 0.001 else f'{p:.0e}'


def legend(comparison: Comparison, level: float) -> list[str]:
  """Returns what the columns of the tables are."""
  number = len(next(iter(comparison.pairs.values())))
  several = len(comparison.pairs) > 1
  found = [
    "* significant: McNemar's exact test, two-sided, after Holm's correction for "
    f'{number} {"pair" if number == 1 else "pairs"}'
    f'{" on each label set" if several else ""}, p at most {level:g}. Interval: '
    'paired bootstrap, not corrected. Images needed: for one test at '
    f'p {level:g} to find a difference of this size in 4 of 5 times.'
  ]
  if any(SUBSET_SUFFIX in labels for labels in comparison.pairs):
    inside = int(comparison.aligned[0].inside.sum())
    found.append(f'subset: {inside:,} of {len(comparison.aligned[0].ids):,} images')
  if comparison.flips:
    found.append(
      'flipped: another class comes first, right or wrong, of all images; '
      'right and wrong are told of those with a label'
    )
  for one in comparison.flips:
    how = ', '.join(f'{key} {b} instead of {a}' for key, a, b in one.differences)
    found.append(
      f'{one.reference + 1} -> {one.other + 1}: the same model, weights and '
      f'protocol, computed {"with " + how if how else "alike"}'
    )
  return found + comparison.remarks
