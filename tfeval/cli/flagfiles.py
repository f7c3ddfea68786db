"""Flagfiles as commands read them: data of perhaps somebody else.

They are read here and not by absl, which opens whatever a line names, and names neither
file nor line where one is wrong. They cannot start anything: see `flag_trust`.
"""

import collections
import itertools
import os
import pathlib
import re
from collections.abc import Iterator, Sequence

from absl import flags

from tfeval.cli import flag_trust
from tfeval.cli.flag_trust import Line
from tfeval.utils import budgets, flagfile, untrusted
from tfeval.utils.errors import UserError

_DIRECTIVE = 'flagfile'
_DEEPEST = 16
_TUPLE = re.compile(r"\('([^']*)', '[^']*'\)")


def parse(flag_values: flags.FlagValues, arguments: list[str], hint: str) -> list[str]:
  """Parses defaults < flagfiles < what is beside them; returns what is no flag."""
  # As in `tfeval score RUN --json`: flags may follow other arguments.
  flag_values.set_gnu_getopt(True)
  own, paths = _split_off_flagfiles(_canonical(flag_values, arguments))
  lines = [line for path in paths for line in read(path)]
  of_files, origins = _parse_lines(flag_values, lines, hint)
  known = {name: flag_values[name] for name in flag_values}
  present = {name: flag.present for name, flag in known.items()}
  for flag in known.values():
    flag.present = 0  # Else values given beside a file would be added to its own.
  rest = _parsed(flag_values, own, hint)
  for name, flag in known.items():
    if flag.present:
      origins.pop(name, None)
    flag.present = flag.present or present[name]
  flag_trust.check(flag_values, origins)
  return of_files + rest


def _parsed(flag_values: flags.FlagValues, arguments: list[str], hint: str):
  """Parses arguments; returns those that are no flags."""
  try:
    return flag_values(['tfeval', *arguments])[1:]
  # Of `--noflag=value` absl says it by a ValueError.
  except (flags.Error, ValueError) as error:
    text = str(error).removeprefix('ERROR:: ').replace(' ?', '?')
    # absl prints the arguments of its own error.
    text = _TUPLE.sub(r'\1', text)
    raise UserError(f'{text[:1].lower()}{text[1:]} {hint}') from error


def _parse_lines(
  flag_values: flags.FlagValues, lines: Sequence[Line], hint: str
) -> tuple[list[str], dict[str, list[Line]]]:
  """Parses flagfiles, line by line, so that a mistake can be found.

  Returns:
    What is no flag, and the lines of each flag that is given.
  """
  allowed = [one.flag.text for one in lines if one.flag.name == 'undefok']
  rest: list[str] = []
  origins: dict[str, list[Line]] = {}
  pending = collections.deque(lines)
  while pending:
    line = pending.popleft()
    line = line._replace(flag=_canonical_flag(flag_values, line.flag))
    if line.flag.text == '--':
      return rest + [one.flag.text for one in pending], origins
    arguments = [*allowed, line.flag.text]
    before = {name: flag_values[name].present for name in flag_values}
    if pending and _lacks_value(flag_values, line.flag):
      arguments.append(pending.popleft().flag.text)
    try:
      rest += _parsed(flag_values, arguments, hint)
    except UserError as error:
      raise UserError(f'{line.place}: {error}') from error
    for name, count in before.items():
      if flag_values[name].present > count:
        origins.setdefault(name, []).append(line)
  return rest, origins


def _canonical(flag_values: flags.FlagValues, arguments: Sequence[str]) -> list[str]:
  """Returns arguments with names of flags as they are defined, values untouched."""
  found, pending = [], iter(arguments)
  for argument in pending:
    found.append(flagfile.canonical(argument, [*flag_values]))
    if argument == '--':
      break
    name, equals, _ = found[-1].partition('=')
    stem = name.lstrip('-')
    is_flag = name != stem and (stem in flag_values or stem == _DIRECTIVE)
    if (
      is_flag and not equals and not (stem != _DIRECTIVE and flag_values[stem].boolean)
    ):
      found += itertools.islice(pending, 1)
  return [*found, *pending]


def _canonical_flag(
  flag_values: flags.FlagValues, flag: flagfile.Flag
) -> flagfile.Flag:
  if flag.name is None:
    return flag
  text = flagfile.canonical(flag.text, [*flag_values])
  return flag._replace(name=text.partition('=')[0].lstrip('-'), text=text)


def _lacks_value(flag_values: flags.FlagValues, flag: flagfile.Flag) -> bool:
  """Whether the next line is the value of a flag."""
  return (
    flag.name is not None
    and flag.name in flag_values
    and '=' not in flag.text
    and not flag_values[flag.name].boolean
  )


def _split_off_flagfiles(arguments: list[str]) -> tuple[list[str], list[str]]:
  """Returns arguments without flagfiles, and the paths of these."""
  own, paths, remaining = [], [], iter(arguments)
  for argument in remaining:
    if argument.startswith(('--flagfile=', '-flagfile=')):
      paths.append(argument.partition('=')[2])
    elif argument in ('--flagfile', '-flagfile'):
      if (path := next(remaining, None)) is None:
        raise UserError('--flagfile: expected the path of a file')
      paths.append(path)
    else:
      own.append(argument)
  return own, paths


def read(path: str) -> list[Line]:
  """Reads a flagfile with those that it names.

  Args:
    path: of the file, `~` for the home directory.

  Raises:
    UserError: one cannot be read, is no regular file, too large with those before it,
      no text, or names itself; says in which line of which file.
  """
  return list(_read(path, f'--{_DIRECTIVE}={path}', (), [budgets.FLAGFILES]))


def _read(
  path: str, place: str, above: Sequence[str], left: list[int]
) -> Iterator[Line]:
  """Yields lines; `left` is how many bytes may still be read."""
  file = pathlib.Path(os.path.expanduser(path))
  real = os.path.realpath(file)
  if real in above:
    raise UserError(f'{place}: {path} is being read already: leave it out')
  if len(above) == _DEEPEST:
    raise UserError(f'{place}: flagfiles that name others, {_DEEPEST} deep: name fewer')
  try:
    content = untrusted.read_bytes(file, max(left[0], 0))
    found = list(flagfile.flags(content))
  except OSError as error:
    raise UserError(f'{place}: cannot read {path}: {error.strerror}') from error
  except UserError as error:
    raise UserError(f'{place}: {error}') from error
  left[0] -= len(content)
  pending = iter(found)
  for flag in pending:
    line = Line(path, flag)
    if flag.name != _DIRECTIVE:
      yield line
      continue
    named = flag if '=' in flag.text else next(pending, None)
    if named is None:
      raise UserError(f'{line.place}: --{_DIRECTIVE}: expected the path of a file')
    inner = flag.value if named is flag else named.text
    yield from _read(inner, line.place, (*above, real), left)
