"""`tfeval score RUN...`."""

import dataclasses
import sys
from typing import Any

from tfeval import expectation, label_sets
from tfeval import run as run_lib
from tfeval.cli import label_flags, output
from tfeval.errors import UserError

SUMMARY = """Compute the metrics of runs again from their stored predictions.

Usage: tfeval score RUN... [--flags]

  tfeval score RUN --labels=original --labels=corrected.csv --omit=doubles.txt

RUN is a run directory, OUTPUT_DIR/MODEL. Nothing is evaluated and nothing is
written; TensorFlow is not needed."""


def define_flags(define) -> None:
  label_flags.define_labels(define, [], 'by default all that the rows carry')
  label_flags.define_subset(define)
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
  labels = label_sets.open_labels(flags.labels) or None
  subset = label_sets.open_subset(flags.keep, flags.omit)
  scored = []
  for run_ in runs:
    summary = run_.summary(labels, subset)
    result = {**run_.result, 'metrics': summary.metrics()}
    if labels is None and _differ(result['metrics'], run_.metrics):
      print(f'tfeval: {run_.path}: the stored predictions give other metrics than '
            f'its {run_lib.RESULT}; these are those of the predictions',
            file=sys.stderr)
    if subset is not None:
      result['subset'] = {'keep': flags.keep, 'omit': flags.omit,
                          'images': summary.subset, 'of': len(summary.ids)}
    scored.append(dataclasses.replace(run_, result=result))
  output.print_runs(scored, flags.json, flags.show_examples)
  return output.exit_code(scored, expectations)


def _differ(computed: list[dict[str, Any]], told: list[dict[str, Any]]) -> bool:
  """Whether a metric that rows give is another than the result's.

  A result may have more: of labels that lie in a file, not in the rows.
  """
  found = {(m['labels'], m['name']): m for m in told}
  return any(found.get((m['labels'], m['name'])) != m for m in computed
             if not m['labels'].endswith(label_sets.SUBSET_SUFFIX) and m['count'])
