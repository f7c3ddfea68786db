"""Caveats of several runs: what many share is said once."""

import re
from collections.abc import Iterable

from tfeval.utils.errors import listed

# Runs that are named.
_NAMES = 5
# How many images a caveat is of, where it starts so.
_COUNT = re.compile(r'(\d{1,3}(?:,\d{3})*)(?= )')


def urgent(remarks: Iterable[str]) -> list[str]:
  """Returns the remarks without which figures would mislead: they begin in capitals.

  >>> urgent(['DIFFERENT DATA: a, b', 'rank: by top-1'])
  ['DIFFERENT DATA: a, b']
  """
  return [one for one in remarks if one.partition(':')[0].isupper()]


def grouped(told: Iterable[tuple[str, str]]) -> list[str]:
  """Returns caveats, those of several runs with how many and which these are.

  Args:
    told: name of a run and a caveat; those that start with another number are one.

  >>> grouped([('a', 'PARTIAL'), ('b', 'PARTIAL'), ('b', 'FAILED')])
  ['PARTIAL: 2 runs: a, b', 'b: FAILED']
  >>> grouped([('a', '7 images are grey'), ('b', '1,204 images are grey')])
  ['7 to 1,204 images are grey: 2 runs: a, b']
  """
  found: dict[str, list[tuple[str, str]]] = {}
  for name, caveat in told:
    count = _COUNT.match(caveat)
    of = found.setdefault(caveat[count.end() :] if count else caveat, [])
    if (name, caveat) not in of:
      of.append((name, caveat))
  return [
    f'{of[0][0]}: {of[0][1]}'
    if len(of) == 1
    else f'{_common([caveat for _, caveat in of])}: {_runs([name for name, _ in of])}'
    for of in found.values()
  ]


def _common(caveats: list[str]) -> str:
  """Returns caveats that differ in their first number as one."""
  if len(set(caveats)) == 1:
    return caveats[0]
  counts = [match for match in map(_COUNT.match, caveats) if match]
  if len(counts) < len(caveats):
    return caveats[0]
  of = sorted(int(match[0].replace(',', '')) for match in counts)
  return f'{of[0]:,} to {of[-1]:,}{caveats[0][counts[0].end() :]}'


def _runs(names: list[str]) -> str:
  several = list(dict.fromkeys(names))
  return f'{len(several):,} runs: {listed(several, _NAMES)}'
