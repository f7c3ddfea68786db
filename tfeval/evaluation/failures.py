"""Models that cannot be evaluated, among others that can."""

import contextlib
from collections.abc import Iterator, Sequence

from tfeval.evaluation.job import Job
from tfeval.evaluation.plans import ModelRequest, Plan
from tfeval.runs.run import Failure
from tfeval.utils import errors
from tfeval.utils.errors import DataError, UserError


class Failures:
  """What is wrong with models; with one of several it stops no other.

  Attributes:
    found: what is wrong, by request.
  """

  def __init__(self, several: bool = False, plans: Sequence[Plan] = ()):
    """Begins with none.

    Args:
      several: whether there is more than one run.
      plans: of these, where datasets tell them apart.
    """
    self._several = several
    self._datasets = {
      request: f' on {plan.config.dataset.name}'
      for plan in (plans if len(plans) > 1 else ())
      for request in plan.requests
    }
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
      name = (request.name or request.spec.text) + self._datasets.get(request, '')
      self.found[request] = Failure(name, reason)

  def without(self, jobs: list[Job]) -> list[Job]:
    """Returns the jobs of the models with which nothing is wrong."""
    return [job for job in jobs if job.request not in self.found]
