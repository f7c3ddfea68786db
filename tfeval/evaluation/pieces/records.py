"""What workers leave of their pieces: rows under a name of their digest, then a record.

Whoever does a piece once more, at the same time or half, writes files of other names,
or the same ones. The record is written last and whole, and names rows that are whole:
whichever of several stays, the piece is one of them.
"""

import contextlib
import dataclasses
import hashlib
import json
import math
import re
import shlex
from typing import Any

from tfeval.engine.options import STRATEGIES
from tfeval.evaluation import manifest as manifests
from tfeval.evaluation.pieces.places import Places
from tfeval.evaluation.pieces.planned import Piece, Plan
from tfeval.runs import predictions
from tfeval.runs.predictions import reader, resume
from tfeval.runs.result_file import PREDICTIONS, Manifest
from tfeval.utils import exclusive, files, json_text
from tfeval.utils.errors import UserError
from tfeval.utils.json_object import JsonObject, WrongType
from tfeval.utils.paths import Path

_LONGEST_REASON = 1000


class Damaged(UserError):
  """What a worker has written is not as it was."""


_SHA256 = re.compile('[0-9a-f]{64}')


class PieceDone(JsonObject):
  """What is known of a piece that is done.

  Attributes:
    plan: whose piece it is.
    piece: its number.
    start, stop: positions of its images.
    manifest_sha256: of what was run.
    parts: its rows, as `index.json` of a run lists them.
    rows: how many these are.
    seconds: that it took, without loading.
    worker: who has done it.
    findings: of the preflight.
    hardware: what computed it.
  """

  plan: str
  piece: int
  start: int
  stop: int
  manifest_sha256: str
  parts: list[Any]
  rows: int
  seconds: float
  worker: str
  findings: list[str]
  hardware: dict[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class RunBegun:
  """What the first worker of a run says of it.

  Attributes:
    manifest: what is run.
    strategy: over which devices, as a flagfile repeats it.
  """

  manifest: Manifest
  strategy: str


def digest(manifest: Manifest) -> str:
  """Returns the SHA-256 of a manifest, whatever the order of its keys."""
  return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def agree(places: Places, plan: Plan, run: int, here: RunBegun) -> None:
  """Says what a run is, or checks that it is what its first worker said.

  Raises:
    UserError: this worker would compute something else.
  """
  content = {'manifest': here.manifest, 'strategy': here.strategy}
  text = json.dumps(content, indent=2, ensure_ascii=False)
  if exclusive.create(places.begun(run), text.encode(errors='backslashreplace')):
    return
  try:
    there = read_begun(places, run)
  except Damaged:
    # Records say of which manifest they are: whatever stood here, they are compared.
    files.write_atomically(places.begun(run), text.encode(errors='backslashreplace'))
    return
  other = there and manifests.difference(there.manifest, here.manifest)
  if other:
    key, theirs, ours = other
    raise UserError(
      f'{plan.runs[run].directory}: {key} is {str(theirs)[:200]} of the worker that '
      f'began it and {str(ours)[:200]} here: give all workers the same code, data and '
      f'weights; to begin it again with these, delete {places.root}'
    )


def read_begun(places: Places, run: int) -> RunBegun | None:
  """Returns what a run is, None where no worker has begun it.

  Raises:
    UserError: it is damaged.
  """
  path = places.begun(run)
  try:
    content = _read(path)
    if content is None:
      return None
    strategy = content['strategy']
    if strategy not in STRATEGIES:
      raise ValueError(f'strategy is {str(strategy)[:40]}')
    return RunBegun(Manifest.from_json(content['manifest']), strategy)
  except UserError:
    raise  # What a store does not let be read is not damaged.
  except (WrongType, ValueError, TypeError, KeyError, AttributeError) as error:
    again = f'tfeval work {shlex.quote(str(places.plan))}'
    raise Damaged(f'{path} is damaged ({error}): {again} writes it again') from error


def publish(places: Places, piece: Piece, scratch: Path, done: PieceDone) -> PieceDone:
  """Makes a piece done; returns its record.

  Args:
    places: of the plan.
    piece: which.
    scratch: the folder here that holds its predictions.
    done: what is known of it, but for its parts and rows.

  Raises:
    UserError: it cannot be written.
  """
  store, parts = scratch / PREDICTIONS, []
  for part in predictions.listed_parts(store):
    path = places.rows(piece.number, part['sha256'])
    files.make_directory(path.parent)
    files.write_atomically(path, (store / part['file']).read_bytes())
    parts.append({**part, 'file': path.name})
  files.make_directory(places.done(piece.number).parent)
  done = done.replaced(parts=parts, rows=sum(part['rows'] for part in parts))
  files.write_json(places.done(piece.number), done)
  return done


def read_done(places: Places, plan: Plan, number: int) -> PieceDone | None:
  """Returns what is known of a piece, None where it is not done.

  Raises:
    UserError: what is there is damaged, or of another plan.
  """
  path = places.done(number)
  try:
    content = _read(path)
    if content is None:
      return None
    done = PieceDone.from_json(content)
  except UserError:
    raise
  except (WrongType, ValueError, TypeError) as error:
    raise _damaged(path, number, str(error)) from error
  piece = plan.piece(number)
  theirs = done.plan, done.piece, done.start, done.stop
  if theirs != (plan.id, number, piece.start, piece.stop):
    raise _damaged(path, number, f'it is piece {done.piece} of plan {done.plan}')
  if not _are_whole(done, places):
    raise _damaged(path, number, 'its rows cannot be so')
  return done


def _are_whole(done: PieceDone, places: Places) -> bool:
  """Returns whether the rows that a record names can be those of its piece."""
  after, rows = done.start, 0
  for part in done.parts:
    if not isinstance(part, dict) or not isinstance(sha256 := part.get('sha256'), str):
      return False
    if not _SHA256.fullmatch(sha256):
      return False
    if part.get('file') != places.rows(done.piece, sha256).name:
      return False
    if not (reader.has_sizes(part) and resume.is_of(part, range(after, done.stop))):
      return False
    after, rows = part['positions'][-1][1], rows + part['rows']
  are_texts = all(isinstance(one, str) for one in done.findings)
  return are_texts and rows == done.rows and 0 <= done.seconds < math.inf


def is_done(places: Places, plan: Plan, number: int) -> bool:
  """Returns whether a piece is done; one that is damaged is not."""
  try:
    return read_done(places, plan, number) is not None
  except UserError:
    return False


def fail(places: Places, number: int, worker: str, reason: str) -> None:
  """Notes why a piece could not be done: for messages, nothing hangs on it."""
  path = places.failed(number)
  # Whatever kept the piece from being written may keep this as well.
  with contextlib.suppress(UserError):
    files.make_directory(path.parent)
    files.write_json(path, {'worker': worker, 'reason': reason[:_LONGEST_REASON]})


def why_failed(places: Places, number: int) -> str | None:
  """Returns why a piece could not be done the last time; None: nobody has said."""
  with contextlib.suppress(UserError, ValueError):
    content = _read(places.failed(number))
    if content is not None:
      return f'{content.get("reason")} ({content.get("worker")})'
  return None


def _read(path: Path) -> dict[str, Any] | None:
  """Returns what a file has, None where there is none.

  Raises:
    UserError: the store does not let it be read.
    ValueError: it is damaged.
  """
  try:
    content = json_text.read(path)
  except FileNotFoundError:
    return None
  except OSError as error:
    raise UserError(f'cannot read {path}: {error.strerror or error}') from error
  except UserError as error:
    raise ValueError(str(error).removeprefix(f'{path} ')) from error
  if not isinstance(content, dict):
    raise ValueError('it is no object')
  return content


def _damaged(path: Path, number: int, why: str) -> UserError:
  return UserError(
    f'{path} is no record of piece {number} ({why[:200]}): do it again, '
    f'`piece={number}`'
  )
