"""What workers have left of a run: its records, and its rows as of one process."""

import contextlib
import functools
import pathlib
import shlex
from collections.abc import Sequence
from concurrent import futures

import pyarrow as pa

from tfeval.datasets.options import SKIP
from tfeval.evaluation import recorder
from tfeval.evaluation.hosts import shares
from tfeval.evaluation.pieces import missing, records
from tfeval.evaluation.pieces.places import Places
from tfeval.evaluation.pieces.planned import Plan
from tfeval.evaluation.pieces.records import PieceDone
from tfeval.runs import predictions
from tfeval.runs.predictions import resume
from tfeval.runs.result_file import PREDICTIONS, Manifest
from tfeval.utils.errors import UserError, one_line

# Pieces that are asked for at once: a store answers each after some milliseconds.
_AT_ONCE = 16


def records_of(
  plan: Plan, places: Places, run: int, manifest: Manifest
) -> list[PieceDone]:
  """Returns what is known of the pieces of a run, in their order.

  Args:
    plan, places: the plan.
    run: which of its runs.
    manifest: what it is.

  Raises:
    UserError: one is not done, or is of something else.
  """
  numbers = plan.pieces(run)
  with futures.ThreadPoolExecutor(_AT_ONCE) as pool:
    done = list(pool.map(functools.partial(_record, plan, places), numbers))
  lacking = [i for i, one in zip(numbers, done, strict=True) if one is None]
  if lacking:
    raise missing.not_done(plan, places, run, lacking)
  found = [one for one in done if one is not None]
  sha256 = records.digest(manifest)
  others = [one for one in found if one.manifest_sha256 != sha256]
  if others:
    raise UserError(
      f'{plan.runs[run].directory}: piece {others[0].piece}, of worker '
      f'{others[0].worker}, is of another code, data or weights than the first '
      f'worker said: delete {places.done(others[0].piece)}, and do it again'
    )
  return found


def _record(plan: Plan, places: Places, number: int) -> PieceDone | None:
  try:
    return records.read_done(places, plan, number)
  except UserError:
    missing.reopen(places, [number])
    raise


def write_rows(
  places: Places,
  done: Sequence[PieceDone],
  manifest: Manifest,
  directory: pathlib.Path,
) -> list[int]:
  """Writes the rows of all pieces of a run as one process would.

  Args:
    places: of the plan.
    done: what is known of the pieces, in their order.
    manifest: what the run is.
    directory: of the run that is made.

  Returns:
    The positions of the rows.

  Raises:
    UserError: rows are damaged or missing, or cannot be written.
  """
  writer = recorder.writer_of(directory / PREDICTIONS, manifest)
  gapless, positions = manifest.dataset.on_error != SKIP, list[int]()
  read = functools.partial(_rows, places)
  with futures.ThreadPoolExecutor(_AT_ONCE) as pool:
    for start in range(0, len(done), _AT_ONCE):
      some = done[start : start + _AT_ONCE]
      for one, tables in zip(some, pool.map(read, some), strict=True):
        of_piece, images = resume.positions_of(one.parts), one.stop - one.start
        if gapless and len(of_piece) != images:
          raise _damaged(places, one, f'it has {len(of_piece)} of {images} images')
        for part, rows in zip(one.parts, tables, strict=True):
          shares.append_rows(writer, rows, part, resume.part_size(manifest))
        positions += of_piece
  writer.flush()
  return positions


def _rows(places: Places, done: PieceDone) -> list[pa.Table]:
  """Reads the rows of a piece, a table for each of its parts.

  Raises:
    UserError: they are damaged or missing, or the store is away.
  """
  store = places.done(done.piece).parent
  try:
    return [predictions.read_part(store, part, None) for part in done.parts]
  except UserError as error:
    cause = error.__cause__
    if isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError):
      raise  # A store that is away for a while.
    raise _damaged(places, done, one_line(error, None)) from error


def _damaged(places: Places, done: PieceDone, why: str) -> UserError:
  """Takes the record of a piece away, so that it is done again; returns what to say."""
  with contextlib.suppress(OSError):
    places.done(done.piece).unlink(missing_ok=True)
  missing.reopen(places, [done.piece])
  return UserError(
    f'piece {done.piece} is damaged ({why}), it counts as not done now: tfeval work '
    f'{shlex.quote(str(places.plan))} does it again'
  )
