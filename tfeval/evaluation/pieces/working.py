"""Which pieces a process does: those that it is told, or those that nobody has."""

import itertools
import logging
from collections.abc import Mapping
from typing import Any

from tfeval.evaluation import runners
from tfeval.evaluation.pieces import records
from tfeval.evaluation.pieces.claims import Claims
from tfeval.evaluation.pieces.options import PieceConfig
from tfeval.evaluation.pieces.places import Places
from tfeval.evaluation.pieces.planned import Plan
from tfeval.evaluation.pieces.standing import Standing
from tfeval.evaluation.pieces.worked import Worked
from tfeval.evaluation.pieces.worker import Worker
from tfeval.utils.errors import Interrupted, UserError, one_line
from tfeval.utils.progress import Progress, hidden

_LOG = logging.getLogger('tfeval')


def work(
  plan: Plan,
  places: Places,
  progress: Progress,
  given: Mapping[str, Any],
  chosen: range | None = None,
  most: int | None = None,
  timeout: float = 300.0,
) -> Worked:
  """Does pieces of a plan.

  Args:
    plan, places: the plan.
    progress: is told how many images are done.
    given: options of this process by name.
    chosen: which pieces; None: those that no other worker has, until all are done.
    most: at most so many of these.
    timeout: seconds after which the piece of a worker that has gone silent is taken
      over.

  Raises:
    UserError: the plan, or all pieces are at fault.
    Interrupted: Ctrl-C or SIGTERM.
  """
  worker, worked = Worker(plan, places, hidden, given), Worked(plan.count)
  total = plan.images if chosen is None else _images(plan, chosen)
  try:
    with progress('pieces', total) as advance:
      if chosen is not None:
        for number in chosen[:most]:
          if _do(worker, number, worked, places):
            advance(len(plan.piece(number).positions))
        return worked
      with Claims(
        places.claims,
        plan.count,
        worker.is_done,
        timeout=timeout,
        near=plan.of_model,
      ) as claims:
        for number in itertools.islice(claims.pieces(wait=most is None), most):
          # Claims have just asked whether it is done.
          if _do(worker, number, worked, places, is_open=True):
            advance(len(plan.piece(number).positions))
          else:
            claims.failed(number, worked.failed[number])
        # Of others too; what failed at first and then was done has not failed.
        worked.failed = dict(claims.given_up)
  except KeyboardInterrupt as error:
    raise Interrupted(
      f'{worked.done:,} pieces were done here and are kept: the same command goes on'
    ) from error
  finally:
    worker.close()
  return worked


def on_runner(
  plan: Plan,
  places: Places,
  pieces: PieceConfig,
  given: Mapping[str, Any],
  progress: Progress,
) -> Worked:
  """Has an engine do all pieces of a plan, and join them where it does.

  Args:
    plan, places: the plan.
    pieces: which engine, and its options.
    given: options of its workers by name.
    progress: is told how many images are done.

  Raises:
    UserError: something the user can fix.
  """
  run = runners.installed(pieces.runner or '')
  standing = Standing(plan, places)
  before = set(standing.done())
  failed = run(plan, places, pieces, given, progress)
  new = [number for number in standing.done() if number not in before]
  images = sum(len(plan.piece(number).positions) for number in new)
  return Worked(plan.count, len(new), images, len(before), failed)


def _images(plan: Plan, chosen: range) -> int:
  return sum(len(plan.piece(number).positions) for number in chosen)


def _do(
  worker: Worker, number: int, worked: Worked, places: Places, is_open: bool = False
) -> bool:
  """Does a piece and counts it; returns whether it is done."""
  worked.failed.pop(number, None)
  try:
    done = worker.do(number, is_open)
  except UserError as error:
    if (reason := one_line(error, None)) not in worked.failed.values():
      _LOG.warning('piece %d failed: %s', number, reason)
    worked.failed[number] = reason
    records.fail(places, number, worker.name, worked.failed[number])
    return False
  if done is None:
    worked.found += 1
  else:
    worked.done += 1
    worked.images += done.rows
  return True
