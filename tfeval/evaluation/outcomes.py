"""What became of each of several models."""

import contextlib
from collections.abc import Iterator
from typing import Any

from tfeval.evaluation.config import Request
from tfeval.runs.run import Failure
from tfeval.utils import errors
from tfeval.utils.errors import DataError, UserError


class Outcomes:
  """Collects an outcome for each model; what is wrong with one stops no other."""

  def __init__(self, wanted: list[Request]):
    self._wanted = wanted
    self._found: dict[Request, Any] = {}

  @contextlib.contextmanager
  def of(self, request: Request) -> Iterator[None]:
    """Where a model may turn out not to be one that can be evaluated.

    Raises:
      UserError: it is the only model, or the data are at fault.
    """
    try:
      yield
    except UserError as error:
      if len(self._wanted) == 1 or isinstance(error, DataError):
        raise
      self.set(request, Failure(request.spec.text, errors.one_line(error, None)))

  def set(self, request: Request, outcome: Any) -> None:
    self._found[request] = outcome

  def failed(self, request: Request) -> bool:
    return isinstance(self._found.get(request), Failure)

  def in_order(self) -> list[tuple[Request, Any]]:
    """Returns the outcomes so far, in the order of the models."""
    return [
      (request, self._found[request])
      for request in self._wanted
      if request in self._found
    ]
