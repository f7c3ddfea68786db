"""ReaL labels out of raters' answers alone, by EM without the experts' answers.

    python dawid_skene.py --raters=raters.npz --output=labels.json
    tfeval score RUN --labels=labels.json

The hidden classes are wrong and right, or with `--classes=3` wrong, doubtful and right.
On the published answers, at 0.8, two classes agree with the published scores on 98.25 %
of the pairs and three on 90.78 %; `tfeval relabel --aggregate=golden` on 99.14 %.
"""

import argparse
import dataclasses
import json
import pathlib

import numpy as np

from tfeval.analysis.relabel import labels, raters
from tfeval.metrics import dawid_skene

# Where EM starts: how much of a rater's answer (no, maybe, yes) goes to each class.
STARTS = {2: np.array([[1, 0.5, 0], [0, 0.5, 1]]), 3: np.eye(3)}


@dataclasses.dataclass(frozen=True)
class Estimate:
  """What EM converged to.

  Attributes:
    posterior: float64 [items, classes], rows sum to 1.
    confusion: float64 [raters, classes, answers], rows sum to 1.
    prior: float64 [classes], how frequent the classes are.
    iterations: of EM.
    converged: whether the last one changed no posterior by the tolerance.
  """

  posterior: np.ndarray
  confusion: np.ndarray
  prior: np.ndarray
  iterations: int
  converged: bool


def em(
  votes: dawid_skene.Votes,
  start: np.ndarray,
  tolerance: float = 1e-6,
  max_iterations: int = 500,
) -> Estimate:
  """Estimates classes and confusion matrices by expectation and maximization.

  Args:
    votes: what was answered.
    start: float [items, classes], posteriors to start from (section 3 of the paper
      starts from the shares of the answers); which class is which is settled here.
    tolerance: stops when no posterior changes by more.
    max_iterations: stops then in any case.

  Returns:
    The estimate: maximum likelihood without smoothing, as in the paper.
  """
  posterior, iterations, change = np.asarray(start, np.float64), 0, np.inf
  while change > tolerance and iterations < max_iterations:
    confusion, prior = dawid_skene.counts(votes, posterior), posterior.mean(axis=0)
    confusion = dawid_skene.normalized(confusion)
    updated = dawid_skene.classify(votes, confusion, prior)
    change = float(np.abs(updated - posterior).max(initial=0))
    posterior, iterations = updated, iterations + 1
  return Estimate(posterior, confusion, prior, iterations, change <= tolerance)


def scores(rated: raters.Rated, classes: int) -> raters.Scores:
  """Scores pairs by the probability of their last class."""
  start = rated.votes.shares() @ STARTS[classes].T
  posterior = em(rated.votes, start, tolerance=1e-4).posterior
  # Rounding may leave a sum of 1 + 2e-16.
  return raters.Scores(rated.pairs, np.minimum(posterior[:, -1], 1))


def main() -> None:
  parser = argparse.ArgumentParser()
  parser.add_argument('--raters', type=pathlib.Path, required=True)
  parser.add_argument('--output', type=pathlib.Path, required=True)
  parser.add_argument('--classes', type=int, choices=STARTS, default=2)
  parser.add_argument('--threshold', type=float, default=labels.THRESHOLD)
  given = parser.parse_args()
  found = scores(raters.load_votes(given.raters), given.classes)
  given.output.write_text(json.dumps(labels.labels_at(found, given.threshold)))


if __name__ == '__main__':
  main()
