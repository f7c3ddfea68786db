"""What steps of a pipeline cost others, as published, and what they cost here."""

import csv
import dataclasses
import functools
import importlib.resources
from collections.abc import Iterator


@dataclasses.dataclass(frozen=True)
class Effect:
  """A published effect on top-1, or one that was measured here.

  Attributes:
    axis: of a sweep.
    model: whose accuracy it is.
    change: what was done otherwise.
    before, after: top-1 in percent, right first; None where only points are known.
    points: of accuracy, after less before; None where the right figure is not told.
    source: where it was published.
  """

  axis: str
  model: str
  change: str
  before: float | None
  after: float | None
  points: float | None
  source: str


@dataclasses.dataclass(frozen=True)
class Measured:
  """What a departure costs on the shared photos, by `tfeval sweep`.

  Attributes:
    axis, value: the departure.
    model: the model.
    correct, count: hits of it, and images.
    points: against the base.
    low, high: of the paired 95 % interval.
  """

  axis: str
  value: str
  model: str
  correct: int
  count: int
  points: float
  low: float
  high: float


@functools.cache
def published() -> list[Effect]:
  """Returns the published effects, as they stand in `effects.tsv`."""
  return [
    Effect(
      row['axis'],
      row['model'],
      row['change'],
      _number(row['before']),
      _number(row['after']),
      _number(row['points']),
      row['source'],
    )
    for row in _rows('effects.tsv')
  ]


@functools.cache
def measured() -> list[Measured]:
  """Returns what was measured here, as it stands in `measured.tsv`."""
  return [
    Measured(
      row['axis'],
      row['value'],
      row['model'],
      int(row['correct']),
      int(row['count']),
      float(row['points']),
      float(row['low']),
      float(row['high']),
    )
    for row in _rows('measured.tsv')
  ]


def _number(text: str) -> float | None:
  return float(text) if text else None


def _rows(name: str) -> Iterator[dict[str, str]]:
  path = importlib.resources.files('tfeval.analysis.explanation') / name
  with path.open(encoding='utf-8') as file:
    yield from csv.DictReader(file, delimiter='\t')
