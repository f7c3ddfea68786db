"""Images that were got wrong, as values."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from tfeval.analysis import answered_rows, set_columns
from tfeval.analysis.answered_rows import AnsweredRows
from tfeval.analysis.disagreement import OtherAnswers
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.metrics.accuracy import Count
from tfeval.runs.run import Run
from tfeval.runs.top_classes import ClassPrediction


@dataclasses.dataclass(frozen=True)
class NamedClass:
  """A class of a run.

  Attributes:
    index: in the run's label space.
    id: such as a wnid.
    name: readable.
  """

  index: int
  id: str
  name: str


@dataclasses.dataclass(frozen=True)
class Mistake:
  """An image that was got wrong, or that two runs disagree on.

  Attributes:
    id: of the image.
    label: the label that the row carries; None: none.
    right: the classes that are right by the label set that was counted by.
    real: the set of classes that the row carries, such as its ReaL labels; None where
      the run has none at all; empty where nobody agreed on one.
    right_by_real: whether the prediction is in `real`: it is no mistake by these then.
      None without a set.
    predictions: up to five, best first; their probability is NaN where it is unknown.
    confidence: the probability of the first; None for unknown.
    loss: -log p of the right class in nats, `inf` where it was given nothing; None for
      unknown, or where it was not asked for.
    is_right: whether the prediction is right; only of disagreements.
    other: what the other run says first; None without one.
    other_is_right: whether that is right.
  """

  id: str
  label: NamedClass | None
  right: tuple[NamedClass, ...]
  real: tuple[NamedClass, ...] | None
  right_by_real: bool | None
  predictions: tuple[ClassPrediction, ...]
  confidence: float | None
  loss: float | None
  is_right: bool = False
  other: ClassPrediction | None = None
  other_is_right: bool | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Mistakes:
  """The mistakes of a run.

  Attributes:
    run: the run.
    labels: the name of the label set that they are mistakes by.
    rule: the class rule.
    by: one of the orders of `mistakes`, `id` or `missed`.
    counted: of all images, as `tfeval score` has it; `count - correct` are wrong.
    of_class, as_class: what was asked for of labels and of predictions.
    of_class_images: how many labelled images have `of_class`; None without it.
    found: how many mistakes there are, or disagreements, of the classes asked for.
    right_by_real: how many of these are right by the sets that rows carry; None where
      they carry none, or where these are what is counted by.
    without_real: how many of these have an empty set.
    unknown: how many of these have no value to be ordered by: they are last.
    rows: the first of these, in order.
    other: what the other run says of `rows`; None without one.
    remarks: what a reader must know beside the figures.
  """

  run: Run
  labels: str
  rule: str
  by: str
  counted: Count
  of_class: NamedClass | None
  as_class: NamedClass | None
  of_class_images: int | None
  found: int
  right_by_real: int | None
  without_real: int
  unknown: int
  rows: AnsweredRows
  other: OtherAnswers | None = None
  remarks: tuple[str, ...] = ()

  def __len__(self) -> int:
    return len(self.rows)

  def __iter__(self) -> Iterator[Mistake]:
    """Yields each of `rows`."""
    return each(self.run, self.rule, self.rows, self.other)


def named(space: LabelSpace, index: int) -> NamedClass:
  """Returns a class of a label space."""
  return NamedClass(
    index, space.class_ids[index], space.class_names[index].replace('_', ' ')
  )


def each(
  run: Run, rule: str, rows: AnsweredRows, other: OtherAnswers | None
) -> Iterator[Mistake]:
  """Yields rows of a run as values.

  Args:
    run: the run.
    rule: the class rule that its predictions are of.
    rows: some of its rows.
    other: what another run says of these; None without one.
  """
  said = run.classes.space
  real: list[tuple[int, ...] | None] = [None] * len(rows)
  right_by_real: list[bool | None] = [None] * len(rows)
  if rows.real is not None:
    real = list(set_columns.sets_of(rows.real))
    under = answered_rows.under_rule(run, rule, rows.real)
    inside = set_columns.is_in(rows.ranked[:, 0], under).tolist()
    right_by_real = [
      one if size else None
      for one, size in zip(inside, under.sizes.tolist(), strict=True)
    ]
  losses = None if rows.losses is None else rows.losses.tolist()
  right = set_columns.sets_of(rows.right)
  for i, (id_, of_right) in enumerate(zip(rows.ids.to_pylist(), right, strict=True)):
    label, of_real = int(rows.original[i]), real[i]
    predictions = tuple(
      prediction(said, place, int(index), float(np.exp(log_prob)))
      for place, (index, log_prob) in enumerate(
        zip(rows.ranked[i], rows.log_probs[i].astype(float), strict=True), 1
      )
    )
    yield Mistake(
      id_,
      named(said, label) if label >= 0 else None,
      tuple(named(said, one) for one in of_right),
      None if of_real is None else tuple(named(said, one) for one in of_real),
      right_by_real[i],
      predictions,
      known(predictions[0].probability),
      None if losses is None else known(losses[i]),
      bool(rows.hit[i]),
      None if other is None else other.prediction(i),
      None if other is None else bool(other.hit[i]),
    )


def prediction(
  space: LabelSpace, rank: int, index: int, probability: float
) -> ClassPrediction:
  """Returns a prediction of a class of a label space."""
  ids, names = space.class_ids, space.class_names
  return ClassPrediction(rank, index, ids[index], names[index], probability)


def known(value: float) -> float | None:
  """Returns a value, None for NaN."""
  return None if np.isnan(value) else value
