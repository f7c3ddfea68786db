"""A probe as tables 80 columns wide, and as JSON."""

from typing import Any

from tfeval.analysis.probe import SHARE, STANDARDISED, Probe, Tested
from tfeval.metrics import paired
from tfeval.metrics.accuracy import Count
from tfeval.reports import terminal
from tfeval.reports.comparison import p_value, points
from tfeval.reports.formats import Output

_NAME, _LABELS = 'top1', 'original'


def write_table(probe: Probe, level: float, seed: int, output: Output) -> None:
  """Writes what a probe hits, what alignments change, and what a reader must know.

  Args:
    probe: of two runs.
    level: of significance; intervals of differences cover 1 - level.
    seed: of the resampling.
    output: where to.
  """
  source = probe.source
  terminal.print_line(
    f'A linear probe on {source.values.shape[1]:,} features, fitted on the source:',
    output.file,
  )
  rows = [('source, held out', *_count(probe.held_out), '')]
  rows += [
    (f'target, {one.name}', *_count(one.count), f'{one.loss:.3g}')
    for one in probe.tested
  ]
  titles = ('', 'correct', 'of', '%', '95 % interval', 'CORAL loss')
  terminal.print_rows(titles, rows, range(1, len(titles)), output.file)
  if len(probe.tested) > 1:
    terminal.print_line(file=output.file)
    terminal.print_line('The target, aligned less as it is:', output.file)
    terminal.print_table(_changes(probe, level, seed), output.file)
  terminal.print_line(file=output.file)
  terminal.print_remarks(_legend(probe, level), output.file)


def _count(count: Count) -> tuple[str, ...]:
  entry = count.entry(_NAME, _LABELS)
  assert entry.value is not None and entry.interval is not None  # Some are counted.
  low, high = 100 * entry.interval.low, 100 * entry.interval.high
  rate = f'{100 * entry.value:.2f}'
  return f'{count.correct:,}', f'{count.count:,}', rate, f'{low:.2f} - {high:.2f}'


def _changes(probe: Probe, level: float, seed: int) -> terminal.Table:
  titles = (
    '',
    ('only', 'aligned'),
    ('only', 'as it is'),
    'points',
    f'{100 - 100 * level:g} % interval',
    'p',
    'p (Holm)',
    '',
  )
  rows = []
  for one in probe.tested:
    if one.hits is None or one.p is None or one.p_holm is None:
      continue
    low, high = _interval(one.hits, level, seed)
    rows.append(
      (
        one.name,
        f'{one.hits.second:,}',
        f'{one.hits.first:,}',
        points(-(one.hits.difference or 0)),
        f'{points(low)} to {points(high)}',
        p_value(one.p),
        p_value(one.p_holm),
        '*' * (one.p_holm <= level),
      )
    )
  return terminal.plain_table(titles, rows, range(1, len(titles)))


def _interval(hits: paired.PairedHits, level: float, seed: int) -> tuple[float, float]:
  """Returns the interval of what an alignment gains, in [-1, 1]."""
  low, high = paired.bootstrap_difference(hits, 1 - level, seed=seed)
  return -high, -low


def _legend(probe: Probe, level: float) -> list[str]:
  source, target = probe.source, probe.target
  found = [
    f'source: {source.name}; each image by a probe fitted without it, in {probe.folds} '
    f'folds. target: {target.name}, whose labels are for the counts alone. The probe: '
    f'logistic regression (L2, C = 1) on features ({source.run.features_layer}) in '
    'standard deviations. CORAL loss: how far apart the covariances of what it is '
    'given are.'
  ]
  if len(probe.tested) > 1:
    found.append(
      f'none: both sides by mean and deviations of the source. {STANDARDISED}: each by '
      'its own, which alignments begin with.'
    )
    if any(one.name.startswith('subspace') for one in probe.tested):
      found.append(
        f'subspace: d principal components, by default with {100 * SHARE:g} % of the '
        "source's variance; its CORAL loss is that of d features, and is not to be "
        'compared with that of all.'
      )
    found.append(
      f"* significant: McNemar's exact test, two-sided, after Holm's correction, p at "
      f'most {level:g}. Interval: paired bootstrap.'
    )
  return found + probe.remarks


def write_json(probe: Probe, level: float, seed: int, output: Output) -> None:
  """Writes a JSON object; the arguments are those of `write_table`."""
  content = {
    'source': {'name': probe.source.name, 'path': str(probe.source.run.path)},
    'target': {'name': probe.target.name, 'path': str(probe.target.run.path)},
    'layer': probe.source.run.features_layer,
    'dimension': probe.source.values.shape[1],
    'level': level,
    'held_out': {
      'folds': probe.folds,
      **probe.held_out.entry(_NAME, _LABELS),
    },
    'tested': [_entry(one, level, seed) for one in probe.tested],
    'remarks': probe.remarks,
  }
  terminal.print_json(content, output.file)


def _entry(one: Tested, level: float, seed: int) -> dict[str, Any]:
  found = {
    'align': one.name,
    'dimension': one.dimension,
    'coral_loss': one.loss,
    **one.count.entry(_NAME, _LABELS),
  }
  if one.hits is None:
    return found
  low, high = _interval(one.hits, level, seed)
  return found | {
    'against_none': {
      'only_aligned': one.hits.second,
      'only_none': one.hits.first,
      'both': one.hits.both,
      'neither': one.hits.neither,
      'points': -100 * (one.hits.difference or 0),
      'interval': {
        'method': 'paired bootstrap',
        'level': 1 - level,
        'low': 100 * low,
        'high': 100 * high,
        'seed': seed,
      },
      'p': one.p,
      'p_holm': one.p_holm,
    }
  }
