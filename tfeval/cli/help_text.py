"""What `--help` shows of a command: flags in groups, of many those that matter first.

`--help` of a command with more than `_MANY` flags tells ten of them, and of the others
the names; `--helpfull` tells all of all.
"""

import re
import shutil
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

from absl import flags

from tfeval.reports import terminal
from tfeval.utils import flagfile

# The group of flags that say none.
OWN = 'Flags'
_GENERAL, _OUTPUT = 'General', 'Output'
_ORDER = ('Data', 'Model', 'Preprocessing', 'Devices', 'Hosts', OWN, _OUTPUT, _GENERAL)
# Flags that several commands define by themselves.
_GROUPS = {
  **dict.fromkeys(('json', 'expect', 'show_examples', 'class_rule'), _OUTPUT),
  'verbosity': _GENERAL,
}
_MANY = 20
# Those shown first where a command does not say otherwise, in its `FIRST`.
FIRST = (
  *('model', 'weights', 'dataset', 'manual_dir', 'protocol', 'limit', 'batch_size'),
  *('metrics', 'output_dir', 'json'),
)
_ABOUT_FLAGFILE = 'Read flags from a file; flags given beside it replace them.'
_WIDEST, _NARROW = 88, 60
# What absl adds to texts, and headings say.
_ADDED = re.compile(
  r'^<[^>]*>: |;\s*repeat this option to specify a list of values\s*$'
)
# Beyond that a bound is none that anybody meets.
_LARGE = 1 << 32
# A name and what it means, in columns.
_ENTRY = re.compile(r'\s*\S+ {2,}')


def width() -> int:
  """Returns how many columns help may have."""
  return min(shutil.get_terminal_size().columns, _WIDEST)


def commands(about: str, summaries: Mapping[str, str]) -> str:
  """Returns the help of the tool itself: each command in a line.

  Args:
    about: what the tool is.
    summaries: of the commands, by their names.
  """
  columns = width()
  lines = [*terminal.wrapped(about, columns), '', 'Usage: tfeval COMMAND [--flags]', '']
  name_width = max(map(len, summaries)) + 2
  for name, summary in summaries.items():
    if columns >= _NARROW:
      first, others = f'  {name:<{name_width}}', ' ' * (name_width + 2)
    else:
      lines.append(f'  {name}')
      first = others = ' ' * 6
    lines += terminal.wrapped(summary, columns, first, others)
  more = 'tfeval COMMAND --help shows the flags of a command.'
  return '\n'.join([*lines, '', *terminal.wrapped(more, columns)])


def command(
  name: str, summary: str, module: ModuleType, flag_values: flags.FlagValues, full: bool
) -> str:
  """Returns the help of a command.

  Args:
    name: the command's.
    summary: what it is for, in a line.
    module: has its `USAGE`, perhaps `further_usage` and `FIRST`.
    flag_values: its flags.
    full: whether all flags are to be told.
  """
  columns, groups = width(), grouped(flag_values)
  usage = [module.USAGE]
  if hasattr(module, 'further_usage'):
    usage.append(module.further_usage())
  parts = [terminal.wrapped(summary, columns)]
  parts += [_reflowed(text, columns) for text in usage]
  count = sum(map(len, groups.values()))
  if full or count <= _MANY:
    for group, found in groups.items():
      parts.append(_told(group, found, columns))
    start = ' ' * (6 if columns >= _NARROW else 2)
    parts[-1] += _flag(f'{start}--flagfile=FILE', _ABOUT_FLAGFILE, columns)
    return '\n\n'.join('\n'.join(part) for part in parts)
  first = [one for one in getattr(module, 'FIRST', FIRST) if one in flag_values]
  parts.append(_told('Most used', [flag_values[one] for one in first], columns))
  more = [f'All {count + 1} flags are told by tfeval {name} --helpfull. The others:']
  parts.append([line for text in more for line in terminal.wrapped(text, columns)])
  for group, found in groups.items():
    names = [f'--{one.name}' for one in found if one.name not in first]
    names += ['--flagfile'] if group == _GENERAL else []
    if names:
      parts[-1] += terminal.wrapped(' '.join(names), columns, f'  {group}: ', ' ' * 4)
  return '\n\n'.join('\n'.join(part) for part in parts)


def grouped(flag_values: flags.FlagValues) -> dict[str, list[flags.Flag]]:
  """Returns the flags of a command by their groups, in the order of help."""
  found: dict[str, list[flags.Flag]] = {group: [] for group in _ORDER}
  for module, of_module in flag_values.flags_by_module_dict().items():
    if module.startswith('absl.'):
      continue
    for one in of_module:
      group = _GROUPS.get(one.name, OWN) if module == OWN else module
      found.setdefault(group, []).append(one)
  general = found.pop(_GENERAL)
  found[_GENERAL] = general  # Behind groups of other packages.
  return {
    group: sorted(those, key=lambda flag: flag.name)
    for group, those in found.items()
    if those
  }


def _told(group: str, found: Iterable[flags.Flag], columns: int) -> list[str]:
  lines = [f'{group}:']
  for one in found:
    lines += _flag(_heading(one, columns), _text(one), columns)
  return lines


def _flag(heading: str, text: str, columns: int) -> list[str]:
  indent = ' ' * (10 if columns >= _NARROW else 4)
  return [
    *_broken_heading(heading, columns, indent),
    *terminal.wrapped(text, columns, indent, indent),
  ]


def _broken_heading(heading: str, columns: int, indent: str) -> list[str]:
  """Returns how a flag is given, one of many words broken behind some `|`."""
  lines = terminal.wrapped(
    heading.strip(), columns, heading[: _indent(heading)], indent
  )
  found: list[str] = []
  for line in lines:
    words = line.split('|')
    for at, word in enumerate(words):
      part = word + '|' * (at + 1 < len(words))
      if at and len(found[-1]) + len(part) <= columns:
        found[-1] += part
      else:
        found.append(indent + part if at else part)
  return found


def _indent(line: str) -> int:
  return len(line) - len(line.lstrip(' '))


def _heading(flag: flags.Flag, columns: int) -> str:
  """Returns how a flag is given, such as `  -b, --batch_size=N|auto`."""
  short = flagfile.short_name(flag.name)
  start = f'  -{short}, ' if short else ' ' * (6 if columns >= _NARROW else 2)
  if type(flag.parser).__name__ == 'TextOrAlone':
    return f'{start}--[no]{flag.name}[=TEXT]'
  if flag.boolean:
    return f'{start}--[no]{flag.name}'
  several = ' ...' if isinstance(flag, flags.MultiFlag) else ''
  return f'{start}--{flag.name}={"|".join(values(flag) or [_kind(flag)])}{several}'


def values(flag: flags.Flag) -> list[str]:
  """Returns the words that a flag takes, `N` for a number beside these."""
  allowed = getattr(flag.parser, 'enum_values', None)
  if allowed is not None:
    return [*allowed]
  words = getattr(flag.parser, 'words', ())
  return ['N', *words] if words else []


def _kind(flag: flags.Flag) -> str:
  kinds = {'int': 'N', 'float': 'X'}
  return kinds.get(flag.parser.flag_type(), 'TEXT')


def _text(flag: flags.Flag) -> str:
  """Returns what a flag is for, its bounds and its default."""
  further = [*_bounds(flag.parser)]
  default = flag.default
  if isinstance(default, list):
    default = ','.join(default)
  if default not in (None, False, '') and 'default' not in flag.help:
    further.append(f'default: {"yes" if default is True else default}')
  text = _ADDED.sub('', flag.help).strip()
  return f'{text} ({"; ".join(further)})' if further else text


def _bounds(parser: Any) -> list[str]:
  low, high = (getattr(parser, f'{end}_bound', None) for end in ('lower', 'upper'))
  high = None if high is None or high > _LARGE else high
  if low is not None and high is not None:
    return [f'{low} to {high}']
  if low is not None:
    return [f'at least {low}']
  return [] if high is None else [f'at most {high}']


def _reflowed(text: str, columns: int) -> list[str]:
  """Returns lines, those that are too long broken behind their own indent."""
  lines: list[str] = []
  for paragraph in text.split('\n\n'):
    one_by_one = paragraph.startswith(('Usage:', ' ')) or '\n ' in paragraph
    if one_by_one or max(map(len, paragraph.split('\n'))) <= columns:
      for line in paragraph.split('\n'):
        lines += [line] if len(line) <= columns else _broken(line, columns)
    else:
      lines += terminal.wrapped(paragraph, columns)
    lines.append('')
  return lines[:-1]


def _broken(line: str, columns: int) -> list[str]:
  start = line[: _indent(line)]
  others, entry = f'{start}    ', _ENTRY.match(line)
  if entry and columns < _NARROW:
    return [
      entry[0].rstrip(),
      *terminal.wrapped(line[entry.end() :], columns, *2 * [others]),
    ]
  if entry:
    start, others = entry[0], ' ' * len(entry[0])
  return terminal.wrapped(line[len(start) :], columns, start, others)
