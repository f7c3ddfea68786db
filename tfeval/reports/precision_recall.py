"""Precision and recall of labels against experts, as CSV and as a figure.

After figure 3 of Beyer et al. (arXiv:2006.07159), whose curve is drawn of scores.npz
at every threshold. What is right is what most of the five experts of golden.npz said
of 1,135 pairs on 155 images. Scores are a curve; the original labels, one for each
image, are a point; a model is a curve over its stored classes by probability, and a
point for its first ones. The published scores, and those of the variant `golden`, were
made with the same experts' answers: their curves flatter them a little.
"""

import pathlib
from collections.abc import Mapping, Sequence

from tfeval.metrics.precision_recall import Curve
from tfeval.reports import figures
from tfeval.reports.terminal import csv_bytes
from tfeval.utils import files

_OF_POINTS = ('threshold', 'precision', 'recall', 'correct', 'proposed')
COLUMNS = ('series', *_OF_POINTS, 'positives')


def write_csv(path: pathlib.Path, curves: Mapping[str, Curve]) -> None:
  """Writes a row for each point of each curve, `COLUMNS`.

  Raises:
    UserError: the file cannot be written.
  """
  rows: list[Sequence[object]] = [COLUMNS]
  for name, curve in curves.items():
    values = (getattr(curve, column).tolist() for column in _OF_POINTS)
    rows += [(name, *row, curve.positives) for row in zip(*values, strict=True)]
  files.write_atomically(path, csv_bytes(rows), '`curve`')


def draw(path: pathlib.Path, curves: Mapping[str, Curve]) -> None:
  """Draws curves; one of a single point is a mark.

  Raises:
    UserError: the file cannot be written, or matplotlib is not installed.
  """
  with figures.drawing(path, 6.4, 5, layout='constrained') as figure:
    axes = figure.add_subplot()
    for name, curve in curves.items():
      single = len(curve.threshold) == 1
      axes.plot(
        100 * curve.recall,
        100 * curve.precision,
        label=figures.legend_label(name),
        **({'marker': 'o', 'linestyle': ''} if single else {'linewidth': 1.2}),
      )
    axes.set(
      xlabel='recall, %',
      ylabel='precision, %',
      xlim=(0, 101),
      ylim=(0, 101),
      title='Labels against the answers of experts',
    )
    axes.grid(color='#dddddd', linewidth=0.6)
    axes.legend(frameon=False, loc='lower left')
