"""What another run says of the same images."""

import dataclasses

import numpy as np
import pyarrow.compute as pc

from tfeval.analysis import answered_rows, set_columns
from tfeval.analysis.answered_rows import AnsweredRows
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.metrics.entry import ALL
from tfeval.runs.run import Run
from tfeval.runs.same_classes import classes_difference
from tfeval.runs.top_classes import ClassPrediction
from tfeval.utils import arrow
from tfeval.utils.errors import UserError, listed

_NO_CLASS = -2


@dataclasses.dataclass(frozen=True)
class Agreement:
  """How often two runs are right, of images with a label; they add up to these."""

  both_right: int
  only_first: int
  only_other: int
  both_wrong_same: int
  both_wrong_different: int


@dataclasses.dataclass(frozen=True, eq=False)
class OtherAnswers:
  """What another run says of n images.

  Attributes:
    run: the other run.
    space: the classes that its predictions are of.
    agreement: of all images that were asked for, not of the n alone.
    predicted: int32 [n], its first class, in its own label space.
    confidence: float64 [n], the probability of that; NaN for unknown.
    hit: bool [n], whether that is right.
    disagree: bool [n], whether one run is right and the other not, or both are wrong
      and say different classes.
  """

  run: Run
  space: LabelSpace
  agreement: Agreement
  predicted: np.ndarray
  confidence: np.ndarray
  hit: np.ndarray
  disagree: np.ndarray

  def take(self, at: np.ndarray) -> 'OtherAnswers':
    """Returns what is said of images at places, int64 [m], in this order."""
    columns = {
      name: getattr(self, name)[at]
      for name in ('predicted', 'confidence', 'hit', 'disagree')
    }
    return dataclasses.replace(self, **columns)

  def prediction(self, at: int) -> ClassPrediction:
    """Returns its prediction for one image."""
    index = int(self.predicted[at])
    ids, names = self.space.class_ids, self.space.class_names
    confidence = float(self.confidence[at])
    return ClassPrediction(1, index, ids[index], names[index], confidence)


def against(run: Run, other: Run, rows: AnsweredRows, rule: str) -> OtherAnswers:
  """Returns what another run says of rows of a run.

  Args:
    run: the run, with all rows that have a label.
    other: another one on the same images.
    rows: n rows of the run.
    rule: the class rule.

  Raises:
    UserError: they are of other images, labels or classes.
  """
  predicted, confidence = aligned(run, other, rows, rule)
  here = in_space_of(run, other)[predicted]
  right = answered_rows.under_rule(run, rule, rows.right)
  hit = set_columns.is_in(here, right)
  same = here == rows.ranked[:, 0]
  wrong = ~rows.hit & ~hit
  counts = (rows.hit & hit, rows.hit & ~hit, ~rows.hit & hit, wrong & same)
  agreement = Agreement(
    *(int(np.count_nonzero(one)) for one in (*counts, wrong & ~same))
  )
  disagree = (rows.hit != hit) | (wrong & ~same)
  return OtherAnswers(
    other, other.classes.space, agreement, predicted, confidence, hit, disagree
  )


def aligned(
  run: Run, other: Run, rows: AnsweredRows, rule: str
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the first class of another run for rows, and its probability.

  Returns:
    int32 [n], in the other run's space, and float64 [n], NaN for unknown.

  Raises:
    UserError: as `against`.
  """
  check_same(run, other)
  ids, predicted, log_probs = answered_rows.predicted(other, _rule_of(other, run, rule))
  at = arrow.to_numpy(pc.index_in(rows.ids, ids), null=-1)
  if (at < 0).any() or (predicted[at] < 0).any():
    missing = rows.ids.filter(pc.invert(pc.is_in(rows.ids, ids)))
    raise UserError(
      f'{len(missing):,} images of {run.path} are not in {other.path}: '
      f'{listed(missing[:11].to_pylist(), count=len(missing))}'
    )
  return predicted[at], np.exp(log_probs[at].astype(np.float64))


def check_same(run: Run, other: Run) -> None:
  """Checks that two runs are of the same images, labels and classes.

  Raises:
    UserError: they are not.
  """
  if found := classes_difference(run, other):
    raise UserError(found)
  here, there = run.result.dataset, other.result.dataset
  if here.evaluated != there.evaluated or here.label_digest != there.label_digest:
    raise UserError(
      f'{run.path} and {other.path} are of other images or labels ({here.evaluated:,} '
      f'images, label digest {here.label_digest[:8]}; {there.evaluated:,}, '
      f'{there.label_digest[:8]}): give runs on the same images'
    )


def _rule_of(other: Run, run: Run, rule: str) -> str:
  """Returns the rule by which another run says the same; `all` where it has but one."""
  if other.classes.has(rule):
    return rule
  competing = run.classes.competition.classes(rule)
  said = other.classes.said
  if said is not None and competing is not None and np.array_equal(said, competing):
    return ALL
  raise UserError(
    f'{other.path} has no rule {rule}, by which {run.path} is counted: give a '
    '`class_rule` that both have'
  )


def in_space_of(run: Run, other: Run) -> np.ndarray:
  """Returns int64 [classes of other], the class of a run that each is; -2 for none."""
  place = run.classes.space.index_of_id
  return np.array(
    [place.get(one, _NO_CLASS) for one in other.classes.space.class_ids], np.int64
  )
