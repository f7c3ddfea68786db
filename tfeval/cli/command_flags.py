"""absl flags, one set for each command, made to behave as users expect.

Each command has a private `FlagValues`, so that its help shows nothing else.
"""

import functools
import importlib
import os
import pkgutil
import re
from collections.abc import Container
from types import ModuleType
from typing import Any

from absl import flags
from absl import logging as absl_logging

from tfeval.cli import flagfiles, help_text

_HELP = frozenset({'--help', '-help', '-h', '--helpshort', '--helpfull'})
# `name` or `name=value`, as the library writes of a parameter.
_PARAMETER = re.compile(r'`([a-z][a-z0-9_]*)(=[^`]*)?`')
_LEVELS = ('error', 'warning', 'info', 'debug')


def verbose() -> bool:
  """Whether the user wants to see tracebacks."""
  return absl_logging.get_verbosity() >= absl_logging.DEBUG


def with_dashes(text: str, names: Container[str] | None = None) -> str:
  """Returns a message of the library as the command line says it.

  Parameters that are flags, of any command or of these names, are written as flags.

  >>> with_dashes('give `model=NAME`, no `shape`')
  'give --model=NAME, no `shape`'
  """

  def as_flag(found: re.Match[str]) -> str:
    # Looked up late: it imports every command.
    is_flag = found[1] in (_all_flags() if names is None else names)
    return f'--{found[1]}{found[2] or ""}' if is_flag else found[0]

  return _PARAMETER.sub(as_flag, text)


@functools.cache
def _all_flags() -> frozenset[str]:
  """The names of the flags of all commands."""
  flag_values: set[str] = set()
  for module in pkgutil.iter_modules([os.path.dirname(__file__)]):
    command = importlib.import_module(f'tfeval.cli.{module.name}')
    if hasattr(command, 'USAGE'):
      defined = flags.FlagValues()
      command.define_flags(Definer(defined, module.name))
      flag_values.update(defined)
  return frozenset(flag_values)


def parse(
  command: ModuleType, name: str, arguments: list[str], summary: str = ''
) -> tuple[flags.FlagValues | None, Any]:
  """Parses a command's flags.

  Args:
    command: has `USAGE` and `define_flags`, perhaps `further_usage`.
    name: the command's name.
    arguments: what follows the name.
    summary: what the command is for, in a line, for its help.

  Returns:
    The flags and the positional arguments; or None and the help text, where
    help was asked for.

  Raises:
    UserError: an unknown flag, a bad value, an unreadable flagfile.
  """
  absl_logging.set_verbosity(absl_logging.WARNING)
  flag_values = flags.FlagValues()
  definer = Definer(flag_values, help_text.OWN)
  command.define_flags(definer)
  define_general(flag_values)
  if any(argument in _HELP for argument in arguments):
    full = '--helpfull' in arguments
    return None, help_text.command(name, summary, command, flag_values, full)
  rest = flagfiles.parse(flag_values, arguments, f'(tfeval {name} --help)')
  absl_logging.set_verbosity(getattr(absl_logging, flag_values.verbosity.upper()))
  return flag_values, rest


def define_general(flag_values: flags.FlagValues) -> None:
  """Defines the flags that every command has."""
  text = 'What to report on stderr; debug shows tracebacks.'
  Definer(flag_values, help_text.OWN).enum('verbosity', 'warning', _LEVELS, text)


class _NumberOrWord(flags.IntegerParser):
  """Parses a whole number, or leaves a word as it is."""

  def __init__(self, words: Container[str], **bounds: Any):
    super().__init__(**bounds)
    self.words = words

  def parse(self, argument: Any) -> Any:
    return argument if argument in self.words else super().parse(argument)


class TextOrAlone(flags.ArgumentParser):
  """Parses a text, or what absl makes of a flag without one."""

  def __init__(self, alone: str):
    self._alone = alone

  def parse(self, argument: Any) -> Any:
    if argument == '':
      raise ValueError('expected a text behind =')
    return {'true': self._alone, 'false': None}.get(argument, argument)


class Definer:
  """absl's DEFINE functions, bound to one set of flags and one module name."""

  def __init__(self, flag_values: flags.FlagValues, module: str):
    self._arguments: dict[str, Any] = {
      'flag_values': flag_values,
      'module_name': module,
    }

  def number_or_word(
    self, name: str, default: Any, help: str, words: Container[str], **known: Any
  ) -> None:
    """Defines a whole number, in whose place one of some words may stand.

    Args:
      name, default, help: of the flag.
      words: those that may be given.
      **known: `module_name`, and `lower_bound` and `upper_bound` of the number.
    """
    module = known.pop('module_name', self._arguments['module_name'])
    flags.DEFINE(
      _NumberOrWord(words, **known),
      name,
      default,
      help,
      **{**self._arguments, 'module_name': module},
    )

  def text_or_alone(
    self, name: str, default: Any, help: str, alone: str, module_name: str
  ) -> None:
    """Defines a text that may be left out: `--name` is `--name=ALONE`.

    Args:
      name, default, help, module_name: of the flag.
      alone: what it stands for without a text.
    """
    flag = flags.Flag(
      TextOrAlone(alone),
      flags.ArgumentSerializer(),
      name,
      default,
      help,
      boolean=True,
    )
    flags.DEFINE_flag(flag, **{**self._arguments, 'module_name': module_name})

  def __getattr__(self, kind: str):
    return functools.partial(getattr(flags, f'DEFINE_{kind}'), **self._arguments)
