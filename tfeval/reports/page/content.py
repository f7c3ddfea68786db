"""What a page holds: sections of paragraphs, tables, figures and images, without HTML.

`render` makes pages and cells of notebooks of it, `frame` frames, `plots` pictures.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from tfeval.reports.plots.kinds import Plot
from tfeval.utils.shown import Shown

NOT_KNOWN = '-'


def counted(value: int) -> str:
  """Returns a whole number as people read it.

  >>> counted(50000)
  '50,000'
  """
  return f'{value:,}'


def percent(rate: float) -> str:
  """Returns a rate in 0..1 as percent, in two digits.

  >>> percent(0.70416)
  '70.42'
  """
  return f'{100 * rate:.2f}'


def four_digits(value: float) -> str:
  """Returns a value in four digits behind the point.

  >>> four_digits(1.23456)
  '1.2346'
  """
  return f'{value:.4f}'


@dataclasses.dataclass(frozen=True)
class Column:
  """A column of a table.

  Attributes:
    name: what programs call it, the name of a column of a frame.
    title: what people read above it.
    text: how a value that is there is shown; None: it is a text, shown as it is.
    about: what the figure is, for who does not know; empty: the title says it.
    program: whether only programs read it: pages show it otherwise.
  """

  name: str
  title: str
  text: Callable[[Any], str] | None = None
  about: str = ''
  program: bool = False

  @property
  def is_number(self) -> bool:
    """Whether its values are numbers, which stand to the right and sort as such."""
    return self.text is not None

  def sorted_by(self, value: Any) -> Any:
    """Returns the number that a value is sorted by; None: it is sorted as it reads."""
    return value if self.is_number and not isinstance(value, bool) else None

  def shown(self, value: Any) -> str:
    """Returns a value as people read it; None is one that is not known."""
    if value is None:
      return NOT_KNOWN
    return str(value) if self.text is None else self.text(value)


@dataclasses.dataclass(frozen=True)
class Table:
  """Rows of values.

  Attributes:
    title: what it shows.
    columns: of each row.
    rows: a value for each column; None: not known.
    caption: what must be known to read it.
    shown: how many rows are seen at first; all others at a click.
    more: how many rows there were beside these.
    labels: how many of the first columns name a row.
  """

  title: str
  columns: Sequence[Column]
  rows: Sequence[Sequence[Any]]
  caption: str = ''
  shown: int = 25
  more: int = 0
  labels: int = 1

  @property
  def seen(self) -> list[Column]:
    """The columns that people read."""
    return [column for column in self.columns if not column.program]

  def texts(self) -> list[list[tuple[str, Any]]]:
    """Returns for each cell what people read, and what it is sorted by."""
    return [
      [
        (column.shown(value), column.sorted_by(value))
        for column, value in zip(self.columns, row, strict=True)
        if not column.program
      ]
      for row in self.rows
    ]


@dataclasses.dataclass(frozen=True)
class Figure:
  """A picture, and its numbers.

  Attributes:
    title: what it shows.
    plot: what is drawn.
    table: the same in numbers.
    caption: what must be known to read it.
  """

  title: str
  plot: Plot
  table: Table
  caption: str = ''


@dataclasses.dataclass(frozen=True)
class Facts:
  """Names and what each is: a list of terms.

  Attributes:
    items: term and text.
    code: whether texts are such as one copies: commands, paths, digests.
  """

  items: Sequence[tuple[str, str]]
  code: bool = False


@dataclasses.dataclass(frozen=True)
class Remarks:
  """Sentences that a reader must know, a list."""

  lines: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Code:
  """A text to copy: a command, a file.

  Attributes:
    text, title: its lines; what a folded one is, empty: it is open.
  """

  text: str
  title: str = ''


@dataclasses.dataclass(frozen=True)
class Missing:
  """What could be shown here, and is not.

  Attributes:
    what: would be shown.
    reason: why it is not, and what brings it.
  """

  what: str
  reason: str


@dataclasses.dataclass(frozen=True)
class Picture:
  """An image of the dataset, and what was said of it.

  Attributes:
    id: of the image.
    jpeg: of a thumbnail; None where there is none.
    lines: term and text.
  """

  id: str
  jpeg: bytes | None
  lines: Sequence[tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class Gallery:
  """Images beside each other.

  Attributes:
    title: which they are.
    pictures: the images.
    caption: what must be known.
  """

  title: str
  pictures: Sequence[Picture]
  caption: str = ''


Part = Table | Figure | Facts | Remarks | Code | Missing | Gallery


@dataclasses.dataclass(frozen=True)
class Section:
  """A part of a page, under a heading.

  Attributes:
    title: the heading.
    parts: what stands there.
    intro: a paragraph below the heading.
    last: whether it stands behind what is added: how things were made.
  """

  title: str
  parts: Sequence[Part]
  intro: str = ''
  last: bool = False


@dataclasses.dataclass(frozen=True, repr=False)
class Document(Shown):
  """A page.

  Attributes:
    title: of the page.
    subtitle: on what, and how.
    sections: from above.
    caveats: what must not be overlooked: that a run is partial, a failed check.
    main: the table that `to_pandas` gives; None: the first of the sections.
  """

  title: str
  sections: Sequence[Section]
  subtitle: str = ''
  caveats: Sequence[str] = ()
  main: Table | None = None

  def document(self) -> 'Document':
    return self

  def tables(self) -> list[Table]:
    """Returns the tables, those of figures aside."""
    return [
      part for one in self.sections for part in one.parts if isinstance(part, Table)
    ]

  def figures(self) -> list[Figure]:
    """Returns the figures."""
    return [
      part for one in self.sections for part in one.parts if isinstance(part, Figure)
    ]
