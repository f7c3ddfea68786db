"""What may be behind a number, as a table 80 columns wide and as JSON."""

from tfeval.analysis.explanation.candidates import Candidate, Explanation
from tfeval.metrics import intervals
from tfeval.reports import terminal
from tfeval.reports.comparison import p_value, points
from tfeval.reports.formats import Output

# Of those that cannot be told apart, how many a table shows.
_SHOWN = 20
# 95 % of a normal distribution lie within so many standard deviations.
_NORMAL = 1.96


def write_table(found: Explanation, output: Output) -> None:
  """Writes candidates, best first, and what a reader must know.

  Args:
    found: the explanation.
    output: where to.
  """
  terminal.print_paragraph(found.title, output.file)
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
    legend(found),
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


def legend(found: Explanation) -> str:
  """Returns what the columns are."""
  if found.candidates[0].agree is not None:
    return (
      'agree: images with the same first class, of those that it was tried on; points: '
      'hits of the run against the base on the same images'
    )
  return (
    f'unexplained: {found.unexplained:+.2f} points between the report and the first '
    'line; p: how often a pipeline that does so is as far from the report; points: '
    'against the base'
  )


def write_json(found: Explanation, output: Output) -> None:
  """Writes a JSON object; the arguments are those of `write_table`."""
  content = {
    'base': found.base,
    'labels': found.labels,
    'metric': found.metric,
    'level': found.level,
    'reported': found.reported,
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


def intervals_of(
  found: Explanation,
) -> list[tuple[str, float, float, float]]:
  """Returns the candidates of the table with intervals of 95 %.

  Returns:
    Name, value and the ends of its interval, in percent. Of predictions: the share of
    images with the same one (Wilson); of a number: the accuracy over all images.
  """
  rows = []
  for one in found.candidates[:_SHOWN]:
    if one.agree is not None:
      value = one.agree / one.of
      low, high = intervals.wilson(one.agree, one.of)
    else:
      value, spread = one.value, _NORMAL * (one.sd or 0.0)
      low, high = max(value - spread, 0.0), min(value + spread, 1.0)
    rows.append((f'{one.name}: {one.state}', 100 * value, 100 * low, 100 * high))
  return rows
