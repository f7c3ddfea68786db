"""`tfeval.work` and `tfeval.join`: evaluations in pieces."""

import os
from collections.abc import Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any

from tfeval.api import around, requests
from tfeval.api.piece_options import taken
from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.pieces.options import PieceConfig
from tfeval.evaluation.pieces.worked import Worked, numbers, share_of
from tfeval.utils import options
from tfeval.utils.arguments import (
  number,
  of_kind,
  path_text,
  truth,
  whole_number,
)
from tfeval.utils.errors import UserError

if TYPE_CHECKING:
  from tfeval.runs.run import Failure, Run

# What a worker may be told of its machine, over what the plan says.
OF_MACHINE = (
  *('data_dir', 'manual_dir', 'frost_textures', 'model_python', 'cache_dir'),
  *('tf_data_service', 'batch_timeout', 'max_loaded_models', 'trust_model'),
)


def work(
  plan: str | os.PathLike[str],
  *,
  piece: str | int | None = None,
  most: int | None = None,
  claim_timeout: float = 300.0,
  progress: bool | None = None,
  **given: Any,
) -> Worked:
  """Does pieces of a plan: those that no other worker has, until all are done.

  Args:
    plan: its file or folder.
    piece: only these: K, 'A-B', or 'K/M', the share K of M from 0.
    most: at most so many.
    claim_timeout: seconds after which the piece of a worker that has gone silent is
      taken over.
    progress: whether to show progress on stderr; by default if that is a terminal.
    **given: `runner` and its options, for an engine that does all pieces; `data_dir`,
      `cache_dir`, `trust_model` and others of this machine.

  Raises:
    UserError: the plan, the code or the data are others, or nothing can be written.
  """
  pieces, of_machine = _taken(given)
  if pieces.runner is not None and (piece is not None or most is not None):
    raise UserError('`piece` and `most` are of one worker, `runner` does all pieces')
  if piece is not None:
    piece = str(of_kind('piece', piece, (str, Integral), 'a number or a text'))
  if most is not None:
    most = whole_number('most', most)
  timeout = number('claim_timeout', claim_timeout, 1)
  show = around.progress_of(progress)
  read, places = _opened(plan, of_machine)
  chosen = None if piece is None else numbers(piece, read.count)
  with around.tensorflow():
    from tfeval.evaluation.pieces import working

    if pieces.runner is not None:
      return working.on_runner(read, places, pieces, of_machine, show)
    return working.work(read, places, show, of_machine, chosen, most, timeout)


def join(
  plan: str | os.PathLike[str],
  *,
  overwrite: bool = False,
  keep_pieces: bool = False,
  share: str | None = None,
  progress: bool | None = None,
  **given: Any,
) -> 'list[Run | Failure]':
  """Makes runs of the pieces of a plan: the bytes that one process would have written.

  Args:
    plan: its file or folder.
    overwrite: whether other runs of the same names are replaced; pieces stay then.
    keep_pieces: whether pieces stay once all runs are complete.
    share: 'K/M', the share K of M of the runs, from 0: where several processes join.
    progress: whether to show progress on stderr; by default if that is a terminal.
    **given: `data_dir`, `trust_model` and others of this machine.

  Returns:
    For each run it, or why there is none.

  Raises:
    UserError: the plan, the code or the data are others, or of the only run pieces are
      missing.
  """
  pieces, of_machine = _taken(given)
  if pieces != PieceConfig():
    raise UserError('a join is done here: leave the options of `runner` out')
  show, replaces = around.progress_of(progress), truth('overwrite', overwrite)
  keeps = truth('keep_pieces', keep_pieces)
  if share is not None:
    of_kind('share', share, str, 'a text, K/M')
  read, places = _opened(plan, of_machine)
  chosen = None if share is None else share_of(share, len(read.runs), 'share')
  with around.tensorflow():
    from tfeval.evaluation.pieces import joining

    joiner = joining.Joiner(read, places, replaces, of_machine)
    found = joining.join(joiner, read, show, chosen)
    # One that replaces runs may meet another: until the next join they can be made.
    if chosen is None and not (keeps or replaces):
      joining.remove_pieces(places, found)
    return found


def _opened(plan: str | os.PathLike[str], of_machine: Mapping[str, Any]) -> Any:
  from tfeval.evaluation.pieces import places, trust

  read, found = places.open_plan(path_text('plan', plan) or '')
  if not of_machine.get('trust_model'):
    trust.check(read, found.plan)
  return read, found


def _taken(given: Mapping[str, Any]) -> tuple[PieceConfig, dict[str, Any]]:
  """Returns what is of pieces, and what is of this machine, by name."""
  pieces, others = taken(given)
  if pieces.piece_images is not None:
    raise UserError('`piece_images` is of the plan, which is made: leave it out')
  without = [
    field.name
    for field in options.fields(EvaluationConfig)
    if field.name not in OF_MACHINE
  ]
  checked = options.flat(requests.config(others, without))
  return pieces, {name: checked[name] for name in others}
