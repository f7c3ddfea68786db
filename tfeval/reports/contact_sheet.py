"""A sheet of small pictures with a few lines under each, as wide as a page of A4."""

import pathlib
import textwrap
import unicodedata
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tfeval.reports import figures
from tfeval.utils.errors import UserError
from tfeval.utils.printable import printable

# In inches. A page of A4 is 8.27 by 11.69 and holds 25.
_WIDTH, _MARGIN, _TITLE = 8.27, 0.3, 0.5
COLUMNS = 5
_GAP, _LINE = 0.12, 0.125
# Of a figure that can be looked at, see `figures`.
_MOST_HEIGHT = 150
# Characters in a line under a picture, a wide one counts for two.
_CHARACTERS, _SMALL_CHARACTERS = 25, 30
_FONT, _SMALL_FONT = 6.5, 5.6
_COLOURS = {
  'plain': '#222222',
  'right': '#1f6f3f',
  'wrong': '#a11d1d',
  'aside': '#666666',
}
PIXELS = 300


class Line(NamedTuple):
  """A line under a picture.

  Attributes:
    text: what it says.
    kind: `plain`, `right`, `wrong` or `aside`, which is smaller.
  """

  text: str
  kind: str = 'plain'


class Tile(NamedTuple):
  """A picture and what is under it.

  Attributes:
    picture: uint8 [height, width, 3], or a text that says why there is none.
    lines: under it.
  """

  picture: 'np.ndarray | str'
  lines: Sequence[Line]


def check(path: pathlib.Path, overwrite: bool, tiles: int, lines: int) -> None:
  """Checks that a sheet can be drawn, before its content is computed.

  Args:
    path: of the file.
    overwrite: whether one that is there may be replaced.
    tiles: how many pictures.
    lines: how many lines are under each, at most.

  Raises:
    UserError: see `figures.check_path`; or the sheet would be too long.
  """
  figures.check_path(path, overwrite)
  height = _height([lines] * -(-tiles // COLUMNS))
  if height > _MOST_HEIGHT:
    raise UserError(
      f'`figure={path}` would be {height:.0f} inches long, at most {_MOST_HEIGHT} are '
      'drawn: give a smaller `count`'
    )


def draw(path: pathlib.Path, title: str, tiles: Sequence[Tile]) -> None:
  """Draws a sheet.

  Args:
    path: of the file; its extension is the format.
    title: above it.
    tiles: from left to right, then down.

  Raises:
    UserError: the file cannot be written, or matplotlib is not installed.
  """
  broken = [[part for line in tile.lines for part in _broken(line)] for tile in tiles]
  starts = range(0, len(tiles), COLUMNS)
  most = [max(map(len, broken[start : start + COLUMNS])) for start in starts]
  height, side = _height(most), _side()
  with figures.drawing(path, _WIDTH, height, layout='none') as figure:
    figure.text(
      _MARGIN / _WIDTH,
      1 - 0.3 / height,
      '\n'.join(textwrap.wrap(printable(title), 110)[:2]),
      fontsize=9,
      verticalalignment='center',
    )
    for number, (tile, lines) in enumerate(zip(tiles, broken, strict=True)):
      row, column = divmod(number, COLUMNS)
      left = _MARGIN + column * (side + _GAP)
      top = _TITLE + sum(map(_row_height, most[:row]))
      axes = figure.add_axes(
        (left / _WIDTH, 1 - (top + side) / height, side / _WIDTH, side / height)
      )
      _draw_picture(axes, tile.picture)
      for at, line in enumerate(lines):
        figure.text(
          left / _WIDTH,
          1 - (top + side + 0.06 + at * _LINE) / height,
          line.text,
          fontsize=_SMALL_FONT if line.kind == 'aside' else _FONT,
          color=_COLOURS[line.kind],
          fontweight='bold' if line.kind in ('right', 'wrong') else 'normal',
          verticalalignment='top',
        )


def _side() -> float:
  return (_WIDTH - 2 * _MARGIN - (COLUMNS - 1) * _GAP) / COLUMNS


def _row_height(lines: int) -> float:
  return _side() + 0.06 + lines * _LINE + 0.12


def _height(lines: Sequence[int]) -> float:
  """Returns the height of a sheet with so many lines in each row."""
  return _TITLE + sum(map(_row_height, lines)) + _MARGIN


def _draw_picture(axes: Any, picture: 'np.ndarray | str') -> None:
  axes.set(xticks=[], yticks=[])
  axes.spines[:].set_visible(False)
  if not isinstance(picture, str):
    axes.imshow(picture, interpolation='antialiased')
    axes.set_anchor('S')
    return
  axes.set_facecolor('#eeeeee')
  text = '\n'.join(textwrap.wrap(printable(picture), 24)[:9])
  axes.text(
    0.05,
    0.95,
    text,
    fontsize=6,
    color='#555555',
    transform=axes.transAxes,
    verticalalignment='top',
  )


def _broken(line: Line) -> list[Line]:
  """Returns a line as those that fit under a picture, two at most."""
  text = printable(line.text)
  parts: list[str] = []
  while text and len(parts) < 2:
    room, at = _SMALL_CHARACTERS if line.kind == 'aside' else _CHARACTERS, 0
    while at < len(text) and room >= (wide := _width(text[at])):
      room, at = room - wide, at + 1
    if at < len(text) and (blank := text.rfind(' ', 0, at)) > at // 2:
      at = blank + 1
    parts.append(text[:at].rstrip())
    text = text[at:]
  if text and parts:
    parts[-1] = parts[-1][:-1] + '…'
  return [Line(part, line.kind) for part in parts]


def _width(sign: str) -> int:
  return 2 if unicodedata.east_asian_width(sign) in 'WF' else 1
