"""Which worker does which piece: adjacent ones, of one model as long as there are any.

Nothing here knows an engine. Of each model there are the runs that nobody has begun;
a worker takes one of its model and does its pieces in order. Where there is none left
it takes one of another model, and in the end half of what another worker has left.
"""

import collections
from collections.abc import Hashable, Iterable, Iterator

from tfeval.evaluation.pieces.planned import Plan

# Tries of a piece, and pieces of a run without a success after which it is given up.
TRIES = 3
# Of pieces to be done again, those that are looked at for a worker.
_LOOKED_AT = 64


class SharingOut:
  """What is left of a plan.

  Attributes:
    failures: why, of pieces that were given up, by number.
    left: how many pieces are neither done nor given up.
  """

  def __init__(self, plan: Plan, numbers: Iterable[int]):
    """Takes what is to be done.

    Args:
      plan: of the pieces.
      numbers: which, ascending.
    """
    self._plan = plan
    self._waiting: dict[int | None, collections.deque[range]] = {}
    self.left = 0
    for stretch in _stretches(plan, numbers):
      self._waiting.setdefault(self._model(stretch[0]), collections.deque()).append(
        stretch
      )
      self.left += len(stretch)
    self.waiting = self.left
    self._held: dict[Hashable, range] = {}
    self._has: dict[Hashable, int] = {}
    self._again = collections.deque[int]()
    self._tried: dict[int, list[Hashable]] = {}
    self._succeeded, self._lost = set[int](), collections.Counter[int]()
    self.failures: dict[int, str] = {}

  def take(self, worker: Hashable, workers: Iterable[Hashable]) -> int | None:
    """Returns a piece for a worker, None where there is none for it.

    Args:
      worker: who asks.
      workers: all of them: a piece is tried again by another one, where there is one.
    """
    number = self._once_more(worker, workers)
    if number is None and (self._held.get(worker) or self._find(worker)):
      held = self._held[worker]
      number, self._held[worker] = held[0], held[1:]
    if number is not None:
      self.waiting -= 1
      self._has[worker] = self._model(number)
    return number

  def done(self, worker: Hashable, number: int) -> list[Hashable]:
    """Counts a piece that a worker has done; returns who had failed at it."""
    self.left -= 1
    self._succeeded.add(self._plan.piece(number).run)
    return [one for one in self._tried.pop(number, []) if one != worker]

  def put_back(self, number: int) -> None:
    """Takes a piece back that nobody began."""
    self._again.append(number)
    self.waiting += 1

  def failed(self, worker: Hashable, number: int, reason: str) -> None:
    """Takes a piece back that a worker could not do; it is given up in the end."""
    tried = self._tried.setdefault(number, [])
    tried.append(worker)
    if len(tried) < TRIES:
      self.put_back(number)
      return
    self._give_up(number, reason)
    run = self._plan.piece(number).run
    self._lost[run] += 1
    if run not in self._succeeded and self._lost[run] == TRIES:
      self._give_up_run(run, number, reason)

  def gone(self, worker: Hashable) -> None:
    """Takes back what a worker held that is no more."""
    self._has.pop(worker, None)
    held = self._held.pop(worker, None)
    if held:
      self._waiting[self._model(held[0])].appendleft(held)

  def _model(self, number: int) -> int:
    return self._plan.of_model(number).start

  def _once_more(self, worker: Hashable, workers: Iterable[Hashable]) -> int | None:
    """Returns a piece that came back.

    What failed is tried at once, to know whether its run can be done; what was lost
    waits for a worker of its model, or for one that has nothing.
    """
    for _ in range(min(len(self._again), _LOOKED_AT)):
      number = self._again.popleft()
      tried = self._tried.get(number, [])
      if tried:
        suits = worker not in tried or all(one in tried for one in workers)
      else:
        suits = not self._held.get(worker) or self._has[worker] == self._model(number)
      if suits:
        return number
      self._again.append(number)
    return None

  def _find(self, worker: Hashable) -> bool:
    """Gives a worker a run, or a part of one; returns whether there was any."""
    own = self._waiting.get(self._has.get(worker))
    if own:
      self._held[worker] = own.popleft()
      return True
    holders = collections.Counter(self._has.values())
    most = max(
      (model for model, runs in self._waiting.items() if runs),
      # First models that nobody has; then those that have most left for each.
      key=lambda model: len(self._waiting[model]) / (holders[model] + 1e-9),
      default=None,
    )
    if most is not None:
      runs = self._waiting[most]
      # Whoever has the model goes on at the other end.
      self._held[worker] = runs.pop() if holders[most] else runs.popleft()
      return True
    other = max(self._held, key=lambda one: len(self._held[one]), default=None)
    held = self._held.get(other)
    if not held:
      return False
    middle = len(held) // 2
    self._held[other], self._held[worker] = held[:middle], held[middle:]
    return True

  def _give_up(self, number: int, reason: str) -> None:
    self._tried.pop(number, None)
    self.failures[number] = reason
    self.left -= 1

  def _give_up_run(self, run: int, number: int, reason: str) -> None:
    """Gives up what nobody has of a run, of which nothing else was done either."""
    pieces = self._plan.pieces(run)
    reason = f'not tried, {TRIES} others of its run failed, piece {number}: {reason}'
    for runs in self._waiting.values():
      for stretch in [one for one in runs if one[0] in pieces]:
        runs.remove(stretch)
        self._drop(stretch, reason)
    for worker, held in self._held.items():
      if held and held[0] in pieces:
        self._held[worker] = held[:0]
        self._drop(held, reason)

  def _drop(self, stretch: range, reason: str) -> None:
    self.waiting -= len(stretch)
    for number in stretch:
      self._give_up(number, reason)


def _stretches(plan: Plan, numbers: Iterable[int]) -> Iterator[range]:
  """Yields adjacent pieces of one run."""
  first = last = -1
  for number in numbers:
    if (
      first < 0 or number != last + 1 or plan.piece(number).run != plan.piece(last).run
    ):
      if first >= 0:
        yield range(first, last + 1)
      first = number
    last = number
  if first >= 0:
    yield range(first, last + 1)
