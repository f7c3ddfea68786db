"""Which pieces a worker does, so that many workers without a master do each once.

Workers agree by files alone (`claim`), on stores that need neither locks nor listings,
and by no clock but their own: a piece is taken over once its claim has stayed as it is
for `timeout` seconds of the clock of whoever looks. Workers that are slow, paused,
started twice or of another time, and stores that let two make one file, cost double
work, never a piece.

Each worker begins at a place of its own, goes on from piece to piece, and jumps when it
meets another: so pieces of one model stay with a worker, and N pieces cost little more
than N claims. A block of 100 that is done gets a mark, 100 such blocks another, so that
what is left is found by few reads.
"""

import logging
import os
import platform
import random
import secrets
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from tfeval.evaluation.pieces import claim
from tfeval.evaluation.pieces.beating import Beating
from tfeval.evaluation.pieces.claim import Claim, State
from tfeval.evaluation.pieces.known import Known
from tfeval.evaluation.pieces.others import Others
from tfeval.utils.errors import UserError
from tfeval.utils.paths import Path

_LOG = logging.getLogger('tfeval')
_T = TypeVar('_T')
# Of a store that does not answer now and then.
_PAUSES = (0.5, 1.0, 2.0, 4.0)
# What others do last is done soon, mostly.
_FIRST_LOOK_S = 0.1
# Of claims of others that a round of waiting looks at.
_WATCHED = 64
# A worker that has failed at so many pieces and done none does not go on.
_USELESS = 10
_DONE, _TAKEN, _CLAIMED = 'done', 'taken', 'claimed'


class Claims:
  """The pieces that one worker does, as an iterator.

      with Claims(directory, count, is_done) as claims:
        for number in claims.pieces():
          try:
            do(number)  # Writes its record last.
          except UserError as error:
            claims.failed(number, str(error))

  Args:
    directory: of the claims, the same for all workers.
    count: of pieces; they are numbered from 0.
    is_done: whether a piece has its record.
    worker: a name for messages; None: host and process.
    timeout: seconds after which a claim that does not change is abandoned; the same
      for all workers.
    attempts: how often a piece may fail.
    start: the piece to begin at; None: a random one.
    near: of a piece, the numbers of all pieces of its model, where a worker goes on
      first.
    clock: seconds of this worker alone, from any zero.
    sleep: waits so many seconds.
  """

  def __init__(
    self,
    directory: Path,
    count: int,
    is_done: Callable[[int], bool],
    worker: str | None = None,
    timeout: float = 300.0,
    attempts: int = 3,
    start: int | None = None,
    near: Callable[[int], range] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
  ):
    self._directory, self._is_done = directory, is_done
    self._worker = claim.line(worker or f'{platform.node()}-{os.getpid()}')
    self._token = secrets.token_hex(8)
    self._timeout, self._near, self._sleep = timeout, near, sleep
    self._random = random.Random(self._token)
    self._known = Known(directory, count)
    self._start = self._anywhere() if start is None else start % max(count, 1)
    self._others = Others(
      directory, self._worker, self._token, timeout, attempts, clock
    )
    self._beating = Beating(timeout / 4)
    self._attempt = 0  # Of the piece that is held.
    self._is_useful, self._failures = False, dict[int, str]()

  def __enter__(self) -> 'Claims':
    return self

  def __exit__(self, *_: object) -> None:
    self._beating.stop()

  @property
  def given_up(self) -> dict[int, str]:
    """Reasons by number, of pieces that have failed too often."""
    return self._others.given_up

  def look(self, number: int) -> State:
    """Returns what the claims say of a piece; see `claim.look`."""
    return claim.look(self._directory, number)

  def pieces(self, wait: bool = True) -> Iterator[int]:
    """Yields numbers of pieces to do, which are this worker's meanwhile.

    A piece is done when the next is asked for, unless `failed` was told of it.

    Args:
      wait: for pieces of others, to take over those of workers that die, and before
        what has failed here is tried again here; otherwise it ends when nothing is
        free.

    Raises:
      OSError, UserError: the store does not answer; the first ten pieces have failed.
    """
    place = self._start
    try:
      while True:
        number = self._known.open_from(place, self._patiently, self._anywhere)
        if number is None:
          number = self._of_others(wait)
          if number is None:
            return
        else:
          outcome = self._try(number)
          if outcome != _TAKEN:
            place = (self._next if outcome == _DONE else self._elsewhere)(number)
            continue
        yield number
        place = self._finish(number)
    finally:
      self._beating.stop()

  def failed(self, number: int, reason: str) -> None:
    """Records that the piece which was yielded last has failed.

    Anyone may do it again, this worker after all others.

    Args:
      number: of the piece.
      reason: one line, for people.
    """
    held = self._beating.release()
    assert held is not None, f'piece {number} is not held'
    ended = held[1].failed(reason)
    self._beating.end(held[0], ended)
    self._failures[number] = ended.reason
    self._others.failed(number, self._attempt, ended)

  def _finish(self, number: int) -> int:
    """Notes how the piece that was yielded went; returns where to go on."""
    if self._beating.release() is not None:
      self._is_useful = True
      self._close(number)
      return self._next(number)
    if not self._is_useful and len(self._failures) >= _USELESS:
      raise UserError(
        f'all of the first {_USELESS} pieces have failed on {self._worker}, the last '
        f'one ({number}): {self._failures[number]}: look at that, then start it again'
      )
    return self._anywhere()

  def _try(self, number: int) -> str:
    """Claims a piece of which nothing is known, if it is free."""
    if self._is_closed(number):
      return _DONE
    self._known.set_aside(number)
    if self._claim(number, 0, Claim(self._worker, self._token)):
      return _TAKEN
    return self._look_again(number, rest=True)

  def _claim(self, number: int, attempt: int, own: Claim) -> bool:
    path = claim.path_of(self._directory, number, attempt)
    if not self._patiently(lambda: claim.make(path, own)):
      return False
    self._attempt = attempt
    self._others.forget(number)
    self._beating.hold(path, own)
    return True

  def _look_again(self, number: int, rest: bool) -> str:
    """Takes a piece that somebody has claimed, if that has failed or stands still."""
    following = self._patiently(lambda: self._others.look(number, rest))
    if following is not None and self._claim(number, *following):
      return _TAKEN
    return _CLAIMED

  def _of_others(self, wait: bool) -> int | None:
    """Returns a piece taken over; None when nothing is left, or to be had now."""
    pause, left = min(_FIRST_LOOK_S, self._timeout / 256), len(self._others)
    while self._others and (wait or left > 0):
      before = len(self._others)
      for number in self._others.first(_WATCHED):
        if self._is_closed(number):
          continue
        if self._look_again(number, rest=wait) == _TAKEN:
          return number
      left -= _WATCHED
      if wait and self._others and len(self._others) == before:
        self._sleep(pause * self._random.uniform(0.75, 1.25))
        pause = min(2 * pause, self._timeout / 16)
    return None

  def _is_closed(self, number: int) -> bool:
    """Asks whether a piece is done, and notes it."""
    is_done = self._patiently(lambda: self._is_done(number))
    if is_done:
      self._close(number)
    return is_done

  def _close(self, number: int) -> None:
    self._others.forget(number)
    self._known.close(number)

  def _anywhere(self) -> int:
    return self._random.randrange(max(self._known.count, 1))

  def _next(self, number: int) -> int:
    return self._known.after(number, self._near(number) if self._near else None)

  def _elsewhere(self, number: int) -> int:
    """Returns where to go on after meeting another: among the same model's, if any."""
    near = self._near(number) if self._near else None
    if near is None:
      return self._anywhere()
    found = self._known.open_in(near, self._random.choice(near))
    return self._anywhere() if found is None else found

  def _patiently(self, call: Callable[[], _T]) -> _T:
    """Asks the store again when it does not answer.

    Raises:
      OSError, UserError: it does not, several times.
    """
    for pause in _PAUSES:
      try:
        return call()
      except (OSError, UserError) as error:
        _LOG.debug(f'{error}: trying again')
      self._sleep(pause * self._random.uniform(0.75, 1.25))
    return call()
