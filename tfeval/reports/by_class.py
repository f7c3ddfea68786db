"""Predictions by class: accuracies for a spreadsheet, and frequent confusions."""

import csv
import io
from collections.abc import Iterable, Mapping

from rich import table as rich_table

from tfeval.datasets.labels import imagenet
from tfeval.metrics import accuracy, confusion
from tfeval.metrics.collectors import TopPredictions
from tfeval.reports.terminal import new_table
from tfeval.runs.result_file import ConfusionEntry, Result
from tfeval.runs.run_key import RunKey

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


def per_class_csv(found: Iterable[tuple[str, Mapping[str, TopPredictions]]]) -> bytes:
  """Returns the hits of each class as CSV, a line for each model, label set and class.

  Args:
    found: of each model its name and its predictions, by the label set's name.

  Returns:
    UTF-8: `model`, `labels`, `class` (index), `wnid`, `name`, `count` (examples),
    `top1` and `top5` (hits) and their shares of the examples, empty where there are
    no examples or fewer than 5 classes were stored.
  """
  content = io.StringIO()
  writer = csv.writer(content, lineterminator='\n')
  writer.writerow(_COLUMNS)
  space = imagenet.label_space()
  for model, sets in found:
    for labels, answers in sets.items():
      hits = [
        accuracy.per_class_hits(answers.ranked, answers.labels, k)
        if k <= answers.ranked.shape[1]
        else None
        for k in (1, 5)
      ]
      classes = zip(space.class_ids, space.class_names, strict=True)
      for i, (wnid, name) in enumerate(classes):
        count = int(hits[0].count[i])
        cells = []
        for one in hits:
          correct = '' if one is None else int(one.correct[i])
          cells += [
            correct,
            '' if one is None or not count else f'{correct / count:.6f}',
          ]
        writer.writerow([model, labels, i, wnid, name, count, *cells])
  return content.getvalue().encode(errors='backslashreplace')


def confusions(sets: Mapping[str, TopPredictions], n: int) -> list[ConfusionEntry]:
  """Returns the most frequent confusions, most frequent first.

  Args:
    sets: predictions by the label set's name.
    n: how many of each set.
  """
  names = imagenet.label_space().class_names
  return [
    ConfusionEntry(
      labels=labels,
      **pair._asdict(),
      label_name=names[pair.label],
      predicted_name=names[pair.predicted],
    )
    for labels, answers in sets.items()
    for pair in confusion.confusion(answers.ranked[:, 0], answers.labels).pairs(n)
  ]


def confusions_table(result: Result) -> rich_table.Table:
  """Returns a table of a result's `confusions`."""
  table = new_table()
  table.title = f'{RunKey.of(result).model_name}, the most frequent confusions:'
  table.title_justify = 'left'
  table.title_style = ''
  table.add_column('labels', overflow='fold')
  table.add_column('class')
  table.add_column('answered with')
  for title in ('images', 'of'):
    table.add_column(title, justify='right', no_wrap=True)
  for pair in result.confusions:
    table.add_row(
      pair.labels,
      f'{pair.label_name.replace("_", " ")} ({pair.label})',
      f'{pair.predicted_name.replace("_", " ")} ({pair.predicted})',
      f'{pair.count:,}',
      f'{pair.of:,}',
    )
  return table
