"""A claim: one file that says which worker does a piece, and how that ended.

`BLOCK/NUMBER.ATTEMPT` below a directory, made by `exclusive.create`. Its owner alone
rewrites it: with a higher `beat` as long as it works, and once with how it ended, if
that was not well. Who goes on after somebody makes the file of the next attempt, which
says how often the piece has failed before: the latest claim tells everything. Nothing
is listed, renamed or removed.
"""

import dataclasses
import hashlib
import json
from typing import Literal

from tfeval.utils import errors, exclusive, files, json_text, printable, untrusted
from tfeval.utils.errors import UserError
from tfeval.utils.paths import Path

# Pieces of a block. A folder holds a file or two of each: who writes a file on a local
# disk looks at the names beside it.
BLOCK = 100
# Blocks of a region, which has a mark of its own.
REGION = 100
_LONGEST_NAME, _LONGEST_REASON = 100, 300
_BYTES = 1 << 14
_MOST = 1 << 30


@dataclasses.dataclass(frozen=True)
class Claim:
  """What the file of a claim says.

  Attributes:
    worker: the name of its owner.
    token: random, so that two workers of one name differ.
    beat: how often the owner has rewritten it.
    failures: how often the piece has failed, this attempt included.
    deaths: how many workers died or were stopped at it, before this attempt.
    reason: of the last failure.
    over: None as long as it is worked on, or was done; `'failed'` or `'left'`, which is
      what a worker says that is stopped.
  """

  worker: str
  token: str = ''
  beat: int = 0
  failures: int = 0
  deaths: int = 0
  reason: str = ''
  over: Literal['failed', 'left'] | None = None

  def next_beat(self) -> 'Claim':
    return dataclasses.replace(self, beat=self.beat + 1)

  def failed(self, reason: str) -> 'Claim':
    """Returns what its owner writes when the piece has failed."""
    return dataclasses.replace(
      self,
      failures=self.failures + 1,
      reason=line(reason, _LONGEST_REASON),
      over='failed',
    )

  def left(self) -> 'Claim':
    return dataclasses.replace(self, over='left')

  def after(self, worker: str, token: str) -> 'Claim':
    """Returns the claim of a worker that goes on after this one."""
    return Claim(
      worker,
      token,
      failures=self.failures,
      deaths=self.deaths + (self.over != 'failed'),
      reason=self.reason,
    )

  def to_bytes(self) -> bytes:
    return (json.dumps(dataclasses.asdict(self)) + '\n').encode()


def line(text: str, longest: int = _LONGEST_NAME) -> str:
  """Returns a text as one printable line of a bounded length."""
  return printable.printable(errors.one_line(ValueError(text), longest))


def path_of(directory: Path, number: int, attempt: int) -> Path:
  """Returns the file of an attempt at a piece.

  >>> import pathlib
  >>> path_of(pathlib.Path('claims'), 4711, 0).as_posix()
  'claims/00047/4711.0'
  """
  return directory / f'{number // BLOCK:05d}/{number}.{attempt}'


def mark_of_block(directory: Path, block: int) -> Path:
  """Returns the file that is there once all pieces of a block are done."""
  return directory / f'{block:05d}/done'


def mark_of_region(directory: Path, region: int) -> Path:
  """Returns the file that is there once all blocks of a region have their mark."""
  return directory / f'region-{region:05d}.done'


def make(path: Path, claim: Claim) -> bool:
  """Makes the file of a claim; returns whether this call did: `exclusive.create`."""
  return exclusive.create(path, claim.to_bytes())


def write(path: Path, claim: Claim) -> None:
  """Rewrites the file of one's own claim; see `files.write_atomically`."""
  files.write_atomically(path, claim.to_bytes())


def read(path: Path) -> Claim | None:
  """Reads a claim; None where there is none.

  What is no claim (half of one, on a store that does not write at once) is that of
  somebody unknown: it goes the way of all that do not beat.

  Raises:
    OSError: it cannot be read.
  """
  try:
    content = untrusted.read_bytes(path, _BYTES)
  except (FileNotFoundError, NotADirectoryError):
    return None
  except UserError as error:
    return Claim('somebody', token=line(str(error)))
  try:
    return _parsed(json_text.loads(path, content))
  except (UserError, TypeError, ValueError):
    return Claim('somebody', token=hashlib.sha256(content).hexdigest())


def _parsed(value: object) -> Claim:
  """Raises TypeError or ValueError where that is no claim."""
  if not isinstance(value, dict):
    raise TypeError(value)
  claim = Claim(**value)
  counts = (claim.beat, claim.failures, claim.deaths)
  if not all(type(one) is int and 0 <= one < _MOST for one in counts):
    raise ValueError(counts)
  if claim.over not in (None, 'failed', 'left'):
    raise ValueError(claim.over)
  return dataclasses.replace(
    claim,
    worker=line(claim.worker),
    token=line(claim.token),
    reason=claim.reason and line(claim.reason, _LONGEST_REASON),
  )


def latest(directory: Path, number: int, attempt: int = 0) -> tuple[int, Claim | None]:
  """Returns the last attempt at a piece and its claim; None for a claim if none is.

  Args:
    directory: of the claims.
    number: of the piece.
    attempt: the last one that is known.

  Raises:
    OSError: a claim cannot be read.
  """
  found = read(path_of(directory, number, attempt))
  while found is not None:
    following = read(path_of(directory, number, attempt + 1))
    # Only those that are over, or do not beat, have others after them.
    if following is None:
      break
    found, attempt = following, attempt + 1
  return attempt, found


@dataclasses.dataclass(frozen=True)
class State:
  """What the claims say of a piece that has no record.

  Attributes:
    kind: `'free'`, `'claimed'` or `'failed'`. Of a claim nobody can say at one look
      whether its owner is still alive.
    worker: who has claimed it, or was the last that failed at it.
    failures: how often it has failed.
    reason: of the last failure.
  """

  kind: Literal['free', 'claimed', 'failed']
  worker: str = ''
  failures: int = 0
  reason: str = ''

  def __str__(self) -> str:
    times = 'once' if self.failures == 1 else f'{self.failures} times'
    failed = f'failed {times}, the last time: {self.reason}' if self.failures else ''
    if self.kind == 'claimed':
      return f'claimed by {self.worker}' + (f', {failed}' if failed else '')
    return failed or 'free'


def look(directory: Path, number: int) -> State:
  """Returns what the claims say of a piece, without a listing.

  Raises:
    OSError: a claim cannot be read.
  """
  _, claim = latest(directory, number)
  if claim is None:
    return State('free')
  kind: Literal['free', 'claimed', 'failed'] = 'claimed'
  if claim.over:
    kind = 'failed' if claim.failures else 'free'
  return State(kind, claim.worker, claim.failures, claim.reason)
