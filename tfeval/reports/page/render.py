"""Pages as HTML: one file that needs nothing else, and cells of notebooks.

Everything that comes from outside is escaped by Jinja2, and made printable before; the
page holds no script but ours, which a content security policy names by its hash.
"""

import base64
import functools
import hashlib
import importlib.resources
from collections.abc import Callable
from typing import Any

import tfeval
from tfeval.reports import figures
from tfeval.reports.page.content import Document
from tfeval.utils.errors import UserError
from tfeval.utils.printable import printable

_NEEDS = "a page needs Jinja2: pip install 'tfeval[report]'"


def page(document: Document, wording: Callable[[str], str] = str) -> str:
  """Returns a whole page.

  Args:
    document: what it holds.
    wording: how what names a parameter in backquotes is worded.

  Raises:
    UserError: Jinja2 or matplotlib is not installed.
  """
  style, script = _file('style.css'), _file('script.js')
  return (
    _environment()
    .get_template('page.html')
    .render(
      document=document,
      style=style,
      script=script,
      script_hash=_hash(script),
      version=tfeval.__version__,
      wording=wording,
    )
  )


def fragment(document: Document) -> str | None:
  """Returns a page's tables as a cell of a notebook; None where Jinja2 is not there.

  Then notebooks show the text of the value.
  """
  try:
    environment = _environment()
  except UserError:
    return None
  return environment.get_template('cell.html').render(
    document=document, style=_file('cell.css'), wording=str
  )


def check_installed() -> None:
  """Checks that pages can be made.

  Raises:
    UserError: Jinja2 or matplotlib is not installed.
  """
  _environment()
  figures.import_matplotlib()


def _file(name: str) -> str:
  folder = importlib.resources.files('tfeval.reports.page') / 'templates'
  return (folder / name).read_text('utf-8').strip()


def _hash(text: str) -> str:
  """Returns what a content security policy calls an inline text by."""
  return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _environment() -> Any:
  try:
    return _made_environment()
  except ImportError as error:
    raise UserError(_NEEDS) from error


@functools.cache
def _made_environment() -> Any:
  import jinja2
  import markupsafe

  from tfeval.reports.plots import svg

  def trusted(text: str) -> markupsafe.Markup:
    return markupsafe.Markup(text)

  environment = jinja2.Environment(
    loader=jinja2.PackageLoader('tfeval.reports.page'),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    finalize=lambda value: printable(value) if type(value) is str else value,
  )
  environment.filters |= {
    'kind': lambda part: type(part).__name__,
    # A text of several lines.
    'lines': lambda text: markupsafe.escape(printable(text, keep='\n')),
    # Of our own making: our files, and pictures whose texts matplotlib escapes.
    'ours': trusted,
    'svg': lambda figure, number: trusted(svg.drawn(figure, number)),
    'jpeg': lambda content: (
      'data:image/jpeg;base64,' + base64.b64encode(content).decode()
    ),
    'anchor': _anchor,
  }
  return environment


def _anchor(title: str) -> str:
  """Returns a title as a name within a page.

  >>> _anchor('Per class: worst first')
  'per-class-worst-first'
  """
  letters = (one if one.isascii() and one.isalnum() else ' ' for one in title.lower())
  return '-'.join(''.join(letters).split()) or 'section'
