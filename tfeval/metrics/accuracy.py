"""Top-k, ReaL and per-class accuracy as counts over stored rows."""

import dataclasses

import numpy as np

from tfeval.metrics import checks, intervals
from tfeval.metrics.entry import COUNT, Interval, MetricEntry

LEVEL = 0.95
INTERVALS = {'wilson': intervals.wilson, 'clopper_pearson': intervals.clopper_pearson}


@dataclasses.dataclass(frozen=True)
class Count:
  """A counted metric; counts of disjoint sets of examples add up.

  Attributes:
    correct: examples that were hit.
    count: examples with a label.
    skipped: examples without a label: in neither of the other two.

  >>> Count(3, 4, 0) + Count(1, 1, 2)
  Count(correct=4, count=5, skipped=2)
  """

  correct: int
  count: int
  skipped: int

  @property
  def rate(self) -> float:
    """The share that was hit, in [0, 1]; 0 without examples."""
    return self.correct / self.count if self.count else 0.0

  def __add__(self, other: 'Count') -> 'Count':
    return Count(
      self.correct + other.correct,
      self.count + other.count,
      self.skipped + other.skipped,
    )

  def entry(self, name: str, labels: str, interval: str = 'wilson') -> MetricEntry:
    """Returns the metric as `result.json` holds it; no value without examples.

    Args:
      name: the metric's name, such as `'top1'`.
      labels: the label set's name, such as `'real'`.
      interval: one of `INTERVALS`.
    """
    value = found = None
    if self.count:
      low, high = INTERVALS[interval](self.correct, self.count, LEVEL)
      value = self.correct / self.count
      found = Interval(method=interval, level=LEVEL, low=low, high=high)
    return MetricEntry(
      name=name,
      labels=labels,
      kind=COUNT,
      correct=self.correct,
      count=self.count,
      skipped=self.skipped,
      value=value,
      interval=found,
    )


@dataclasses.dataclass(frozen=True)
class LabelSets:
  """A set of right classes for each of n examples; an empty one is no label.

  Attributes:
    values: int [m], class indices, those of example 0 first.
    sizes: int [n], how many belong to each example; they sum to m.
  """

  values: np.ndarray
  sizes: np.ndarray

  @classmethod
  def from_single(cls, labels: np.ndarray) -> 'LabelSets':
    """Makes sets of at most one class.

    Args:
      labels: int [n], class indices, or negative for no label.
    """
    labels = np.asarray(labels)
    return cls(labels[labels >= 0], (labels >= 0).astype(np.int64))


def counted(hit: np.ndarray, labels: LabelSets) -> Count:
  """Counts examples that are hit: bool [n], False without a label.

  >>> labels = LabelSets(np.array([3, 4, 2]), np.array([2, 1, 0]))
  >>> counted(hits(np.array([[7, 3], [2, 9], [5, 1]]), labels, 2), labels)
  Count(correct=2, count=2, skipped=1)
  """
  count = int(np.count_nonzero(labels.sizes))
  correct = int(np.count_nonzero(hit))
  return Count(correct=correct, count=count, skipped=len(labels.sizes) - count)


def hits(ranked: np.ndarray, labels: LabelSets, k: int) -> np.ndarray:
  """Tells which examples have a right class among their first k.

  With one label each this is top-k accuracy. With ReaL labels and k = 1 it is
  the accuracy of Beyer et al. (arXiv:2006.07159): the prediction is in the set;
  images with an empty set leave the denominator.

  Args:
    ranked: int [n, at least k], class indices, best first.
    labels: the right classes of the n examples.
    k: how many predictions may hit, at least 1.

  Returns:
    bool [n]; False without a label, which `labels.sizes > 0` tells from a miss.

  Raises:
    ValueError: shapes disagree, or fewer than k classes were kept.
  """
  ranked = np.asarray(ranked)
  n = len(labels.sizes)
  if ranked.ndim != 2 or len(ranked) != n:
    raise ValueError(f'ranked has shape {ranked.shape}, expected ({n}, at least {k})')
  if not 1 <= k <= ranked.shape[1]:
    raise ValueError(f'top-{k} of {ranked.shape[1]} stored classes is not defined')
  example = np.repeat(np.arange(n), labels.sizes)
  right = (ranked[example, :k] == np.asarray(labels.values)[:, None]).any(axis=1)
  found = np.zeros(n, bool)
  found[example[right]] = True
  return found


@dataclasses.dataclass(frozen=True, eq=False)
class ClassCounts:
  """Hits by class; counts of disjoint sets of examples add up.

  Attributes:
    correct: int64 [classes], examples of each class that were hit.
    count: int64 [classes], examples of each class.
  """

  correct: np.ndarray
  count: np.ndarray

  def __add__(self, other: 'ClassCounts') -> 'ClassCounts':
    return ClassCounts(self.correct + other.correct, self.count + other.count)

  @property
  def rates(self) -> np.ndarray:
    """float64 [classes], in [0, 1]; NaN for a class without examples."""
    with np.errstate(invalid='ignore'):
      return self.correct / self.count

  @property
  def balanced(self) -> float | None:
    """The class-balanced accuracy; None without examples.

    The mean of the rates of those classes that have examples, as scikit-learn's
    `balanced_accuracy_score` has it.
    """
    rates = self.rates[self.count > 0]
    return float(rates.mean()) if len(rates) else None


def per_class_hits(
  ranked: np.ndarray, labels: np.ndarray, k: int, classes: int
) -> ClassCounts:
  """Counts the examples of each class that have it among their first k.

  Args:
    ranked: int [n, at least k], class indices, best first.
    labels: int [n], in [0, classes).
    k: how many predictions may hit, at least 1.
    classes: how many classes there are.

  Raises:
    ValueError: shapes disagree, a label is out of range, or fewer than k classes
      were kept.

  >>> counts = per_class_hits(np.array([[0], [1], [1]]), np.array([0, 0, 1]), 1, 3)
  >>> counts.rates, counts.balanced
  (array([0.5, 1. , nan]), 0.75)
  """
  labels = checks.check_labels(labels, len(ranked), classes)
  hit = hits(ranked, LabelSets.from_single(labels), k)
  return ClassCounts(
    np.bincount(labels[hit], minlength=classes), np.bincount(labels, minlength=classes)
  )
