"""What differs between two runs, as a table 80 columns wide and as JSON."""

from typing import Any

from tfeval.analysis.explanation.two_runs import Difference, TwoRuns
from tfeval.reports import terminal
from tfeval.reports.comparison import points
from tfeval.reports.formats import Output


def write_table(runs: TwoRuns, output: Output) -> None:
  """Writes each difference and the points that it carries.

  Args:
    runs: the two.
    output: where to.
  """
  for name, one, (hits, count) in zip(
    ('first', 'second'), (runs.first, runs.second), runs.of_all, strict=True
  ):
    terminal.print_line(
      f'{name + ":":<7} {one.run.path}: {hits:,} of {count:,}, '
      f'{100 * hits / max(count, 1):.2f} %',
      output.file,
    )
  terminal.print_line(file=output.file)
  rows = [
    (
      one.what,
      str(one.first),
      str(one.second),
      '' if one.points is None else points(one.points / 100),
      _interval_text(runs, one),
    )
    for one in runs.differences
  ]
  changes = runs.changes
  if changes is not None and changes.together is not None:
    rows.append(('all changes at once', '', '', points(changes.together / 100), ''))
  rows.append(('unexplained', '', '', points(runs.unexplained / 100), ''))
  rows.append(('in all', '', '', points(runs.total / 100), ''))
  titles = ('', 'first', 'second', 'points', 'interval')
  terminal.print_table(
    terminal.plain_table(titles, rows, numbers=range(3, 5)), output.file
  )
  terminal.print_line(file=output.file)
  terminal.print_remarks(map(output.wording, remarks(runs)), output.file)


def _interval_text(runs: TwoRuns, one: Difference) -> str:
  interval = runs.interval(one)
  return '' if interval is None else f'{points(interval[0])} to {points(interval[1])}'


def remarks(runs: TwoRuns) -> list[str]:
  """Returns what a reader must know beside the points."""
  n, changes = len(runs.first.ids), runs.changes
  found = [f'{runs.flipped:,} of {n:,} images have another first class']
  if changes is None:
    found.append(
      'points of images and labels are of the stored rows; give `model` and `dataset` '
      'to evaluate the first run with each other difference alone'
    )
    return found
  found.append(
    f'each was changed alone in the first run, on {changes.of:,} of {n:,} images, with '
    f'a paired bootstrap interval of {100 * (1 - runs.level):g} %; unexplained: '
    'what all of them at once and the labels leave on these images'
  )
  if changes.together is not None:
    found.append(
      f'with all of them {changes.agree:,} of {changes.of:,} answers are those of the '
      'second run'
    )
  if changes.again:
    found.append(f'the first run evaluated again gives {changes.again:,} other answers')
  found += [f'not changed: {what}: {why}' for what, why in changes.failed.items()]
  left = [one for one in changes.found if one.points is None]
  found += [
    f'{one.what} was not changed: {one.why}' for one in left if one.what in _NOT_TRIED
  ]
  return found


# Of which a reader expects points.
_NOT_TRIED = ('model', 'weights', 'architecture', 'outputs', 'content of images')


def write_json(runs: TwoRuns, output: Output) -> None:
  """Writes a JSON object; the arguments are those of `write_table`."""
  found, changes = runs.differences, runs.changes
  tried = [one for one in found if one.agree is not None]
  content = {
    'first': _run(runs, 0),
    'second': _run(runs, 1),
    'labels': runs.labels,
    'metric': runs.metric,
    'images': len(runs.first.ids),
    'flipped': runs.flipped,
    'points': runs.total,
    'differences': [_difference(runs, one) for one in found],
    'candidates': [
      {
        'departures': dict([one.departure or (one.what, one.second)]),
        'agree': one.agree,
        'of': None if changes is None else changes.of,
        'points': one.points,
      }
      for one in sorted(tried, key=lambda one: -(one.agree or 0))
    ],
    'of': None if changes is None else changes.of,
    'together': None if changes is None else changes.together,
    'agree': None if changes is None else changes.agree,
    'evaluated_again_flipped': None if changes is None else changes.again,
    'unexplained': runs.unexplained,
    'not_changed': {} if changes is None else changes.failed,
  }
  terminal.print_json(content, output.file)


def _run(runs: TwoRuns, at: int) -> dict[str, Any]:
  one, (hits, count) = (runs.first, runs.second)[at], runs.of_all[at]
  return {'run': str(one.run.path), 'correct': hits, 'count': count}


def _difference(runs: TwoRuns, one: Difference) -> dict[str, Any]:
  interval = runs.interval(one)
  return {
    'what': one.what,
    'first': one.first,
    'second': one.second,
    'points': one.points,
    'interval': None if interval is None else [100 * end for end in interval],
    'agree': one.agree,
    'why_not': one.why or None,
  }
