"""What one worker knows of all pieces: a byte of each, and marks of whole blocks."""

import contextlib
from collections.abc import Callable

from tfeval.evaluation.pieces import claim
from tfeval.evaluation.pieces.claim import BLOCK, REGION
from tfeval.utils import exclusive
from tfeval.utils.errors import UserError
from tfeval.utils.paths import Path

# Nothing is known; claimed by somebody; done.
_OPEN, _ASIDE, _DONE = range(3)


class Known:
  """Which pieces are open, as far as this worker knows.

  Args:
    directory: of the claims.
    count: of pieces.
  """

  def __init__(self, directory: Path, count: int):
    self.count = count
    self._directory = directory
    self._states = bytearray(count)
    # How many are not done, of each block; how many blocks, of each region.
    self._pieces_left = _sizes(count, BLOCK)
    self._blocks_left = _sizes(len(self._pieces_left), REGION)
    self._block = -1

  def open_in(self, numbers: range, place: int) -> int | None:
    """Returns the first open piece of some from a place on, round the end."""
    for start, stop in ((place, numbers.stop), (numbers.start, place)):
      found = self._states.find(_OPEN, start, stop)
      if found >= 0:
        return found
    return None

  def open_from(
    self,
    place: int,
    ask: Callable[[Callable[[], bool]], bool],
    anywhere: Callable[[], int],
  ) -> int | None:
    """Returns the first open piece from a place on; of blocks with a mark none is.

    Args:
      place: a number.
      ask: calls what asks the store.
      anywhere: where to look instead when a block has its mark.
    """
    while True:
      found = self.open_in(range(self.count), place)
      if found is None or found // BLOCK == self._block:
        return found
      self._block = block = found // BLOCK
      if not ask(claim.mark_of_block(self._directory, block).exists):
        return found
      self._close_block(block)
      region = block // REGION
      mark = claim.mark_of_region(self._directory, region)
      if self._blocks_left[region] and ask(mark.exists):
        for block in _range(region, REGION, len(self._pieces_left)):
          self._close_block(block)
      elif not self._blocks_left[region]:
        _mark(mark)
      place = anywhere()

  def after(self, number: int, near: range | None) -> int:
    """Returns where a worker goes on after a piece.

    First round its block, so that somebody sees all of it; of `near` only, if given,
    and then round that.
    """
    block = _range(number // BLOCK, BLOCK, self.count)
    near = near or block
    inside = range(max(block.start, near.start), min(block.stop, near.stop))
    for numbers in (inside, near):
      found = self.open_in(numbers, number)
      if found is not None:
        return found
    return near.stop % self.count

  def set_aside(self, number: int) -> None:
    """Notes that a piece has been claimed, by whomever."""
    if self._states[number] == _OPEN:
      self._states[number] = _ASIDE

  def close(self, number: int) -> None:
    """Notes that a piece is done, and marks what is done with it."""
    block, region = number // BLOCK, number // BLOCK // REGION
    if self._states[number] != _DONE:
      self._states[number] = _DONE
      self._pieces_left[block] -= 1
      self._blocks_left[region] -= not self._pieces_left[block]
    if not self._pieces_left[block]:
      _mark(claim.mark_of_block(self._directory, block))
    if not self._blocks_left[region]:
      _mark(claim.mark_of_region(self._directory, region))

  def _close_block(self, block: int) -> None:
    numbers = _range(block, BLOCK, self.count)
    self._states[numbers.start : numbers.stop] = bytes([_DONE]) * len(numbers)
    if self._pieces_left[block]:
      self._pieces_left[block] = 0
      self._blocks_left[block // REGION] -= 1


def reopen(directory: Path, number: int, by: str) -> None:
  """Lets workers do a piece again that was done: its record is damaged or gone.

  Raises:
    OSError, UserError: the store does not let it.
  """
  attempt, last = claim.latest(directory, number)
  if last is not None and not last.over:
    again = last.after(by, 'reopened').left()
    claim.make(claim.path_of(directory, number, attempt + 1), again)
  claim.mark_of_block(directory, number // BLOCK).unlink(missing_ok=True)
  region = number // BLOCK // REGION
  claim.mark_of_region(directory, region).unlink(missing_ok=True)


def _mark(path: Path) -> None:
  # It only saves looks at what is below; a store that is full is told by others.
  with contextlib.suppress(OSError, UserError):
    exclusive.create(path, b'')


def _sizes(count: int, size: int) -> list[int]:
  return [min(size, count - start) for start in range(0, count, size)]


def _range(index: int, size: int, count: int) -> range:
  return range(index * size, min((index + 1) * size, count))
