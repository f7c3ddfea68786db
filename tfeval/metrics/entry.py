"""A metric as results hold it."""

from collections.abc import Mapping
from typing import Any, Self

from tfeval.utils.json_object import JsonObject, nullable

COUNT, VALUE = 'count', 'value'
# Class rules name which outputs compete for an image. `all`: everything that the model
# can say; its highest output is wrong where that means no class of the dataset.
# `restricted`: only outputs that mean a class of the dataset.
ALL, RESTRICTED = 'all', 'restricted'


class Interval(JsonObject):
  """Where the rate of all images probably is.

  Attributes:
    method: one of `accuracy.INTERVALS`.
    level: its coverage, in (0, 1).
    low, high: its ends, in [0, 1].
  """

  method: str
  level: float
  low: float
  high: float


class MetricEntry(JsonObject):
  """A metric of a result.

  Attributes:
    name: the metric's, such as `'top1'`.
    labels: the label set's, such as `'real'`; `'real@subset'` of a subset.
    kind: `COUNT` or `VALUE`.
    correct: images that were hit; None of a value, or if it is not known.
    count: images with a label.
    skipped: images without one.
    value: the rate, or whatever is measured; None where the rows do not give it.
    interval: of the rate; None of a value, or without images.
    unavailable: why there is no value.
    rule: the class rule.
  """

  name: str
  labels: str
  kind: str
  correct: int | None = nullable()
  count: int
  skipped: int
  value: float | None
  interval: Interval | None = nullable()
  unavailable: str | None = None
  rule: str = ALL

  @property
  def key(self) -> str:
    """What it is asked for by: `top1`, or `top1@restricted` under that rule."""
    return self.name if self.rule == ALL else f'{self.name}@{self.rule}'

  @classmethod
  def from_json(cls, content: Mapping[str, Any]) -> Self:
    # Files of version 0.1 lack these where they are the only ones there were.
    return super().from_json({'kind': COUNT, 'rule': ALL, **content})

  def json_keys(self) -> list[str]:
    hidden = () if self.kind == COUNT else ('correct', 'interval')
    return [key for key in super().json_keys() if key not in hidden]
