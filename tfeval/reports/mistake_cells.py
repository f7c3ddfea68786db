"""Cells of tables of mistakes, and a table that fits."""

import math
from collections.abc import Sequence

from tfeval.analysis.hardest import HardImage
from tfeval.analysis.mistake import Mistake, NamedClass
from tfeval.reports import mistake_rows, terminal
from tfeval.runs.top_classes import ClassPrediction, short

# Widths that names are folded to where there is little room.
_IMAGE, _NARROW_IMAGE, _NAME = 28, 16, 13
# Names of a set that are shown.
_MOST = 4


def fitted(
  titles: Sequence[str], rows: Sequence[Sequence[terminal.Cell]], room: int
) -> terminal.Table:
  """Returns a table whose widest columns give way until it fits."""
  widths = [
    max(map(terminal.width_of_cell, (title, *(row[i] for row in rows))))
    for i, title in enumerate(titles)
  ]
  image = _IMAGE if len(widths) < 5 else _NARROW_IMAGE
  least = [min(width, image if i == 0 else _NAME) for i, width in enumerate(widths)]
  # One less than there is: rich counts the blank behind the last column.
  while sum(widths) + terminal.GAP * (len(widths) - 1) > room - 1:
    over = [
      (width - low, i) for i, (width, low) in enumerate(zip(widths, least, strict=True))
    ]
    most, at = max(over)
    if not most:
      break
    widths[at] -= 1
  table = terminal.new_table()
  for title, width in zip(titles, widths, strict=True):
    table.add_column(title, width=width, min_width=width, overflow='fold')
  for row in rows:
    table.add_row(*row)
  return table


def image(one: Mistake) -> terminal.Cell:
  """Returns the id of an image, and its loss where that is known."""
  if one.loss is None:
    return one.id
  return one.id, f'loss {one.loss:.3f}' if math.isfinite(one.loss) else 'loss infinite'


def names(classes: tuple[NamedClass, ...]) -> tuple[str, ...]:
  """Returns names of classes, of many the first and how many more there are."""
  shown = tuple(one.name for one in classes[:_MOST])
  more = len(classes) - len(shown)
  return (*shown, f'and {more} more') if more else shown


def real(one: Mistake) -> terminal.Cell:
  """Returns the set that a row carries, and whether the prediction is in it."""
  if not one.real:
    return '(none)'
  return (
    *['(right)'] * bool(one.right_by_real and not one.is_right),
    *names(one.real),
  )


def real_of(one: HardImage) -> terminal.Cell:
  """Returns the set that a row carries, and whether what most runs say is in it."""
  real = one.mistake.real
  if not real:
    return '(none)'
  is_right = one.said.index in {each.index for each in real}
  return (*['(said: right)'] * is_right, *names(real))


def predictions(shown: Sequence[ClassPrediction], is_right: bool) -> terminal.Cell:
  """Returns predictions with their probabilities, a line each."""
  lines = [f'{probability(one.probability)} {mistake_rows.name(one)}' for one in shown]
  return (*lines, *['(right)'] * is_right)


def probability(value: float) -> str:
  """Returns a probability, `-` for an unknown one."""
  return '-' if math.isnan(value) else short(value)
