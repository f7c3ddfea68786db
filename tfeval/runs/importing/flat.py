"""Predictions with a column for each class of a row, as CSV always has them."""

import pathlib
import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from tfeval.datasets.labels.listing import doubles
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.runs.importing.blocks import Block, ids_of
from tfeval.utils.arrow import to_numpy
from tfeval.utils.errors import UserError, listed

_NUMBERED = re.compile(r'((?:class|prob)\D*)(\d+)')
_EXPECTED = (
  'expected id and class_1 to class_k, perhaps probability_1 to probability_k, or a '
  'column for each of the {} classes, named by index (from 0) or id'
)
_WHOLE_NUMBERS = (
  'expected whole numbers, the classes; all outputs are columns named by index (from '
  '0) or id'
)


def choose(
  path: pathlib.Path, header: Sequence[str], space: LabelSpace, instead: str = ''
) -> tuple[list[str], list[str]]:
  """Returns the columns of classes, best first, and those of scores beside them.

  Where columns stand in the file does not matter: `class_1` is the best class
  unless probabilities say otherwise, and `probability_1` belongs to it.

  Args:
    path: of the file, for messages.
    header: the names of all its columns.
    space: the classes.
    instead: what else they might be, for messages.

  Returns:
    The names of the k classes, from class_1 on (or class_0), and of their k or no
    probabilities; or none and those of the scores of all classes, from 0 on.

  Raises:
    UserError: the columns are others, or their numbers do not fit.

  >>> space = LabelSpace('pets', ('cat', 'dog'), ('cat', 'dog'))
  >>> columns = ['probability_2', 'class_2', 'id', 'class_1', 'probability_1']
  >>> choose('x', columns, space)
  (['class_1', 'class_2'], ['probability_1', 'probability_2'])
  """
  names = [name for name in header if name != 'id']
  expected = _EXPECTED.format(len(space))
  if twice := doubles(list(header)):
    raise UserError(f'{path} has two columns called {twice[0]!r}')
  for known in (space.class_ids, map(str, range(len(space)))):
    if set(all_classes := list(known)) == set(names):
      return [], all_classes
  classes = [name for name in names if name.startswith('class')]
  scores = [name for name in names if name.startswith('prob')]
  if not classes or len(classes) + len(scores) != len(names):
    raise UserError(
      f'{path} has the columns {listed(list(header))}, {expected}{instead}'
    )
  alone = len(classes) == 1 and len(scores) < 2
  if alone and not any(name[-1].isdigit() for name in names):
    return classes, scores
  class_at, score_at = (_numbered(path, found, expected) for found in (classes, scores))
  if scores and (unpaired := class_at.keys() ^ score_at.keys()):
    number = min(unpaired)
    kind = 'probability' if number in class_at else 'class'
    raise UserError(
      f'{path}: column {(class_at | score_at)[number]} has no {kind} of the number '
      f'{number} beside it: expected {expected.removeprefix("expected ")}'
    )
  numbers = sorted(class_at)
  # A class that is left out would move all behind it up.
  if numbers[0] > 1 or numbers[-1] - numbers[0] != len(numbers) - 1:
    lacking = min({*range(1, numbers[-1])} - {*numbers})
    raise UserError(
      f'{path} has {class_at[numbers[-1]]} and no class of the number '
      f'{lacking}: expected class_1 to class_k, none left out'
    )
  return [class_at[n] for n in numbers], [score_at[n] for n in numbers if scores]


def _numbered(
  path: pathlib.Path, names: Sequence[str], expected: str
) -> dict[int, str]:
  """Returns columns by their numbers."""
  found: dict[int, str] = {}
  forms: dict[str, str] = {}
  for name in names:
    match = _NUMBERED.fullmatch(name)
    if match is None or len(match[2]) > 4:
      raise UserError(
        f'{path}: column {name[:80]!r} has no number at its end: {expected}'
      )
    forms.setdefault(match[1], name)
    if len(forms) > 1:
      raise UserError(
        f'{path} has the columns {" and ".join(forms.values())[:160]}: '
        'expected names that differ in their number only'
      )
    if other := found.get(int(match[2])):
      raise UserError(
        f'{path} has the columns {other} and {name}: expected different numbers'
      )
    found[int(match[2])] = name
  return found


def block(
  path: pathlib.Path,
  batch: pa.RecordBatch,
  classes: Sequence[str],
  scores: Sequence[str],
) -> Block:
  """Returns rows of the columns that `choose` has chosen.

  Raises:
    pa.ArrowException: ids are none.
    UserError: as `stack`, or ids are too long.
  """
  return Block(
    ids_of(path, batch),
    stack(path, batch, classes, whole=True),
    stack(path, batch, scores, whole=False),
  )


def check_type(path: pathlib.Path, name: str, kind: pa.DataType, whole: bool) -> None:
  """Checks the type of a column.

  Args:
    path: of the file, for messages.
    name: of the column.
    kind: its type.
    whole: whether it should have whole numbers.

  Raises:
    UserError: it is another.
  """
  if whole and not pa.types.is_integer(kind):
    raise UserError(f'{path}: column {name} is {str(kind)[:80]}, {_WHOLE_NUMBERS}')
  if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
    raise UserError(f'{path}: column {name} is {str(kind)[:80]}, expected numbers')


def stack(
  path: pathlib.Path, batch: pa.RecordBatch, names: Sequence[str], whole: bool
) -> np.ndarray | None:
  """Returns columns of numbers side by side, [n, len(names)]; None for no names.

  Args:
    path: of the file, for messages.
    batch: the rows.
    names: of the columns.
    whole: whether they should be whole numbers.

  Raises:
    UserError: they have nulls, or are of another type.
  """
  for name in names:
    column = batch[name]
    if column.null_count:
      raise UserError(f'{path}: column {name} has an empty cell or NaN')
    check_type(path, name, column.type, whole)
  return np.stack([to_numpy(batch[name]) for name in names], 1) if names else None


def refuse_cell(
  path: pathlib.Path, header: Sequence[str], classes: Sequence[str], message: str
) -> None:
  """Raises a UserError if Arrow's message is of a CSV cell that is no number."""
  found = re.search(r"column #(\d+): .*invalid value '(.*)'", message, re.DOTALL)
  if not found or int(found[1]) >= len(header):
    return
  name = header[int(found[1])]
  expected = _WHOLE_NUMBERS if name in classes else 'expected a number'
  raise UserError(f'{path}: column {name} has the cell {found[2][:40]!r}, {expected}')
