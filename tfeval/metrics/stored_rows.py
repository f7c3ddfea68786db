"""Stored rows beside the labels that they are scored against."""

import dataclasses
import functools
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from tfeval.metrics import ranking
from tfeval.metrics.accuracy import LabelSets
from tfeval.metrics.competition import Competition
from tfeval.utils import arrow

# How many ranked classes rows keep.
STORED_CLASSES = 20
# And under the rule of another set.
_PARTNER_CLASSES = 5
NEEDS_OUTPUTS = 'needs all outputs, which --store_logits keeps'
# Rows at once: of all outputs 2 MB.
_BLOCK = 256


def kept_classes(competition: Competition, rule: str) -> int:
  """Returns how many ranked classes rows keep under a rule, at most."""
  contest = competition.contests.get(rule)
  partner = contest is not None and contest.rule.partner
  return _PARTNER_CLASSES if partner else STORED_CLASSES


class MetricUnavailable(Exception):
  """The rows do not give a metric; the message is why."""


@dataclasses.dataclass(frozen=True, eq=False)
class ScoredRows:
  """Stored rows and the labels to score them against.

  Attributes:
    table: n rows, see `runs.predictions.schema`.
    labels: of the n rows.
    classes: how many there are.
    said: int64 [outputs], the class of each stored output; None: all, in their order.
    output: `'logits'` or `'probabilities'`: what stored outputs are, if any.
  """

  table: pa.Table
  labels: LabelSets
  classes: int
  said: np.ndarray | None = None
  output: str | None = None

  @functools.cached_property
  def labelled(self) -> np.ndarray:
    """bool [n], which rows have a label; m of them."""
    return self.labels.sizes > 0

  @functools.cached_property
  def ranked(self) -> np.ndarray:
    """int32 [n, k], classes, best first."""
    return arrow.matrix(self.table['classes'])

  def ranked_outputs(self, k: int) -> np.ndarray:
    """Returns int32 [n, k], classes, best first, of more than are stored.

    Raises:
      MetricUnavailable: the outputs are not stored.
    """
    stored = self.ranked.shape[1]
    if 'logits' not in self.table.column_names:
      raise MetricUnavailable(
        f'needs {k} ranked classes of each image, {stored} are stored'
      )
    outputs = arrow.matrix(self.table['logits'])
    if k > outputs.shape[1]:
      raise MetricUnavailable(f'the model has {outputs.shape[1]} outputs')
    found = np.concatenate(
      [
        ranking.top_k(outputs[start : start + _BLOCK], k)
        for start in range(0, len(outputs), _BLOCK)
      ]
    )
    return found if self.said is None else self.said[found].astype(np.int32)

  @functools.cached_property
  def log_probs(self) -> np.ndarray:
    """float32 [n, k], of the ranked classes, NaN where they are not known."""
    return arrow.matrix(self.table['log_probs'])

  @functools.cached_property
  def outputs(self) -> np.ndarray:
    """float32 [m, outputs], all outputs of the rows that have a label.

    Raises:
      MetricUnavailable: they are not stored.
    """
    if 'logits' not in self.table.column_names:
      raise MetricUnavailable(NEEDS_OUTPUTS)
    if self.output == 'sigmoid':
      raise MetricUnavailable(
        'outputs are a probability of each class by itself, no distribution'
      )
    if self.output not in ('logits', 'probabilities'):
      raise MetricUnavailable(
        'the run does not say whether its outputs are logits or probabilities'
      )
    found = arrow.matrix(self.table['logits'])
    if not self.labelled.all():
      found = found[self.labelled]
    if not np.isfinite(found).all():
      raise MetricUnavailable('stored outputs are not finite')
    return found

  @functools.cached_property
  def columns(self) -> np.ndarray:
    """int64 [m], the stored output that is the one label of each row that has one.

    Raises:
      MetricUnavailable: a label is a class that the model has no output for.
    """
    labels = self.labels.values
    if self.said is None:
      return labels
    at = np.minimum(np.searchsorted(self.said, labels), len(self.said) - 1)
    if missing := int(np.count_nonzero(self.said[at] != labels)):
      raise MetricUnavailable(
        f'the label of {missing:,} images is a class that the model cannot say'
      )
    return at

  def log_prob_blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
    """Yields log-probabilities of all classes, of the rows that have a label.

    Yields:
      Which of the m rows, and float64 [at most 256, outputs].
    """
    for start in range(0, len(self.outputs), _BLOCK):
      at = slice(start, start + _BLOCK)
      found = self.outputs[at]
      if self.output == 'logits':
        yield at, ranking.log_softmax(found)
        continue
      with np.errstate(divide='ignore', invalid='ignore'):
        found = np.log(found.astype(np.float64))
      yield at, found

  def label_log_probs(self) -> np.ndarray:
    """Returns float64 [m], of the one label of each row that has one; NaN: unknown.

    Stored with the row, or of one of its ranked classes, or from its outputs.
    """
    labels = self.labels.values
    stored = arrow.to_numpy(self.table['label'], null=-1)[self.labelled]
    of_stored = arrow.to_numpy(self.table['label_log_prob'], null=np.nan)
    found = np.where(
      stored == labels, of_stored[self.labelled].astype(np.float64), np.nan
    )
    row, column = np.nonzero(self.ranked[self.labelled] == labels[:, None])
    found[row] = self.log_probs[self.labelled][row, column]
    unknown = np.isnan(found)
    if unknown.any() and 'logits' in self.table.column_names:
      for at, log_probs in self.log_prob_blocks():
        row = np.flatnonzero(unknown[at])
        found[at][row] = log_probs[row, self.columns[at][row]]
    return found
