"""What a process is to do of a plan, and what it has done."""

import dataclasses
import re

from tfeval.utils.errors import UserError

_NUMBER = r'(\d{1,12})'
_RANGE, _SHARE = f'{_NUMBER}-{_NUMBER}', f'{_NUMBER}/{_NUMBER}'


@dataclasses.dataclass
class Worked:
  """What a process has done of a plan.

  Attributes:
    pieces: how many the plan has.
    done: how many of them this process has done, and
    images: how many images these have.
    found: how many it was to do that were done already.
    failed: why, of those that it could not do, by number.
  """

  pieces: int
  done: int = 0
  images: int = 0
  found: int = 0
  failed: dict[int, str] = dataclasses.field(default_factory=dict)


def numbers(text: str, count: int) -> range:
  """Returns the pieces that a text names.

  Args:
    text: `K`, a piece; `A-B`, from A to B, both included; `K/M`, the share K of M, from
      0: for job arrays of any size.
    count: how many pieces there are.

  Raises:
    UserError: it names none of them.

  >>> numbers('3', 10), numbers('2-4', 10), [*map(len, (numbers('0/3', 10),
  ...   numbers('1/3', 10), numbers('2/3', 10)))]
  (range(3, 4), range(2, 5), [3, 3, 4])
  """
  if re.fullmatch(_SHARE, text):
    return share_of(text, count)
  if pair := re.fullmatch(_RANGE, text):
    found = range(int(pair[1]), int(pair[2]) + 1)
  elif re.fullmatch(_NUMBER, text):
    found = range(int(text), int(text) + 1)
  else:
    raise UserError(f'`piece={text[:80]}` is no piece: give K, A-B, or K/M')
  if not found or found.stop > count:
    raise UserError(f'`piece={text}`: the plan has {count:,} pieces, 0 to {count - 1}')
  return found


def share_of(text: str, count: int, name: str = 'piece') -> range:
  """Returns the share K of M that `K/M` is of so many things; it may be empty.

  Args:
    text: `K/M`, from 0.
    count: how many things there are.
    name: of the parameter.

  Raises:
    UserError: it is no share.

  >>> [share_of(f'{index}/3', 10) for index in range(3)]
  [range(0, 3), range(3, 6), range(6, 10)]
  """
  found = re.fullmatch(_SHARE, text)
  index, of = (int(found[1]), int(found[2])) if found else (0, 0)
  if index >= of:
    raise UserError(
      f'`{name}={text[:80]}` is no share: give K/M, of M shares 0/M to M-1/M'
    )
  return range(count * index // of, count * (index + 1) // of)
