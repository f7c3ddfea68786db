"""Options of Beam, as its users know them, in one text."""

import importlib
import multiprocessing
import shlex
from typing import Any, NoReturn

from tfeval.utils import paths
from tfeval.utils.errors import UserError, listed, one_line
from tfeval.utils.paths import Path

_LOCAL = ('DirectRunner', 'FnApiRunner')
# They have options of their own, which their job server knows.
_BY_JOB_SERVER = ('FlinkRunner', 'SparkRunner', 'PortableRunner', 'PrismRunner')
_DATAFLOW = 'DataflowRunner'
# Where nobody says how many workers there will be.
_SOME_WORKERS = 64


def parse(text: str | None) -> Any:
  """Returns the `PipelineOptions` that a text means.

  Args:
    text: such as `'--runner=DataflowRunner --region=R'`; None: those of a
      `DirectRunner` in this process.

  Raises:
    UserError: Beam is not installed, or does not know an option or a value.
  """
  known, unknown = _parsed(_split(text))
  from apache_beam.options import pipeline_options

  runner = runner_of(known)
  if unknown and not (runner in _BY_JOB_SERVER and unknown[0].startswith('-')):
    raise UserError(f'`beam_args`: {listed(unknown)} is no option of Beam')
  found = pipeline_options.PipelineOptions(_split(text))
  standard = found.view_as(pipeline_options.StandardOptions)
  standard.runner = runner
  if standard.streaming:
    raise UserError('`beam_args`: a plan has an end: leave streaming out')
  # The main program is a command of tfeval, which workers import.
  found.view_as(pipeline_options.SetupOptions).save_main_session = False
  worker = found.view_as(pipeline_options.WorkerOptions)
  worker.default_sdk_harness_log_level = (
    worker.default_sdk_harness_log_level or 'WARNING'
  )
  _check_direct(known, runner)
  return found


def _split(text: str | None) -> list[str]:
  try:
    return shlex.split(text or '')
  except ValueError as error:
    raise UserError(f'`beam_args` is no list of options ({error})') from error


def _parsed(arguments: list[str]) -> tuple[Any, list[str]]:
  """Returns the values of all options that Beam knows, and what is none."""
  try:
    from apache_beam.options import pipeline_options
  except ImportError as error:
    raise UserError(
      "Apache Beam is not installed: pip install 'tfeval[beam]'"
    ) from error

  # Beam's own, but for that it would end this process.
  class Parser(pipeline_options._BeamArgumentParser):
    def error(self, message: str) -> NoReturn:
      raise UserError(f'`beam_args`: {message}')

  parser = Parser(allow_abbrev=False, add_help=False)
  known = {str(one): one for one in pipeline_options.PipelineOptions.__subclasses__()}
  for one in known.values():
    one._add_argparse_args(parser)
  return parser.parse_known_args(arguments)


def runner_of(options: Any) -> str:
  """Returns which runner is asked for, as Beam spells it."""
  from apache_beam.options.pipeline_options import StandardOptions

  asked = options.runner or 'DirectRunner'
  if '.' in asked:
    return asked
  known = {*StandardOptions.KNOWN_RUNNER_NAMES, *_LOCAL}
  for one in sorted(known):
    if asked.lower() in (one.lower(), one.lower().removesuffix('runner')):
      return one
  raise UserError(f'`beam_args`: runner {asked!r} is none: {listed(sorted(known))}')


def is_local(runner: str) -> bool:
  """Returns whether a runner is that in Python on this machine."""
  return runner in _LOCAL


def _check_direct(known: Any, runner: str) -> None:
  """Checks that options of this machine are asked for where they count."""
  several = known.direct_num_workers != 1
  mode = known.direct_running_mode
  if not is_local(runner) and (several or mode != 'in_memory'):
    raise UserError(
      '`beam_args`: direct_num_workers and direct_running_mode are of DirectRunner, '
      f'not of {runner}: leave them out'
    )
  if known.direct_num_workers < 0:
    raise UserError(
      f'`beam_args`: direct_num_workers={known.direct_num_workers}, expected at least 0'
    )
  if several and mode == 'in_memory':
    raise UserError(
      f'`beam_args`: direct_num_workers={known.direct_num_workers} needs '
      'direct_running_mode=multi_processing'
    )
  if mode == 'multi_threading':
    # They would wait for each other.
    raise UserError(
      '`beam_args`: direct_running_mode=multi_threading gains nothing, as one thread '
      'of a process computes: multi_processing'
    )


def check_places(runner: str, output_dir: Path) -> None:
  """Checks that workers can see where a plan lies.

  Raises:
    UserError: it is on the disk of this machine, and they are not.
  """
  if runner == _DATAFLOW and not paths.is_url(output_dir):
    raise UserError(
      f'`output_dir={output_dir}` is a disk of this machine, which workers of Dataflow '
      'do not see: gs://BUCKET/FOLDER'
    )


def make_runner(runner: str) -> Any:
  """Returns a runner by its name.

  Raises:
    UserError: what it needs is not installed, or there is none.
  """
  from apache_beam.runners.runner import create_runner

  if is_local(runner):
    # Not before it is needed: it is imported where Beam is installed.
    local = importlib.import_module('tfeval.evaluation.runners.beam_local')
    return local.LocalRunner()
  try:
    return create_runner(runner)
  except ImportError as error:
    extra = "pip install 'apache-beam[gcp]'" if runner == _DATAFLOW else 'install it'
    raise UserError(
      f'what {runner} needs is not installed ({one_line(error, 100)}): {extra}'
    ) from error
  except (AttributeError, ValueError) as error:
    raise UserError(f'`beam_args`: runner {runner}: {one_line(error, 200)}') from error


def workers_of(options: Any) -> int:
  """Returns how many workers there will be, about."""
  values = options.get_all_options()
  if is_local(values['runner']):
    return values['direct_num_workers'] or multiprocessing.cpu_count()
  for name in ('max_num_workers', 'num_workers', 'parallelism'):
    if (values.get(name) or 0) > 0:
      return values[name]
  return _SOME_WORKERS
