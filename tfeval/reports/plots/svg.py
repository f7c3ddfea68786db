"""Figures as SVG inside of a page: in its colours, light or dark, with its fonts."""

import io
import re
from typing import TYPE_CHECKING

from tfeval.reports import figures
from tfeval.reports.plots import draw, style

if TYPE_CHECKING:
  from tfeval.reports.page.content import Figure

# matplotlib writes colours as these; pages say what each is in the light and the dark.
_PROPERTIES = {
  **{colour: f'c{i}' for i, colour in enumerate(style.COLOURS)},
  style.INK: 'ink',
  style.SOFT: 'soft',
  style.LINE: 'line',
}
_COLOUR = re.compile(r'(?<=(?:fill|roke): )#[0-9a-f]{6}(?=[;"])')
_METADATA = re.compile(r'<metadata>.*?</metadata>', re.DOTALL)
_IDS = re.compile(r'( id="| xlink:href="#|url\(#)')
# Of matplotlib's SVG, in whose texts and attributes < and > are escaped.
_TAG = re.compile(r'<[^<>]*>')


def drawn(figure: 'Figure', number: str) -> str:
  """Returns a figure as an `svg` element.

  Args:
    figure: with its title, which readers of screens are told.
    number: what tells its ids from those of other figures of a page.

  Raises:
    UserError: matplotlib is not installed.
  """
  matplotlib = figures.import_matplotlib()
  content = io.StringIO()
  # The same ids each time, so that the same result is the same page.
  with style.styled(number):
    made = matplotlib.figure.Figure(draw.size_of(figure.plot), layout='constrained')
    draw.draw(figure.plot, made)
    made.savefig(content, format='svg', metadata={'Date': None})
  text = content.getvalue()
  text = _METADATA.sub('', text[text.index('<svg') :])
  text = _TAG.sub(lambda found: _of_page(found[0], number), text)
  return text.replace('<svg', f'<svg role="img" aria-labelledby="{number}"', 1)


def _of_page(tag: str, number: str) -> str:
  """Returns a tag with the colours, the fonts and the ids of a page."""
  tag = _COLOUR.sub(lambda found: _colour(found[0]), tag)
  tag = _IDS.sub(lambda found: f'{found[1]}{number}-', tag)
  return tag.replace("'DejaVu Sans'", 'inherit')


def _colour(written: str) -> str:
  """Returns a colour that matplotlib has written as pages say it."""
  if written == style.GROUND:
    return 'none'
  name = _PROPERTIES.get(written)
  return written if name is None else f'var({"-" * 2}{name})'
