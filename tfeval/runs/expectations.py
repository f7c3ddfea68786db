"""Expected accuracies: `--expect=original/top1:0.704:0.002`, for use in CI.

Nothing here imports TensorFlow.
"""

import dataclasses
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from tfeval.utils import errors
from tfeval.utils.errors import UserError

_EXPECTATION = re.compile(
  r'(?P<labels>[^/:]+)/(?P<name>[^/:]+)'
  r':(?P<value>[^:]+):(?P<tolerance>[^:]+)'
)
# Metrics that are no shares.
_ABOVE_ONE = frozenset({'nll', 'brier', 'temperature'})


@dataclasses.dataclass(frozen=True)
class Expectation:
  """A metric that has to be near a value.

  Attributes:
    labels: the label set, such as `'original'`.
    name: the metric, such as `'top1'`.
    value: in 0..1, or above where the metric is no share.
    tolerance: how far off it may be, likewise.
  """

  labels: str
  name: str
  value: float
  tolerance: float


def parse(text: str) -> Expectation:
  """Parses one expectation.

  Args:
    text: `LABELS/METRIC:VALUE:TOLERANCE`, values in 0..1, of `nll`, `brier` and
      `temperature` above too.

  Raises:
    UserError: it does not read like that.

  >>> parse('original/top1:0.704:0.002').value
  0.704
  """
  match = _EXPECTATION.fullmatch(text)
  try:
    value, tolerance = float(match['value']), float(match['tolerance'])
  except (TypeError, ValueError):
    raise UserError(
      f'`expect={text}`: expected LABELS/METRIC:VALUE:TOLERANCE, such as '
      'original/top1:0.704:0.002'
    ) from None
  for number in (value, tolerance):
    above_one = match['name'] in _ABOVE_ONE
    if not (math.isfinite(number) and 0 <= number and (number <= 1 or above_one)):
      raise UserError(
        f'`expect={text}`: {number:g} is not in 0..1: rates are shares, not percent'
      )
  return Expectation(match['labels'], match['name'], value, tolerance)


def check_names(
  expectations: Iterable[Expectation], known: Iterable[tuple[str, str]]
) -> None:
  """Holds that metrics will be there, before they are measured.

  Args:
    expectations: what is expected.
    known: label set and name of each metric that there will be.

  Raises:
    UserError: names one that will not.
  """
  names = ['/'.join(key) for key in known]
  for expected in expectations:
    name = f'{expected.labels}/{expected.name}'
    if name not in names:
      raise errors.unknown('metric in `expect`', name, names)


def missed(
  expectations: Iterable[Expectation], results: Sequence[dict[str, Any]]
) -> list[str]:
  """Returns what does not hold, a line each.

  Args:
    expectations: each has to hold for every result.
    results: contents of `result.json`.

  Raises:
    UserError: a metric is not there.
  """
  found = []
  for expected in expectations:
    for result in results:
      value = _value(expected, result)
      # A difference that is the tolerance up to rounding is met.
      if value is None or abs(value - expected.value) > expected.tolerance + 1e-12:
        seen = 'nothing' if value is None else f'{value:.6f}'
        found.append(
          f'{result["model"]["name"]}: {expected.labels}/{expected.name} is {seen}, '
          f'expected {expected.value:g} within {expected.tolerance:g}'
        )
  return found


def _value(expected: Expectation, result: dict[str, Any]) -> float | None:
  there = {(m['labels'], m['name']): m['value'] for m in result['metrics']}
  if (expected.labels, expected.name) not in there:
    known = ', '.join('/'.join(key) for key in there)
    raise UserError(
      f'`expect`: {result["model"]["name"]} has no metric '
      f'{expected.labels}/{expected.name}: it has {known}'
    )
  return there[expected.labels, expected.name]
