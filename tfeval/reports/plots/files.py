"""Figures as files: PNG, SVG and PDF."""

import io
import pathlib
from typing import TYPE_CHECKING

from tfeval.reports import figures
from tfeval.reports.plots import draw, style
from tfeval.utils import files

if TYPE_CHECKING:
  from tfeval.reports.page.content import Figure

# Of a raster, as journals ask for.
_DPI = 200


def save(figure: 'Figure', path: pathlib.Path, name: str = 'output') -> None:
  """Writes a figure; the format is that of the suffix.

  Args:
    figure: what it shows.
    path: see `figures.check_path`.
    name: of the parameter that gives it.

  Raises:
    UserError: the file cannot be written, or matplotlib is not installed.
  """
  matplotlib = figures.import_matplotlib()
  content = io.BytesIO()
  kind = path.suffix.lower().removeprefix('.')
  undated = {'pdf': {'CreationDate': None}, 'svg': {'Date': None}}.get(kind)
  with style.styled('tfeval'):
    size = draw.size_of(figure.plot)
    made = matplotlib.figure.Figure(size, dpi=_DPI, layout='constrained')
    draw.draw(figure.plot, made)
    made.savefig(content, format=kind, metadata=undated)
  files.write_atomically(path, content.getvalue(), f'`{name}`')
