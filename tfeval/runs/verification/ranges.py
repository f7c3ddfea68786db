"""Whether the values of a result can be: the ranges that its schema says, and more.

Types are for `result_file.Result`. This is for every command that reads a result, so it
needs no jsonschema: of the schema it knows what bounds values, nothing else.
"""

import functools
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

from tfeval.metrics.entry import COUNT
from tfeval.runs.verification import schemas

# JSON is written and compared by functions that call themselves.
_DEEPEST = 64
# What NumPy and Arrow count with.
_LARGEST = 2**63 - 1
# Of a path there are 4,096 at most; a table of longer texts takes seconds.
_LONGEST = 1 << 16
# Where every number is needed, or every text; elsewhere one may be missing, as in files
# of earlier versions.
_RECKONED = ('.metrics', '.dataset', '.published')
_NAMED = ('.metrics', '.dataset')
# Rates are quotients of integers; another division may round otherwise.
_TOLERANCE = 1e-9


def fault(content: Mapping[str, Any]) -> str | None:
  """Returns which value of a result cannot be, and why; None: all can.

  Args:
    content: a `result_file.Result`: its types are as they have to be.
  """
  schema = _schema()
  contradictions = (
    f'.metrics[{number}]: {text}'
    for number, metric in enumerate(content['metrics'])
    for text in _contradictions(metric)
  )
  # The second are of values that can be.
  found = itertools.chain(
    _faults('', content, schema, schema['$defs']),
    contradictions,
    _miscounted(content['dataset']),
  )
  return next(found, None)


def _miscounted(dataset: Mapping[str, Any]) -> Iterator[str]:
  """Says where a part of a dataset is passed off as all of it."""
  evaluated, expected = dataset['evaluated'], dataset.get('expected')
  failed = len(dataset.get('failed') or ())
  if expected is not None and evaluated + failed != expected:
    yield (
      f'.dataset: {evaluated:,} images evaluated and {failed:,} failed are not the '
      f'{expected:,} expected'
    )


def plain_fault(content: Any) -> str | None:
  """Returns what of JSON no program can be handed on; None: nothing.

  That is what is nested too deep, numbers that are no finite ones or take more than 64
  bits, and texts that fill screens.
  """
  pending = [(content, 0)]
  while pending:
    value, depth = pending.pop()
    if depth > _DEEPEST:
      return f'it is nested more than {_DEEPEST} deep'
    if isinstance(value, float) and not math.isfinite(value):
      return 'it has a number that is not finite'
    if isinstance(value, int) and abs(value) > _LARGEST:
      return 'it has a whole number of more than 64 bits'
    if isinstance(value, str) and len(value) > _LONGEST:
      return (
        f'it has a text of {len(value):,} characters, expected at most {_LONGEST:,}'
      )
    if isinstance(value, Mapping):
      if any(len(key) > _LONGEST for key in value):
        return f'it has a key of more than {_LONGEST:,} characters'
      pending += [(one, depth + 1) for one in value.values()]
    elif isinstance(value, list):
      pending += [(one, depth + 1) for one in value]
  return None


@functools.cache
def _schema() -> dict[str, Any]:
  return schemas.read_schema('result')


def _faults(
  where: str, value: Any, schema: Mapping[str, Any], known: Mapping[str, Any]
) -> Iterator[str]:
  """Yields where a value is not what a schema allows."""
  if '$ref' in schema:
    schema = known[schema['$ref'].rpartition('/')[2]]
  if 'enum' in schema and value not in schema['enum']:
    allowed = ', '.join(str(one) for one in schema['enum'] if one is not None)
    yield f'{where}: expected one of {allowed}, found {str(value)[:40]!r}'
  if value is None:
    kind = schema.get('type')
    if where.startswith(_RECKONED) and kind in ('integer', 'number'):
      yield f'{where}: expected a number, there is none'
    if where.startswith(_NAMED) and kind == 'string':
      yield f'{where}: expected a text, there is none'
    return
  for other in schema.get('anyOf', ()):
    yield from _faults(where, value, other, known)
  if isinstance(value, int | float):
    least, most = schema.get('minimum', -math.inf), schema.get('maximum', math.inf)
    if not least <= value <= most:
      yield f'{where}: expected a number from {least} to {most}, found {value}'
  if isinstance(value, Mapping):
    for key, one in schema.get('properties', {}).items():
      if key in value:
        yield from _faults(f'{where}.{key}', value[key], one, known)
    if 'then' in schema and _holds(value, schema['if']):
      yield from _faults(where, value, schema['then'], known)
  if isinstance(value, list) and 'items' in schema:
    for number, one in enumerate(value):
      yield from _faults(f'{where}[{number}]', one, schema['items'], known)


def _holds(value: Mapping[str, Any], condition: Mapping[str, Any]) -> bool:
  """Whether keys that are there have the values that they are asked to have."""
  wanted = condition['properties'].items()
  return all(value.get(key, of.get('const')) == of.get('const') for key, of in wanted)


def _contradictions(metric: Mapping[str, Any]) -> Iterator[str]:
  """Yields what of a counted metric does not follow from its counts."""
  correct, count = metric.get('correct'), metric['count']
  if metric.get('kind', COUNT) != COUNT:
    return
  value, interval = metric['value'], metric.get('interval')
  if correct is None:
    if value is not None:
      yield f'value is {value}, how many are correct is not known'
  elif correct > count:
    yield f'{correct} correct of {count}'
  elif (value is None) != (count == 0):
    yield f'value is {value}, {correct} of {count} are correct'
  elif value is not None and abs(value - correct / count) > _TOLERANCE:
    yield f'value is {value}, {correct} of {count} give {correct / count}'
  elif value is not None and interval is not None:
    low, high = interval['low'], interval['high']
    if not low - _TOLERANCE <= value <= high + _TOLERANCE:
      yield f'value is {value}, its interval is from {low} to {high}'
