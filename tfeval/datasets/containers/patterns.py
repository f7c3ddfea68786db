"""Patterns of paths: `part-{000..012}.tar`, `{a,b}.tar`, `*.tar`."""

import glob
import os
import re
from collections.abc import Iterator

from tfeval.datasets.labels.files import first
from tfeval.utils.errors import UserError

MOST_FILES = 100_000
_RANGE = re.compile(r'\{(\d+)\.\.(\d+)\}')
_CHOICE = re.compile(r'\{([^{}]*,[^{}]*)\}')


def matching(target: str, kind: str) -> list[str]:
  """Returns the files of a path or pattern, in the order of the pattern.

  Args:
    target: a path; one that is there is no pattern, whatever characters it has.
    kind: of the files, for messages.

  Raises:
    UserError: there are none, some of a range are missing, or they are too many.
  """
  if os.path.exists(target):
    return [target]
  found, missing = [], []
  for pattern in expanded(target):
    if os.path.exists(pattern):
      found.append(pattern)
    elif matches := sorted(glob.glob(pattern)):
      found += matches
    else:
      missing.append(pattern)
    check_count(target, len(found))
  if missing and len(missing) == 1 and not found:
    raise UserError(
      f'{missing[0]} does not exist: give {kind}:FILES, a directory, a path or a '
      'pattern such as part-{000..012}'
    )
  if missing:
    raise UserError(
      f'{len(missing)} of the {kind} files do not exist: {first(missing)}: get them '
      'again, or name a smaller range'
    )
  return found


def expanded(text: str) -> list[str]:
  """Returns the paths that braces stand for, in order.

  Raises:
    UserError: they are too many, or a range is empty.

  >>> expanded('a-{08..10}.tar')
  ['a-08.tar', 'a-09.tar', 'a-10.tar']
  >>> expanded('{a,b}{1..2}')
  ['a1', 'a2', 'b1', 'b2']
  """
  found = [text]
  while True:
    braces = _RANGE.search(found[0]) or _CHOICE.search(found[0])
    if braces is None:
      return found
    # All have the same braces left.
    count = len(found) * _choices(text, braces)
    check_count(text, count)
    found = [one for pattern in found for one in _expanded_once(pattern)]


def _choices(text: str, braces: re.Match) -> int:
  if braces.re is _CHOICE:
    return braces[1].count(',') + 1
  count = int(braces[2][:20]) - int(braces[1][:20]) + 1
  if count < 1:
    raise UserError(f'{text}: the range {braces[0]} is empty: write the smaller first')
  return count


def _expanded_once(pattern: str) -> Iterator[str]:
  braces = _RANGE.search(pattern) or _CHOICE.search(pattern)
  assert braces is not None
  if braces.re is _CHOICE:
    inside = braces[1].split(',')
  else:
    width = len(braces[1])
    inside = [f'{n:0{width}d}' for n in range(int(braces[1]), int(braces[2]) + 1)]
  for one in inside:
    yield pattern[: braces.start()] + one + pattern[braces.end() :]


def check_count(target: str, count: int) -> None:
  """Raises a UserError if so many files are too many."""
  if count > MOST_FILES:
    raise UserError(
      f'{target} is {count:,} files, expected at most {MOST_FILES:,}: name fewer'
    )
