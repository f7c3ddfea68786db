"""Checks of values that several functions take."""

import numbers
from collections.abc import Sequence
from typing import Any

from tfeval.utils import errors
from tfeval.utils.arguments import shown
from tfeval.utils.errors import UserError


def level(value: Any) -> float:
  """Returns a significance level, one that tests are defined for.

  Raises:
    UserError: it is none.
  """
  if not isinstance(value, numbers.Real) or not 0 < value <= 0.5:
    raise UserError(
      f'`level={shown(value)}`: expected a significance level above 0 and at most 0.5, '
      'such as 0.05'
    )
  return float(value)


def seed(value: Any) -> int:
  """Returns the seed of a resampling.

  Raises:
    UserError: it is none.
  """
  if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 0:
    raise UserError(f'`seed={shown(value)}`: expected a whole number of 0 at least')
  return int(value)


def paired_names() -> list[str]:
  """Returns what runs can be compared by; no other package is loaded to say so."""
  from tfeval.metrics.registry import METRICS

  return [name for name in METRICS.entries if METRICS[name].paired]


def paired_metric(name: Any) -> str:
  """Returns the name of a metric that runs can be compared by.

  Raises:
    UserError: there is none of this name, or an image is no hit or miss of it.
  """
  from tfeval.metrics import registry

  stem = name.partition('@')[0] if isinstance(name, str) else ''
  if stem not in registry.METRICS or not registry.METRICS[stem].paired:
    own = ' or '.join(paired_names())
    raise UserError(
      f'`metric={shown(name) if not isinstance(name, str) else name}`: expected {own}, '
      f'of the rule restricted {own}@restricted, or hits of a plug-in'
    )
  return str(name)


def allowed(names: Sequence[str]) -> list[str]:
  """Returns what may differ among runs that are ranked together.

  Raises:
    UserError: there is nothing of such a name.
  """
  from tfeval.analysis.leaderboard import ALLOWED  # Arrow, which takes a while.

  for name in names:
    if name not in ALLOWED:
      raise errors.unknown('`allow`', name, ALLOWED)
  return list(names)
