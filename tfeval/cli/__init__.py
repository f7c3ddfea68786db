"""The command line: `tfeval COMMAND --flags`.

One file per command, each with `USAGE`, `define_flags(flag_values)` and
`run(flag_values, arguments) -> exit code`. Only here are flags read; everything
below takes typed arguments.
"""

import importlib
import keyword
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Sequence
from types import ModuleType

import tfeval
from tfeval.api import around
from tfeval.cli import command_flags, console, help_text, streams
from tfeval.reports import terminal
from tfeval.utils import errors, termination
from tfeval.utils.printable import printable

# What each is for, in a line; a file of this name has its flags and what it does.
COMMANDS = {
  'evaluate': 'Evaluate models on ImageNet and keep every prediction.',
  'sweep': 'Evaluate a model under what pipelines do otherwise, on one reading.',
  'explain': 'Find out why a number is another one: which steps were done otherwise.',
  'plan': 'Write what an evaluation does as pieces, for many machines.',
  'work': 'Do pieces of a plan, beside other workers.',
  'join': 'Make runs of the pieces of a plan.',
  'watch': 'Evaluate each checkpoint of a training once, as it appears.',
  'predict': 'Show what models see on images of yours, side by side.',
  'import': 'Make runs out of predictions that other tools saved.',
  'score': 'Compute the metrics of runs again from their stored predictions.',
  'mistakes': 'Show which images runs get wrong, the most confident first.',
  'compare': 'Compare runs on the same images, pair by pair.',
  'probe': 'Test a linear probe on stored features, perhaps aligned.',
  'shift': 'Tell what changed between the images of two runs, and of which kind.',
  'leaderboard': 'Rank runs, those that cannot be told apart on one rank.',
  'report': 'Make a page of runs that opens in a browser.',
  'figure': 'Draw one figure of runs into a file.',
  'export': 'Write runs for model cards, tables and other tools.',
  'verify': 'Check that runs are whole and say what their stored predictions say.',
  'relabel': "Make ReaL labels again, at another threshold or from raters' answers.",
  'convert': 'Convert a Keras model to LiteRT, calibrated by its exact input.',
  'models': 'List the models that are known by name, or explain one.',
  'datasets': 'List the test sets that are known by name, or explain one.',
  'protocols': 'List the preprocessing protocols, or explain one.',
  'benchmark': 'Measure on this machine where the time of an evaluation goes.',
  'cache': 'Show, check or clear the images that --cache_dir keeps.',
  'guide': 'List the guides, or read one in the terminal.',
  'env': 'Show versions, devices and caches: what a report of a fault needs.',
  'completion': 'Print what lets bash, zsh or fish complete commands and flags.',
}
_NARROWEST = 20
_DONE, _CHECK_FAILED, _USER_ERROR, _INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
  """Runs one command.

  Args:
    argv: the command's name and its flags; `sys.argv[1:]` if None.

  Returns:
    The exit code: 0 done, 1 a requested check failed, 2 the user's mistake, 130
    Ctrl-C, 143 SIGTERM.
  """
  argv = list(sys.argv[1:] if argv is None else argv)
  if shutil.get_terminal_size().columns < _NARROWEST:
    # absl's help has no way to fit into less.
    os.environ['COLUMNS'] = str(_NARROWEST)
  with (
    streams.guarded(),
    console.messages_on_stderr(),
    termination.handled(command_flags.with_dashes) as terminated,
    around.surrounded(console.quiet_tensorflow),
  ):
    return _exit_code(argv, terminated)


def _exit_code(argv: list[str], terminated: Callable[[], bool]) -> int:
  """Runs one command and tells of what ends it."""
  if sys.stdout is None:
    # Before work that nobody could read.
    _say('stdout is closed: leave it open, or >/dev/null')
    return _USER_ERROR
  try:
    code = _main(argv)
    # Here, where an error is still ours to tell; at exit it would be Python's.
    sys.stdout.flush()
    return code
  except errors.CheckFailed as error:
    _say(str(error))
    return _CHECK_FAILED
  except errors.UserError as error:
    _print_traceback()
    _say(errors.one_line(error, limit=None))
    return _USER_ERROR
  except KeyboardInterrupt as error:
    how = 'terminated' if terminated() else 'interrupted'
    _say(': '.join([how, *map(str, error.args)]))
    return termination.EXIT_CODE if terminated() else _INTERRUPTED
  except (BrokenPipeError, SystemExit) as error:
    # Rich makes a SystemExit(1) of the BrokenPipeError.
    if not any(isinstance(e, BrokenPipeError) for e in (error, error.__context__)):
      raise
    # The reader of our output left (`tfeval models | head`): not an error. Python
    # would complain once more when it flushes stdout at exit.
    _discard_stdout()
    return _DONE
  except streams.CannotPrint as error:
    _discard_stdout()
    _say(
      f'cannot print the result: {error}, where stdout goes; what was evaluated is '
      'kept in `output_dir`'
    )
    return _USER_ERROR
  except OSError as error:
    # Of what a name or this process is not allowed: too long, too many open files.
    _print_traceback()
    named = f'{error.filename}: ' if error.filename else ''
    _say(f'{named}{error.strerror or errors.one_line(error)}')
    return _USER_ERROR
  except (MemoryError, ImportError) as error:
    # Parts of libraries are loaded when they are needed, and libraries late.
    _print_traceback()
    _say(f'not enough memory, or not wholly installed: {errors.one_line(error)}')
    return _USER_ERROR


def _print_traceback() -> None:
  if command_flags.verbose():
    print(printable(traceback.format_exc(), keep='\n'), file=sys.stderr)


def _say(text: str) -> None:
  terminal.print_line(f'tfeval: {command_flags.with_dashes(text)}', sys.stderr)


def _discard_stdout() -> None:
  os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _main(argv: list[str]) -> int:
  if not argv:
    print(_usage(), file=sys.stderr)
    return _USER_ERROR
  name, *arguments = argv
  if name == 'help' and arguments:
    name, arguments = arguments[0], [*arguments[1:], '--help']
  if name in ('--help', '-h', '-help', '--helpfull', 'help'):
    print(_usage())
    return _DONE
  if name == '--version':
    print(f'tfeval {tfeval.__version__}')
    return _DONE
  if name not in COMMANDS:
    raise errors.unknown('command', name, COMMANDS, '(tfeval --help)')
  command = command_module(name)
  flag_values, rest = command_flags.parse(command, name, arguments, COMMANDS[name])
  if flag_values is None:
    print(rest)
    return _DONE
  return command.run(flag_values, rest)


def command_module(name: str) -> ModuleType:
  """Imports a command's module; that of a Python keyword has an underscore more."""
  with console.kept_imports():
    return importlib.import_module(f'tfeval.cli.{name}{"_" * keyword.iskeyword(name)}')


def _usage() -> str:
  return help_text.commands(tfeval.__doc__.splitlines()[0], COMMANDS)
