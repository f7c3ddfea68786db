"""How all figures look.

Colours are those of Okabe and Ito ("Color universal design", 2008), darkened where they
stood too light on white; marks and dashes differ too, so that no figure needs colours.
"""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

from tfeval.reports import figures
from tfeval.utils.printable import printable

# Of groups, in their order, as `svg` and the style of pages know them.
COLOURS = (
  *('#0072b2', '#d55e00', '#00805f', '#b0468c'),
  *('#8a6d00', '#2f8fc9', '#57606a', '#7a3fb5'),
)
# The ground is not the white of a number in a dark cell.
INK, SOFT, LINE, GROUND = '#1b1f24', '#57606b', '#d0d7de', '#fffffe'
MARKS = ('o', 's', '^', 'D', 'v', 'P', 'X', '*')
DASHES: tuple[Any, ...] = ('-', (0, (5, 2)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))
_STYLE: dict[str, Any] = {
  # Names of files and runs may hold a $, which would be mathematics.
  'text.parse_math': False,
  'font.size': 9,
  'font.family': 'DejaVu Sans',
  'text.color': INK,
  'axes.labelcolor': INK,
  'axes.edgecolor': SOFT,
  'xtick.color': INK,
  'ytick.color': INK,
  'axes.linewidth': 0.8,
  'figure.facecolor': GROUND,
  'axes.facecolor': 'none',
  'svg.fonttype': 'none',
  'pdf.fonttype': 42,
}
# Characters of a name beside a point.
NAME = 42


@contextlib.contextmanager
def styled(salt: str) -> Iterator[None]:
  """Where figures are made, drawn and saved: all of them look alike.

  Args:
    salt: of the ids in an SVG, so that the same figure is the same file.

  Raises:
    UserError: matplotlib is not installed.
  """
  matplotlib = figures.import_matplotlib()
  with matplotlib.rc_context({**_STYLE, 'svg.hashsalt': salt}):
    with warnings.catch_warnings():
      # Of signs in a name that the font does not have.
      warnings.filterwarnings('ignore', 'Glyph')
      yield


def short(text: str, most: int = NAME) -> str:
  """Returns a name that stands in a figure: its middle gives way.

  >>> short('a' * 30 + 'b' * 30, 11)
  'aaaaa…bbbbb'
  """
  text = printable(text)
  if len(text) <= most:
    return text
  half = (most - 1) // 2
  return f'{text[: most - 1 - half]}…{text[-half:]}'
