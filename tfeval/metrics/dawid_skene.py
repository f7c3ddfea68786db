"""Dawid-Skene: true classes out of the answers of raters who err, each in their way.

Source: A. P. Dawid and A. M. Skene, "Maximum Likelihood Estimation of Observer
Error-Rates Using the EM Algorithm", Applied Statistics 28 (1979), 20-28. An item has
a hidden class; a rater who sees class c gives answer a with a probability of their
own, the confusion matrix pi[rater, c, a], independently of all other raters.
`configs/dawid_skene.py` finds both by expectation and maximization.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Votes:
  """Answers of raters to questions about items; not every rater sees every item.

  Attributes:
    rater: int [votes], 0 to raters - 1.
    item: int [votes], 0 to items - 1.
    answer: int [votes], 0 to answers - 1.
    raters, items, answers: how many there are.
  """

  rater: np.ndarray
  item: np.ndarray
  answer: np.ndarray
  raters: int
  items: int
  answers: int = 3

  def shares(self) -> np.ndarray:
    """Returns float64 [items, answers], which part of an item's votes is which."""
    cells = np.bincount(
      self.item * self.answers + self.answer, minlength=self.items * self.answers
    )
    cells = cells.reshape(self.items, self.answers)
    return cells / np.maximum(cells.sum(axis=1, keepdims=True), 1)


def counts(votes: Votes, posterior: np.ndarray) -> np.ndarray:
  """Returns how often each rater gave each answer to items of each class.

  The numerator of equation 2.3 of the paper.

  Args:
    votes: what was answered.
    posterior: float [items, classes]; 0 or 1 where classes are known.

  Returns:
    float64 [raters, classes, answers].
  """
  cell = votes.rater * votes.answers + votes.answer
  found = [
    np.bincount(cell, posterior[votes.item, c], votes.raters * votes.answers)
    for c in range(posterior.shape[1])
  ]
  return np.stack(found).reshape(-1, votes.raters, votes.answers).swapaxes(0, 1)


def normalized(found: np.ndarray, add: float = 0) -> np.ndarray:
  """Returns confusion matrices of counts; a row without any count is uniform.

  Args:
    found: float [..., answers], counts.
    add: to each of them before; 1 is Laplace's rule of succession.

  >>> normalized(np.array([[3., 1.], [0., 0.]]))
  array([[0.75, 0.25],
         [0.5 , 0.5 ]])
  """
  found = found + add
  total = found.sum(axis=-1, keepdims=True)
  return np.where(total > 0, found / np.where(total > 0, total, 1), 1 / found.shape[-1])


def classify(votes: Votes, confusion: np.ndarray, prior: np.ndarray) -> np.ndarray:
  """Returns the posterior of each item's class: equation 2.5 of the paper.

  Args:
    votes: what was answered.
    confusion: float [raters, classes, answers], rows sum to 1.
    prior: float [classes], sums to 1.

  Returns:
    float64 [items, classes]; the prior for an item without votes.

  Raises:
    ValueError: an item has votes that no class allows.
  """
  with np.errstate(divide='ignore'):
    evidence, log_prior = np.log(confusion), np.log(prior)
  scores = np.stack(
    [
      log_prior[c]
      + np.bincount(votes.item, evidence[votes.rater, c, votes.answer], votes.items)
      for c in range(len(prior))
    ],
    axis=1,
  )
  highest = scores.max(axis=1, keepdims=True)
  if not np.isfinite(highest).all():
    raise ValueError('an item has votes that are impossible under every class')
  likelihood = np.exp(scores - highest)
  return likelihood / likelihood.sum(axis=1, keepdims=True)
