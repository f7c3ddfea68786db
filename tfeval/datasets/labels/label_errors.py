"""Wrong labels of ImageNet's validation images, as people voted on them.

`--omit=label_errors` leaves out what is no longer believed, `--labels=label_errors`
corrects it. Confident learning flagged 5,440 images; five people each said whether the
given label is right, the one that was guessed, both or neither. A label with fewer than
three votes is an error: 2,916 of 50,000.

Source: Northcutt, Athalye and Mueller, "Pervasive label errors in test sets destabilize
machine learning benchmarks" (2021, arXiv:2103.14749); see `label_errors.tsv`.
"""

import dataclasses
import functools

import numpy as np

from tfeval.datasets.labels import imagenet
from tfeval.datasets.labels.label_table import LabelTable
from tfeval.utils import fact_table

NAME = 'label_errors'
# Of the five votes on an image.
MAJORITY = 3


@dataclasses.dataclass(frozen=True, eq=False)
class Votes:
  """What was voted on n validation images that were flagged.

  Attributes:
    number: int64 [n], of the file names, 1 to 50,000, ascending.
    given, guessed: int64 [n], class indices: the label, and what the model guessed.
    votes: int64 [n, 4], how many said that given is right, guessed, neither, both.
  """

  number: np.ndarray
  given: np.ndarray
  guessed: np.ndarray
  votes: np.ndarray

  @property
  def is_error(self) -> np.ndarray:
    """bool [n]: the given label has no majority."""
    return self.votes[:, 0] < MAJORITY

  @property
  def is_guess(self) -> np.ndarray:
    """bool [n]: a majority said that the guess is right, and alone so."""
    return self.votes[:, 1] >= MAJORITY

  @property
  def is_both(self) -> np.ndarray:
    """bool [n]: a majority said that both labels are right."""
    return self.votes[:, 3] >= MAJORITY


@functools.cache
def read_votes() -> Votes:
  """Returns the votes as they are packaged."""
  rows = list(fact_table.rows('tfeval.datasets.labels', f'{NAME}.tsv'))
  number, given, guessed = (
    np.array([int(row[name]) for row in rows])
    for name in ('number', 'given', 'guessed')
  )
  votes = np.array([[int(digit) for digit in row['votes']] for row in rows])
  return Votes(number, given, guessed, votes)


def error_numbers() -> np.ndarray:
  """Returns int64 [2916], the numbers of the images whose label is an error."""
  votes = read_votes()
  return votes.number[votes.is_error]


@functools.cache
def corrected() -> LabelTable:
  """Returns the labels of the 50,000 validation images, corrected.

  Where a majority voted for the guess, it is the label; for both, either is right; for
  neither, or without a majority, there is no label. All others are the original ones.
  """
  votes = read_votes()
  labels = [[label] for label in imagenet.original_validation_labels()]
  for i in np.flatnonzero(votes.is_error).tolist():
    guess = int(votes.guessed[i])
    right: list[int] = []
    if votes.is_guess[i]:
      right = [guess]
    elif votes.is_both[i]:
      right = [int(votes.given[i]), guess]
    labels[votes.number[i] - 1] = right
  values = np.array([label for right in labels for label in right], np.int32)
  sizes = np.array([len(right) for right in labels], np.int64)
  sets, none = np.count_nonzero(sizes > 1), np.count_nonzero(sizes == 0)
  note = (
    f'{np.count_nonzero(votes.is_error & votes.is_guess):,} labels are corrected, '
    f'{sets:,} images have two, {none:,} have none: no class has a majority there'
  )
  return LabelTable(None, values, sizes, '', note)
