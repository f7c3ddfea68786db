"""Predictions by class: accuracies for a spreadsheet, and frequent confusions."""

from collections.abc import Iterable, Mapping

from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.metrics import accuracy, confusion
from tfeval.metrics.collectors import TopPredictions
from tfeval.reports import terminal
from tfeval.reports.terminal import csv_bytes, plain_table
from tfeval.runs.result_file import ConfusionEntry, Result

_COLUMNS = (
  'model',
  'labels',
  'class',
  'wnid',
  'name',
  'count',
  'top1',
  'top1_rate',
  'top5',
  'top5_rate',
)


def per_class_csv(
  found: Iterable[tuple[str, LabelSpace, Mapping[str, TopPredictions]]],
) -> bytes:
  """Returns the hits of each class as CSV, a line for each model, label set and class.

  Args:
    found: of each model its name, the classes, and its predictions, by the label set's
      name.

  Returns:
    UTF-8: `model`, `labels`, `class` (index), `wnid` (or another id), `name`,
    `count` (examples), `top1` and `top5` (hits) and their shares of the examples,
    empty where there are no examples, or of top-5 5 classes or fewer.
  """
  lines: list[list[object]] = [[*_COLUMNS]]
  for model, space, sets in found:
    for labels, predictions in sets.items():
      ranked, right = predictions.ranked, predictions.labels
      top1 = accuracy.per_class_hits(ranked, right, 1, len(space))
      top5 = None
      if ranked.shape[1] >= 5 and len(space) > 5:
        top5 = accuracy.per_class_hits(ranked, right, 5, len(space))
      classes = zip(space.class_ids, space.class_names, strict=True)
      for i, (wnid, name) in enumerate(classes):
        count = int(top1.count[i])
        line: list[object] = [model, labels, i, wnid, name, count]
        for hits in (top1, top5):
          if hits is None:
            line += [None, None]
            continue
          correct = int(hits.correct[i])
          line += [correct, correct / count if count else None]
        lines.append(line)
  return csv_bytes(lines)


def confusions(
  space: LabelSpace, sets: Mapping[str, TopPredictions], n: int
) -> list[ConfusionEntry]:
  """Returns the most frequent confusions, most frequent first.

  Args:
    space: the classes.
    sets: predictions by the label set's name.
    n: how many of each set.
  """
  names = space.class_names
  return [
    ConfusionEntry(
      labels=labels,
      **pair._asdict(),
      label_name=names[pair.label],
      predicted_name=names[pair.predicted],
    )
    for labels, answers in sets.items()
    for pair in confusion.confusion(
      answers.ranked[:, 0], answers.labels, len(space)
    ).pairs(n)
  ]


def confusions_table(result: Result, name: str) -> terminal.Table:
  """Returns a table of a result's `confusions`, under the name of the run."""
  rows = [
    (
      pair.labels,
      f'{pair.label_name.replace("_", " ")} ({pair.label})',
      f'{pair.predicted_name.replace("_", " ")} ({pair.predicted})',
      f'{pair.count:,}',
      f'{pair.of:,}',
    )
    for pair in result.confusions or ()
  ]
  titles = ('labels', 'class', 'answered with', 'images', 'of')
  table = plain_table(titles, rows, numbers=(3, 4))
  table.title = f'{name}, the most frequent confusions:'
  table.title_justify, table.title_style = 'left', ''
  return table
