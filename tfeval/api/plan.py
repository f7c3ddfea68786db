"""`tfeval.plan`."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tfeval import datasets
from tfeval.api import around, asked_sets, requests
from tfeval.api import sweep as sweeping
from tfeval.api.piece_options import OF_WORKERS
from tfeval.evaluation import departures
from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.pieces.options import PieceConfig
from tfeval.preprocess.corruption_table import NONE
from tfeval.utils import options
from tfeval.utils.arguments import (
  path_text,
  several,
  shown,
  truth,
)
from tfeval.utils.errors import UserError
from tfeval.utils.paths import Path

if TYPE_CHECKING:
  from tfeval.evaluation.pieces.planned import Plan
  from tfeval.runs.run import Failure


# Given apart, or to workers.
_NOT_PLANNED = ('corruption', *OF_WORKERS)


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
    lambda one: requests.config({**given, 'dataset': one}, _NOT_PLANNED),
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
