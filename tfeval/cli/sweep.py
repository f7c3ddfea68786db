"""`tfeval sweep`."""

import dataclasses
import pathlib
import sys

from tfeval.cli import compare, console, input_flags, output
from tfeval.evaluation import departures
from tfeval.evaluation.config import EvaluationConfig, find_cluster
from tfeval.reports import figures, formats, sweep, terminal
from tfeval.utils import progress
from tfeval.utils.errors import UserError

USAGE = """Usage: tfeval sweep --model=NAME [--axis=AXIS[=VALUE,...] ...] [--flags]

  tfeval sweep --model=ResNet50 --dataset=folder:VAL_DIR
  tfeval sweep --model=ResNet50 --axis=resize --axis=aspect=squash --grid

What each step of a pipeline that others do otherwise costs, in points against
the base (--protocol, the model's own preprocessing): one at a time, or with
--grid every combination of the axes. Files are read and decoded once. Each
cell is an ordinary run in --output_dir. --list names axes and values."""
# What `--help` shows first.
FIRST = (
  *('model', 'dataset', 'manual_dir', 'axis', 'grid', 'list', 'limit', 'batch_size'),
  *('figure', 'output_dir', 'json'),
)

# What a sweep does not do, or says itself.
_WITHOUT: tuple[str, ...] = (
  *('cache_dir', 'tf_data_service', 'resize_on', 'canvas', 'rank_on', 'feed'),
  *('corruption', 'corruption_seed', 'frost_textures'),
  *('input_size', 'num_hosts', 'host_index', 'host_timeout', 'max_loaded_models'),
  *('adapt', 'metrics'),
)


def define_flags(define) -> None:
  input_flags.define_models(define)
  parts = [field.name for field in dataclasses.fields(EvaluationConfig)]
  input_flags.define(define, parts, without=_WITHOUT)
  define.multi_string(
    'axis',
    [],
    'AXIS for all of its values, or AXIS=VALUE,...; may be repeated (default: all).',
  )
  define.bool('grid', False, 'Every combination of the axes, not one at a time.')
  define.bool('list', False, 'List the axes and their values, and evaluate nothing.')
  define.string('labels_of', 'original', 'The label set that hits are counted by.')
  define.string('metric', 'top1', 'What a hit is.')
  define.float('level', 0.05, 'Significance level; intervals cover 1 - level.')
  define.integer('seed', 0, 'Of the bootstrap.', lower_bound=0)
  define.string(
    'figure',
    None,
    'Also draw the points into this .png, .pdf or .svg; needs pip install '
    "'tfeval[figure]'.",
  )
  define.bool('json', False, 'Print a JSON object on stdout, nothing else.')


def run(flags, arguments: list[str]) -> int:
  input_flags.check_no_arguments(arguments)
  if flags.list:
    lines = [
      f'{axis}: {departures.about(axis)}: {", ".join(values)}'
      for axis, values in departures.axes().items()
    ]
    terminal.print_remarks(lines, sys.stdout)
    return 0
  compare.check_level(flags.level)
  cells = _cells(flags)
  figure = None
  if flags.figure is not None:
    figure = pathlib.Path(flags.figure).expanduser()
    figures.check_path(figure)
    figures.import_matplotlib()
  (request, *more), config = input_flags.read_requests(flags)
  if more:
    raise UserError('a sweep is of one model: give one --model')
  if find_cluster(config).count > 1:
    raise UserError('a sweep is of one host: unset TF_CONFIG')
  with console.quiet_tensorflow():
    from tfeval.evaluation import sweep as sweeping  # TensorFlow: seconds.

    swept = sweeping.sweep(request, config, cells, progress.on_stderr)
  title = f'{request.spec.text} on {config.dataset.name}'
  return _report(flags, swept, title, figure)


def _cells(flags) -> list[departures.Cell]:
  axes = flags.axis or departures.usual(flags.model)
  chosen = [departures.parse(text) for text in axes]
  return departures.grid(chosen) if flags.grid else departures.one_at_a_time(chosen)


def _report(flags, swept, title: str, figure: pathlib.Path | None) -> int:
  from tfeval.analysis import against_base
  from tfeval.runs.run import Failure

  named = {_name(one.cell): one for one in swept}
  failed = [one.found for one in swept if isinstance(one.found, Failure)]
  base = named[sweep.BASE].found
  # What is the run of the base says nothing.
  runs = {
    name: one.found
    for name, one in named.items()
    if not isinstance(one.found, Failure)
    and (name == sweep.BASE or one.found.path != base.path)
  }
  effects = against_base.effects(list(runs.items()), flags.labels_of, flags.metric)
  about = {
    'title': f'{title}, {flags.labels_of} {flags.metric}, base '
    f'{base.result.protocol.text}:',
    'level': flags.level,
    'seed': flags.seed,
    'labels': flags.labels_of,
    'metric': flags.metric,
    'base': str(base.path),
    'paths': {name: str(one.path) for name, one in runs.items()},
    'departures': {name: {d.axis: d.value for d in named[name].cell} for name in runs},
  }
  output.print_report(formats.SWEEP, flags.json, effects, failed, about)
  if figure is not None:
    sweep.write_figure(effects, flags.level, flags.seed, figure)
    output.say(f'the figure is in {figure}')
  return 0


def _name(cell: departures.Cell) -> str:
  return ', '.join(one.text for one in cell) or sweep.BASE
