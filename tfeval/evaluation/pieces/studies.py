"""Evaluations that an engine does in pieces, from the request to the runs."""

import contextlib
from collections.abc import Sequence
from typing import Any

from tfeval.evaluation import plans, runners
from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.departures import Cell
from tfeval.evaluation.evaluate import check_expected
from tfeval.evaluation.pieces import joining, plan_file, planning
from tfeval.evaluation.pieces.options import PieceConfig
from tfeval.evaluation.pieces.places import Places
from tfeval.evaluation.pieces.planning import Asked, Datasets
from tfeval.evaluation.plans import ModelRequest
from tfeval.evaluation.sweep import SweptCell
from tfeval.runs.expectations import Expectation
from tfeval.runs.run import Failure, Run
from tfeval.utils import files, options, paths
from tfeval.utils.errors import UserError
from tfeval.utils.progress import Progress

# What is no part of a plan, and holds for workers that the same command starts.
OF_WORKERS = (
  *('trust_model', 'cache_dir', 'tf_data_service', 'batch_timeout'),
  'max_loaded_models',
)


def evaluate(
  evaluations: Sequence[plans.Plan],
  pieces: PieceConfig,
  progress: Progress,
  expectations: Sequence[Expectation] = (),
) -> list[Run | Failure]:
  """Evaluates models on an engine.

  Args:
    evaluations: what is asked for.
    pieces: on which engine.
    progress: is told how far it is.
    expectations: of metrics that each dataset has to give.

  Returns:
    As `evaluation.evaluate.evaluate`.

  Raises:
    UserError: something the user can fix.
  """
  opened: Datasets = {}
  found, missing = planning.there(evaluations, opened)
  if not found:
    return [*missing]
  for one in found:
    check_expected(expectations, opened[one.config.dataset], one.config)
  asked, config = planning.of_plans(found), found[0].config
  return run_study(asked, config, pieces, progress, opened) + missing


def sweep(
  request: ModelRequest,
  config: EvaluationConfig,
  cells: Sequence[Cell],
  pieces: PieceConfig,
  progress: Progress,
) -> list[SweptCell]:
  """Evaluates a model under departures from its protocol on an engine.

  Returns:
    As `evaluation.sweep.sweep`.

  Raises:
    UserError: something the user can fix.
  """
  of_cells = planning.of_sweep(request, config, cells, progress)
  made = run_study(planning.asked_of(of_cells), config, pieces, progress)
  runs = {
    found.name if isinstance(found, Failure) else found.path.name: found
    for found in made
  }
  if isinstance(base := runs[of_cells[()][0].directory], Failure):
    raise UserError(base.reason)
  return [
    SweptCell(cell, one if isinstance(one, Failure) else runs[one[0].directory])
    for cell, one in of_cells.items()
  ]


def run_study(
  asked: Sequence[Asked],
  config: EvaluationConfig,
  pieces: PieceConfig,
  progress: Progress,
  opened: Datasets | None = None,
) -> list[Run | Failure]:
  """Plans runs, has an engine do their pieces, and joins them.

  The plan and the pieces are removed once all runs are complete.

  Args:
    asked: the runs.
    config: of any of them: where they are kept.
    pieces: on which engine.
    progress: is told how far it is.
    opened: datasets that are open.

  Raises:
    UserError: something the user can fix.
  """
  if config.store.overwrite:
    raise UserError(
      '`overwrite` with `runner` cannot tell new pieces from old: delete the run '
      'directories first, then leave it out'
    )
  run = runners.installed(pieces.runner or '')
  output_dir = paths.path(config.store.output_dir)
  files.check_directory(output_dir)
  plan = planning.make_plan(asked, pieces.piece_images, opened)
  places = Places.of(output_dir / f'plan-{plan.id}.json', plan)
  plan_file.write(places.plan, plan, overwrite=False)
  given = given_of(config)
  run(plan, places, pieces, given, progress)
  found = joining.join(joining.Joiner(plan, places, given=given), plan, progress)
  if joining.remove_pieces(places, found, late=False):
    with contextlib.suppress(OSError):
      places.plan.unlink(missing_ok=True)
  return found


def given_of(config: EvaluationConfig) -> dict[str, Any]:
  """Returns the options of this process that hold for workers that it starts."""
  values, plain = options.flat(config), options.flat(EvaluationConfig())
  return {name: values[name] for name in OF_WORKERS if values[name] != plain[name]}
