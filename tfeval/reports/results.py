"""Results as tables for a terminal, 80 columns wide and up."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from rich import table as rich_table

from tfeval.datasets.labels import imagenet
from tfeval.models import published
from tfeval.reports.terminal import GAP, new_table
from tfeval.runs import display, predictions


def results_tables(
  results: Sequence[dict[str, Any]], width: int = 80
) -> list[rich_table.Table]:
  """Returns the tables of results: of counted metrics, and of other values.

  Args:
    results: of models; those that failed have an `error`.
    width: how many columns a table may have. Where a model's name would have to be
      broken, names stand above their metrics, not beside them.
  """
  tables = []
  values = [
    m
    for result in results
    for m in result.get('metrics', ())
    if m.get('kind') == 'value'
  ]
  counted = sum(len(result.get('metrics', ())) for result in results) - len(values)
  if counted or not values:
    tables.append(
      _table(
        results,
        'count',
        _figures,
        ('correct', 'of', 'skipped', '%', '95 % interval'),
        width,
      )
    )
  if values:
    tables.append(_table(results, 'value', _value, ('of', 'skipped', 'value'), width))
  return tables


def _table(
  results: Sequence[dict[str, Any]],
  kind: str,
  cells: Callable[[dict[str, Any]], list[str]],
  titles: Sequence[str],
  width: int,
) -> rich_table.Table:
  """Returns a table with a row for each metric of a kind of each result."""
  models = []
  for result in results:
    if 'error' in result:
      models.append(([display.model_name(result)], [['failed']]))
      continue
    metrics = [
      [display.metric_name(m['labels'], m['name']), *cells(m)]
      for m in result['metrics']
      if m.get('kind', 'count') == kind
    ]
    names = [display.model_name(result), *filter(None, [display.state(result)])]
    models.append((names, metrics))
  beside = [list(itertools.zip_longest(*model)) for model in models]
  beside = [[[name or '', *(row or ())] for name, row in rows] for rows in beside]
  if _width([['model', 'metric', *titles], *itertools.chain(*beside)]) <= width:
    return _sections(['model', 'metric'], titles, beside)
  above = [
    [*([name] for name in names), *([f'  {row[0]}', *row[1:]] for row in rows)]
    for names, rows in models
  ]
  return _sections(['model and metric'], titles, above)


def _width(rows: Sequence[Sequence[str]]) -> int:
  """Returns how wide a table is in which no cell is broken."""
  columns = itertools.zip_longest(*rows, fillvalue='')
  widths = [max(map(len, column)) for column in columns]
  return sum(widths) + GAP * (len(widths) - 1)


def _sections(
  texts: Sequence[str],
  numbers: Sequence[str],
  sections: Iterable[Sequence[Sequence[str]]],
) -> rich_table.Table:
  """Returns a table whose first columns are texts, with a gap after each section."""
  table = new_table()
  for i, title in enumerate(texts):
    table.add_column(title, overflow='fold' if i == 0 else 'ellipsis')
  for title in numbers:
    table.add_column(title, justify='right')
  for rows in sections:
    for i, row in enumerate(rows):
      table.add_row(*row, end_section=i == len(rows) - 1)
  return table


def remarks(results: Iterable[dict[str, Any]]) -> list[str]:
  """Returns what a reader must know beside the figures, a line each."""
  found = []
  for result in results:
    if 'error' in result:
      found.append(f'{display.model_name(result)} FAILED: {result["error"]}')
      continue
    dataset = result['dataset']
    words = [
      f'{display.model_name(result)} on {dataset["name"]} {dataset["split"]}'.rstrip()
      + f', protocol {display.protocol_name(result)}'
    ]
    if dataset['partial']:
      which = 'some' if dataset.get('limit', 0) is None else 'the first'
      examples = _counted(dataset['expected'], 'example')
      words.append(f'PARTIAL: {which} {examples} only')
    words += dataset.get('notes', [])
    if dataset.get('failed'):
      names = [failure['id'] for failure in dataset['failed']]
      words.append(
        f'FAILED and not counted: {len(names)} of {dataset["expected"]} '
        'images: ' + ', '.join(names[:10]) + ', ...' * (len(names) > 10)
      )
    words += [f'PREFLIGHT: {finding}' for finding in result.get('preflight', [])]
    words += display.chance_remarks(result)
    if result.get('published'):
      words.append(published.sentence(result['published']))
    if result.get('subset'):
      subset = result['subset']
      words.append(f'subset: {subset["images"]} of {_counted(subset["of"], "image")}')
    words += _unavailable(result['metrics'])
    found.append('; '.join(words))
  return found


def _counted(number: int, what: str) -> str:
  return f'{number} {what}' + 's' * (number != 1)


def examples_table(parts: Iterable[pa.Table], count: int) -> rich_table.Table:
  """Returns a table of the first examples: what was said and what is right.

  Args:
    parts: stored rows with `id`, `label`, `real_labels`, `classes`, `log_probs`.
    count: how many examples to show.
  """
  table = new_table()
  table.add_column('example', overflow='fold', min_width=12, max_width=28)
  for title in ('answer', 'p', 'original label', 'hit', 'ReaL labels', 'hit'):
    # An answer may be broken between words; a number or a yes may not be cut.
    narrow = title in ('p', 'hit')
    table.add_column(title, no_wrap=narrow, min_width=4 if narrow else 9)
  # Spaces, so that names can be broken between words.
  names = [name.replace('_', ' ') for name in imagenet.classes().names]
  for part in parts:
    part = part.slice(0, count)
    count -= len(part)
    ranked = predictions.matrix(part['classes'])[:, 0]
    probability = np.exp(predictions.matrix(part['log_probs'])[:, 0])
    for i, (name, label, real) in enumerate(
      zip(
        part['id'].to_pylist(),
        part['label'].to_pylist(),
        part['real_labels'].to_pylist(),
        strict=True,
      )
    ):
      answer = int(ranked[i])
      table.add_row(
        name,
        names[answer],
        '-' if np.isnan(probability[i]) else f'{probability[i]:.2f}',
        '-' if label is None else names[label],
        _hit(answer, [] if label is None else [label]),
        '-' if not real else ', '.join(names[r] for r in real),
        _hit(answer, real),
      )
    if not count:
      break
  return table


def _hit(answer: int, right: list[int] | None) -> str:
  return '-' if not right else 'yes' if answer in right else 'no'


def _figures(metric: dict[str, Any]) -> list[str]:
  counts = [
    '-' if metric[key] is None else f'{metric[key]:,}'
    for key in ('correct', 'count', 'skipped')
  ]
  if metric['value'] is None:
    return [*counts, '-', '-']
  low, high = metric['interval']['low'], metric['interval']['high']
  return [
    *counts,
    f'{100 * metric["value"]:.2f}',
    f'{100 * low:.2f} - {100 * high:.2f}',
  ]


def _value(metric: dict[str, Any]) -> list[str]:
  return [f'{metric["count"]:,}', f'{metric["skipped"]:,}', display.figure(metric)]


def _unavailable(metrics: Iterable[dict[str, Any]]) -> list[str]:
  """Returns why metrics are not there, those with the same reason together."""
  names: dict[str, list[str]] = {}
  for metric in metrics:
    if 'unavailable' in metric:
      names.setdefault(metric['unavailable'], []).append(
        display.metric_name(metric['labels'], metric['name'])
      )
  return [f'no {", ".join(those)}: {reason}' for reason, those in names.items()]
