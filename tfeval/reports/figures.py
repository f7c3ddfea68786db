"""Figures for a file. matplotlib, an extra, is imported when one is drawn."""

import contextlib
import io
import pathlib
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tfeval.runs.top_classes import (
  ClassPrediction,
  ImagePredictions,
  PredictingModel,
  short,
)
from tfeval.utils import files
from tfeval.utils.errors import UserError
from tfeval.utils.printable import printable

if TYPE_CHECKING:
  from matplotlib import figure

FORMATS = ('png', 'pdf', 'svg')
# The longer side of a photo in a figure: as many as are printed.
PHOTO_PIXELS = 480
_DPI = 150
# In inches; a picture of more than 2**16 pixels could not be drawn at all, and long
# before that it is none to look at.
_PHOTO, _PANEL, _BAR, _TITLE, _MARGIN, _MOST = 2.3, 3.1, 0.27, 0.55, 0.15, 150
# The name of the last photo stands under it.
_BOTTOM = 0.3
_COLOURS = ('#a9c9e8', '#f6c89a', '#b5d9a8', '#d9bfe0', '#e8b3b0', '#c9c2a5')


def check_size(path: pathlib.Path, images: int, models: int, top: int) -> None:
  """Checks that a figure is not too large, before its content is computed.

  Args:
    path: of the figure's file.
    images: how many images it shows,
    models: of how many models,
    top: and how many classes of each.

  Raises:
    UserError: it is.
  """
  width, height = _size(images, models, top)
  if max(width, height) > _MOST:
    raise UserError(
      f'`figure={path}` would be {width:.0f} x {height:.0f} inches, at most {_MOST} '
      'are drawn: give fewer images or models, or a smaller `top`'
    )


def check_path(path: pathlib.Path, overwrite: bool, name: str = 'figure') -> None:
  """Checks that a figure can be drawn there, before its content is computed.

  Args:
    path: of the file.
    overwrite: whether one that is there may be replaced.
    name: of the parameter.

  Raises:
    UserError: the file has another extension than those of `FORMATS`, is there or
      cannot be written; or matplotlib is not installed.
  """
  if path.suffix.lower().removeprefix('.') not in FORMATS:
    raise UserError(f'`{name}={path}`: give a name that ends in .png, .pdf or .svg')
  files.check_new(path, overwrite, name)
  import_matplotlib()


def draw_answers(
  path: pathlib.Path,
  models: Sequence[PredictingModel],
  images: Sequence[ImagePredictions],
  photos: Sequence[np.ndarray],
) -> None:
  """Draws a row for each image: the photo, and the answers of each model as bars.

  Args:
    path: of the file; its extension is the format.
    models: the columns.
    images: the rows, with an answer of each model.
    photos: uint8 [height, width, 3], RGB, for each image.

  Raises:
    UserError: the file cannot be written, or matplotlib is not installed.
  """
  width, height = _size(len(images), len(models), len(images[0].predictions[0]))
  with drawing(path, width, height, layout='none') as figure:
    grid = figure.add_gridspec(
      len(images),
      1 + len(models),
      width_ratios=[_PHOTO, *[_PANEL] * len(models)],
      left=_MARGIN / width,
      right=1 - _MARGIN / width,
      wspace=0.06,
      bottom=_BOTTOM / height,
      top=1 - _TITLE / height,
      hspace=0.12,
    )
    for row, (image, photo) in enumerate(zip(images, photos, strict=True)):
      _draw_photo(figure.add_subplot(grid[row, 0]), image, photo)
      for column, (model, answers) in enumerate(
        zip(models, image.predictions, strict=True)
      ):
        axes = figure.add_subplot(grid[row, 1 + column])
        _draw_bars(axes, answers, _COLOURS[column % len(_COLOURS)])
        if row == 0:
          axes.set_title(_title(model), loc='left', fontsize=9, linespacing=1.3)


@contextlib.contextmanager
def drawing(
  path: pathlib.Path, width: float, height: float, layout: Any
) -> Iterator['figure.Figure']:
  """Where a figure is drawn, which is written when the context ends.

  Args:
    path: of the file; its extension is the format.
    width, height: in inches.
    layout: matplotlib's name of how axes are arranged.

  Raises:
    UserError: the file cannot be written, or matplotlib is not installed.
  """
  matplotlib = import_matplotlib()
  # Names of files and runs may hold a $, which would be mathematics.
  rc = {'text.parse_math': False, 'font.size': 9, 'font.family': 'DejaVu Sans'}
  content = io.BytesIO()
  with matplotlib.rc_context(rc), warnings.catch_warnings():
    # Of the signs in a file name that the font does not have.
    warnings.filterwarnings('ignore', 'Glyph')
    # Not pyplot: it keeps figures, and asks for a screen. Figure draws with Agg.
    drawn = matplotlib.figure.Figure((width, height), dpi=_DPI, layout=layout)
    yield drawn
    drawn.savefig(content, format=path.suffix.lower().removeprefix('.'))
  files.write_atomically(path, content.getvalue(), '`figure`')


def import_matplotlib():
  """Returns matplotlib; raises a UserError where it is not installed."""
  try:
    import matplotlib
    import matplotlib.figure
  except ImportError as error:
    raise UserError("figures need matplotlib: pip install 'tfeval[figure]'") from error
  return matplotlib


def _size(images: int, models: int, top: int) -> tuple[float, float]:
  """Returns width and height in inches."""
  row = max(_PHOTO, _BAR * top + 0.3)
  return (_PHOTO + models * _PANEL + 2 * _MARGIN, images * row + _TITLE + _BOTTOM)


def _title(model: PredictingModel) -> str:
  size = f', {model.size} px' if model.size else ''
  return f'{_shortened(model.name, 44)}\n{_shortened(model.protocol, 36)}{size}'


def legend_label(text: str) -> str:
  """Returns a text as matplotlib shows it in a legend, where it hides `_names`."""
  return f' {printable(text)}' if text.startswith('_') else printable(text)


def _shortened(text: str, most: int) -> str:
  """Returns a text whose start gives way: the end tells paths apart."""
  text = printable(text)
  return text if len(text) <= most else '…' + text[1 - most :]


def _draw_photo(axes, image: ImagePredictions, photo: np.ndarray) -> None:
  axes.imshow(photo, interpolation='antialiased')
  axes.set_axis_off()
  axes.set_anchor('N')
  axes.set_title(
    _shortened(pathlib.PurePath(image.path).name, 34),
    fontsize=8,
    color='#444444',
    y=0,
    pad=-11,
    verticalalignment='baseline',
  )


def _draw_bars(axes, answers: Sequence[ClassPrediction], colour: str) -> None:
  probabilities = [answer.probability for answer in answers]
  axes.barh(range(len(answers)), probabilities, height=0.82, color=colour)
  for place, answer in enumerate(answers):
    weight = 'bold' if place == 0 else 'normal'
    # Over the bar, which is light: names of any length have room.
    axes.text(
      0.015,
      place,
      answer.name.replace('_', ' '),
      verticalalignment='center',
      fontweight=weight,
    )
    axes.text(
      1.17,
      place,
      short(answer.probability),
      fontweight=weight,
      verticalalignment='center',
      horizontalalignment='right',
    )
  # A bar of probability 1 ends before its number.
  axes.set_xlim(0, 1.19)
  # The highest on top, and bars as thick wherever there are few.
  axes.set_ylim(max(len(answers), 5) - 0.4, -0.6)
  axes.set(xticks=[], yticks=[])
  axes.spines[['top', 'right', 'bottom']].set_visible(False)
  axes.spines['left'].set_color('#888888')
