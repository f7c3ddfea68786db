"""Files that name classes in an order: those of outputs, or of labels."""

import csv
import io
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from tfeval.datasets.labels import imagenet
from tfeval.datasets.labels.listing import doubles, first
from tfeval.datasets.labels.meanings import normal
from tfeval.datasets.labels.spaces import LabelMap, LabelSpace
from tfeval.utils import budgets, errors, json_text, paths, untrusted
from tfeval.utils.errors import UserError

# What files write for an output that stands for nothing.
_NOTHING = frozenset({'', '-', 'background'})
_ID_COLUMNS = ('id', 'wnid', 'synset', 'class_id')
_NAME_COLUMNS = ('name', 'class', 'class_name', 'label')


def one_each(outputs: int, space: LabelSpace, indices: Iterable[int]) -> LabelMap:
  """Returns a map of one output for each class."""
  return LabelMap(outputs, space, tuple((index,) for index in indices))


def read_space(path: paths.Path) -> LabelSpace:
  """Reads classes in their order, none left out; see `read_class_map`.

  Raises:
    UserError: as `read_class_map`, or one stands for nothing.
  """
  found = read_class_map(path)
  if found.outputs != len(found.classes) or found.groups != tuple(
    (index,) for index in range(found.outputs)
  ):
    raise UserError(
      f'{path} names {len(found.classes)} classes in {found.outputs} lines: expected a '
      'class in each, those of ILSVRC2012 in the order of their sorted wnids'
    )
  return found.classes


def read_class_map(path: paths.Path) -> LabelMap:
  """Reads what each output means.

  Args:
    path: of a text file with an id or name for each output, a line each, or a wnid and
      a name; of a CSV file with a column `id`, `wnid` or `name` and, where lines are in
      another order, `index`; or of JSON: a list, or an object of output to name, such
      as the `id2label` of Hugging Face's `config.json`, or that file itself. What is
      empty, `-` or `background` is an output that stands for nothing.

  Returns:
    The classes in the order of the outputs. If they are the 1000 of ILSVRC2012, by id
    or by name, they are these, in their order; else those of the file.

  Raises:
    UserError: the file cannot be read, has gaps, or names a class twice.
  """
  try:
    content = untrusted.read_bytes(path, budgets.CLASS_MAP).decode('utf-8-sig')
  except (OSError, UnicodeDecodeError) as error:
    raise UserError(
      f'cannot read class map {path}: {errors.one_line(error)}'
    ) from error
  suffix = path.suffix.lower()
  if suffix == '.json':
    entries = _from_json(path)
  elif suffix in ('.csv', '.tsv'):
    entries = _from_table(path, content, '\t' if suffix == '.tsv' else ',')
  else:
    entries = [_of_line(line.strip()) for line in content.splitlines()]
  meaning = [i for i, (text, _) in enumerate(entries) if text.lower() not in _NOTHING]
  if not meaning:
    raise UserError(f'class map {path} names no class: expected one for each output')
  ids = [entries[i][0] for i in meaning]
  space = LabelSpace(
    path.name.removesuffix(path.suffix),
    tuple(ids),
    tuple(entries[i][1] for i in meaning),
  )
  known = match(space, imagenet.label_space())
  if known is not None and len(set(known)) == len(imagenet.label_space()) == len(known):
    output_of = np.array(meaning)[np.argsort(known)]
    return one_each(len(entries), imagenet.label_space(), output_of.tolist())
  if twice := doubles(ids):
    raise UserError(
      f'class map {path} has {len(twice)} classes twice, such as {twice[0][:80]}: '
      'expected another id or name for each output'
    )
  return one_each(len(entries), space, meaning)


def _of_line(line: str) -> tuple[str, str]:
  """Returns id and name; a line may have both, as ImageNet's synset_words.txt has."""
  both = re.fullmatch(r'(n\d{8})\s+(\S.*)', line)
  return (both[1], both[2]) if both else (line, line)


def _from_json(path: paths.Path) -> list[tuple[str, str]]:
  found = json_text.read(path)
  if isinstance(found, dict) and isinstance(found.get('id2label'), dict):
    found = found['id2label']
  if isinstance(found, dict):
    if not all(re.fullmatch(r'\d{1,9}', key) for key in found):
      raise UserError(
        f'class map {path}: expected a list, or an object of output numbers to names'
      )
    found = _in_order(path, {int(key): value for key, value in found.items()})
  if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
    raise UserError(f'class map {path}: expected a text for each output')
  return [(text.strip(), text.strip()) for text in found]


def _from_table(
  path: paths.Path, content: str, delimiter: str
) -> list[tuple[str, str]]:
  rows = csv.DictReader(io.StringIO(content), delimiter=delimiter)
  columns = [name for name in rows.fieldnames or () if name]
  id_column = next((name for name in columns if name.lower() in _ID_COLUMNS), None)
  name_column = next((name for name in columns if name.lower() in _NAME_COLUMNS), None)
  if id_column is None and name_column is None:
    raise UserError(
      f'class map {path} has the columns {first(columns)[:200]}: expected one of '
      f'{", ".join((*_ID_COLUMNS, *_NAME_COLUMNS))}'
    )
  found = {}
  for number, row in enumerate(rows):
    at = row.get('index')
    if at is not None and not re.fullmatch(r'\d{1,9}', at):
      raise UserError(
        f'class map {path}: index {at!r} of line {number + 2} is no number'
      )
    texts = [
      (row[name] or '').strip()
      for name in (id_column or name_column, name_column or id_column)
      if name is not None
    ]
    position = number if at is None else int(at)
    if position in found:
      raise UserError(f'class map {path} has output {position} twice')
    found[position] = (texts[0], texts[1])
  return _in_order(path, found)


def _in_order(path: paths.Path, found: dict[int, Any]) -> list[Any]:
  missing = [i for i in range(len(found)) if i not in found]
  if missing:
    raise UserError(
      f'class map {path} has gaps: {len(found)} outputs are named, and output '
      f'{missing[0]} is not'
    )
  return [found[i] for i in range(len(found))]


def match(outputs: LabelSpace, classes: LabelSpace) -> list[int] | None:
  """Returns the class that each output means, -1 for none; None: no output means one.

  By ids where any agree, else by names; of names that several classes have the first
  output is the first class.
  """
  by_id = [classes.index_of_id.get(one, -1) for one in outputs.class_ids]
  if max(by_id) >= 0:
    return by_id
  of_name: dict[str, list[int]] = {}
  for index, name in enumerate(classes.class_names):
    of_name.setdefault(normal(name), []).append(index)
  # The last of several names stays, for a map that names one class twice.
  found = []
  for name in outputs.class_names:
    there = of_name.get(normal(name))
    found.append(-1 if there is None else there.pop(0) if len(there) > 1 else there[0])
  return found if max(found) >= 0 else None
