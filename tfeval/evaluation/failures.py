"""Models that cannot be evaluated, among others that can."""

import contextlib
from collections.abc import Iterator

from tfeval.evaluation.job import Job
from tfeval.evaluation.plans import ModelRequest
from tfeval.runs.run import Failure
from tfeval.utils import errors
from tfeval.utils.errors import DataError, UserError


class Failures:
  """What is wrong with models; with one of several it stops no other.

  Attributes:
    found: what is wrong, by request.
  """

  def __init__(self, several: bool, data_may_fail: bool = False):
    """Begins with none.

    Args:
      several: whether there is more than one run.
      data_may_fail: whether data that are at fault stop their own runs alone.
    """
    self._several, self._data_may_fail = several, data_may_fail
    self.found: dict[ModelRequest, Failure] = {}

  @contextlib.contextmanager
  def of(self, request: ModelRequest) -> Iterator[None]:
    """Where a model may turn out not to be one that can be evaluated.

    Raises:
      UserError: it is the only model, or the data are at fault.
    """
    try:
      yield
    except UserError as error:
      of_data = isinstance(error, DataError) and not self._data_may_fail
      if not self._several or of_data:
        raise
      self._add(request, error)

  @contextlib.contextmanager
  def of_data(self, jobs: list[Job]) -> Iterator[None]:
    """Where the data of jobs may turn out to be at fault.

    Raises:
      UserError: they are, and no other data could be evaluated.
    """
    try:
      yield
    except UserError as error:
      if not self._data_may_fail:
        raise
      for job in self.without(jobs):
        self._add(job.request, error)

  def _add(self, request: ModelRequest, error: UserError) -> None:
    self.found[request] = Failure(request.label, errors.one_line(error, None))

  def without(self, jobs: list[Job]) -> list[Job]:
    """Returns the jobs of the models with which nothing is wrong."""
    return [job for job in jobs if job.request not in self.found]
