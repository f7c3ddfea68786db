"""Mistakes as a contact sheet: what each image is and what was said of it."""

import math
import pathlib
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from tfeval.analysis.hardest import Hardest, HardImage
from tfeval.analysis.mistake import Mistake
from tfeval.analysis.mistakes import Mistakes
from tfeval.reports import contact_sheet, mistake_rows
from tfeval.reports.contact_sheet import Line, Tile
from tfeval.reports.mistakes import set_title
from tfeval.runs import display
from tfeval.runs.run_key import RunKey
from tfeval.runs.top_classes import short

# Names, those of two sets among them, each of two lines, and two of counts.
LINES = 9


def draw(
  path: pathlib.Path,
  found: Mistakes | Hardest,
  pictures: Mapping[str, 'np.ndarray | str'],
) -> None:
  """Draws mistakes.

  Args:
    path: of the file; its extension is the format.
    found: the mistakes.
    pictures: of each image by its id: uint8 [height, width, 3], or why there is none.

  Raises:
    UserError: the file cannot be written, or matplotlib is not installed.
  """
  if isinstance(found, Hardest):
    tiles = [
      Tile(pictures[one.mistake.id], [*_hard_lines(one, found)]) for one in found
    ]
    title = (
      f'The images that most of {len(found.names)} runs get wrong, by their '
      f'{display.labels_name(found.of_first.labels)} labels'
    )
    contact_sheet.draw(path, title, tiles)
    return
  sets = set_title(found)
  tiles = [Tile(pictures[one.id], [*_lines(one, sets)]) for one in found]
  wrong = found.counted.count - found.counted.correct
  title = (
    f'{RunKey.of(found.run.result).title}: {len(found):,} of {wrong:,} wrong by '
    f'{display.labels_name(found.labels)} labels, by {found.by}'
  )
  if found.other is not None:
    title = (
      f'{RunKey.of(found.run.result).title} and {found.other.run.result.model.name}: '
      f'{len(found):,} of {found.found:,} images that they disagree on'
    )
  contact_sheet.draw(path, title, tiles)


def _lines(one: Mistake, sets: str) -> Iterator[Line]:
  yield Line('label: ' + _joined(each.name for each in one.right))
  first = one.predictions[0]
  kind = 'right' if one.is_right else 'wrong'
  yield Line(f'{_share(first.probability)}{mistake_rows.name(first)}', kind)
  if one.other is not None:
    kind = 'right' if one.other_is_right else 'wrong'
    share = _share(one.other.probability)
    yield Line(f'other: {share}{mistake_rows.name(one.other)}', kind)
  yield from _of_set(one, sets)
  if one.loss is not None:
    yield Line(f'loss {one.loss:.2f}', 'aside')
  yield Line(one.id, 'aside')


def _hard_lines(one: HardImage, found: Hardest) -> Iterator[Line]:
  runs = len(found.names)
  yield Line('label: ' + _joined(each.name for each in one.mistake.right))
  yield Line(f'{one.said.name} ({one.said_by} of {runs})', 'wrong')
  yield Line(f'missed by {one.missed} of {runs}')
  yield from _of_set(one.mistake, set_title(found.of_first), one.said.index)
  yield Line(one.mistake.id, 'aside')


def _of_set(one: Mistake, name: str, said: int | None = None) -> Iterator[Line]:
  """Yields what the set of an image is, where it is another one than the label."""
  if one.real is None or one.real == one.right:
    return
  names = _joined(each.name for each in one.real) if one.real else 'none'
  inside = (
    one.right_by_real and not one.is_right
    if said is None
    else said in {each.index for each in one.real}
  )
  yield Line(f'{name}: {names}', 'right' if inside else 'aside')


def _joined(names: Iterable[str]) -> str:
  return ', '.join(names)


def _share(probability: float) -> str:
  return '' if math.isnan(probability) else f'{short(probability)} '
