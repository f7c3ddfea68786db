"""What to say of pieces that are not done, and of runs that lack them."""

from collections.abc import Sequence

from tfeval.evaluation.pieces import records
from tfeval.evaluation.pieces.places import Places
from tfeval.evaluation.pieces.plan_file import Plan
from tfeval.utils.errors import UserError, listed

# Pieces that are asked why they failed; one that did tells most.
_ASKED = 20


def not_begun(plan: Plan, places: Places, run: int) -> UserError:
  """Returns the error for a run that no worker has begun."""
  return not_done(plan, places, run, plan.pieces(run))


def not_done(plan: Plan, places: Places, run: int, lacking: Sequence[int]) -> UserError:
  """Returns the error for a run that lacks pieces.

  Args:
    plan, places: the plan.
    run: which of its runs.
    lacking: the numbers of its pieces that are not done.
  """
  name, of = plan.runs[run].directory, len(plan.pieces(run))
  numbers = listed(str(one) for one in lacking)
  asked = ((one, records.why_failed(places, one)) for one in lacking[:_ASKED])
  failed = next((f'; piece {one} failed: {why}' for one, why in asked if why), '')
  return UserError(
    f'{name}: {len(lacking)} of {of} pieces are not done ({numbers}{failed}): '
    f'tfeval work {places.plan} does them'
  )
