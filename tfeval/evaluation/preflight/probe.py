"""What a model predicts for labelled examples, in the class order that fits best."""

import dataclasses
import math

import numpy as np

from tfeval.datasets.labels import orders
from tfeval.models.model import Model, OutputOrder
from tfeval.models.options import PROBABILITIES


@dataclasses.dataclass(frozen=True)
class ProbeResult:
  """What a model predicts for n labelled examples, in the class order that fits best.

  Attributes:
    order: a key of `orders.other_class_orders`, None for the expected one; for one
      output more than classes `background_first` or `background_last`.
    hits: bool [n].
    scores: float [n], the logarithm of the label's probability, -inf where no
      output stands for the label.
    expected_count: hits in the expected order.
  """

  order: str | None
  hits: np.ndarray
  scores: np.ndarray
  expected_count: int

  @property
  def count(self) -> int:
    return int(self.hits.sum())


def match_classes(outputs: np.ndarray, labels: np.ndarray, model: Model) -> ProbeResult:
  """Compares outputs with labels in every class order that is known.

  Args:
    outputs: float32 [n, outputs] or, with a background class, [n, outputs + 1].
    labels: int64 [n], class indices.
    model: says what its outputs are taken for.
  """
  space = model.label_space
  assert space is not None  # It is fitted.
  predicted, classes = outputs.argmax(axis=1), len(space)
  expected = np.arange(classes) if model.said is None else model.said
  if outputs.shape[1] == len(expected):
    order, class_of = _best_order(predicted, labels, expected, model)
  else:
    index = np.arange(classes + 1)
    ends = {
      'background_first': index - 1,
      'background_last': np.where(index < classes, index, -1),
    }
    order = max(ends, key=lambda o: int(np.sum(ends[o][predicted] == labels)))
    class_of = expected = ends[order]
  output_of = np.full(classes, -1)
  output_of[class_of[class_of >= 0]] = np.flatnonzero(class_of >= 0)
  output = output_of[labels]
  scores = outputs.astype(np.float64)
  with np.errstate(all='ignore'):  # Under a wrong preprocessing anything comes out.
    if model.output == PROBABILITIES:
      scores = np.log(scores)
    else:
      scores = scores - scores.max(axis=1, keepdims=True)
      scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
  scores = np.where(output >= 0, scores[np.arange(len(labels)), output], -np.inf)
  return ProbeResult(
    order,
    class_of[predicted] == labels,
    scores,
    int(np.sum(expected[predicted] == labels)),
  )


def _best_order(
  predicted: np.ndarray, labels: np.ndarray, expected: np.ndarray, model: Model
) -> tuple[str | None, np.ndarray]:
  """Returns the order that outputs are in, and the class of each, -1 for none.

  Orders are of outputs as the model returns them, whatever they are put into then.
  """
  returned = model.as_returned
  if returned is None:
    returned = OutputOrder(model.label_space, expected)
  at = np.argsort(returned.classes)  # Where each output of `outputs` is returned.
  index_of = np.full(len(model.label_space), -1)
  index_of[returned.classes] = np.arange(len(at))
  known = index_of[labels] >= 0
  order = orders.other_class_order(
    at[predicted[known]], index_of[labels[known]], returned.space
  )
  if order is None:
    return None, expected
  meant = orders.other_class_orders(returned.space)[order]
  return order, np.where(meant >= 0, returned.classes[meant], -1)[at]


def sign_test(more: int, less: int) -> float:
  """Returns P(X >= more), X ~ Binomial(more + less, 1/2): the one-sided sign test.

  >>> sign_test(9, 1)
  0.0107421875
  """
  n = more + less
  return sum(math.comb(n, k) for k in range(more, n + 1)) / 2**n
