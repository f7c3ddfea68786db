"""Pieces that somebody has claimed: whether to wait for them or to go on with them."""

from collections.abc import Callable
from typing import NamedTuple

from tfeval.evaluation.pieces import claim
from tfeval.evaluation.pieces.claim import Claim
from tfeval.utils.paths import Path

# For each attempt, so many workers may die at a piece before it is taken for the cause.
_DEATHS = 10
# And so often it may fail in all, of workers that came when others had given it up.
_FAILURES = 10


class _Seen(NamedTuple):
  """The last look at a claim, and since when it has been as it is."""

  attempt: int
  claim: Claim | None
  since: float


class Others:
  """What a worker has seen of claims, and decides by its own clock.

  Args:
    directory: of the claims.
    worker: its name.
    token: its token.
    timeout: seconds after which a claim that does not change is abandoned.
    attempts: how often a piece may fail.
    clock: seconds.

  Attributes:
    given_up: reasons by number, of pieces that have failed too often.
  """

  def __init__(
    self,
    directory: Path,
    worker: str,
    token: str,
    timeout: float,
    attempts: int,
    clock: Callable[[], float],
  ):
    self.given_up: dict[int, str] = {}
    self._directory, self._worker, self._token = directory, worker, token
    self._timeout, self._attempts, self._clock = timeout, attempts, clock
    self._seen: dict[int, _Seen] = {}
    # Of pieces that others had given up before this worker looked.
    self._limits: dict[int, int] = {}

  def __len__(self) -> int:
    return len(self._seen)

  def __contains__(self, number: int) -> bool:
    return number in self._seen

  def first(self, count: int) -> list[int]:
    """Returns the pieces that were looked at longest ago; they are the last then."""
    numbers = [number for number, _ in zip(self._seen, range(count), strict=False)]
    for number in numbers:
      self._seen[number] = self._seen.pop(number)
    return numbers

  def forget(self, number: int) -> None:
    """Notes that a piece is done, or this worker's."""
    self._seen.pop(number, None)

  def failed(self, number: int, attempt: int, ended: Claim) -> None:
    """Notes that this worker has failed at a piece."""
    self._seen[number] = _Seen(attempt, ended, self._clock())
    if ended.failures >= self._limit(number):
      self._give_up(number, ended.reason)

  def look(self, number: int, rest: bool) -> tuple[int, Claim] | None:
    """Looks at a claim again; returns the attempt and the claim to go on with, if any.

    Args:
      number: of the piece.
      rest: leave to others for a while what has failed here.

    Raises:
      OSError: it cannot be read.
    """
    seen = self._seen.get(number)
    before = self._clock()  # What is read afterwards was so then, or has changed since.
    attempt, found = claim.latest(self._directory, number, seen.attempt if seen else 0)
    if seen is None or (attempt, found) != (seen.attempt, seen.claim):
      seen = self._seen[number] = _Seen(attempt, found, self._clock())
    found = found or Claim('somebody')  # A store that is slow to show a file.
    self._note_limit(number, found)
    if found.failures >= self._limit(number):
      self._give_up(number, found.reason)
    elif self._is_over(found, before - seen.since, rest):
      own = found.after(self._worker, self._token)
      if own.deaths < _DEATHS * self._attempts:
        return attempt + 1, own
      self._give_up(number, f'{own.deaths} workers died or were stopped at it')
    return None

  def _note_limit(self, number: int, found: Claim) -> None:
    """Notes that others had given a piece up: this worker may try it once more.

    Whatever kept them from it may be mended since, or be theirs alone.
    """
    is_first = number not in self._limits and number not in self.given_up
    if is_first and found.over and found.failures >= self._attempts:
      most = _FAILURES * self._attempts
      self._limits[number] = min(found.failures + 1, most)

  def _limit(self, number: int) -> int:
    return self._limits.get(number, self._attempts)

  def _is_over(self, found: Claim, unchanged: float, rest: bool) -> bool:
    if found.over is None:
      return unchanged >= self._timeout
    is_own = found.over == 'failed' and found.token == self._token
    return not (rest and is_own and unchanged < self._timeout / 10)

  def _give_up(self, number: int, reason: str) -> None:
    self.forget(number)
    self.given_up[number] = reason
