"""`tfeval explain`."""

import dataclasses

from tfeval.api.explain import (
  SIGNIFICANT,
  UNLIKELY,
  WITHOUT,
  check_one_way,
  explain,
)
from tfeval.cli import console, input_flags, output
from tfeval.evaluation.config import EvaluationConfig
from tfeval.reports import formats
from tfeval.reports.page import of_explanation, of_two_runs

USAGE = """Usage: tfeval explain --model=NAME --reported=61.6 [--flags]
       tfeval explain --model=NAME --predictions=FILE [--flags]
       tfeval explain RUN_A RUN_B [--flags]
       tfeval explain --list

  tfeval explain --model=MobileNetV2 --dataset=folder:VAL --reported=61.6
  tfeval explain --model=MobileNetV2 --dataset=folder:VAL --predictions=mine.npy

Why a number is another one. --reported: which steps of a pipeline done
otherwise, one or two at once, give an accuracy that somebody reports.
--predictions: under which of them the same images get the same answers, of
classes or scores from any script. Two runs: what differs, and how many points
each difference carries. --list: published effects, with their sources."""
# What `--help` shows first.
FIRST = (
  *('model', 'dataset', 'manual_dir', 'reported', 'predictions', 'axis', 'list'),
  *('batch_size', 'figure', 'output_dir', 'json'),
)


def define_flags(define) -> None:
  input_flags.define_models(define)
  parts = [field.name for field in dataclasses.fields(EvaluationConfig)]
  input_flags.define(define, parts, without=WITHOUT)
  define.string('reported', None, 'An accuracy: percent (61.6), or hits/images.')
  define.integer(
    'reported_count',
    None,
    'Of how many other images --reported is (default: of those of --dataset).',
    lower_bound=1,
  )
  define.string(
    'predictions',
    None,
    'A file of classes or scores, a row for each image: .npy, .npz, .csv, .json, ...; '
    'see tfeval import.',
  )
  define.string(
    'order',
    'file_name',
    'Which image each row is: file_name, class_folder, or a file that lists ids.',
  )
  define.integer(
    'sample', 2000, 'How many images are looked at, at most, by id.', lower_bound=1
  )
  define.multi_string(
    'axis',
    [],
    'What may be done otherwise: AXIS or AXIS=VALUE,..., see tfeval sweep --list; may '
    'be repeated (default: all).',
  )
  define.string('labels_of', 'original', 'The label set that hits are counted by.')
  define.string('metric', 'top1', 'What a hit is.')
  define.float(
    'level',
    None,
    'Of --reported: what is seen less often than that is called unlikely (default: '
    f'{UNLIKELY}). Of two runs: significance level; intervals cover 1 - level '
    f'(default: {SIGNIFICANT}).',
  )
  define.integer('seed', 0, 'Of the bootstrap.', lower_bound=0)
  define.bool('list', False, 'List published effects, and evaluate nothing.')
  define.string(
    'figure',
    None,
    'Also draw the candidates into this .png, .pdf or .svg: their agreement or '
    "accuracy, or the points of differences; needs pip install 'tfeval[figure]'.",
  )
  output.define_report(define, overwrite=False)
  define.bool('json', False, 'Print a JSON object on stdout, nothing else.')


def run(flags, arguments: list[str]) -> int:
  check_one_way(flags.reported, flags.predictions, arguments, flags.list)
  if flags.list:
    return _list(flags)
  page, figure = output.report_path(flags), output.figure_path(flags)
  console.import_tensorflow_for(arguments)
  names = (
    *('weights', 'reported', 'reported_count', 'predictions', 'order', 'sample'),
    *('axis', 'labels_of', 'metric', 'level', 'seed'),
  )
  found = explain(
    *arguments,
    model=flags.model,
    progress=True,
    **{name: flags[name].value for name in names},
    **{k: v for k, v in input_flags.given(flags).items() if k not in names},
  )
  kind = formats.TWO_RUNS if arguments else formats.EXPLANATION
  output.print_report(kind, flags.json, found)
  output.save_report(page, found)
  if figure is not None:
    output.draw((of_two_runs if arguments else of_explanation).figure(found), figure)
  return 0


def _list(flags) -> int:
  from tfeval.analysis.explanation import effects

  output.print_report(
    formats.EFFECTS, flags.json, effects.published(), effects.measured()
  )
  return 0
