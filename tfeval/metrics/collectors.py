"""What metrics keep of stored rows, part by part.

A collector is shared by the metrics that need the same of the rows. What rows do
not hold makes it unavailable, with the reason; nothing is approximated.
"""

import abc
import functools
from collections.abc import Callable

import numpy as np

from tfeval.metrics import accuracy, calibration
from tfeval.metrics.stored_rows import MetricUnavailable, ScoredRows

_NEEDS_PROBABILITIES = 'needs probabilities, which these rows do not have'
# What top-5 by class needs.
_KEPT = 5


class Collector(abc.ABC):
  """What some metrics need; rows are added part by part.

  Attributes:
    single: whether it needs one label for each image, not a set.
    columns: of the rows, beside those that every score reads.
    columns_of_others: further ones, for labels that are not the original ones.
    reason: why it cannot be had; None as long as it can.
  """

  single = False
  columns: tuple[str, ...] = ()
  columns_of_others: tuple[str, ...] = ()
  reason: str | None = None

  def add(self, rows: ScoredRows) -> None:
    """Adds rows, unless earlier ones made it unavailable."""
    if self.reason is None:
      try:
        self._add(rows)
      except MetricUnavailable as error:
        self.reason = str(error)

  @abc.abstractmethod
  def _add(self, rows: ScoredRows) -> None:
    """Keeps what is needed of rows; MetricUnavailable where they do not have it."""


class Hits(Collector):
  """Examples that are hit."""

  def __init__(self, classes: int, hits: Callable[..., np.ndarray]):
    """Starts with none.

    Args:
      classes: how many ranked classes of each image `hits` needs.
      hits: see `registry.Metric`.
    """
    self._classes, self._hits = classes, hits
    self.count = accuracy.Count(0, 0, 0)

  def _add(self, rows: ScoredRows) -> None:
    ranked = rows.ranked
    if ranked.shape[1] < self._classes:
      ranked = rows.ranked_outputs(self._classes)
    self.count += accuracy.counted(self._hits(ranked, rows.labels), rows.labels)


class TopPredictions(Collector):
  """The first classes beside the label.

  Attributes:
    classes: how many there are.
  """

  single = True

  def __init__(self):
    self._labels, self._ranked = [], []
    self.classes = 0

  def _add(self, rows: ScoredRows) -> None:
    self.classes = rows.classes
    kind = np.min_scalar_type(-rows.classes)
    self._labels.append(rows.labels.values.astype(kind))
    self._ranked.append(rows.ranked[rows.labelled, :_KEPT].astype(kind))

  @property
  def labels(self) -> np.ndarray:
    """int [m]."""
    return np.concatenate(self._labels)

  @property
  def ranked(self) -> np.ndarray:
    """int [m, at most 5], best first."""
    return np.concatenate(self._ranked)


class Confidences(Collector):
  """How confident predictions are, and whether they are right."""

  columns = ('log_probs',)

  def __init__(self):
    self._confidence, self._hit = [], []

  def _add(self, rows: ScoredRows) -> None:
    first = rows.log_probs[rows.labelled, 0]
    if np.isnan(first).any():
      raise MetricUnavailable(_NEEDS_PROBABILITIES)
    self._confidence.append(calibration.confidence(first))
    self._hit.append(accuracy.hits(rows.ranked, rows.labels, 1)[rows.labelled])

  @property
  def confidence(self) -> np.ndarray:
    """float64 [m], in [0, 1]."""
    return np.concatenate(self._confidence)

  @property
  def hit(self) -> np.ndarray:
    """bool [m]."""
    return np.concatenate(self._hit)


class LabelProbabilities(Collector):
  """The negative log likelihood of the labels."""

  single = True
  columns = ('log_probs', 'label_log_prob')
  # Of another label only the outputs are sure to have the probability.
  columns_of_others = ('logits',)

  def __init__(self):
    self.nll, self.unknown, self.impossible = calibration.Mean(0.0, 0), 0, 0

  def _add(self, rows: ScoredRows) -> None:
    found = rows.label_log_probs()
    unknown = np.isnan(found)
    if np.isnan(rows.log_probs[rows.labelled][unknown]).any():
      raise MetricUnavailable(_NEEDS_PROBABILITIES)
    self.unknown += int(unknown.sum())
    self.impossible += int((found == -np.inf).sum())
    self.nll += calibration.nll(found[~unknown])


class Brier(Collector):
  """The squared distance of all probabilities to the labels."""

  single = True
  columns = ('logits',)

  def __init__(self):
    self.score = calibration.Mean(0.0, 0)

  def _add(self, rows: ScoredRows) -> None:
    try:
      for at, log_probs in rows.log_prob_blocks():
        self.score += calibration.brier(np.exp(log_probs), rows.columns[at])
    except ValueError as error:
      raise MetricUnavailable(f'stored {error}') from error


class Outputs(Collector):
  """All outputs: 4 kB for each example."""

  single = True
  columns = ('logits',)

  def __init__(self):
    self._logits, self._labels = [], []

  def _add(self, rows: ScoredRows) -> None:
    logits = np.array(rows.outputs)
    if rows.output == 'probabilities':
      for at, log_probs in rows.log_prob_blocks():
        logits[at] = log_probs
      if not np.isfinite(logits).all():
        raise MetricUnavailable('needs logits: a probability of 0 has none')
    self._logits.append(logits)
    self._labels.append(rows.columns)

  @functools.cached_property
  def all(self) -> tuple[np.ndarray, np.ndarray]:
    """Logits, float32 [m, outputs], and the labels' outputs, int [m]."""
    labels = np.concatenate(self._labels)
    logits = np.empty((len(labels), self._logits[0].shape[1]), np.float32)
    end = len(labels)
    # From the end, so that memory is given back as it is taken.
    while self._logits:
      part = self._logits.pop()
      logits[end - len(part) : end] = part
      end -= len(part)
    return logits, labels
