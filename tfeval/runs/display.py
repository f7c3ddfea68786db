"""A result in a few lines: as text, and as HTML for notebooks."""

import html
import os
from typing import Any

from tfeval.utils import paths

# A model of 1000 classes is right by chance in a thousandth.
_CHANCE, _FEWEST = 0.01, 500
_LABELS = {'original': '', 'real': 'ReaL '}


def model_name(result: dict[str, Any]) -> str:
  """Returns what readers call a model: of a file its name without the folders.

  >>> model_name({'model': {'name': '/models/mine.keras'}})
  'mine.keras'
  """
  name = result['model']['name']
  is_path = os.path.isabs(name) or paths.is_url(name)
  return os.path.basename(name.rstrip(os.sep)) if is_path else name


def metric_name(labels: str, name: str) -> str:
  """Returns what readers call a metric.

  >>> metric_name('real@subset', 'top1')
  'ReaL top-1 subset'
  """
  kind, at, subset = labels.partition('@')
  if name.startswith('top') and name[3:].isdigit():
    name = f'top-{name[3:]}'
  return _LABELS.get(kind, kind + ' ') + name + f' {subset}' * bool(at)


def figure(metric: dict[str, Any]) -> str:
  """Returns a metric's value: a share in percent, anything else as it is.

  >>> figure({'kind': 'count', 'value': 0.7035})
  '70.35 %'
  """
  if metric['value'] is None:
    return '-'
  if metric.get('kind', 'count') == 'count':
    return f'{100 * metric["value"]:.2f} %'
  return f'{metric["value"]:.4f}'


def is_at_chance(correct: int, count: int) -> bool:
  """Returns whether top-1 hits are no more than a guesser may have.

  That is at most 1 %, ten times the chance of one of 1000 classes, of images enough to
  say so.

  >>> is_at_chance(15, 50_000), is_at_chance(0, 20)
  (True, False)
  """
  return count >= _FEWEST and correct <= _CHANCE * count


def chance_remarks(result: dict[str, Any]) -> list[str]:
  """Says by which labels a model is no better than guessing."""
  return [
    f'AT CHANCE by the labels {metric["labels"]}: {metric["correct"]:,} of '
    f'{metric["count"]:,}: these, or its answers, probably stand in another order'
    for metric in result['metrics']
    if metric['name'] == 'top1' and is_at_chance(metric['correct'], metric['count'])
  ]


def basis(metric: dict[str, Any]) -> str:
  """Returns what a metric was counted over, or why it is not there."""
  if metric['value'] is None:
    return metric.get('unavailable', 'no image has a label')
  of = f'{metric["count"]:,}'
  return f'{metric["correct"]:,} of {of}' if 'correct' in metric else f'of {of}'


def protocol_name(result: dict[str, Any]) -> str:
  """Returns a result's protocol as it is asked for, and its size."""
  protocol = result['protocol']
  size = f' at {protocol["size"]} pixels' if 'size' in protocol else ''
  return protocol.get('spec', protocol['name']) + size


def state(result: dict[str, Any]) -> str:
  """Returns what a reader may not miss about a model's figures, in brackets."""
  failed = len(result['dataset'].get('failed', ()))
  found = ['partial'] * result['dataset']['partial'] + [f'{failed:,} failed'] * bool(
    failed
  )
  return f'({", ".join(found)})' if found else ''


def title(result: dict[str, Any]) -> str:
  """Returns what was evaluated on what, and how."""
  dataset = result['dataset']
  on = f'{dataset["name"]} {dataset["split"]}'.rstrip()
  failed = len(dataset.get('failed', ()))
  state = [f'PARTIAL: {dataset["expected"]:,} images'] * bool(dataset['partial']) + [
    f'{failed:,} FAILED'
  ] * bool(failed)
  return (
    f'{model_name(result)} on {on}, protocol {protocol_name(result)}'
    + f' ({", ".join(state)})' * bool(state)
  )


def text(result: dict[str, Any]) -> str:
  """Returns a result in lines: a title, and one for each metric."""
  rows = _rows(result)
  name, value = (max((len(row[i]) for row in rows), default=0) for i in (0, 1))
  return '\n'.join(
    [title(result)]
    + [f'  {row[0]:<{name}}  {row[1]:>{value}}  ({row[2]})' for row in rows]
  )


def as_html(path: str, result: dict[str, Any]) -> str:
  """Returns a result as an HTML table; everything in it is escaped."""
  rows = ''.join(
    '<tr>'
    + ''.join(
      f'<td style="text-align:{side}">{html.escape(cell)}</td>'
      for side, cell in zip(('left', 'right', 'left'), row, strict=True)
    )
    + '</tr>'
    for row in _rows(result)
  )
  return (
    f'<div><b>{html.escape(title(result))}</b><br>'
    f'<code>{html.escape(path)}</code><table>{rows}</table></div>'
  )


def _rows(result: dict[str, Any]) -> list[tuple[str, str, str]]:
  return [
    (metric_name(m['labels'], m['name']), figure(m), basis(m))
    for m in result['metrics']
  ]
