"""Which pieces a process does: those that it is told, or those that nobody has."""

import dataclasses
import itertools
import re
from collections.abc import Mapping
from typing import Any

from tfeval.evaluation.pieces import records
from tfeval.evaluation.pieces.claims import Claims
from tfeval.evaluation.pieces.options import PieceConfig
from tfeval.evaluation.pieces.places import Places
from tfeval.evaluation.pieces.plan_file import Plan
from tfeval.evaluation.pieces.standing import Standing
from tfeval.evaluation.pieces.worker import Worker
from tfeval.evaluation.runners import RUNNERS
from tfeval.utils.errors import UserError, one_line
from tfeval.utils.progress import Progress, hidden

_NUMBER, _RANGE, _SHARE = (
  r'\d{1,12}',
  r'(\d{1,12})-(\d{1,12})',
  r'(\d{1,12})/(\d{1,12})',
)


@dataclasses.dataclass
class Worked:
  """What a process has done of a plan.

  Attributes:
    pieces: how many the plan has.
    done: how many of them this process has done, and
    images: how many images these have.
    found: how many it was to do that were done already.
    failed: why, of those that it could not do, by number.
  """

  pieces: int
  done: int = 0
  images: int = 0
  found: int = 0
  failed: dict[int, str] = dataclasses.field(default_factory=dict)


def numbers(text: str, count: int) -> range:
  """Returns the pieces that a text names.

  Args:
    text: `K`, a piece; `A-B`, from A to B, both included; `K/M`, the share K of M, from
      0: for job arrays of any size.
    count: how many pieces there are.

  Raises:
    UserError: it names none of them.

  >>> numbers('3', 10), numbers('2-4', 10), [*map(len, (numbers('0/3', 10),
  ...   numbers('1/3', 10), numbers('2/3', 10)))]
  (range(3, 4), range(2, 5), [3, 3, 4])
  """
  if share := re.fullmatch(_SHARE, text):
    index, of = int(share[1]), int(share[2])
    if index >= of:
      raise UserError(f'`piece={text}`: shares of {of} are 0/{of} to {of - 1}/{of}')
    return range(count * index // of, count * (index + 1) // of)
  if pair := re.fullmatch(_RANGE, text):
    found = range(int(pair[1]), int(pair[2]) + 1)
  elif re.fullmatch(_NUMBER, text):
    found = range(int(text), int(text) + 1)
  else:
    raise UserError(f'`piece={text[:80]}` is no piece: give K, A-B, or K/M')
  if not found or found.stop > count:
    raise UserError(f'`piece={text}`: the plan has {count:,} pieces, 0 to {count - 1}')
  return found


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
          if _do(worker, number, worked, plan, places):
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
          if _do(worker, number, worked, plan, places):
            advance(len(plan.piece(number).positions))
          else:
            claims.failed(number, worked.failed[number])
        # Of others too; what failed at first and then was done has not failed.
        worked.failed = dict(claims.given_up)
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
  standing = Standing(plan, places)
  before = sum(standing.is_done(number) for number in range(plan.count))
  failed = RUNNERS[pieces.runner or ''](plan, places, pieces, given, progress)
  after = [number for number in range(plan.count) if standing.is_done(number)]
  images = sum(len(plan.piece(number).positions) for number in after)
  return Worked(plan.count, len(after) - before, images, before, failed)


def _images(plan: Plan, chosen: range) -> int:
  return sum(len(plan.piece(number).positions) for number in chosen)


def _do(
  worker: Worker, number: int, worked: Worked, plan: Plan, places: Places
) -> bool:
  """Does a piece and counts it; returns whether it is done."""
  worked.failed.pop(number, None)
  try:
    done = worker.do(number)
  except UserError as error:
    worked.failed[number] = one_line(error, None)
    records.fail(places, number, worker.name, worked.failed[number])
    return False
  if done is None:
    worked.found += 1
  else:
    worked.done += 1
    worked.images += done.rows
  return True
