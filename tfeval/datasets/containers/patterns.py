"""Patterns of paths: `part-{000..012}.tar`, `{a,b}.tar`, `*.tar`."""

import glob
import os
import re
from collections.abc import Iterator

from tfeval.utils.errors import UserError, listed

MOST_FILES = 100_000
_MOST_DIGITS = 12
_BRACES = re.compile(r'\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}')


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
      f'{len(missing)} of the {kind} files do not exist: {listed(missing)}: get them '
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
  # All have the same braces left.
  while braces := _BRACES.search(found[0]):
    check_count(text, len(found) * _choices(text, braces))
    found = [one for pattern in found for one in _expanded_once(pattern)]
  return found


def _choices(text: str, braces: re.Match) -> int:
  """Returns for how many texts braces stand."""
  low, high, inside = braces.groups()
  if inside is not None:
    return inside.count(',') + 1
  if max(len(low), len(high)) > _MOST_DIGITS:
    raise UserError(f'{text[:200]}: a number in braces is too long: name fewer files')
  if int(high) < int(low):
    raise UserError(
      f'{text[:200]}: the range {braces[0]} is empty: write the smaller first'
    )
  return int(high) - int(low) + 1


def _expanded_once(pattern: str) -> Iterator[str]:
  """Yields what the first braces of a pattern make of it."""
  braces = _BRACES.search(pattern)
  assert braces is not None
  low, high, inside = braces.groups()
  texts = (
    [f'{n:0{len(low)}d}' for n in range(int(low), int(high) + 1)]
    if inside is None
    else inside.split(',')
  )
  for text in texts:
    yield pattern[: braces.start()] + text + pattern[braces.end() :]


def check_count(target: str, count: int) -> None:
  """Raises a UserError if so many files are too many."""
  if count > MOST_FILES:
    raise UserError(
      f'{target[:200]} is {count:,} files, expected at most {MOST_FILES:,}: name fewer'
    )
