"""Answers of several models to one image as tables, 80 columns wide and up."""

import re
from collections.abc import Iterator, Sequence

from tfeval.reports import terminal
from tfeval.reports.formats import Output
from tfeval.reports.terminal import GAP, new_table
from tfeval.runs import top_classes
from tfeval.runs.predicted import Predictions
from tfeval.runs.top_classes import (
  ClassPrediction,
  ImagePredictions,
  PredictingModel,
  short,
)

# Of a class that this model does not have among its highest, and another has.
_NOT_TOLD = '-'
# More columns leave no room for names in a terminal of 80.
_MOST_MODELS = 4
_WIDTH, _NAME = 80, 15
# Where a specification is broken: behind its own signs; only then behind others and
# before inner capitals; only then anywhere.
_BREAKS = (
  re.compile(r'.+?(?:[:,]|$)'),
  re.compile(r'.+?(?:[=_/@-]+|(?<=[a-z0-9])(?=[A-Z][a-z])|$)'),
  re.compile(r'.'),
)


def write_table(found: Predictions, output: Output) -> None:
  """Writes the path and the tables of each image."""
  for number, image in enumerate(found.images):
    terminal.print_lines([''] * (number > 0) + [image.path], output.file)
    for table in answers_tables(found.models, image):
      terminal.print_table(table, output.file)


def write_json(found: Predictions, output: Output) -> None:
  """Writes a list with an object for each image."""
  terminal.print_json(top_classes.describe(found.models, found.images), output.file)


def answers_tables(
  models: Sequence[PredictingModel], image: ImagePredictions
) -> Iterator[terminal.Table]:
  """Yields tables with a row for each class that a model has among its highest.

  The classes that some model ranks first come first, then those ranked second.

  Args:
    models: columns; more than fit side by side get another table.
    image: what they answered.
  """
  for first in range(0, len(models), _MOST_MODELS):
    part = slice(first, first + _MOST_MODELS)
    yield _table(models[part], image.predictions[part])


def _table(
  models: Sequence[PredictingModel], answers: Sequence[Sequence[ClassPrediction]]
) -> terminal.Table:
  cells: dict[int, list[str]] = {}
  named = {}
  for _, column, answer in sorted(
    (answer.rank, column, answer)
    for column, ranked in enumerate(answers)
    for answer in ranked
  ):
    row = cells.setdefault(answer.index, [_NOT_TOLD] * len(models))
    row[column] = f'{answer.rank}. {short(answer.probability):>6}'
    named[answer.index] = (answer.wnid, answer.name.replace('_', ' '))
  table = new_table()
  table.add_column('class', no_wrap=True)
  # Names are broken between words, if these are no longer than the room for them;
  # titles where they are here; numbers never.
  longest = max(len(word) for _, name in named.values() for word in name.split())
  table.add_column('name', overflow='fold', min_width=min(longest, _NAME))
  room = (_WIDTH - len('n01440764') - GAP - _NAME) // len(models) - GAP
  for model in models:
    table.add_column(_title(model, room), justify='right', no_wrap=True)
  for index, row in cells.items():
    table.add_row(*named[index], *row)
  return table


def _title(model: PredictingModel, room: int) -> terminal.Cell:
  names = (terminal.shown(text) for text in (model.name, model.protocol))
  lines = (line for name in names for line in _broken(name, room))
  return (*lines, f'{model.size} px') if model.size else tuple(lines)


def _broken(text: str, room: int) -> list[str]:
  """Breaks a specification into lines.

  >>> _broken('MobileNet:alpha=0.25,dropout=0.001', 16)
  ['MobileNet:', 'alpha=0.25,', 'dropout=0.001']
  >>> _broken('EfficientNetLite0', 16)
  ['EfficientNet', 'Lite0']
  """
  lines = [text]
  for pieces in _BREAKS:
    lines = [part for line in lines for part in _filled(pieces.findall(line), room)]
  return lines


def _filled(pieces: Sequence[str], room: int) -> list[str]:
  lines = ['']
  for piece in pieces:
    if lines[-1] and len(lines[-1] + piece) > room:
      lines.append('')
    lines[-1] += piece
  return lines
