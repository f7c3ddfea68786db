"""What changed between two sets of images: tables 80 columns wide, and as JSON."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from tfeval.analysis.shift import verdict
from tfeval.analysis.shift.diagnosis import Shift
from tfeval.analysis.shift.measures import SPLITS, Measure
from tfeval.reports import terminal
from tfeval.reports.comparison import p_value
from tfeval.reports.formats import Output
from tfeval.reports.page.caveats import urgent

# Classes in a table.
_CLASSES = 10


def write_table(shift: Shift, output: Output) -> None:
  """Writes the verdict, the measures, class shares, guesses and the farthest images.

  Args:
    shift: what is told.
    output: where to.
  """
  names, images = shift.names, shift.images
  terminal.print_paragraph(
    f'source {names[0]}, {images[0]:,} images; target {names[1]}, {images[1]:,} images',
    output.file,
  )
  terminal.print_remarks(map(output.wording, caveats(shift)), output.file)
  if shift.verdict is not None:
    terminal.print_line(f'verdict: {shift.verdict.kind}', output.file)
    for reason in shift.verdict.reasons:
      terminal.print_paragraph(reason, output.file, first='  - ', others='    ')
  terminal.print_line(file=output.file)
  for title, table in _sections(shift):
    terminal.print_line(title, output.file)
    terminal.print_table(table, output.file)
    terminal.print_line(file=output.file)
  terminal.print_remarks(map(output.wording, remarks(shift)), output.file)


def caveats(shift: Shift) -> list[str]:
  """Returns the remarks without which the verdict would mislead."""
  return urgent(shift.remarks)


def _sections(shift: Shift) -> Iterator[tuple[str, terminal.Table]]:
  level = shift.options.level
  for of in dict.fromkeys(one.of for one in shift.measures):
    rows = [_row(one, level) for one in shift.measures if one.of == of]
    yield f'{of}:', terminal.plain_table(_TITLES, rows, numbers=(1, 2, 3, 4))
  if shift.statistics:
    rows = [(*_row(one, level), *_medians(one)) for one in shift.statistics]
    of_images = (*_TITLES, ('median', 'source'), ('median', 'target'))
    numbers = (1, 2, 3, 4, 6, 7)
    yield 'images:', terminal.plain_table(of_images, rows, numbers=numbers)
  if shift.shares is not None:
    yield from _classes(shift)
  if shift.guesses is not None:
    yield 'hits guessed without labels, % (no accuracy was measured):', _guesses(shift)
  if shift.farthest:
    rows = [
      (one.id, f'{one.distance:.2f}', f'{100 * one.share:.1f}')
      for one in shift.farthest
    ]
    titles = ('farthest from the source', 'distance', ('as far in', 'source, %'))
    yield f'{len(rows)} images:', terminal.plain_table(titles, rows, numbers=(1, 2))


_TITLES = ('measure', 'value', ('two', 'halves'), 'p', ('Holm', 'p'), '')


def _row(one: Measure, level: float) -> tuple[str, ...]:
  if one.unavailable is not None:
    return one.name, '-', '-', '-', '-', ''
  told = differ(verdict.told_apart(one, level))
  return (
    one.name,
    _number(one.value),
    _number(one.null),
    '-' if one.p is None else p_value(one.p),
    '-' if one.p_holm is None else p_value(one.p_holm),
    '' if one.p is None else told,
  )


def differ(told_apart: bool) -> str:
  """Returns what is said of a measure that was tested."""
  return 'differ' if told_apart else 'not told'


def _medians(one: Measure) -> tuple[str, ...]:
  return ('-', '-') if one.medians is None else tuple(f'{x:.4g}' for x in one.medians)


def _number(value: float | None) -> str:
  """Returns a number in three digits.

  >>> _number(0.01234), _number(-1.234e-7), _number(163.34), _number(None)
  ('0.0123', '-1.23e-07', '163', '-')
  """
  return '-' if value is None else f'{value:.3g}'


def _classes(shift: Shift) -> Iterator[tuple[str, terminal.Table]]:
  """Yields the table of classes that have other shares, if there are any."""
  shares = shift.shares
  assert shares is not None
  moved = [
    i
    for i, share in enumerate(shares.source)
    if not shares.low[i] <= share <= shares.high[i]
  ]
  moved.sort(key=lambda i: -abs(shares.target[i] - shares.source[i]))
  if not moved:
    return
  rows = [
    (
      shift.classes[shares.columns[i]],
      f'{100 * shares.source[i]:.2f}',
      f'{100 * shares.target[i]:.2f}',
      f'{100 * shares.low[i]:.2f} to {100 * shares.high[i]:.2f}',
      '-' if shares.bbse is None else f'{100 * shares.bbse[i]:.2f}',
    )
    for i in moved[:_CLASSES]
  ]
  share = f'{100 - 100 * shift.options.level:g} % interval'
  titles = ('class', 'source', 'target, EM', share, 'BBSE')
  yield (
    f'class shares, %, estimated otherwise of {len(moved):,} of '
    f'{len(shares.columns):,} classes:',
    terminal.plain_table(titles, rows, numbers=(1, 2, 3, 4)),
  )


def _guesses(shift: Shift) -> terminal.Table:
  assert shift.guesses is not None
  rows = []
  for one in shift.guesses.each:
    spread = one.low is not None and one.high is not None
    rows.append(
      (
        one.name,
        '-' if one.value is None else f'{100 * one.value:.1f}',
        f'{100 * one.low:.1f} to {100 * one.high:.1f}' if spread else '-',  # type: ignore[operator]
        '-' if one.error is None else f'{100 * one.error:+.1f}',
      )
    )
  titles = ('by', 'guess', 'spread', ('error,', 'points'))
  return terminal.plain_table(titles, rows, numbers=(1, 2, 3))


def remarks(shift: Shift) -> list[str]:
  """Returns what a reader must know beside the measures."""
  found = []
  if shift.measures or shift.statistics:
    found.append(
      'two halves: the same measure between halves of the source, the mean of '
      f"{SPLITS} splits. Holm p: by Holm's method for the measures of the model, and "
      f'for those of images; they differ where it is at most {shift.options.level:g}'
    )
  unavailable = [one for one in shift.measures + shift.statistics if one.unavailable]
  found += [f'{one.name}: {one.unavailable}' for one in unavailable]
  found += [
    f'{one.name}: of {one.images:,} images of each side, as half of the source has'
    for one in shift.measures
    if one.images is not None
  ]
  if shift.verdict is not None:
    found.append(
      'the verdict has a correction of its own, for the few tests that it rests on'
    )
    found.append(_shares(shift))
  if (errors := shift.concept) is not None and errors.p is not None:
    assert errors.source is not None and errors.target is not None
    assert errors.excess is not None
    found.append(
      f'errors at equal features: {errors.pairs:,} pairs, {100 * errors.source:.1f} % '
      f'in the source, {100 * errors.target:.1f} % in the target; '
      f'{100 * errors.excess:+.1f} points (beyond what confidence tells, where class '
      'shares have moved), '
      f'{100 * (errors.null or 0):+.1f} between halves of the source'
    )
  if (guesses := shift.guesses) is not None:
    calibrated = ''
    if guesses.temperature is not None:
      calibrated = f', by probabilities at temperature {guesses.temperature:.3g}'
    found.append(
      f'guesses start from {100 * guesses.source_hits:.1f} % of hits in the source'
      f'{calibrated}; their spread is that of drawing images anew, not how wrong they '
      'may be. MMD² and Fréchet distances do not predict accuracy (Guillory et al., '
      '2021)'
    )
  return found + [one for one in shift.remarks if one not in caveats(shift)]


def _shares(shift: Shift) -> str:
  if shift.shares is None:
    return f'class shares are not estimated: {shift.no_shares}'
  return (
    'class shares of the target: EM on outputs calibrated on the source, without '
    'labels of the target; they hold if nothing but shares has changed'
  )


def write_json(shift: Shift, output: Output) -> None:
  """Writes a JSON object; the arguments are those of `write_table`."""
  level = shift.options.level
  content: dict[str, Any] = {
    'source': {'name': shift.names[0], 'images': shift.images[0]},
    'target': {'name': shift.names[1], 'images': shift.images[1]},
    'level': level,
    'permutations': shift.options.permutations,
    'seed': shift.options.seed,
    'verdict': None
    if shift.verdict is None
    else {
      'kind': shift.verdict.kind,
      'tests': [_entry(one, level) for one in shift.verdict.tests],
      'class_shares_explain_features_p': shift.verdict.explained,
      'reasons': shift.verdict.reasons,
    },
    'measures': [_entry(one, level) for one in shift.measures + shift.statistics],
    'class_shares': _share_entries(shift),
    'errors_at_equal_features': None
    if shift.concept is None
    else dataclasses.asdict(shift.concept),
    'guessed_without_labels': None
    if shift.guesses is None
    else {
      'source_hits': shift.guesses.source_hits,
      'temperature': shift.guesses.temperature,
      'guesses': [dataclasses.asdict(one) for one in shift.guesses.each],
    },
    'farthest': [one._asdict() for one in shift.farthest],
    'remarks': [output.wording(one) for one in shift.remarks],
  }
  terminal.print_json(content, output.file)


def _entry(one: Measure, level: float) -> dict[str, Any]:
  differ = None if one.p_holm is None else verdict.told_apart(one, level)
  return {**dataclasses.asdict(one), 'differ': differ}


def _share_entries(shift: Shift) -> list[dict[str, Any]] | None:
  shares = shift.shares
  if shares is None:
    return None
  return [
    {
      'class': shift.classes[column],
      'source': float(shares.source[i]),
      'target': float(shares.target[i]),
      'low': float(shares.low[i]),
      'high': float(shares.high[i]),
      'bbse': None if shares.bbse is None else float(shares.bbse[i]),
    }
    for i, column in enumerate(shares.columns)
  ]
