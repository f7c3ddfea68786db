"""JSON as people read it: lists of values on one line, long ones shortened."""

import json
from typing import Any

# Items of a list, fields of an object, and levels that are shown.
_ITEMS, _FIELDS, _DEPTH = 12, 60, 12
# Characters of a text, and of a list that takes one line.
_TEXT, _LINE = 500, 2000


def text(value: Any, depth: int = 0) -> str:
  """Returns a value of JSON in lines.

  Lists of texts and numbers take one line; of more than twelve items the first are
  shown, and how many more there are.

  Args:
    value: what JSON can hold.
    depth: how many levels it is below the whole.

  >>> print(text({'of': {'ids': list(range(300))}, 'none': []}))
  {
   "of": {
    "ids": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ... 288 more]
   },
   "none": []
  }
  """
  if isinstance(value, str) and len(value) > _TEXT:
    return f'{json.dumps(value[:_TEXT], ensure_ascii=False)} ... {len(value):,} letters'
  if not isinstance(value, dict | list):
    return json.dumps(value, ensure_ascii=False)
  if depth >= _DEPTH:
    return '...'
  if isinstance(value, list):
    return _list(value, depth)
  items = [
    f'{json.dumps(str(name), ensure_ascii=False)}: {text(one, depth + 1)}'
    for name, one in list(value.items())[:_FIELDS]
  ]
  return _joined('{', items, len(value), '}', depth, ',\n')


def _list(value: list[Any], depth: int) -> str:
  items = [text(one, depth + 1) for one in value[:_ITEMS]]
  plain = not any(isinstance(one, dict | list) for one in value[:_ITEMS])
  if plain and sum(map(len, items)) <= _LINE:
    return _joined('[', items, len(value), ']', depth, ', ')
  return _joined('[', items, len(value), ']', depth, ',\n')


def _joined(
  start: str, items: list[str], count: int, end: str, depth: int, between: str
) -> str:
  if not items:
    return start + end
  if count > len(items):
    items = [*items, f'... {count - len(items):,} more']
  if between == ', ':
    return f'{start}{between.join(items)}{end}'
  room = ' ' * (depth + 1)
  return f'{start}\n{room}{f"{between}{room}".join(items)}\n{" " * depth}{end}'
