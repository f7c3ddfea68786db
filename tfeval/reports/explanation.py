"""What may be behind a number, as a table 80 columns wide and as JSON."""

from typing import Any

from tfeval.analysis.explanation.candidates import Candidate, Explanation
from tfeval.reports import terminal
from tfeval.reports.comparison import p_value, points
from tfeval.reports.formats import Output

# Of those that cannot be told apart, how many a table shows.
_SHOWN = 20


def write_table(found: Explanation, about: dict[str, Any], output: Output) -> None:
  """Writes candidates, best first, and what a reader must know.

  Args:
    found: the explanation.
    about: `title`.
    output: where to.
  """
  terminal.print_paragraph(about['title'], output.file)
  by_answers = found.candidates[0].agree is not None
  rows = [_row(one, by_answers) for one in found.candidates[:_SHOWN]]
  last = ('agree', 'of') if by_answers else ('p',)
  titles = ('', '', '%', 'points', *last)
  terminal.print_table(
    terminal.plain_table(titles, rows, numbers=range(2, len(titles))), output.file
  )
  terminal.print_line(file=output.file)
  hidden = len(found.candidates) - _SHOWN
  remarks = [
    *found.remarks,
    *([f'{hidden:,} more candidates are in `json`'] if hidden > 0 else []),
    _legend(found, by_answers),
    *(f'not tried: {name}: {why}' for name, why in found.failed.items()),
  ]
  terminal.print_remarks(map(output.wording, remarks), output.file)


def _row(one: Candidate, by_answers: bool) -> tuple[str, ...]:
  last = (
    ('' if one.agree is None else f'{one.agree:,}', f'{one.of:,}')
    if by_answers
    else ('' if one.p is None else p_value(one.p),)
  )
  return (
    one.name,
    one.state,
    f'{100 * one.value:.2f}',
    '' if one.points is None else points(one.points / 100),
    *last,
  )


def _legend(found: Explanation, by_answers: bool) -> str:
  if by_answers:
    return (
      'agree: images with the same first class, of those that it was tried on; points: '
      'hits of the run against the base on the same images'
    )
  return (
    f'unexplained: {found.unexplained:+.2f} points between the report and the first '
    'line; p: how often a pipeline that does so is as far from the report; points: '
    'against the base'
  )


def write_json(found: Explanation, about: dict[str, Any], output: Output) -> None:
  """Writes a JSON object; the arguments are those of `write_table`."""
  content = {
    'base': found.base,
    'labels': about['labels'],
    'metric': about['metric'],
    'level': about['level'],
    'reported': about['reported'],
    'images': found.images,
    'sample': found.sample,
    'candidates': [
      {
        'departures': dict(one.departures),
        'build': one.build,
        'state': one.state,
        'agree': one.agree,
        'of': one.of,
        'percent': 100 * one.value,
        'points': one.points,
        'p': one.p,
        'correct': one.correct,
        'count': one.count,
        'run': one.run,
        'alike': [dict(each) for each in one.alike],
      }
      for one in found.candidates
    ],
    'unexplained': found.unexplained,
    'remarks': found.remarks,
    'not_tried': [{'cell': name, 'reason': why} for name, why in found.failed.items()],
  }
  terminal.print_json(content, output.file)
