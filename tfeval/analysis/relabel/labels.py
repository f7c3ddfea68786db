"""ReaL labels again: at other thresholds, and out of the raters' answers.

Source: Beyer et al., "Are we done with ImageNet?" (arXiv:2006.07159), and the files of
google-research/reassessed-imagenet, which `raters` reads.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from tfeval.analysis.relabel.raters import YES, Pairs, Rated, Scores
from tfeval.datasets.labels import imagenet
from tfeval.metrics import dawid_skene, precision_recall
from tfeval.metrics.precision_recall import Curve
from tfeval.utils import arrow
from tfeval.utils.errors import UserError

# score > 0.8 gives the published real.json.
THRESHOLD = 0.8


def labels_at(scores: Scores, threshold: float) -> list[list[int]]:
  """Returns the labels that score more than a threshold, for each validation image.

  Images without any scored pair, which raters did not see, keep their original label.

  Args:
    scores: of pairs of image and label.
    threshold: in [0, 1].

  Returns:
    50,000 lists of class indices, image 1 first, each sorted. With the
    published scores and 0.8 these are the sets of the published real.json.
  """
  found = [[label] for label in imagenet.original_validation_labels()]
  order = np.argsort(scores.pairs.keys)
  images, starts = np.unique(scores.pairs.image[order], return_index=True)
  labels = np.split(scores.pairs.label[order], starts[1:])
  kept = np.split((scores.score > threshold)[order], starts[1:])
  for image, candidates, keep in zip(images.tolist(), labels, kept, strict=True):
    found[image - 1] = sorted(candidates[keep].tolist())
  return found


def aggregate(raters: Rated, golden: Rated, raters_golden: Rated) -> Scores:
  """Scores pairs by the Dawid-Skene model, the probability that a label fits.

  Each rater's confusion matrix is learned from answers to questions whose truth
  is known, adding one to each count; raters who answered none get the mean matrix of
  the others, and the prior is the share of yes among the golden questions. This is
  how the published scores were made, learned from the scores themselves: their
  log-odds are these sums, but for two constants (+2.77, at original labels only,
  and -0.55) that some pairs have besides and that no file explains.

  Args:
    raters: the answers.
    golden: the experts' answers, which are the truth,
    raters_golden: and the raters' answers to the same questions.

  Raises:
    UserError: the golden answers do not fit.
  """
  confusion, prior = golden_confusion(raters, golden, raters_golden)
  posterior = dawid_skene.classify(raters.votes, confusion, prior)
  # Rounding may leave a sum of 1 + 2e-16.
  return Scores(raters.pairs, np.minimum(posterior[:, -1], 1))


def golden_confusion(
  raters: Rated, golden: Rated, raters_golden: Rated
) -> tuple[np.ndarray, np.ndarray]:
  """Returns confusion matrices [raters, 2, 3] and the prior [2] by golden answers.

  Raises:
    UserError: a golden question is missing, all are of one class, or nobody
      answered one.
  """
  where = positions(raters_golden.pairs, golden.pairs)
  if (where < 0).any():
    raise UserError('`golden` and `raters_golden` are of different questions')
  right = np.zeros(len(raters_golden.pairs.image), bool)
  right[where] = truth(golden)
  asked = np.isin(raters_golden.pairs.keys, golden.pairs.keys)
  known = np.stack([asked & ~right, asked & right], axis=1).astype(np.float64)
  if not known.sum(axis=0).all():
    raise UserError('`golden`: the experts gave all questions the same answer')
  counts = dawid_skene.counts(raters_golden.votes, known)
  matrices = dawid_skene.normalized(counts, add=1)
  answered = counts.sum(axis=(1, 2)) > 0
  if not answered.any():
    raise UserError('`raters_golden`: nobody answered a golden question')
  known_raters = dict(
    zip(raters_golden.ids[answered].tolist(), matrices[answered], strict=True)
  )
  others = matrices[answered].mean(axis=0)
  confusion = np.stack([known_raters.get(i, others) for i in raters.ids.tolist()])
  return confusion, known.sum(axis=0) / known.sum()


def truth(golden: Rated) -> np.ndarray:
  """Returns bool [pairs]: more than half of the experts said yes."""
  return golden.votes.shares()[:, YES] > 0.5


def positions(among: Pairs, pairs: Pairs) -> np.ndarray:
  """Returns int64 [pairs], where each is among others, -1 for nowhere."""
  order = np.argsort(among.keys)
  place = np.searchsorted(among.keys, pairs.keys, sorter=order)
  found = order[np.minimum(place, len(order) - 1)]
  return np.where(among.keys[found] == pairs.keys, found, -1)


def agreement(
  scores: Scores, right: np.ndarray, pairs: Pairs, threshold: float
) -> tuple[int, int]:
  """Counts pairs whose score is on the side of the threshold where it should be.

  Args:
    scores: of pairs.
    right: bool [n], whether each of the n pairs should score more.
    pairs: the n pairs; those without a score are not counted.
    threshold: in [0, 1].

  Returns:
    How many agree, and of how many.
  """
  where = positions(scores.pairs, pairs)
  known = where >= 0
  agree = (scores.score[where[known]] > threshold) == right[known]
  return int(agree.sum()), int(known.sum())


def score_curve(scores: Scores, golden: Rated) -> Curve:
  """Returns the curve of scores against golden answers.

  Raises:
    UserError: a golden pair has no score.
  """
  where = positions(scores.pairs, golden.pairs)
  if (where < 0).any():
    raise UserError(f'{(where < 0).sum()} of {len(where)} golden pairs have no score')
  right = truth(golden)
  return _curve(right, scores.score[where], int(right.sum()))


def proposal_curve(proposed: Pairs, scores: np.ndarray, golden: Rated) -> Curve:
  """Returns the curve of proposed labels against golden answers.

  Of images with golden answers only. Labels that experts were not asked about are
  wrong, as they are in ReaL accuracy; recall counts the labels that experts gave to
  the images of which something was proposed.

  Args:
    proposed: pairs.
    scores: float [pairs], what they are proposed with.
    golden: the experts' answers.

  Raises:
    UserError: there is nothing to compare.
  """
  inside = np.isin(proposed.image, golden.pairs.image)
  pairs = Pairs(proposed.image[inside], proposed.label[inside])
  right, where = truth(golden), positions(golden.pairs, pairs)
  positives = int(right[np.isin(golden.pairs.image, pairs.image)].sum())
  return _curve((where >= 0) & right[where], scores[inside], positives)


def _curve(right: np.ndarray, scores: np.ndarray, positives: int) -> Curve:
  if not positives:
    raise UserError('no label that the experts of `golden` gave is of these images')
  return precision_recall.curve(right, scores, positives)


def original_proposals(golden: Rated) -> Pairs:
  """Returns the original label of each image that has golden answers."""
  images = np.unique(golden.pairs.image)
  return Pairs(
    images, np.array(imagenet.original_validation_labels())[images - 1].astype(np.int64)
  )


def run_proposals(
  name: str, parts: Iterable[pa.Table]
) -> tuple[Pairs, np.ndarray, np.ndarray]:
  """Returns the stored classes of validation images as proposals.

  Args:
    name: the run's, for messages.
    parts: stored rows with `id`, `classes`, `log_probs`.

  Returns:
    Pairs, their log-probabilities float64 [pairs], and whether each is the first of
    its image, bool [pairs].

  Raises:
    UserError: rows without probabilities, or none of validation images.
  """
  images, labels, scores = [], [], []
  for part in parts:
    numbers = [imagenet.validation_number(i) or 0 for i in part['id'].to_pylist()]
    images.append(np.array(numbers, np.int64))
    labels.append(arrow.matrix(part['classes']))
    if part['log_probs'].null_count:
      raise UserError(f'{name} has rows without probabilities: evaluate again')
    scores.append(arrow.matrix(part['log_probs']))
  if not images or not np.concatenate(images).any():
    raise UserError(f'{name} is not of validation images, ILSVRC2012_val_NNNNNNNN.JPEG')
  image, label, score = (np.concatenate(x) for x in (images, labels, scores))
  kept = image > 0
  if len(np.unique(image[kept])) != kept.sum():
    raise UserError(f'{name} has rows of the same image: evaluate again')
  if np.isnan(score).any():
    raise UserError(f'{name} has probabilities that are no numbers: evaluate again')
  width = label.shape[1]
  return (
    Pairs(np.repeat(image[kept], width), label[kept].reshape(-1).astype(np.int64)),
    score[kept].reshape(-1).astype(np.float64),
    np.tile(np.arange(width) == 0, int(kept.sum())),
  )
