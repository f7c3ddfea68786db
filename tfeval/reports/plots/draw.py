"""Draws what `kinds` describes by matplotlib, an extra."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tfeval.reports import figures
from tfeval.reports.plots import kinds, style

if TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure

_WIDTH = 7.2
# Characters of a name beside a row.
_ROW_NAME = 64
_MOST_ROWS = 200


def size_of(plot: kinds.Plot) -> tuple[float, float]:
  """Returns width and height of a figure, in inches."""
  if isinstance(plot, kinds.Intervals):
    return _WIDTH, 1.0 + 0.24 * min(max(len(plot.rows), 2), _MOST_ROWS)
  if isinstance(plot, kinds.Matrix):
    side = 2.2 + 0.3 * max(len(plot.rows), 4)
    return min(max(side + 1.2, 4.5), 11), min(side, 10)
  return _WIDTH, 4.4


def draw(plot: kinds.Plot, figure: 'Figure') -> None:
  """Draws into an empty figure.

  Args:
    plot: what.
    figure: of `size_of`.
  """
  _drawing(plot)(plot, figure)


def _drawing(plot: kinds.Plot) -> Any:
  return {
    kinds.Intervals: _intervals,
    kinds.Lines: _lines,
    kinds.Scatter: _scatter,
    kinds.Reliability: _reliability,
    kinds.Matrix: _matrix,
  }[type(plot)]


def _intervals(plot: kinds.Intervals, figure: 'Figure') -> None:
  axes = figure.add_subplot()
  rows = plot.rows[:_MOST_ROWS]
  if plot.at is not None:
    axes.axvline(
      plot.at, color=style.SOFT, linewidth=0.9, linestyle=style.DASHES[1], zorder=1
    )
  for place, row in enumerate(rows):
    colour, mark = _look(row.group)
    axes.plot([row.low, row.high], [place, place], color=colour, linewidth=1.8)
    axes.plot([row.value], [place], mark, color=colour, markersize=4.5)
  _joined(axes, plot.joined, rows)
  axes.set_yticks(range(len(rows)), [style.short(row.name, _ROW_NAME) for row in rows])
  axes.set_ylim(len(rows) - 0.4, -0.6)
  axes.set_xlabel(plot.title)
  axes.grid(axis='x', color=style.LINE, linewidth=0.6)
  axes.set_axisbelow(True)
  axes.spines[['top', 'right', 'left']].set_visible(False)
  axes.tick_params(axis='y', length=0)
  _legend_of_groups(axes, plot.groups)


def _joined(
  axes: 'Axes', joined: Sequence[tuple[int, int]], rows: Sequence[kinds.Interval]
) -> None:
  """Draws bars beside rows that cannot be told apart."""
  if not joined:
    return
  low = min(row.low for row in rows)
  step = 0.02 * (max(row.high for row in rows) - low or 1)
  for number, (first, last) in enumerate(joined):
    x = low - step * (1.5 + number % 3)
    axes.plot([x, x], [first - 0.25, last + 0.25], color=style.SOFT, linewidth=2.5)


def _lines(plot: kinds.Lines, figure: 'Figure') -> None:
  axes = figure.add_subplot()
  for number, one in enumerate(plot.series):
    colour, mark = _look(number)
    known: dict[str, Any] = {'color': colour, 'label': figures.legend_label(one.name)}
    if one.points:
      known |= {'marker': mark, 'linestyle': '', 'markersize': 5}
    else:
      known |= {
        'linewidth': 1.5,
        'linestyle': style.DASHES[number // 2 % len(style.DASHES)],
      }
      if len(one.x) < 12:
        known |= {'marker': mark, 'markersize': 4}
    if one.low is not None and one.high is not None:
      reach = [one.y - one.low, one.high - one.y]
      axes.errorbar(one.x, one.y, yerr=np.maximum(reach, 0), capsize=2, **known)
    elif one.step:
      axes.step(one.x, one.y, where='post', **known)
    else:
      axes.plot(one.x, one.y, **known)
  axes.set(xlabel=plot.x, ylabel=plot.y)
  if plot.x_range is not None:
    axes.set_xlim(*plot.x_range)
  if plot.y_range is not None:
    axes.set_ylim(*plot.y_range)
  if plot.whole_x:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
  _open(axes)
  if len(plot.series) > 1:
    axes.legend(
      frameon=False, fontsize=8, ncols=1 + len(plot.series) // 9,
      loc='center left', bbox_to_anchor=(1.01, 0.5),
    )  # fmt: skip


def _scatter(plot: kinds.Scatter, figure: 'Figure') -> None:
  axes = figure.add_subplot()
  if plot.line is not None:
    label = figures.legend_label(plot.line.name)
    axes.plot(plot.line.x, plot.line.y, color=style.SOFT, linewidth=1.1, label=label,
              linestyle=style.DASHES[1], zorder=1)  # fmt: skip
  for point in plot.points:
    colour, mark = _look(point.group)
    if point.low is not None and point.high is not None:
      axes.plot([point.x, point.x], [point.low, point.high], color=colour, linewidth=1)
    axes.plot([point.x], [point.y], mark, color=colour, markersize=5)
  _name_points(axes, plot.points)
  axes.set(xlabel=plot.x, ylabel=plot.y)
  axes.margins(x=0.14, y=0.1)
  if plot.log_x:
    axes.set_xscale('log')
    axes.xaxis.set_major_formatter(lambda value, _: f'{value:,g}')
    axes.xaxis.set_minor_formatter(lambda value, _: '')
  _open(axes)
  _legend_of_groups(axes, plot.groups, plot.line is not None)


def _name_points(axes: 'Axes', points: Sequence[kinds.Point]) -> None:
  """Writes names beside points, above and below in turn, clear of their intervals."""
  if len(points) > 40:
    return
  for number, point in enumerate(sorted(points, key=lambda one: (one.x, one.y))):
    axes.annotate(
      style.short(point.name, 28), (point.x, point.y),
      xytext=(6, 4 if number % 2 else -10), textcoords='offset points',
      fontsize=7.5, color=style.INK,
    )  # fmt: skip


def _reliability(plot: kinds.Reliability, figure: 'Figure') -> None:
  upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
  upper.plot(
    [0, 100], [0, 100], color=style.SOFT, linewidth=1, linestyle=style.DASHES[1]
  )
  known = plot.count > 0
  x, y = plot.confidence[known], plot.accuracy[known]
  reach = np.maximum([y - plot.low[known], plot.high[known] - y], 0)
  upper.errorbar(x, y, yerr=reach, color=style.COLOURS[0], marker='o', markersize=4.5,
                 linewidth=1.4, capsize=2)  # fmt: skip
  upper.set(ylabel='accuracy, %', xlim=(-2, 102), ylim=(-2, 102))
  lower.bar(plot.edges[:-1], plot.count, np.diff(plot.edges), align='edge',
            color=style.COLOURS[5], edgecolor=style.SOFT, linewidth=0.5)  # fmt: skip
  lower.set(xlabel='confidence, %', ylabel='images')
  lower.yaxis.set_major_formatter(lambda value, _: f'{value:,.0f}')
  for axes in (upper, lower):
    _open(axes)


def _matrix(plot: kinds.Matrix, figure: 'Figure') -> None:
  axes = figure.add_subplot()
  shades = _shades()
  axes.pcolormesh(
    plot.values, cmap=shades, vmin=0, vmax=1, edgecolors=style.LINE, linewidth=0.3
  )
  places = [np.arange(len(names)) + 0.5 for names in (plot.columns, plot.rows)]
  axes.set_xticks(
    places[0], [style.short(name, 22) for name in plot.columns], rotation=90
  )
  axes.set_yticks(places[1], [style.short(name, 22) for name in plot.rows])
  axes.set(xlabel=plot.x, ylabel=plot.y, aspect='equal')
  axes.invert_yaxis()
  axes.tick_params(length=0, labelsize=7.5)
  if max(plot.values.shape) > 20:
    return
  for i, row in enumerate(plot.texts):
    for j, text in enumerate(row):
      dark = plot.values[i, j] > 0.55
      colour = '#ffffff' if dark else '#000000'
      axes.text(j + 0.5, i + 0.5, text, fontsize=6.5, color=colour,
                horizontalalignment='center', verticalalignment='center')  # fmt: skip


@functools.cache
def _shades() -> Any:
  """Returns light to dark blue, which are told apart in grey as well."""
  from matplotlib.colors import LinearSegmentedColormap

  return LinearSegmentedColormap.from_list('blues', ['#f3f8fc', '#8fbfe0', '#08457e'])


def _look(group: int) -> tuple[str, str]:
  return style.COLOURS[group % len(style.COLOURS)], style.MARKS[
    group % len(style.MARKS)
  ]


def _open(axes: 'Axes') -> None:
  axes.grid(color=style.LINE, linewidth=0.6)
  axes.set_axisbelow(True)
  axes.spines[['top', 'right']].set_visible(False)


def _legend_of_groups(axes: 'Axes', names: Sequence[str], line: bool = False) -> None:
  if len(names) < 2 and not line:
    return
  for group, name in enumerate(names if len(names) > 1 else ()):
    colour, mark = _look(group)
    label = figures.legend_label(name)
    axes.plot([], [], mark, color=colour, markersize=5, label=label)
  axes.legend(
    frameon=False, fontsize=8, loc='lower left', bbox_to_anchor=(0, 1), ncols=3
  )
