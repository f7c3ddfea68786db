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

  def __init__(self, several: bool):
    """Begins with none.

    Args:
      several: whether there is more than one run.
    """
    self._several = several
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
      if not self._several or isinstance(error, DataError):
        raise
      reason = errors.one_line(error, None)
      self.found[request] = Failure(request.label, reason)

  def without(self, jobs: list[Job]) -> list[Job]:
    """Returns the jobs of the models with which nothing is wrong."""
    return [job for job in jobs if job.request not in self.found]
