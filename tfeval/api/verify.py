"""`tfeval.verify`."""

from typing import TYPE_CHECKING, Any

from tfeval.api import given

if TYPE_CHECKING:
  from tfeval.runs.verification.verify import Verification


def verify(*runs: Any) -> 'Verification':
  """Checks that runs are whole, and say what their stored predictions say.

  Args:
    *runs: run directories, folders of such, or `Run`s.

  Returns:
    The checks of each run; `failed` has those that do not pass.

  Raises:
    UserError: no runs were given, or jsonschema is not installed.
  """
  from tfeval.models import published
  from tfeval.runs.verification import verify as verifying

  return verifying.verify_all(given.directories(runs), published.recompute)
