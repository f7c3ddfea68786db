"""Models that could not be evaluated, those with one reason together."""

import re
from collections.abc import Callable, Sequence

from tfeval.reports import terminal
from tfeval.runs.run import Failure
from tfeval.utils.errors import listed

# So many are told one by one.
FEW = 5
# Of each reason.
_NAMES = 6
# What differs between models that fail alike: addresses, files and figures.
_OWN = re.compile(r'\S+://\S+|\S*[/\\]\S+|\S+\.\w{1,8}\b|\d+')


def grouped(failures: Sequence[Failure]) -> list[tuple[str, list[str]]]:
  """Returns the reason of the first of each kind, and the names of all of that kind.

  Reasons are of a kind that differ in names of models and files, and in numbers.

  Returns:
    Those of the most models first.

  >>> grouped([Failure('A', 'no a.h5 for A'), Failure('B', 'no b.h5 for B')])
  [('no a.h5 for A', ['A', 'B'])]
  """
  found: dict[str, tuple[str, list[str]]] = {}
  for one in failures:
    kind = _OWN.sub('...', one.reason.replace(one.name, '...'))
    found.setdefault(kind, (one.reason, []))[1].append(one.name)
  return sorted(found.values(), key=lambda group: -len(group[1]))


def failures_table(
  failures: Sequence[Failure], wording: Callable[[str], str]
) -> terminal.Table:
  """Returns a table with a row for each kind of failure.

  Args:
    failures: of a command.
    wording: how options are worded.
  """
  table = terminal.new_table()
  table.add_column('failed', justify='right', no_wrap=True, min_width=6)
  table.add_column('models', overflow='fold', ratio=2)
  table.add_column('why (of the first)', overflow='fold', ratio=3)
  for reason, names in grouped(failures):
    table.add_row(f'{len(names)}', listed(names, _NAMES), wording(reason))
  return table
