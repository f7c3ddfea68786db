"""Results that show themselves: as text, as HTML, as frames of pandas."""

import importlib
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
  import pandas


class HasPage:
  """What pages are made of, and notebooks show.

  Attributes:
    DOCUMENT: `'module:function'` of what makes a `reports.page.content.Document` of it;
      a name, since reports stand above what they report.
  """

  DOCUMENT: ClassVar[str]

  def document(self) -> Any:
    """Returns it as a `Document`, of which pages and figures are made."""
    return _found(self.DOCUMENT)(self)

  def _repr_html_(self) -> str | None:
    return _found('tfeval.reports.page.render:fragment')(self.document())


class Shown(HasPage):
  """A result that shows itself by its main table."""

  def to_pandas(self) -> 'pandas.DataFrame':
    """Returns its main table as a frame, with values that are not rounded.

    Raises:
      UserError: pandas is not installed.
    """
    return _found('tfeval.reports.page.frame:frame')(self.document())

  def __repr__(self) -> str:
    return _found('tfeval.reports.page.text:text')(type(self).__name__, self.document())


def _found(name: str) -> Any:
  module, _, attribute = name.partition(':')
  return getattr(importlib.import_module(module), attribute)
