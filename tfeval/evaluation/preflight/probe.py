"""What a model predicts for labelled examples, in the class order that fits best."""

import dataclasses
import math

import numpy as np

from tfeval.datasets.labels import imagenet
from tfeval.models.options import PROBABILITIES


@dataclasses.dataclass(frozen=True)
class ProbeResult:
  """What a model predicts for n labelled examples, in the class order that fits best.

  Attributes:
    order: a key of `imagenet.other_class_orders`, None for ours; for 1001 outputs
      `background_first` or `background_last`.
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


def match_classes(outputs: np.ndarray, labels: np.ndarray, kind: str) -> ProbeResult:
  """Compares outputs with labels in every class order that is known.

  Args:
    outputs: float32 [n, 1000] or [n, 1001].
    labels: int64 [n], class indices.
    kind: `'logits'` or `'probabilities'`.
  """
  predicted, classes = outputs.argmax(axis=1), len(imagenet.label_space())
  if outputs.shape[1] == classes:
    order = imagenet.other_class_order(predicted, labels)
    class_of = imagenet.other_class_orders()[order] if order else np.arange(classes)
  else:
    index = np.arange(classes + 1)
    orders = {
      'background_first': index - 1,
      'background_last': np.where(index < classes, index, -1),
    }
    order = max(orders, key=lambda o: int(np.sum(orders[o][predicted] == labels)))
    class_of = orders[order]
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
