"""Predictions of other tools, checked and ranked."""

import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from tfeval.metrics import ranking
from tfeval.runs import predictions
from tfeval.runs.importing.blocks import Block
from tfeval.utils.errors import UserError

LOGITS, PROBABILITIES = OUTPUTS = ('logits', 'probabilities')
# The sum of 1000 probabilities in float16, each of them rounded.
_SUM_TOLERANCE = 0.01
# Given bool [n] or [n, k] and what is wrong there, raises a UserError if anything is.
Refuse = Callable[[np.ndarray, str], None]


@dataclasses.dataclass(frozen=True)
class Ranked:
  """Rows as `predictions.assemble` takes them.

  Attributes:
    classes: int32 [n, k], best first, ties lowest class first.
    log_probs: float64 [n, k], or None where the file has none.
    label_log_prob: float64 [n], NaN for unknown, or None.
    scores: float32 [n, classes], or None.
    output: what the scores of all classes are, one of `OUTPUTS`, or None.
  """

  classes: np.ndarray
  log_probs: np.ndarray | None
  label_log_prob: np.ndarray | None
  scores: np.ndarray | None
  output: str | None

  @property
  def ranks(self) -> predictions.Ranks:
    """The same as rows keep them of a rule."""
    return predictions.Ranks(self.classes, self.log_probs, self.label_log_prob)


def rank(
  block: Block,
  labels: np.ndarray,
  output: str | None,
  refuse: Refuse,
  refuse_scores: Refuse,
  classes: int,
) -> Ranked:
  """Checks and ranks rows.

  Args:
    block: the rows, as they came.
    labels: int [n], original labels, negative for none.
    output: what scores of all classes are, one of `OUTPUTS`; None: look.
    refuse: for classes.
    refuse_scores: for scores, which may be of another file.
    classes: how many there are.

  Raises:
    UserError: a value is not what it should be.
  """
  scores = block.scores
  if scores is not None:
    if scores.dtype.kind != 'f':
      refuse_scores(
        np.ones(len(scores), bool),
        f'has scores of type {scores.dtype}, expected floats',
      )
    # Of float16 and float32 the float32 values are the same numbers.
    scores = scores.astype(np.float64 if scores.dtype == np.float64 else np.float32)
    refuse_scores(~np.isfinite(scores), 'has NaN or infinite scores')
  if block.classes is None:
    assert scores is not None  # A block has one or the other.
    output = output or _look(scores, refuse_scores)
    if output == PROBABILITIES:
      _check_probabilities(scores, refuse_scores, whole=True)
    ranked = predictions.rank_scores(scores, labels, output)
    return Ranked(*ranked[:3], scores.astype(np.float32), output)
  _check_classes(block.classes, refuse, classes)
  ranked_classes = block.classes.astype(np.int32)
  kept = predictions.STORED_CLASSES
  if scores is None:
    return Ranked(ranked_classes[:, :kept], None, None, None, None)
  _check_probabilities(scores, refuse_scores, whole=False)
  order = ranking.order(scores, ranked_classes)[:, :kept]
  ranked_classes, scores = (
    np.take_along_axis(a, order, axis=1) for a in (ranked_classes, scores)
  )
  with np.errstate(divide='ignore'):
    log_probs = np.log(scores.astype(np.float64))
  of_label = np.full(len(ranked_classes), np.nan)
  row, column = np.nonzero(ranked_classes == labels[:, None])
  of_label[row] = log_probs[row, column]
  return Ranked(ranked_classes, log_probs, of_label, None, None)


def _look(scores: np.ndarray, refuse: Refuse) -> str:
  """Returns what scores are: logits leave 0..1 somewhere, probabilities add up to 1."""
  if scores.min() < 0 or scores.max() > 1:
    return LOGITS
  off = np.abs(scores.sum(axis=1, dtype=np.float64) - 1) > _SUM_TOLERANCE
  refuse(
    off,
    'has values from 0 to 1 that do not add up to 1: say `output=logits` or '
    '`output=probabilities`',
  )
  return PROBABILITIES


def _check_probabilities(scores: np.ndarray, refuse: Refuse, whole: bool) -> None:
  refuse(
    (scores < 0) | (scores > 1 + 1e-6),
    'has scores outside of 0 to 1, expected probabilities',
  )
  sums = scores @ np.ones(scores.shape[1], np.float64)
  refuse(
    sums > 1 + _SUM_TOLERANCE,
    f'and perhaps others have scores that add up to '
    f'{sums.max():g}, expected probabilities',
  )
  if whole:
    refuse(
      sums < 1 - _SUM_TOLERANCE,
      'and perhaps others have scores that add up to '
      f'{sums.min():g}, expected probabilities',
    )


def _check_classes(classes: np.ndarray, refuse: Refuse, count: int) -> None:
  if classes.dtype.kind not in 'iu':
    refuse(
      np.ones(len(classes), bool),
      f'has classes of type {classes.dtype}, expected whole numbers',
    )
  highest = count - 1
  low, high = classes.min(initial=0), classes.max(initial=0)
  hint = ': are they counted from 1?' if high == highest + 1 else ''
  refuse(
    (classes < 0) | (classes > highest),
    f'has a class outside of 0 to {highest} (there are {low} to {high}){hint}',
  )
  ordered = np.sort(classes, axis=1)
  refuse(ordered[:, 1:] == ordered[:, :-1], 'has a class twice')


def refuser(path: pathlib.Path, ids: pa.Array, start: int) -> Refuse:
  """Returns what raises a UserError that names the first row that is wrong.

  Args:
    path: of the file.
    ids: string [n], of the rows of a block.
    start: the place of the block's first row, from 0.
  """

  def refuse(wrong: np.ndarray, what: str) -> None:
    if wrong.any():
      at = int(wrong.reshape(len(wrong), -1).any(axis=1).argmax())
      raise UserError(f'{path}: row {start + at} ({ids[at].as_py()}) {what}')

  return refuse
