"""The images that most of several runs get wrong."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from tfeval.analysis import answered_rows, disagreement, set_columns
from tfeval.analysis import mistakes as mistakes_of
from tfeval.analysis.answered_rows import AnsweredRows
from tfeval.analysis.mistake import Mistake, NamedClass, known, named
from tfeval.analysis.mistakes import Mistakes
from tfeval.datasets.labels.sets import LabelSource
from tfeval.runs import discovery
from tfeval.runs.run import Run


@dataclasses.dataclass(frozen=True)
class HardImage:
  """An image and how many runs get it wrong.

  Attributes:
    mistake: of the first run; its `is_right` tells whether it is one.
    missed: how many runs are wrong.
    said: the wrong class that most of them say; of several the lowest index.
    said_by: how many say that.
    confidence: the mean probability of the wrong predictions; None for unknown.
  """

  mistake: Mistake
  missed: int
  said: NamedClass
  said_by: int
  confidence: float | None


@dataclasses.dataclass(frozen=True, eq=False)
class Hardest:
  """The images that most of several runs get wrong.

  Attributes:
    names: what tells the runs apart.
    of_first: the images, as of the first run.
    missed: int64 [n], how many runs are wrong.
    said, said_by: int64 [n], the wrong class that most of them say, in the first run's
      space, and how many do.
    confidence: float64 [n], mean probability of the wrong predictions; NaN for unknown.
    by_missed: int64 [runs + 1], how many images exactly so many runs get wrong.
  """

  names: list[str]
  of_first: Mistakes
  missed: np.ndarray
  said: np.ndarray
  said_by: np.ndarray
  confidence: np.ndarray
  by_missed: np.ndarray

  def __len__(self) -> int:
    return len(self.of_first)

  def __iter__(self) -> Iterator[HardImage]:
    """Yields each image, the hardest first."""
    space = self.of_first.run.classes.space
    for i, mistake in enumerate(self.of_first):
      yield HardImage(
        mistake,
        int(self.missed[i]),
        named(space, int(self.said[i])),
        int(self.said_by[i]),
        known(float(self.confidence[i])),
      )


def hardest(
  runs: Sequence[Run],
  count: int | None = 20,
  *,
  labels: LabelSource | None = None,
  of_class: str | None = None,
  rule: str | None = None,
) -> Hardest:
  """Finds the images that most runs get wrong.

  Those come first that more runs miss; of equally many by the mean probability of the
  wrong predictions, the highest first; then by id.

  Args:
    runs: at least two, on the same images and of the same classes.
    count, labels, of_class, rule: as for `mistakes.mistakes`.

  Raises:
    UserError: as `mistakes.mistakes`.
  """
  whole = mistakes_of.everything(runs[0], labels=labels, of_class=of_class, rule=rule)
  rows = whole.rows
  space = runs[0].classes.space
  # The wrong class that each run says, -1 where it is right.
  wrong = np.empty((len(rows), len(runs)), np.int32)
  total, counts = np.zeros(len(rows)), np.zeros(len(rows), np.int32)
  for column, run in enumerate(runs):
    said, confidence = _said(runs[0], run, rows, whole.rule)
    right = answered_rows.under_rule(runs[0], whole.rule, rows.right)
    hit = set_columns.is_in(said, right)
    # Classes that the first run cannot say all are one.
    wrong[:, column] = np.where(hit, -1, np.where(said < 0, len(space), said))
    counted = ~hit & ~np.isnan(confidence)
    total += np.where(counted, confidence, 0)
    counts += counted
  missed = np.count_nonzero(wrong >= 0, axis=1)
  with np.errstate(invalid='ignore'):
    mean = total / counts
  keys = missed + np.where(np.isnan(mean), 0, mean) / 2
  found = int(np.count_nonzero(missed))
  order = mistakes_of.first_places(rows.ids, keys, found if count is None else count)
  order = order[missed[order] > 0]
  said_most, said_by = _most(wrong[order])
  of_first = dataclasses.replace(whole, rows=rows.take(order), found=found)
  return Hardest(
    discovery.distinct_names(list(runs)),
    of_first,
    missed[order],
    said_most,
    said_by,
    mean[order],
    np.bincount(missed, minlength=len(runs) + 1),
  )


def _said(
  run: Run, other: Run, rows: AnsweredRows, rule: str
) -> tuple[np.ndarray, np.ndarray]:
  """Returns what a run says, in the first one's space, and with which probability."""
  if other is run:
    return rows.ranked[:, 0], rows.confidence
  predicted, confidence = disagreement.aligned(run, other, rows, rule)
  return disagreement.in_space_of(run, other)[predicted], confidence


def _most(wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns the most frequent value of each row, -1 aside, and how often it is there.

  >>> _most(np.array([[3, 5, 5], [-1, 4, 2]]))
  (array([5, 2]), array([2, 1]))
  """
  times = (wrong[:, :, None] == wrong[:, None, :]).sum(axis=2)
  times = np.where(wrong < 0, 0, times)
  most = times.max(axis=1, initial=0)
  candidates = np.where(times == most[:, None], wrong, np.iinfo(np.int32).max)
  return candidates.min(axis=1, initial=np.iinfo(np.int32).max).astype(np.int64), most
