"""Comparisons of runs as tables 80 columns wide, and as JSON."""

from collections.abc import Iterator
from typing import Any

from tfeval.analysis.comparison import Comparison, Pair
from tfeval.analysis.numeric_flips import NumericVariant
from tfeval.datasets.labels.sets import SUBSET_SUFFIX
from tfeval.metrics.accuracy import Count
from tfeval.reports import kept, terminal
from tfeval.reports.formats import Output
from tfeval.runs import display
from tfeval.runs.result_file import counted

# Columns of the agreement matrix that fit beside each other.
_BLOCK = 12


def write_table(comparison: Comparison, output: Output) -> None:
  """Writes the tables of a comparison and what their columns are.

  Args:
    comparison: of runs.
    output: where to.
  """
  for title, table in _sections(comparison):
    terminal.print_line(title, output.file)
    terminal.print_table(table, output.file)
    terminal.print_line(file=output.file)
  terminal.print_remarks(legend(comparison), output.file)


def write_json(comparison: Comparison, output: Output) -> None:
  """Writes a JSON object; the arguments are those of `write_table`."""
  content = {
    'runs': [
      {'name': one.name, 'path': str(one.run.path)} for one in comparison.aligned
    ],
    'images': len(comparison.aligned[0].ids),
    'metric': comparison.metric,
    'level': comparison.level,
    'comparisons': [
      {
        'labels': labels,
        'metrics': [
          count.entry(comparison.metric, labels)
          for count in _counts(comparison, labels)
        ],
        'pairs': [_entry(comparison, pair) for pair in pairs],
        **kept.entries(comparison, labels),
      }
      for labels, pairs in comparison.pairs.items()
    ],
    'agreement': comparison.agreement.tolist(),
    'flips': [_flips_entry(comparison, one) for one in comparison.flips],
    'remarks': comparison.remarks,
  }
  terminal.print_json(content, output.file)


def _counts(comparison: Comparison, labels: str) -> list[Count]:
  """Returns the counts of all runs: none is compared that lacks the classes."""
  counts = [one.count(labels, comparison.metric) for one in comparison.aligned]
  return [count for count in counts if count is not None]


def _entry(comparison: Comparison, pair: Pair) -> dict[str, Any]:
  level = comparison.level
  low, high = comparison.interval(pair)
  return {
    'first': comparison.aligned[pair.first].name,
    'second': comparison.aligned[pair.second].name,
    'both': pair.hits.both,
    'only_first': pair.hits.first,
    'only_second': pair.hits.second,
    'neither': pair.hits.neither,
    'skipped': pair.hits.skipped,
    'difference': pair.hits.difference,
    'interval': {
      'method': 'paired bootstrap',
      'level': 1 - level,
      'low': low,
      'high': high,
      'seed': comparison.seed,
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


def _sections(comparison: Comparison) -> Iterator[tuple[str, terminal.Table]]:
  for labels, pairs in comparison.pairs.items():
    title = display.metric_name(labels, comparison.metric)
    yield f'{title}:', _models(comparison, labels)
    yield f'{title}, first less second:', _pairs(comparison, pairs)
    if comparison.margin is not None:
      yield (
        f'{title}, {kept.rule(comparison.margin)}:',
        kept.table(comparison, labels),
      )
  if comparison.flips:
    yield (
      'flipped top-1 answers of the same model, reference -> other run:',
      _flips(comparison),
    )
  images = len(comparison.aligned[0].ids)
  for start in range(0, len(comparison.aligned), _BLOCK):
    shares = 100 * comparison.agreement[:, start : start + _BLOCK] / images
    rows = [[str(i), *(f'{s:.1f}' for s in row)] for i, row in enumerate(shares, 1)]
    numbers = range(1 + shares.shape[1])
    titles = ['', *(str(start + i) for i in numbers[1:])]
    yield (
      f'the same answer, right or wrong, in % of {images:,} images:',
      terminal.plain_table(titles, rows, numbers),
    )


def _models(comparison: Comparison, labels: str) -> terminal.Table:
  rows = []
  counts = _counts(comparison, labels)
  for i, (one, count) in enumerate(zip(comparison.aligned, counts, strict=True), 1):
    state = one.run.result.state
    name = f'{one.name} ({state})' if state else one.name
    rate = f'{100 * count.correct / count.count:.2f}'
    rows.append((str(i), name, f'{count.correct:,}', f'{count.count:,}', rate))
  return terminal.plain_table(
    ('', 'model', 'correct', 'of', '%'), rows, numbers=(0, 2, 3, 4)
  )


def _pairs(comparison: Comparison, pairs: list[Pair]) -> terminal.Table:
  level = comparison.level
  titles = (
    'pair',
    ('only', 'first'),
    ('only', 'second'),
    'points',
    f'{100 - 100 * level:g} % interval',
    'p',
    'p (Holm)',
    '',
    ('images', 'needed'),
  )
  rows = []
  for pair in pairs:
    low, high = comparison.interval(pair)
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
  return terminal.plain_table(titles, rows, numbers=range(len(titles)))


def _flips(comparison: Comparison) -> terminal.Table:
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
    (
      'runs',
      'by labels',
      'flipped',
      'of',
      '%',
      ('right to', 'wrong'),
      ('wrong to', 'right'),
    ),
    rows,
    numbers=(0, 2, 3, 4, 5, 6),
  )


def points(rate: float | None) -> str:
  """Returns a difference of rates in percentage points, with its sign.

  >>> points(.0123), points(-.00001), points(None)
  ('+1.23', '0.00', '-')
  """
  if rate is None:
    return '-'
  text = f'{100 * rate:+.2f}'
  return '0.00' if float(text) == 0 else text


def p_value(p: float) -> str:
  """Returns a p-value as short as it may be.

  >>> p_value(.0421), p_value(3e-7), p_value(0.0), p_value(1.0)
  ('0.042', '3e-07', '<1e-99', '1.000')
  """
  if p < 1e-99:
    return '<1e-99'
  return f'{p:.3f}' if p >= 0.001 else f'{p:.0e}'


def legend(comparison: Comparison) -> list[str]:
  """Returns what the columns are, and what else a reader must know."""
  level = comparison.level
  number = len(next(iter(comparison.pairs.values())))
  several = len(comparison.pairs) > 1
  found = [
    "* significant: McNemar's exact test, two-sided, after Holm's correction for "
    f'{counted(number, "pair")}{" on each label set" if several else ""}, p at most '
    f'{level:g}. Interval: paired bootstrap, not corrected. Images needed: for one '
    f'test at p {level:g} to find a difference of this size in 4 of 5 times.'
  ]
  if comparison.margin is not None:
    found += kept.legend(comparison)
  subset = next((name for name in comparison.pairs if SUBSET_SUFFIX in name), None)
  if subset is not None:
    inside = int(comparison.aligned[0].within(subset).sum())
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
