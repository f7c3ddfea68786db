"""Tables as frames of pandas."""

import importlib.util
from typing import TYPE_CHECKING

from tfeval.reports.page.content import Document, Table
from tfeval.utils.errors import UserError

if TYPE_CHECKING:
  import pandas


def frame(document: Document) -> 'pandas.DataFrame':
  """Returns the main table of a document, with values as they are, not rounded.

  Raises:
    UserError: pandas is not installed.
  """
  if importlib.util.find_spec('pandas') is None:
    raise UserError("to_pandas needs pandas: pip install 'tfeval[pandas]'")
  return of_table(document.main or document.tables()[0])


def of_table(table: Table) -> 'pandas.DataFrame':
  """Returns a table with its columns by name; what is not known is missing."""
  import pandas

  names = [column.name for column in table.columns]
  return pandas.DataFrame([list(row) for row in table.rows], columns=names)
