"""Expected accuracies: `--expect=original/top1:0.704:0.002`, for use in CI."""

import dataclasses
import math
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tfeval.utils import errors
from tfeval.utils.errors import UserError, listed

if TYPE_CHECKING:
  from tfeval.runs.result_file import Result

_EXPECTATION = re.compile(
  r'(?P<labels>[^/:]+)/(?P<name>[^/:]+)'
  r':(?P<value>[^:]+):(?P<tolerance>[^:]+)'
)


@dataclasses.dataclass(frozen=True)
class Expectation:
  """A metric that has to be near a value.

  Attributes:
    labels: the label set, such as `'original'`.
    name: the metric, such as `'top1'`, or `'top1@restricted'` under that rule.
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
    text: `LABELS/METRIC:VALUE:TOLERANCE`, values in 0..1, of metrics that are no
      shares above too.

  Raises:
    UserError: it does not read like that.

  >>> parse('original/top1:0.704:0.002').value
  0.704
  """
  match = _EXPECTATION.fullmatch(text)
  try:
    if match is None:
      raise ValueError
    value, tolerance = float(match['value']), float(match['tolerance'])
  except (TypeError, ValueError):
    raise UserError(
      f'`expect={text}`: expected LABELS/METRIC:VALUE:TOLERANCE, such as '
      'original/top1:0.704:0.002'
      + ('; kept is for tfeval compare' if ':kept:' in text else '')
    ) from None
  highest = 1 if _is_share(match['name']) else math.inf
  for number in (value, tolerance):
    if not (math.isfinite(number) and 0 <= number <= highest):
      raise UserError(
        f'`expect={text}`: {number:g} is not in 0..1: rates are shares, not percent'
      )
  return Expectation(match['labels'], match['name'], value, tolerance)


def _is_share(name: str) -> bool:
  """Returns whether a metric's value is in 0..1; of one that is not known: yes."""
  # Arrow, which help does not need.
  from tfeval.metrics.registry import METRICS

  name = name.partition('@')[0]
  return name not in METRICS or METRICS[name].is_share


def check_names(
  expectations: Iterable[Expectation], known: Iterable[tuple[str, str]]
) -> None:
  """Checks that metrics will be there, before they are measured.

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
  expectations: Iterable[Expectation], results: Sequence['Result']
) -> list[str]:
  """Returns what is not met, a line each.

  Args:
    expectations: each has to be met by every result.
    results: of the runs.

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
          f'{result.model.name}: {expected.labels}/{expected.name} is {seen}, '
          f'expected {expected.value:g} within {expected.tolerance:g}'
        )
  return found


def _value(expected: Expectation, result: 'Result') -> float | None:
  there = {(m.labels, m.key): m.value for m in result.metrics}
  if (expected.labels, expected.name) not in there:
    known = listed('/'.join(key) for key in there)
    raise UserError(
      f'`expect`: {result.model.name} has no metric '
      f'{expected.labels}/{expected.name}: it has {known}'
    )
  return there[expected.labels, expected.name]
