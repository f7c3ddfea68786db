"""`tfeval evaluate`."""

import dataclasses

from tfeval.cli import console, input_flags, output
from tfeval.evaluation.config import EvaluationConfig, find_cluster
from tfeval.runs import expectations as expectation
from tfeval.utils import progress
from tfeval.utils.errors import UserError

USAGE = """Usage: tfeval evaluate --model=NAME [--model=NAME ...] [--flags]

  tfeval evaluate --model=ResNet50 --manual_dir=DIR_WITH_THE_VALIDATION_TAR
  tfeval evaluate --model=MobileNet:alpha=0.25 --dataset=folder:VAL_DIR"""


PARTS = [field.name for field in dataclasses.fields(EvaluationConfig)]


def define_flags(define) -> None:
  input_flags.define_models(define)
  input_flags.define(define, PARTS)
  define.bool('json', False, 'Print a list of JSON results on stdout, nothing else.')
  define.multi_string(
    'expect',
    [],
    'LABELS/METRIC:VALUE:TOLERANCE, such as original/top1:0.704:0.002: '
    'exit with 1 if it does not hold.',
  )
  define.integer(
    'show_examples',
    0,
    'Print the answers to the first so many examples.',
    lower_bound=0,
  )


def run(flags, arguments: list[str]) -> int:
  if arguments:
    raise UserError(
      f'unexpected argument {arguments[0]!r}: models are given as --model=NAME'
    )
  expectations = [expectation.parse(text) for text in flags.expect]
  wanted, config = input_flags.read(flags)
  if not config.store.output_dir:
    raise UserError(
      '--output_dir is empty: name a directory (a variable that is not set?)'
    )
  here = find_cluster(config)
  with console.quiet_tensorflow():
    from tfeval.evaluation import evaluate  # TensorFlow, which takes seconds.

    runs = evaluate.evaluate(wanted, config, progress.on_stderr, expectations)
  if here.index == 0 or flags.json:
    output.print_runs(runs, flags.json, flags.show_examples)
  else:
    # Only the host that joins has results.
    output.print_failures(runs)
  return output.exit_code(runs, expectations, len(wanted))
