"""`tfeval sweep`."""

import dataclasses
import sys

from tfeval.api.sweep import WITHOUT, sweep
from tfeval.cli import input_flags, output, piece_flags
from tfeval.evaluation import departures
from tfeval.evaluation.config import EvaluationConfig
from tfeval.reports import formats, terminal
from tfeval.reports.page import of_sweep

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


def define_flags(define) -> None:
  input_flags.define_models(define)
  parts = [field.name for field in dataclasses.fields(EvaluationConfig)]
  input_flags.define(define, parts, without=WITHOUT)
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
  piece_flags.define(define)
  output.define_report(define, overwrite=False)
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
  page, figure = output.report_path(flags), output.figure_path(flags)
  names = 'weights', 'axis', 'grid', 'labels_of', 'metric', 'level', 'seed'
  found = sweep(
    flags.model,
    progress=True,
    **{name: flags[name].value for name in names},
    **vars(piece_flags.read(flags)),
    **input_flags.given(flags),
  )
  output.print_report(formats.SWEEP, flags.json, found)
  output.save_report(page, found)
  if figure is not None:
    output.draw(of_sweep.figure(found), figure)
  return 0
