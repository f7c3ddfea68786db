"""What a model's outputs mean: named orders, and files with an id or name for each.

1001 outputs, other class orders and other classes are the usual reasons why they are
not those of the dataset, in its order.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfeval.datasets.labels import imagenet, orders
from tfeval.datasets.labels.files import doubles, first
from tfeval.datasets.labels.meanings import normal
from tfeval.datasets.labels.spaces import LabelMap, LabelSpace
from tfeval.models.model import wrong_outputs
from tfeval.utils import budgets, errors, files, json_text, paths, untrusted
from tfeval.utils.errors import UserError

BACKGROUND = ('background_first', 'background_last')
CLASS_MAPS = (*BACKGROUND, 'ilsvrc_id', 'name')
# What files write for an output that stands for nothing.
_NOTHING = frozenset({'', '-', 'background'})
_ID_COLUMNS = ('id', 'wnid', 'synset', 'class_id')
_NAME_COLUMNS = ('name', 'class', 'class_name', 'label')


def label_map(class_map: str) -> LabelMap:
  """Returns which of a model's outputs mean each of the classes that a map names.

  Args:
    class_map: `background_first` (1001 outputs, as TF-Slim's), `background_last`,
      `ilsvrc_id` (in the order of the development kit's ids), `name` (in the order
      of the readable names, those of two classes each by their wnids), all of them of
      the ILSVRC2012 classes; or the path of a file with an id or name for each output,
      see `read_class_map`.

  Raises:
    UserError: no such map or file, or the file is not as it should be.
  """
  space = imagenet.label_space()
  if class_map == 'background_first':
    return _one_each(len(space) + 1, space, range(1, len(space) + 1))
  if class_map == 'background_last':
    return _one_each(len(space) + 1, space, range(len(space)))
  if class_map in ('ilsvrc_id', 'name'):
    order = orders.other_class_orders(space)[class_map]
    return _one_each(len(space), space, np.argsort(order).tolist())
  path = paths.path(class_map)
  if not path.is_file():
    raise errors.unknown(
      'class map',
      class_map,
      CLASS_MAPS,
      'or the path of a file with an id or name for each output',
    )
  return read_class_map(path)


def _one_each(outputs: int, space: LabelSpace, indices: Iterable[int]) -> LabelMap:
  return LabelMap(outputs, space, tuple((index,) for index in indices))


def identity(class_map: str | None) -> str | None:
  """Returns what tells two class maps apart: the name, or the hash of a file."""
  if class_map is None or class_map in CLASS_MAPS:
    return class_map
  return f'sha256:{files.sha256_of(paths.path(class_map))}'


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
    return _one_each(len(entries), imagenet.label_space(), output_of.tolist())
  if twice := doubles(ids):
    raise UserError(
      f'class map {path} has {len(twice)} classes twice, such as {twice[0][:80]}: '
      'expected another id or name for each output'
    )
  return _one_each(len(entries), space, meaning)


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


def check_shape(
  shape: tf.TensorShape | Sequence[int | None], name: str, class_map: str | None
) -> None:
  """Checks that an output has a value for each output that a class map names.

  Args:
    shape: of the output, as far as it is known.
    name: the model's, for errors.
    class_map: see `label_map`; None: only that they are one value for each class.

  Raises:
    UserError: it has another number of values.
  """
  count = None if class_map is None else label_map(class_map).outputs
  if tf.TensorShape(shape).is_compatible_with((None, count)):
    return
  if class_map is None:
    raise wrong_outputs(name, shape, None)
  raise UserError(
    f'{name} returns {shape[-1]} outputs, `class_map={class_map}` is for {count}'
  )


def mapped(
  function: Callable[[tf.Tensor], tf.Tensor],
  name: str,
  class_map: str,
  are_probabilities: bool,
) -> Callable[[tf.Tensor], tf.Tensor]:
  """Returns a function whose outputs are the classes of a map, in their order.

  Args:
    function: returns [batch, outputs].
    name: the model's, for errors.
    class_map: see `label_map`.
    are_probabilities: those of the classes are then made to sum to 1 again,
      which is what leaving an output out before a softmax gives.

  Raises:
    UserError: as `label_map`; when called: the number of outputs is another.
  """
  classes = label_map(class_map)

  def checked(x):
    outputs = function(x)
    check_shape(outputs.shape, name, class_map)
    return outputs

  left_out = classes.outputs != len(classes.classes)
  return gathered(checked, classes.indices, are_probabilities and left_out)


def gathered(
  function: Callable[[tf.Tensor], tf.Tensor], indices: np.ndarray, renormalised: bool
) -> Callable[[tf.Tensor], tf.Tensor]:
  """Returns a function of some of the outputs of another, in an order."""

  def reordered(x):
    chosen = tf.gather(function(x), indices, axis=-1)
    if renormalised:
      chosen /= tf.reduce_sum(chosen, axis=-1, keepdims=True)
    return chosen

  return reordered
