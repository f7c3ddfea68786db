"""`tfeval plan`."""

import dataclasses
import shlex
import sys

from tfeval.api import plan as planning
from tfeval.api.piece_options import OF_WORKERS
from tfeval.api.plan import Planned
from tfeval.cli import input_flags, output, piece_flags
from tfeval.evaluation import departures
from tfeval.evaluation.config import EvaluationConfig
from tfeval.reports import terminal
from tfeval.utils import errors
from tfeval.utils.errors import UserError

USAGE = """Usage: tfeval plan [evaluate|sweep] --model=NAME --output_dir=DIR [--flags]

  tfeval plan --model=ResNet50 --suite=natural --output_dir=study
  tfeval plan sweep --model=ResNet50 --axis=resize --output_dir=study
  tfeval work study      on as many machines as there are
  tfeval join study

Writes plan.json: what `tfeval evaluate` or `tfeval sweep` would do with these
flags, as pieces (a model, a dataset, a protocol, a range of images) that any
worker does in any order."""
FIRST = (
  *('model', 'dataset', 'suite', 'manual_dir', 'axis', 'output_dir', 'piece_images'),
  *('batch_size', 'workers', 'json'),
)
_KINDS = EVALUATE, SWEEP = ('evaluate', 'sweep')
# Runs that are shown one by one.
_SHOWN = 20


def define_flags(define) -> None:
  input_flags.define_models(define)
  parts = [field.name for field in dataclasses.fields(EvaluationConfig)]
  input_flags.define_runs(define)
  of_hosts = ('num_hosts', 'host_index', 'host_timeout')
  without = ('dataset', 'corruption', *of_hosts, *OF_WORKERS)
  input_flags.define(define, parts, without=without)
  piece_flags.define(define, only=('piece_images',))
  define.multi_string('axis', [], 'Of a sweep: AXIS, or AXIS=VALUE,... (default: all).')
  define.bool('grid', False, 'Of a sweep: every combination of the axes.')
  define.integer(
    'workers', None, 'Estimate how long so many workers take.', lower_bound=1
  )
  define.float(
    'images_per_second',
    None,
    'Of a worker, for that estimate, such as `tfeval benchmark` measures it.',
    lower_bound=0.001,
  )
  define.bool('json', False, 'Print a JSON object on stdout, nothing else.')


def run(flags, arguments: list[str]) -> int:
  kind, *more = arguments or [EVALUATE]
  if kind not in _KINDS or more:
    raise errors.unknown('kind of plan', ' '.join(arguments), _KINDS)
  if (flags.workers is None) != (flags.images_per_second is None):
    raise UserError('--workers and --images_per_second go together: give both or none')
  if kind == EVALUATE and (flags.axis or flags.grid):
    raise UserError('--axis and --grid are of a sweep: tfeval plan sweep')
  given = input_flags.given(flags)
  del given['dataset'], given['corruption']
  is_default = flags.suite and not flags['dataset'].present
  planned = planning.plan(
    flags.model,
    weights=flags.weights,
    dataset=() if is_default else flags.dataset,
    corruption=flags.corruption,
    suite=flags.suite,
    sets_dir=flags.sets_dir,
    name=flags.name,
    sweep=kind == SWEEP,
    axis=flags.axis or _axes(kind, flags),
    grid=flags.grid,
    piece_images=flags.piece_images,
    progress=True,
    **given,
  )
  if flags.json:
    terminal.print_json(_described(planned))
  else:
    _print(planned)
    if flags.workers is not None:
      _print_estimate(planned, flags.workers, flags.images_per_second)
  if flags.strict and planned.missing:
    output.print_failures(planned.missing)
    return 2
  return 0


def _axes(kind: str, flags) -> list[str]:
  return departures.usual(flags.model) if kind == SWEEP else []


def _described(planned: Planned) -> dict:
  plan = planned.plan
  return {
    'plan': str(planned.path),
    'id': plan.id,
    'pieces': plan.count,
    'images': plan.images,
    'piece_images': plan.file.piece_images,
    'runs': [
      {
        'directory': run.directory,
        'model': run.model,
        'weights': run.weights,
        'images': run.images,
        'first_piece': plan.pieces(number).start,
        'pieces': len(plan.pieces(number)),
      }
      for number, run in enumerate(plan.runs)
    ],
    'missing': [{'dataset': one.name, 'reason': one.reason} for one in planned.missing],
  }


def _print(planned: Planned) -> None:
  plan = planned.plan
  rows = []
  for number, run in enumerate(plan.runs[:_SHOWN]):
    of_run = plan.pieces(number)
    rows.append((run.directory, f'{run.images:,}', f'{of_run[0]} to {of_run[-1]}'))
  terminal.print_rows(('run', 'images', 'pieces'), rows, numbers=(1, 2))
  if len(plan.runs) > _SHOWN:
    terminal.print_line(f'and {len(plan.runs) - _SHOWN:,} more runs')
  terminal.print_line()
  terminal.print_line(
    f'{_counted(len(plan.runs), "run")}, {_counted(plan.images, "image")}, '
    f'{_counted(plan.count, "piece")} of '
    f'{plan.file.piece_images:,} images'
  )
  for one in planned.missing:
    terminal.print_line(f'missing: {one.name}: {one.reason}')
  sys.stdout.flush()
  path = shlex.quote(str(planned.path))
  is_there = 'the same plan is there already: ' * (not planned.is_new)
  output.say(f'{is_there}tfeval work {path} on each worker, then tfeval join {path}')


def _counted(count: int, name: str) -> str:
  return f'{count:,} {name}{"s" * (count != 1)}'


def _print_estimate(planned: Planned, workers: int, rate: float) -> None:
  """Prints how long so many workers take, and what they wait for."""
  from tfeval.evaluation.pieces import cost

  plan = planned.plan
  models = len({(run.model, run.model_options, run.weights) for run in plan.runs})
  given = plan.count, len(plan.runs), plan.images
  constants = cost.Constants(images_per_second=rate)
  found = cost.estimate(*given, workers, constants, models)
  useful = cost.useful_workers(*given, constants, models)
  parts = sorted(found.seconds.items(), key=lambda part: -part[1])
  rows = [(name, f'{seconds:,.1f}') for name, seconds in parts if seconds >= 0.05]
  terminal.print_line()
  terminal.print_rows(
    ('part', 'seconds'), [*rows, ('all', f'{found.wall_s:,.1f}')], (1,)
  )
  terminal.print_line(
    f'{workers:,} workers of {rate:g} images/s: {100 * found.efficiency:.0f} % of '
    f'their time is work; of {useful:,} or fewer it would be half or more'
  )
