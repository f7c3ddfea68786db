"""What a model predicts for labelled examples, in the class order that fits best."""

import dataclasses
import math

import numpy as np

from tfeval.datasets.labels import orders
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.models.options import PROBABILITIES


@dataclasses.dataclass(frozen=True)
class ProbeResult:
  """What a model predicts for n labelled examples, in the class order that fits best.

  Attributes:
    order: a key of `orders.other_class_orders`, None for ours; for one output more
      than classes `background_first` or `background_last`.
    hits: bool [n].
    scores: float [n], the logarithm of the label's probability, -inf where no
      output stands for the label.
  """

  order: str | None
  hits: np.ndarray
  scores: np.ndarray

  @property
  def count(self) -> int:
    return int(self.hits.sum())


def match_classes(
  outputs: np.ndarray,
  labels: np.ndarray,
  kind: str,
  space: LabelSpace,
  said: np.ndarray | None = None,
) -> ProbeResult:
  """Compares outputs with labels in every class order that is known.

  Args:
    outputs: float32 [n, outputs] or, with a background class, [n, outputs + 1].
    labels: int64 [n], class indices.
    kind: `'logits'` or `'probabilities'`.
    space: the classes that the outputs are.
    said: which of them each output is, None: all in order. Of others nothing is tried.
  """
  predicted, classes = outputs.argmax(axis=1), len(space)
  order: str | None = None
  if said is not None:
    class_of = said
  elif outputs.shape[1] == classes:
    order = orders.other_class_order(predicted, labels, space)
    class_of = np.arange(classes)
    if order:
      class_of = orders.other_class_orders(space)[order]
  else:
    index = np.arange(classes + 1)
    ends = {
      'background_first': index - 1,
      'background_last': np.where(index < classes, index, -1),
    }
    order = max(ends, key=lambda o: int(np.sum(ends[o][predicted] == labels)))
    class_of = ends[order]
  output_of = np.full(classes, -1)
  output_of[class_of[class_of >= 0]] = np.flatnonzero(class_of >= 0)
  output = output_of[labels]
  scores = outputs.astype(np.float64)
  with np.errstate(all='ignore'):  # Under a wrong preprocessing anything comes out.
    if kind == PROBABILITIES:
      scores = np.log(scores)
    else:
      scores = scores - scores.max(axis=1, keepdims=True)
      scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
  scores = np.where(output >= 0, scores[np.arange(len(labels)), output], -np.inf)
  return ProbeResult(order, class_of[predicted] == labels, scores)


def sign_test(more: int, less: int) -> float:
  """Returns P(X >= more), X ~ Binomial(more + less, 1/2): the one-sided sign test.

  >>> sign_test(9, 1)
  0.0107421875
  """
  n = more + less
  return sum(math.comb(n, k) for k in range(more, n + 1)) / 2**n
