"""`tfeval score RUN...`."""

import dataclasses
import sys

from tfeval import expectation
from tfeval import run as run_lib
from tfeval.cli import output
from tfeval.errors import UserError

SUMMARY = """Compute the metrics of runs again from their stored predictions.

Usage: tfeval score RUN... [--flags]

RUN is a run directory, OUTPUT_DIR/MODEL. Nothing is evaluated and nothing is
written; TensorFlow is not needed."""


def define_flags(define) -> None:
  define.bool('json', False, 'Print a list of JSON results, nothing else.')
  define.multi_string(
      'expect', [], 'LABELS/METRIC:VALUE:TOLERANCE, such as original/top1:0.704:0.002: '
      'exit with 1 if it does not hold.')
  define.integer('show_examples', 0, 'Print the answers to the first so many '
                 'examples.', lower_bound=0)


def run(flags, arguments: list[str]) -> int:
  if not arguments:
    raise UserError('no run was given: tfeval score OUTPUT_DIR/MODEL ...')
  expectations = [expectation.parse(text) for text in flags.expect]
  runs = [run_lib.load_run(path) for path in arguments]
  scored = []
  for run_ in runs:
    metrics = run_.score()
    if metrics != run_.metrics:
      print(f'tfeval: {run_.path}: the stored predictions give other metrics than '
            f'its {run_lib.RESULT}; these are those of the predictions',
            file=sys.stderr)
    scored.append(dataclasses.replace(
        run_, result={**run_.result, 'metrics': metrics}))
  output.print_runs(scored, flags.json, flags.show_examples)
  return output.exit_code(scored, expectations)
