"""`tfeval watch`."""

import dataclasses
import json

from tfeval.cli import console, input_flags
from tfeval.evaluation import config
from tfeval.utils import progress
from tfeval.utils.errors import UserError

SUMMARY = """Evaluate each checkpoint of a training once, as it appears.

Usage: tfeval watch CHECKPOINTS [--model=NAME] [--flags]

CHECKPOINTS is the folder that they are written into: .keras, .weights.h5, those
of tf.train.Checkpoint and of Orbax. All but .keras need their --model.
The step of each is the last whole number in its name.

  tfeval watch training/ --model=ResNet50 --order=newest --timeout=7200
  tfeval watch training/ --model=my_models:build --final_step=90"""


def define_flags(define) -> None:
  input_flags.define(define, weights=False)
  define.enum(
    'on_error',
    'fail',
    list(config.ON_ERROR),
    'fail: stop at an image that cannot be decoded; skip: go on without it '
    'and list it in the result.',
  )
  define.bool('store_logits', False, 'Store all 1000 outputs of each example.')
  define.string(
    'cache_dir',
    None,
    'Keep preprocessed images in here, so that only the '
    'first checkpoint decodes: tfeval cache.',
  )
  define.enum(
    'order',
    'oldest',
    ['oldest', 'newest'],
    'Which of several that wait is evaluated first, by their steps.',
  )
  define.float(
    'poll_seconds', 10, 'Seconds between two looks at CHECKPOINTS.', lower_bound=0.01
  )
  define.float(
    'timeout',
    None,
    'Stop after so many seconds without a new checkpoint.',
    lower_bound=0,
  )
  define.integer(
    'final_step',
    None,
    'Stop once a checkpoint of this step, or a later one, is there and none waits.',
    lower_bound=0,
  )
  define.string(
    'output_dir',
    'tfeval_runs',
    'Run directories are made in here, and '
    'watched.json, by which a restart knows what is done.',
  )
  define.bool(
    'overwrite',
    False,
    'Evaluate anew what is not in watched.json yet, whatever its run directory holds.',
  )
  define.string(
    'log_dir',
    None,
    'TensorBoard scalars go here (default: tensorboard in --output_dir).',
  )
  define.bool('json', False, 'Print a line of JSON for each checkpoint, nothing else.')


def run(flags, arguments: list[str]) -> int:
  if len(arguments) != 1:
    raise UserError(
      f'{len(arguments)} folders were given: tfeval watch CHECKPOINTS --model=NAME'
    )
  if len(flags.model) > 1 or 'all' in flags.model:
    raise UserError('checkpoints are of one model: give one --model')
  # In training a model shows what preflight takes for faults.
  settings = dataclasses.replace(input_flags.read_settings(flags), preflight=config.OFF)
  request = None
  if flags.model:
    (request,) = config.requests(flags.model, ['imagenet'])
    request = dataclasses.replace(request, weights='none')  # They are none of its own.
    config.check([request], settings)
  with console.quiet_tensorflow():
    from tfeval.evaluation.watch import (
      watcher as watching,  # TensorFlow, which takes seconds.
    )

    watcher = watching.Watcher(
      arguments[0], request, settings, flags.log_dir, progress.on_stderr
    )
    schedule = watching.Schedule(
      flags.order == 'newest', flags.poll_seconds, flags.timeout, flags.final_step
    )
  try:
    _print_all(watcher.watch(schedule), flags.json)
  finally:
    watcher.close()
  if watcher.failed:
    raise UserError(
      f'{len(watcher.failed)} checkpoints could not be evaluated, as was '
      f'said: {", ".join(watcher.failed)}'
    )
  return 0


def _print_all(entries, as_json: bool) -> None:
  while True:
    with console.quiet_tensorflow():
      entry = next(entries, None)
    if entry is None:
      return
    print(_line(entry, as_json), flush=True)


def _line(entry: dict, as_json: bool) -> str:
  if as_json:
    return json.dumps(entry, allow_nan=False, ensure_ascii=False)
  figures = [
    f'{name} {correct}/{count}' + (f' {100 * correct / count:.2f} %' if count else '')
    for name, (correct, count) in entry['counts'].items()
  ]
  # Two a line, those of a label set: all do not fit into 80 columns.
  return '\n  '.join(
    [
      f'{entry["checkpoint"]}  step {entry["step"]}',
      *('  '.join(figures[i : i + 2]) for i in range(0, len(figures), 2)),
    ]
  )
