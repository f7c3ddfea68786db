"""Pages as files."""

import pathlib
from collections.abc import Callable

from tfeval.reports.page import render
from tfeval.reports.page.content import Document
from tfeval.utils import files
from tfeval.utils.errors import UserError

SUFFIXES = ('.html', '.htm')


def check_path(path: pathlib.Path, overwrite: bool, name: str = 'output') -> None:
  """Checks that a page can be written there, before its content is computed.

  Args:
    path: of the file.
    overwrite: whether one that is there is replaced.
    name: of the parameter.

  Raises:
    UserError: it is no name of a page, is there, or cannot be written; or Jinja2 or
      matplotlib is not installed.
  """
  if path.suffix.lower() not in SUFFIXES:
    raise UserError(f'`{name}={path}`: give a name that ends in .html')
  files.check_new(path, overwrite, name)
  render.check_installed()


def save(
  document: Document,
  path: pathlib.Path,
  wording: Callable[[str], str] = str,
  name: str = 'output',
) -> None:
  """Writes a page.

  Args:
    document: what it holds.
    path: of the file, see `check_path`.
    wording: how what names a parameter in backquotes is worded.
    name: of the parameter that gives the path.

  Raises:
    UserError: the file cannot be written, or an extra is not installed.
  """
  content = render.page(document, wording).encode(errors='backslashreplace')
  files.write_atomically(path, content, f'`{name}`')
