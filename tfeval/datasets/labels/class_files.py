"""Files that say what classes there are, in an order: text, tables and JSON."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tfeval.datasets.labels.listing import doubles
from tfeval.utils import budgets, errors, json_text, paths, untrusted
from tfeval.utils.errors import UserError, listed

Entry = tuple[str, str]
_IDS = ('id', 'wnid', 'synset', 'classid')
_NAMES = ('name', 'class', 'classname', 'label')
_POSITION = 'index'
# What else numbers of outputs are called, `''` by pandas.
_NUMBERS = frozenset(
  (*_IDS, *_NAMES, 'idx', 'output', 'number', 'classindex', 'classidx', 'labelid', '')
)
_DELIMITERS = (',', ';', '\t')
# `0: tench`, `0 tench`, `0,tench`.
_NUMBERED = re.compile(r'(\d{1,9})(?:\s*[:,;]\s*|\s+)(\S.*)', re.ASCII)
_NUMBER = re.compile(r'(\d{1,9})(?:\.0*)?', re.ASCII)


def read_entries(path: paths.Path) -> list[Entry]:
  """Reads the id and the readable name of each class, the same where there is but one.

  Args:
    path: of one of
      text: a class in each line, by id, name, a wnid and a name, or with its number
        from 0 before it in all lines;
      `.csv`, `.tsv`: columns `id`, `wnid` or `name`, and `index` where lines are in
        another order, between commas, semicolons or tabs;
      `.json`: a list of names or of pairs of id and name, an object of number to such
        or of name to number, or one with `id2label` or `label2id`.

  Returns:
    Them in their order; `''` or what else the file writes for nothing among them.

  Raises:
    UserError: the file cannot be read, is none of these, has gaps, or gives a number
      or a name in an object twice.
  """
  try:
    content = untrusted.read_bytes(path, budgets.CLASS_MAP).decode('utf-8-sig')
  except UnicodeDecodeError as error:
    raise UserError(
      f'cannot read class map {path}: it is no UTF-8: save it as such'
    ) from error
  except OSError as error:
    raise UserError(
      f'cannot read class map {path}: '
      f'{getattr(error, "strerror", None) or errors.one_line(error)}'
    ) from error
  suffix = path.suffix.lower()
  if suffix == '.json':
    return _of_json(path, content.encode())
  if suffix in ('.csv', '.tsv'):
    return _of_table(path, content)
  lines = [line.strip() for line in content.rstrip().splitlines()]
  return [of_line(line) for line in _without_numbers(path, lines)]


def _without_numbers(path: paths.Path, lines: list[str]) -> list[str]:
  """Returns lines in the order of the numbers before them, if all have such."""
  numbered = [_NUMBERED.fullmatch(line) for line in lines]
  found = {int(line[1]): line[2] for line in numbered if line}
  if len(found) < len(lines):
    return lines
  first, last = min(found, default=0), max(found, default=0)
  if last - first != len(lines) - 1 or first > 1:
    return lines  # Names that begin with numbers.
  if first:
    raise UserError(f'class map {path} numbers classes from 1 on: expected from 0 on')
  return [found[number] for number in range(len(lines))]


def of_line(line: str) -> Entry:
  """Returns id and name; a line may have both, as ImageNet's synset_words.txt has."""
  both = re.fullmatch(r'(n\d{8})\s+(\S.*)', line)
  return (both[1], both[2]) if both else (line, line)


def _of_json(path: paths.Path, content: bytes) -> list[Entry]:
  def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if twice := doubles([name for name, _ in pairs]):
      raise UserError(f'class map {path} gives {twice[0][:80]!r} twice')
    return dict(pairs)

  found = json_text.loads(path, content, unique)
  for key in ('id2label', 'label2id'):
    if isinstance(found, dict) and isinstance(found.get(key), dict):
      found = found[key]
      break
  if isinstance(found, dict):
    found = _in_order(path, _by_number(path, found))
  if isinstance(found, list):
    entries = [_of_value(one) for one in found]
    there = [one for one in entries if one is not None]
    if len(there) == len(entries):
      return there
  raise UserError(f'class map {path}: expected a text for each output')


def _by_number(path: paths.Path, found: Mapping[str, Any]) -> dict[int, Any]:
  """Returns what an object says of each output, whichever of both is the name."""
  if all(_NUMBER.fullmatch(key) for key in found):
    pairs = [(int(key), value) for key, value in found.items()]
  elif all(type(value) is int and value >= 0 for value in found.values()):
    pairs = [(value, key) for key, value in found.items()]
  else:
    raise UserError(
      f'class map {path}: expected a list, or an object of output numbers to names or '
      'of names to numbers'
    )
  by_number = dict(pairs)
  if len(by_number) != len(pairs):
    twice = doubles([str(number) for number, _ in pairs])
    raise UserError(f'class map {path} has output {twice[0]} twice')
  return by_number


def _of_value(value: Any) -> Entry | None:
  """Returns id and name of a text or a pair of texts, None of anything else."""
  both = value if isinstance(value, list) else [value, value]
  if len(both) != 2 or not all(isinstance(text, str) for text in both):
    return None
  return both[0].strip(), both[1].strip()


def _of_table(path: paths.Path, content: str) -> list[Entry]:
  header = content.partition('\n')[0]
  delimiter = max(_DELIMITERS, key=header.count)
  names, *rows = list(csv.reader(io.StringIO(content), delimiter=delimiter)) or [[]]
  rows = [[text.strip() for text in row] for row in rows if any(row)]
  rows = [row + [''] * (len(names) - len(row)) for row in rows]
  plain = [re.sub(r'[\W_]+', '', name).casefold() for name in names]
  at = _position(path, plain, rows)
  ids, readable = (
    next((i for i, one in enumerate(plain) if one in usual and i != at), None)
    for usual in (_IDS, _NAMES)
  )
  chosen = [i for i in (ids, readable) if i is not None]
  if not chosen:
    raise UserError(
      f'class map {path} has the columns {listed(names)}: expected one of '
      'id, wnid, synset, class_id, name, class, class_name, label'
    )
  entries = [(row[chosen[0]], row[chosen[-1]]) for row in rows]
  if at is None:
    return entries
  found: dict[int, Entry] = {}
  for line, (row, entry) in enumerate(zip(rows, entries, strict=True), 2):
    number = _NUMBER.fullmatch(row[at])
    if number is None:
      raise UserError(
        f'class map {path}: index {row[at]!r} of line {line} is no number'
      )
    if int(number[1]) in found:
      raise UserError(f'class map {path} has output {number[1]} twice')
    found[int(number[1])] = entry
  return _in_order(path, found)


def _position(
  path: paths.Path, names: Sequence[str], rows: Sequence[Sequence[str]]
) -> int | None:
  """Returns which column says what output a line is; None: lines are in their order.

  That is `index`; else one that has all numbers from 0 on, beside others.

  Raises:
    UserError: several could be it, or one counts otherwise, in another order than the
      lines.
  """
  if _POSITION in names:
    return names.index(_POSITION)
  usual = [i for i, name in enumerate(names) if name in _NUMBERS]
  if len(usual) < 2 or len(rows) < 2:
    return None
  columns = {i: [_NUMBER.fullmatch(row[i]) for row in rows] for i in usual}
  numbers = {
    i: [int(one[1]) for one in column if one]
    for i, column in columns.items()
    if all(column)
  }
  found = [i for i, one in numbers.items() if sorted(one) == list(range(len(rows)))]
  mixed = [i for i, one in numbers.items() if one != sorted(one)]
  if len(found) > 1 or set(mixed) - set(found):
    raise UserError(
      f'class map {path} has numbers in another order than its lines: call the column '
      'that counts the outputs from 0 index, or sort the lines'
    )
  return found[0] if found else None


def _in_order(path: paths.Path, found: Mapping[int, Any]) -> list[Any]:
  missing = [i for i in range(len(found)) if i not in found]
  if missing:
    raise UserError(
      f'class map {path} has gaps: {len(found)} outputs are named, and output '
      f'{missing[0]} is not'
    )
  return [found[i] for i in range(len(found))]
