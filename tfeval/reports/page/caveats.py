"""Caveats of several runs: what many share is said once."""

from collections.abc import Iterable

from tfeval.utils.errors import listed

# Runs that are named.
_NAMES = 5


def grouped(told: Iterable[tuple[str, str]]) -> list[str]:
  """Returns caveats, those of several runs with how many and which these are.

  Args:
    told: name of a run and a caveat.

  >>> grouped([('a', 'PARTIAL'), ('b', 'PARTIAL'), ('b', 'FAILED')])
  ['PARTIAL: 2 runs: a, b', 'b: FAILED']
  """
  names: dict[str, list[str]] = {}
  for name, caveat in told:
    of = names.setdefault(caveat, [])
    if name not in of:
      of.append(name)
  return [
    f'{of[0]}: {caveat}'
    if len(of) == 1
    else f'{caveat}: {len(of):,} runs: {listed(of, _NAMES)}'
    for caveat, of in names.items()
  ]
