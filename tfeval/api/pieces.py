"""`tfeval.plan`, `tfeval.work` and `tfeval.join`: evaluations in pieces."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

from tfeval import datasets
from tfeval.api import around, asked_sets, requests
from tfeval.api import sweep as sweeping
from tfeval.api.piece_options import taken
from tfeval.evaluation import departures
from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.pieces.options import PieceConfig
from tfeval.evaluation.pieces.worked import Worked, numbers, share_of
from tfeval.preprocess.corruption_table import NONE
from tfeval.utils import options
from tfeval.utils.arguments import (
  number,
  of_kind,
  path_text,
  several,
  shown,
  truth,
  whole_number,
)
from tfeval.utils.errors import UserError
from tfeval.utils.paths import Path

if TYPE_CHECKING:
  from tfeval.evaluation.pieces.planned import Plan
  from tfeval.runs.run import Failure, Run

# What a worker may be told of its machine, over what the plan says.
OF_MACHINE = (
  *('data_dir', 'manual_dir', 'frost_textures', 'model_python', 'cache_dir'),
  *('tf_data_service', 'batch_timeout', 'max_loaded_models', 'trust_model'),
)


@dataclasses.dataclass(frozen=True)
class Planned:
  """A plan that was made.

  Attributes:
    path: of its file.
    plan: what it says: `runs`, `count` of pieces, `images`, `piece(number)`.
    is_new: whether it was written; else the same one was there.
    missing: datasets of suites that are not on this machine, and cells of a sweep that
      the model or the base does not allow.
  """

  path: Path
  plan: 'Plan'
  is_new: bool
  missing: 'list[Failure]'


def plan(
  model: Any,
  *,
  weights: Any = 'imagenet',
  dataset: str | Sequence[str] | None = None,
  corruption: str | Sequence[str] = NONE,
  suite: str | Sequence[str] = (),
  sets_dir: str | None = None,
  name: str | Sequence[str] = (),
  sweep: bool = False,
  axis: str | Sequence[str] = (),
  grid: bool = False,
  piece_images: int | None = None,
  overwrite: bool = False,
  progress: bool | None = None,
  **given: Any,
) -> Planned:
  """Writes what an evaluation or a sweep will do, as pieces that any worker does.

      planned = tfeval.plan(['ResNet50', 'VGG16'], suite='natural', output_dir='study')
      tfeval.work('study')   # on as many machines as there are
      runs = tfeval.join('study')

  Args:
    model: names of models.
    weights: one for all or one for each.
    dataset: one or several; by default that of `tfeval.evaluate`, beside suites none.
    corruption: one or several.
    suite: names of suites, whose other sets go on where one is missing.
    sets_dir: where folders of test sets lie.
    name: of models or of runs.
    sweep: whether it is a sweep of the model.
    axis, grid: of the sweep, see `tfeval.sweep`.
    piece_images: about how many images a piece has; by default `rows_per_part`.
    overwrite: whether another plan in `output_dir` is replaced.
    progress: whether to show progress on stderr; by default if that is a terminal.
    **given: `output_dir`, `batch_size`, `protocol` and others, as `tfeval plan --help`
      lists them.

  Raises:
    UserError: what is asked for cannot be evaluated, or not in pieces.
  """
  size = options.checked(PieceConfig(piece_images=piece_images)).piece_images
  is_sweep, show = truth('sweep', sweep), around.progress_of(progress)
  grid = truth('grid', grid)
  given = {**given, 'overwrite': truth('overwrite', overwrite)}
  sets = asked_sets.asked_sets(
    _names('dataset', _default(dataset, suite)),
    _names('suite', suite),
    path_text('sets_dir', sets_dir),
  )
  if not is_sweep and (axis or grid):
    raise UserError('`axis` and `grid` are of sweeps: give `sweep` too')
  if is_sweep:
    given = _of_sweep({**given, 'corruption': corruption, 'name': name})
    return _plan_sweep(model, weights, sets, axis, grid, size, show, given)
  evaluations, missing = asked_sets.make_plans(
    model,
    weights,
    sets,
    _names('corruption', corruption),
    _names('name', name),
    lambda one: requests.config({**given, 'dataset': one}, ('corruption',)),
  )
  if not evaluations:
    raise UserError(f'no dataset is there: {missing[0].reason}')
  with around.tensorflow():
    from tfeval.evaluation.pieces import planning  # TensorFlow: seconds.

    opened: planning.Datasets = {}
    found, not_there = planning.there(evaluations, opened)
    if not found:
      raise UserError(f'no dataset is there: {not_there[0].reason}')
    made = planning.make_plan(planning.of_plans(found), size, opened)
    return _written(made, found[0].config, missing + not_there)


def _default(
  dataset: str | Sequence[str] | None, suite: str | Sequence[str]
) -> str | Sequence[str]:
  if dataset is None:
    return () if suite else EvaluationConfig().dataset.name
  return dataset


def _names(name: str, value: Any) -> list[str]:
  one = isinstance(value, str)
  return list(several(name, [value] if one else value, str, 'a text or several'))


def _of_sweep(given: Mapping[str, Any]) -> dict[str, Any]:
  """Returns the keywords that a sweep takes; others say what is so anyway.

  Raises:
    UserError: one says something else.
  """
  plain = {**options.flat(EvaluationConfig()), 'name': []}
  for one in (*sweeping.WITHOUT, 'name'):
    value = given.get(one, plain[one])
    if value not in (plain[one], [plain[one]], ()):
      raise UserError(
        f'`{one}={shown(value)}` is none of a sweep, which does without or says it '
        'itself: leave it out'
      )
  return {
    key: value for key, value in given.items() if key not in (*sweeping.WITHOUT, 'name')
  }


def _plan_sweep(
  model: Any,
  weights: Any,
  sets: Sequence[asked_sets.Asked],
  axis: str | Sequence[str],
  grid: bool,
  size: int | None,
  show: Any,
  given: Mapping[str, Any],
) -> Planned:
  if len(sets) > 1:
    raise UserError(f'a sweep is of one dataset, {len(sets)} were given')
  config = requests.config({**given, 'dataset': sets[0].name}, sweeping.WITHOUT)
  request = requests.one_by_name(model, weights, config, 'a sweep')
  datasets.check(config.dataset)
  chosen = sweeping.singles(axis, model)
  cells = (departures.grid if grid else departures.one_at_a_time)(chosen)
  with around.tensorflow():
    from tfeval.evaluation.pieces import planning
    from tfeval.runs.run import Failure

    found = planning.of_sweep(request, config, cells, show)
    plan = planning.make_plan(planning.asked_of(found), size)
    impossible = [one for one in found.values() if isinstance(one, Failure)]
    return _written(plan, config, impossible)


def _written(
  made: 'Plan', config: EvaluationConfig, missing: 'list[Failure]'
) -> Planned:
  from tfeval.evaluation.pieces import plan_file

  path = plan_file.path_of(config.store.output_dir)
  is_new = plan_file.write(path, made, config.store.overwrite)
  return Planned(path, made, is_new, missing)


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
    if chosen is None and not keeps:
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
