"""What a check before the run found."""

import dataclasses

from tfeval.models import table
from tfeval.models.model import Model
from tfeval.utils.spec import Spec


@dataclasses.dataclass(frozen=True)
class Finding:
  """A fault that makes a result meaningless.

  Attributes:
    check: what was looked at.
    saw: what there is.
    expected: what there should be.
    fix: what to do, with the flag that does it.
    doubtful: whether it can be no fault at all: then it stops no run.
  """

  check: str
  saw: str
  expected: str
  fix: str
  doubtful: bool = False

  def __str__(self) -> str:
    return f'{self.check}: {self.saw}, expected {self.expected}: {self.fix}'


def application(model: Model) -> Spec | None:
  """Returns the specification of an application, None of other models."""
  return table.application(model.name)
