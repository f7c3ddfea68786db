"""What to say of pieces that are not done, and of runs that lack them."""

import contextlib
import shlex
from collections.abc import Sequence

from tfeval.evaluation.pieces import claim, known, records
from tfeval.evaluation.pieces.places import Places
from tfeval.evaluation.pieces.planned import Plan
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
  reopen(places, lacking)
  name, of = plan.runs[run].directory, len(plan.pieces(run))
  numbers = listed(str(one) for one in lacking)
  asked = ((one, records.why_failed(places, one)) for one in lacking[:_ASKED])
  failed = next((f'; piece {one} failed: {why}' for one, why in asked if why), '')
  return UserError(
    f'{name}: {len(lacking)} of {of} pieces are not done ({numbers}{failed}): '
    f'tfeval work {shlex.quote(str(places.plan))} does them'
  )


def reopen(places: Places, lacking: Sequence[int]) -> None:
  """Lets workers find pieces again that claims say are done, and that are not."""
  of_block: dict[int, list[int]] = {}
  for number in lacking:
    of_block.setdefault(number // claim.BLOCK, []).append(number)
  with contextlib.suppress(OSError, UserError):
    for block, numbers in of_block.items():
      if claim.mark_of_block(places.claims, block).exists():
        for number in numbers:
          known.reopen(places.claims, number, 'join')
