"""`tfeval evaluate`."""

import dataclasses

from tfeval.cli import (
  console,
  input_flags,
  output,
  piece_flags,
  suite_flags,
  tracking_flags,
)
from tfeval.engine import cluster
from tfeval.evaluation.config import EvaluationConfig, find_cluster
from tfeval.runs import expectations
from tfeval.utils import progress
from tfeval.utils.errors import UserError

USAGE = """Usage: tfeval evaluate --model=NAME [--model=NAME ...] [--flags]

  tfeval evaluate --model=ResNet50 --manual_dir=DIR_WITH_THE_VALIDATION_TAR
  tfeval evaluate --model=MobileNet:alpha=0.25 --dataset=folder:VAL_DIR
  tfeval evaluate --model=ResNet50 --suite=natural --sets_dir=DIR"""


def define_flags(define) -> None:
  input_flags.define_models(define)
  parts = [field.name for field in dataclasses.fields(EvaluationConfig)]
  input_flags.define_runs(define)
  input_flags.define(define, parts, without=('dataset', 'corruption'))
  piece_flags.define(define)
  define.bool('json', False, 'Print a list of JSON results on stdout, nothing else.')
  tracking_flags.define(define)
  output.define_expect(define)
  output.define_show_examples(define)
  output.define_class_rule(define)


def run(flags, arguments: list[str]) -> int:
  input_flags.check_no_arguments(arguments)
  expected = [expectations.parse(text) for text in flags.expect]
  log_to = tracking_flags.targets(flags)
  pieces = piece_flags.read(flags)
  plans, missing = input_flags.read_plans(flags)
  if not plans:
    output.print_runs(missing, flags.json, 0)
    suite_flags.check_missing(missing, flags.strict)
    return output.exit_code(missing, expected)
  config = plans[0].config
  if not config.store.output_dir:
    raise UserError(
      '--output_dir is empty: name a directory (a variable that is not set?)'
    )
  here = find_cluster(config)
  # At once: a variable that is left over would cost an hour of waiting.
  cluster.log_waiting(here, config.store.output_dir, config.hosts.host_timeout)
  with console.quiet_tensorflow():
    # TensorFlow, which takes seconds.
    if pieces.runner is not None:
      from tfeval.evaluation.pieces import studies

      runs = studies.evaluate(plans, pieces, progress.on_stderr, expected)
    else:
      from tfeval.evaluation import evaluate

      runs = evaluate.evaluate(plans, progress.on_stderr, expected)
  if here.index == 0:
    runs = suite_flags.in_order(flags, [*runs, *missing])
  if here.index == 0 or flags.json:
    output.print_runs(runs, flags.json, flags.show_examples, flags.class_rule)
    output.say_where(runs)
  else:
    # Only the host that joins has results.
    output.print_failures(runs)
  if log_to:
    with console.quiet_tensorflow():
      from tfeval.evaluation.tracking import tracked

      tracked.log_runs(log_to, runs)
  suite_flags.check_missing(runs, flags.strict)
  asked = sum(len(plan.requests) for plan in plans)
  asked *= 1 if config.adapt is None else 2  # With the plain runs.
  return output.exit_code(runs, expected, asked)
