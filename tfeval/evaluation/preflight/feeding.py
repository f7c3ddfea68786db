"""Whether a model is fed as it was trained: preprocessing and order of channels."""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfeval.evaluation.preflight import normalisation
from tfeval.evaluation.preflight.finding import Finding, application
from tfeval.evaluation.preflight.probe import ProbeResult, match_classes, sign_test
from tfeval.models.model import Model
from tfeval.models.normalisation import value

# A first look at something that costs forward passes: dropped where it is no better.
_PILOT = 32
# Of 32 photos, flipped ones have the more probable label in a share of 0.28 on average
# and 0.06 to 0.59 of 2,000 random sets, where the channels are right; where they are
# exchanged, in as many fewer than all.
_PILOT_SHARE = 3 / 8
# Distances of batch_distance (normalisation.py). Of random sets of 32 photos at most
# 0.04 under the right preprocessing and at least 0.7 under the nearest wrong ones,
# `torch` and x/255 for `tf`; of sets of 16, at most 0.15 and at least 0.46.
_FITS, _DOES_NOT_FIT = 0.2, 0.5
# Of one-sided sign tests, six of them for the preprocessings. Healthy models are on
# the other side of them altogether.
_SURE = 1e-4
# Hits contradict the statistics below this.
_WORSE = 0.05
# Of a model in training: hits of all images.
_LEARNED = 0.5

# Given preprocessed images, float32 [n, size, size, 3]: outputs, float32 [n, width].
ForwardPass = Callable[[tf.Tensor], np.ndarray]


def compare(
  model: Model,
  forward: ForwardPass,
  images: tf.Tensor,
  labels: np.ndarray,
  outputs: np.ndarray,
  training: bool = False,
) -> tuple[ProbeResult, list[Finding]]:
  """Compares preprocessings, and the channels in the opposite order.

  Args:
    model: the model.
    forward: its forward pass.
    images: float32 [n, size, size, 3] in [0, 255]; n is that of the labels unless
      there are none.
    labels: int64 [n], class indices; none where they tell nothing.
    outputs: float32 [n, width], the model's outputs.
    training: whether the model may have seen few images yet. Its moving statistics are
      between where they began and those of its images then, and biases say more than
      images do: under another scale it may well hit more. What counts is that its
      statistics are those of another preprocessing; without statistics, that under
      another one it has learned, and labels are more probable too: what training
      minimises.

  Returns:
    The results under the preprocessing that fits, and what was found.
  """
  trial = _Trial(model, forward, images, labels)
  given = match_classes(outputs, labels, model)
  few = images[: normalisation.STATISTICS_IMAGES]
  own = normalisation.batch_distance(model.backend.model, model.preprocess(few))
  found = None
  # Statistics that fit leave no doubt; forward passes are dear.
  if own is None or own > _FITS:
    others = normalisation.candidates(model, few)
    if own is not None and own >= _DOES_NOT_FIT:
      found = _by_statistics(trial, given, others, few, own)
    if found is None and len(labels) and not (training and own is not None):
      found = _by_hits(trial, given, others)
      if found and training and not _has_learned(found[0], given, 2):
        found = None
  if found is None and len(labels):
    found = _channels(trial, given)
    if found and training and not _has_learned(found[0], given, 1):
      found = None
  return (found[0], [found[1]]) if found else (given, [])


def _has_learned(answers: ProbeResult, given: ProbeResult, times: int) -> bool:
  """Returns whether training fed a model otherwise, and not for a few steps alone.

  Args:
    answers, given: under the other preprocessing, and under the model's own.
    times: how many times as many hits there are under the other one, at least.
  """
  better = int(np.sum(answers.scores > given.scores))
  worse = int(np.sum(answers.scores < given.scores))
  return (
    answers.count >= max(_LEARNED * len(answers.hits), times * given.count)
    and sign_test(better, worse) < _SURE
  )


def _by_statistics(
  trial: '_Trial',
  given: ProbeResult,
  others: dict[str, normalisation.Preprocess],
  few: tf.Tensor,
  own: float,
) -> tuple[ProbeResult, Finding] | None:
  """Returns the preprocessing that the model's batch statistics are of."""
  distances = {
    name: normalisation.batch_distance(trial.model.backend.model, preprocess(few))
    for name, preprocess in others.items()
  }
  nearest = min(distances, key=distances.__getitem__)
  if distances[nearest] > _FITS:
    return None
  answers = trial.run(others[nearest])
  if sign_test(*_disagreeing(given, answers)) <= _WORSE:
    return None
  why = (
    'the statistics of its inputs are a distance of '
    f'{distances[nearest]:.2g} from those of its training in place of {own:.2g}'
  )
  hits = _hits(given, answers) + ', ' if answers.count > given.count else ''
  return answers, _finding(trial.model, nearest, hits + why)


def _by_hits(
  trial: '_Trial', given: ProbeResult, others: dict[str, normalisation.Preprocess]
) -> tuple[ProbeResult, Finding] | None:
  """Returns the preprocessing that gives most hits, if that cannot be luck."""
  best, name = given, None
  for other, preprocess in others.items():
    if trial.pilot(preprocess).count <= given.hits[:_PILOT].sum():
      continue
    answers = trial.run(preprocess)
    if answers.count > best.count and sign_test(*_disagreeing(answers, given)) < _SURE:
      best, name = answers, other
  if name is None:
    return None
  return best, _finding(trial.model, name, _hits(given, best))


def _channels(
  trial: '_Trial', given: ProbeResult
) -> tuple[ProbeResult, Finding] | None:
  def flip(images):
    return trial.model.preprocess(images[..., ::-1])

  # The probability of the label says more than whether it is the highest: of 128
  # photos too few hits change to be sure, and of 32 often none.
  pilot = trial.pilot(flip)
  if np.mean(pilot.scores > given.scores[:_PILOT]) < _PILOT_SHARE:
    return None
  flipped = trial.run(flip)
  if (
    flipped.count <= given.count
    or sign_test(
      int(np.sum(flipped.scores > given.scores)),
      int(np.sum(flipped.scores < given.scores)),
    )
    >= _SURE
  ):
    return None
  saw = (
    f'{given.count} hits of {len(given.hits)}, and {flipped.count} with '
    'red and blue exchanged'
  )
  name = trial.model.name
  if _exchanges(trial.model.preprocess, trial.images):
    given_name = trial.model.preprocess_name
    fix = f'{name} wants RGB, and preprocessing {given_name} exchanges red and blue'
    return flipped, Finding('channels', saw, 'BGR', f'{fix}: give another `preprocess`')
  return flipped, Finding(
    'channels',
    saw,
    'RGB',
    f'{name} wants BGR: give '
    '`preprocess=caffe` if it subtracts the mean of the channels, or exchange them '
    'before its first layer',
  )


def _exchanges(preprocess: normalisation.Preprocess, images: tf.Tensor) -> bool:
  """Returns whether a preprocessing makes BGR of RGB images."""
  black = tf.zeros_like(images[:1])
  change = np.asarray(preprocess(black + [255.0, 0, 0]) - preprocess(black))
  return bool(abs(change).sum(axis=(0, 1, 2)).argmax() == 2)


@dataclasses.dataclass(frozen=True)
class _Trial:
  """Runs a model on the labelled images under another preprocessing."""

  model: Model
  forward: ForwardPass
  images: tf.Tensor
  labels: np.ndarray

  def pilot(self, preprocess: normalisation.Preprocess) -> ProbeResult:
    """Returns the result for the first images under another preprocessing."""
    return self._run(preprocess, _PILOT)

  def run(self, preprocess: normalisation.Preprocess) -> ProbeResult:
    """Returns the result under another preprocessing; empty without labels."""
    return self._run(preprocess, len(self.labels))

  def _run(self, preprocess: normalisation.Preprocess, count: int) -> ProbeResult:
    labels = self.labels[:count]
    if not len(labels):
      return ProbeResult(None, np.zeros(0, bool), np.zeros(0), 0)
    outputs = self.forward(preprocess(self.images[:count]))
    return match_classes(outputs, labels, self.model)


def _disagreeing(one: ProbeResult, other: ProbeResult) -> tuple[int, int]:
  """Returns how many examples only the one hits, and how many only the other."""
  return (int(np.sum(one.hits & ~other.hits)), int(np.sum(other.hits & ~one.hits)))


def _hits(given: ProbeResult, answers: ProbeResult) -> str:
  return f'{answers.count} hits of {len(given.hits)} in place of {given.count}'


# The same numbers as other frameworks name them, see `models.normalisation`, and
# families whose numbers are near: within 15 % of the spread of photos.
_FAMILIES = {'torch': ('imagenet', ('clip', 'dpn')), 'tf': ('inception', ())}


def _by_value(name: str) -> str:
  """Returns which normalisations by value a preprocessing that fits may stand for."""
  if name not in _FAMILIES:
    return ''
  same, near = _FAMILIES[name]
  others = f', near it {" and ".join(near)}' if near else ''
  return f' (of PyTorch {same}, {value(same)}{others})'


def _finding(model: Model, name: str, why: str) -> Finding:
  if application(model):
    fix = (
      f'these weights are not for {model.name} as Keras feeds it: load the '
      f'model from a file or a function, with `preprocess={name}`'
    )
  else:
    fix = f'give `preprocess={name}`{_by_value(name)}'
  fits = (
    'pixels from 0 to 255, which it rescales itself'
    if name == 'identity'
    else (f'the preprocessing {name}')
  )
  return Finding(
    'normalisation', f'preprocessing {model.preprocess_name}', f'{fits} ({why})', fix
  )
