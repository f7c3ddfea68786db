"""`tfeval watch`."""

import dataclasses
import pathlib

from tfeval import datasets
from tfeval.cli import console, input_flags, output, tracking_flags
from tfeval.evaluation.config import OFF
from tfeval.evaluation.plans import check_config, requests
from tfeval.models.keras import checkpoints
from tfeval.reports import terminal
from tfeval.utils import paths, progress
from tfeval.utils.errors import UserError, listed

USAGE = """Usage: tfeval watch CHECKPOINTS [--model=NAME] [--flags]

CHECKPOINTS is the folder that they are written into: .keras, .weights.h5, those
of tf.train.Checkpoint and of Orbax. All but .keras need their --model.
The step of each is the last whole number in its name.

  tfeval watch training/ --model=ResNet50 --order=newest --timeout=7200
  tfeval watch training/ --model=my_models:build --final_step=90"""
# What `--help` shows first.
FIRST = (
  *('model', 'dataset', 'manual_dir', 'preprocess', 'order', 'timeout', 'final_step'),
  *('batch_size', 'log_dir', 'output_dir', 'json'),
)


# What may come.
_KINDS = '.keras, .weights.h5, or those of tf.train.Checkpoint and Orbax'


def define_flags(define) -> None:
  input_flags.define_models(define, weights=False)
  input_flags.define(
    define,
    ('model', 'protocol', 'dataset', 'devices', 'inputs', 'store'),
    without=('tf_data_service', 'rows_per_part', 'feed'),
    texts={
      'cache_dir': 'Keep preprocessed images in here, so that only the '
      'first checkpoint decodes: tfeval cache.',
      'output_dir': 'Run directories are made in here, and '
      'watched.json, by which a restart knows what is done.',
      'overwrite': 'Evaluate anew what is not in watched.json yet, whatever its run '
      'directory holds.',
    },
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
  tracking_flags.define(define)
  define.string(
    'log_dir',
    None,
    'TensorBoard scalars go here (default: tensorboard in --output_dir).',
  )
  define.string(
    'checkpoint_object',
    None,
    'What the model is called in a tf.train.Checkpoint, such as net or trainer.net, '
    'where several could be it.',
  )
  define.bool('json', False, 'Print a line of JSON for each checkpoint, nothing else.')


def run(flags, arguments: list[str]) -> int:
  if len(arguments) != 1:
    raise UserError(
      f'{len(arguments)} folders were given: tfeval watch CHECKPOINTS --model=NAME'
    )
  if len(flags.model) > 1 or 'all' in flags.model:
    raise UserError('checkpoints are of one model: give one --model')
  log_to = tracking_flags.targets(flags)
  # In training a model shows what preflight takes for faults.
  config = input_flags.read_config(flags).replace(preflight=OFF)
  datasets.check(config.dataset)
  request = None
  if flags.model:
    request, *more = requests(flags.model, ['imagenet'])
    if more:
      raise UserError('checkpoints are of one model: give one --model')
    request = dataclasses.replace(request, weights='none')  # They are none of its own.
    check_config([request], config)
  timeout = flags.timeout
  _say_what_is_awaited(arguments[0], timeout)
  with console.quiet_tensorflow():
    from tfeval.evaluation.watch import (
      watcher as watching,  # TensorFlow, which takes seconds.
    )

    watcher = watching.Watcher(
      arguments[0],
      request,
      config,
      flags.log_dir,
      progress.on_stderr,
      flags.checkpoint_object,
      log_to,
    )
    schedule = watching.Schedule(
      flags.order == 'newest', flags.poll_seconds, timeout, flags.final_step
    )
  try:
    _print_all(watcher.watch(schedule), flags.json)
  finally:
    watcher.close()
  if watcher.failed:
    raise UserError(
      f'{len(watcher.failed)} checkpoints could not be evaluated, as was '
      f'said: {listed(watcher.failed)}'
    )
  if not watcher.came:
    raise UserError(
      f'no checkpoint came into {arguments[0]} within --timeout={timeout:g} seconds: '
      f'expected {_KINDS}'
    )
  return 0


def _say_what_is_awaited(given: str, timeout: float | None) -> None:
  """Says at once, where no checkpoint is there yet, what is waited for.

  Raises:
    UserError: what is given cannot be watched.
  """
  if paths.is_url(given):
    return  # It is refused, with what to do.
  folder = pathlib.Path(given).expanduser()
  if checkpoints.find_checkpoints(folder):
    return
  until = 'until Ctrl-C' if timeout is None else f'for {timeout:g} s at most'
  if folder.is_dir():
    what = f'a checkpoint in {given} ({_KINDS}), where none is yet'
  else:
    what = f'the folder {given}, which is not there yet'
  output.say(f'waiting {until} for {what}')


def _print_all(entries, as_json: bool) -> None:
  while True:
    with console.quiet_tensorflow():
      entry = next(entries, None)
    if entry is None:
      return
    if as_json:
      terminal.print_json_line(entry)
    else:
      terminal.print_lines(_lines(entry))


def _lines(entry: dict) -> list[str]:
  figures = [
    f'{name} {correct}/{count}' + (f' {100 * correct / count:.2f} %' if count else '')
    for name, (correct, count) in entry['counts'].items()
  ]
  # Two a line, those of a label set: all do not fit into 80 columns.
  return [
    f'{entry["checkpoint"]}  step {entry["step"]}',
    *('  ' + '  '.join(figures[i : i + 2]) for i in range(0, len(figures), 2)),
  ]
