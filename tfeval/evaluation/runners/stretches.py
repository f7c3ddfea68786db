"""What an engine hands out: stretches of pieces of one model.

A worker that is handed pieces of one model one after another loads it once; one that is
handed single pieces in any order loads a model for each. So what is handed out are
stretches, adjacent pieces of one model: long ones, so that a load is little beside
them, but several for each worker, so that a model with many images is spread over all
workers and the last ones do not wait for a single one.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

from tfeval.evaluation.pieces.planned import Plan
from tfeval.evaluation.pieces.standing import Standing

# Minutes on a CPU, seconds on an accelerator: as long as a load, or longer.
_MOST_IMAGES = 8192
# Stretches for each worker: the last one to end keeps the others waiting for a quarter
# of its time, not for all of it.
_FOR_EACH = 4


@dataclasses.dataclass(frozen=True)
class Stretch:
  """Adjacent pieces of one model.

  Attributes:
    key: sorts stretches as the plan has them, those of a model together.
    first, stop: numbers of its pieces, from the first to before the last.
  """

  key: str
  first: int
  stop: int


def cut(plan: Plan, workers: int) -> list[Stretch]:
  """Cuts a plan into stretches.

  Args:
    plan: of at least one piece.
    workers: how many there will be, about.
  """
  images = min(_MOST_IMAGES, -(-plan.images // (workers * _FOR_EACH)))
  length = max(1, images // plan.file.piece_images)
  found = []
  for model, pieces in enumerate(_models(plan)):
    for first in range(pieces.start, pieces.stop, length):
      stop = min(first + length, pieces.stop)
      found.append(Stretch(f'{model:06d}/{first:09d}', first, stop))
  return found


def dealt(stretches: Sequence[Stretch], workers: int) -> list[Stretch]:
  """Orders stretches for an engine that deals them out like cards.

  Args:
    stretches: in the order of the plan.
    workers: between whom they are dealt, one after another.

  Returns:
    All of them. Who gets every so-manieth has its own part of the plan, and loads the
    models of that part alone.
  """
  most = -(-len(stretches) // workers)
  hands = [stretches[start : start + most] for start in range(0, len(stretches), most)]
  rounds = itertools.zip_longest(*hands)
  return [one for dealt_at_once in rounds for one in dealt_at_once if one is not None]


def _models(plan: Plan) -> Iterator[range]:
  """Yields the pieces of each model; those of a model are together in a plan."""
  first = 0
  while first < plan.count:
    yield (pieces := plan.of_model(first))
    first = pieces.stop


class Watch:
  """Sees how many images are done by the records of pieces, while others do them."""

  # Of how many stretches records are asked for at once: a store answers each in
  # milliseconds.
  _AT_ONCE = 64

  def __init__(self, plan: Plan, standing: Standing, stretches: Sequence[Stretch]):
    """Reads nothing yet."""
    self._plan, self._standing = plan, standing
    self._open = [[one.first, one.stop] for one in stretches]

  def look(self) -> int:
    """Returns how many more images are done since the last look."""
    images = 0
    for pending in self._open[: self._AT_ONCE]:
      while pending[0] < pending[1] and self._standing.is_done(pending[0]):
        images += len(self._plan.piece(pending[0]).positions)
        pending[0] += 1
    self._open = [one for one in self._open if one[0] < one[1]]
    return images
