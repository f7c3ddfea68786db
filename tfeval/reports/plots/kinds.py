"""What is drawn, as values; `draw` knows how. Rates are percents here, as on axes."""

import dataclasses
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Interval:
  """A value with an interval.

  Attributes:
    name: beside it.
    value, low, high: on the axis.
    group: its colour and mark: those of one group have the same.
  """

  name: str
  value: float
  low: float
  high: float
  group: int = 0


@dataclasses.dataclass(frozen=True)
class Intervals:
  """Values with intervals, from above.

  Attributes:
    rows: the values.
    title: of the axis.
    at: where a line is drawn across; None: none.
    groups: names of groups, for a legend; empty: there is one only.
    joined: rows (first, last) that a bar joins: they cannot be told apart.
  """

  rows: Sequence[Interval]
  title: str
  at: float | None = None
  groups: Sequence[str] = ()
  joined: Sequence[tuple[int, int]] = ()


@dataclasses.dataclass(frozen=True, eq=False)
class Series:
  """A line of points.

  Attributes:
    name: in the legend.
    x, y: float [n].
    step: whether it steps from point to point.
    points: whether points are marked, and not joined.
    low, high: ends of intervals of y, float [n]; None: there are none.
  """

  name: str
  x: np.ndarray
  y: np.ndarray
  step: bool = False
  points: bool = False
  low: np.ndarray | None = None
  high: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Lines:
  """Lines in one pair of axes.

  Attributes:
    series: the lines.
    x, y: titles of the axes.
    x_range, y_range: of the axes; None, or an end that is None: that of the points.
    whole_x: whether only whole numbers are marked on x.
  """

  series: Sequence[Series]
  x: str
  y: str
  x_range: tuple[float | None, float | None] | None = None
  y_range: tuple[float | None, float | None] | None = None
  whole_x: bool = False


@dataclasses.dataclass(frozen=True)
class Point:
  """A named point.

  Attributes:
    name: beside it.
    x, y: where it is.
    low, high: of an interval of y; None: there is none.
    group: its colour and mark.
  """

  name: str
  x: float
  y: float
  low: float | None = None
  high: float | None = None
  group: int = 0


@dataclasses.dataclass(frozen=True)
class Scatter:
  """Named points, and perhaps a line.

  Attributes:
    points: the points.
    x, y: titles of the axes.
    log_x: whether x is logarithmic.
    groups: names of groups, for a legend.
    line: a line to hold them against; None: there is none.
  """

  points: Sequence[Point]
  x: str
  y: str
  log_x: bool = False
  groups: Sequence[str] = ()
  line: Series | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Reliability:
  """Accuracy of bins of confidence, above how many images are in each.

  Attributes:
    edges: float [bins + 1], of the bins, in percent.
    count: int [bins].
    accuracy, low, high: float [bins], percent; NaN of empty bins.
    confidence: float [bins], the mean of each, percent; NaN of empty bins.
  """

  edges: np.ndarray
  count: np.ndarray
  accuracy: np.ndarray
  low: np.ndarray
  high: np.ndarray
  confidence: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Matrix:
  """Cells of a colour, with their numbers where there is room.

  Attributes:
    rows, columns: names.
    values: float [rows, columns], in 0..1, the colour; NaN: empty.
    texts: what stands in each cell.
    x, y: titles of the axes.
  """

  rows: Sequence[str]
  columns: Sequence[str]
  values: np.ndarray
  texts: Sequence[Sequence[str]]
  x: str
  y: str


Plot = Intervals | Lines | Scatter | Reliability | Matrix
