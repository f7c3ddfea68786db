"""Which pieces are done, and which runs are joined already."""

import contextlib
from concurrent import futures

from tfeval.evaluation import manifest as manifests
from tfeval.evaluation.pieces import records
from tfeval.evaluation.pieces.places import Places
from tfeval.evaluation.pieces.planned import Plan
from tfeval.runs.result_file import RESULT
from tfeval.utils.errors import UserError

# A store answers each look after some milliseconds.
_AT_ONCE, _IN_MEMORY = 16, 4096


class Standing:
  """How far a plan is, by the names of its files: nothing is listed."""

  def __init__(self, plan: Plan, places: Places):
    """Reads nothing yet."""
    self._plan, self._places = plan, places
    self._joined, self._begun = set[int](), set[int]()

  def is_done(self, number: int) -> bool:
    """Returns whether nothing is to be done for a piece."""
    run = self._plan.piece(number).run
    if run in self._joined:
      return True
    if records.is_done(self._places, self._plan, number) and self._is_begun(run):
      return True
    return self.is_joined(run)

  def _is_begun(self, run: int) -> bool:
    """Returns whether it is known what a run is: else no record of it can be joined."""
    if run not in self._begun:
      with contextlib.suppress(UserError):
        if records.read_begun(self._places, run) is not None:
          self._begun.add(run)
    return run in self._begun

  def done(self) -> list[int]:
    """Returns the pieces for which nothing is to be done, many asked for at once."""
    every, found = range(self._plan.count), list[int]()
    with futures.ThreadPoolExecutor(_AT_ONCE) as pool:
      for start in every[::_IN_MEMORY]:
        some = every[start : start + _IN_MEMORY]
        are_done = pool.map(self.is_done, some)
        found += [one for one, is_done in zip(some, are_done, strict=True) if is_done]
    return found

  def is_joined(self, run: int) -> bool:
    """Returns whether a run is complete, and the same that workers have begun."""
    if run not in self._joined and self.holds_result(run):
      begun = records.read_begun(self._places, run)
      directory = self._places.output_dir / self._plan.runs[run].directory
      try:
        if (
          begun is not None
          and manifests.difference(manifests.read_manifest(directory), begun.manifest)
          is None
        ):
          self._joined.add(run)
      except UserError:
        pass  # It is something else, which whoever joins is told.
    return run in self._joined

  def holds_result(self, run: int) -> bool:
    """Returns whether there is a complete run, of whatever."""
    return (self._places.output_dir / self._plan.runs[run].directory / RESULT).is_file()
