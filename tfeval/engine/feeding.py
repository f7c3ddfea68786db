"""Whether a model is fed as it was trained: preprocessing and order of channels."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfeval import labels as labels_lib
from tfeval.engine import normalisation
from tfeval.engine.finding import Finding, application
from tfeval.models.model import PROBABILITIES, Model

# A first look at something that costs forward passes: dropped where it is no better.
_PILOT = 32
# Distances of batch_distance (normalisation.py). Of random sets of 32 photos at most
# 0.04 under the right preprocessing and at least 0.7 under the nearest wrong ones,
# `torch` and x/255 for `tf`; of sets of 16, at most 0.15 and at least 0.46.
_FITS, _DOES_NOT_FIT = 0.2, 0.5
# Of one-sided sign tests, six of them for the preprocessings. Healthy models are on
# the other side of them altogether.
_SURE = 1e-4
# Hits contradict the statistics below this.
_WORSE = 0.05

# Given preprocessed images, float32 [n, size, size, 3]: outputs, float32 [n, width].
Forward = Callable[[tf.Tensor], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Answers:
  """What a model said of n labelled examples, in the class order that fits best.

  Attributes:
    order: a key of `labels.other_class_orders`, None for ours; for 1001 outputs
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


def read(outputs: np.ndarray, labels: np.ndarray, kind: str) -> Answers:
  """Compares outputs with labels in every class order that is known.

  Args:
    outputs: float32 [n, 1000] or [n, 1001].
    labels: int64 [n], class indices.
    kind: `'logits'` or `'probabilities'`.
  """
  predicted = outputs.argmax(axis=1)
  if outputs.shape[1] == labels_lib.NUM_CLASSES:
    order = labels_lib.other_class_order(predicted, labels)
    class_of = (labels_lib.other_class_orders()[order] if order else
                np.arange(labels_lib.NUM_CLASSES))
  else:
    index = np.arange(labels_lib.NUM_CLASSES + 1)
    orders = {'background_first': index - 1,
              'background_last': np.where(index < labels_lib.NUM_CLASSES, index, -1)}
    order = max(orders, key=lambda o: int(np.sum(orders[o][predicted] == labels)))
    class_of = orders[order]
  output_of = np.full(labels_lib.NUM_CLASSES, -1)
  output_of[class_of[class_of >= 0]] = np.flatnonzero(class_of >= 0)
  wanted = output_of[labels]
  scores = outputs.astype(np.float64)
  with np.errstate(all='ignore'):  # Under a wrong preprocessing anything comes out.
    if kind == PROBABILITIES:
      scores = np.log(scores)
    else:
      scores = scores - scores.max(axis=1, keepdims=True)
      scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
  scores = np.where(wanted >= 0, scores[np.arange(len(labels)), wanted], -np.inf)
  return Answers(order, class_of[predicted] == labels, scores)


def sign_test(more: int, less: int) -> float:
  """Returns P(X >= more), X ~ Binomial(more + less, 1/2): the one-sided sign test.

  >>> sign_test(9, 1)
  0.0107421875
  """
  n = more + less
  return sum(math.comb(n, k) for k in range(more, n + 1)) / 2**n


def compare(model: Model, forward: Forward, images: tf.Tensor, labels: np.ndarray,
             outputs: np.ndarray) -> tuple[Answers, list[Finding]]:
  """Compares preprocessings, and the channels in the opposite order.

  Args:
    model: the model.
    forward: its forward pass.
    images: float32 [n, size, size, 3] in [0, 255]; n is that of the labels unless
      there are none.
    labels: int64 [n], class indices; none where they tell nothing.
    outputs: float32 [n, width], the model's answers.

  Returns:
    The answers under the preprocessing that fits, and what was found.
  """
  trial = _Trial(model, forward, images, labels)
  given = read(outputs, labels, model.output)
  few = images[:normalisation.STATISTICS_IMAGES]
  keras_model = model.keras_model
  own = normalisation.batch_distance(keras_model, model.preprocess(few))
  best, name, why = given, None, ''
  # Statistics that fit leave no doubt; forward passes are dear.
  if own is None or own > _FITS:
    nearest = math.inf
    for other, preprocess in normalisation.candidates(model, few).items():
      distance = normalisation.batch_distance(keras_model, preprocess(few))
      near = (own is not None and own >= _DOES_NOT_FIT and distance is not None
              and distance <= _FITS)
      if not near and not len(labels):
        continue
      answers = trial.run(preprocess, given, pilot=not near)
      if answers is None or not (_not_worse(answers, given) if near else
                                 _more_hits(answers, given)):
        continue
      rank = -answers.count, math.inf if distance is None else distance
      if name is None or rank < (-best.count, nearest):
        best, name, nearest = answers, other, rank[1]
        why = _why(given, answers, own, distance)
  findings = []
  if name:
    findings.append(_finding(model, name, why))
  elif len(labels):
    flipped = trial.run(lambda x: model.preprocess(x[..., ::-1]), given, pilot=True)
    # The probability of the label says more than whether it is the highest: of 128
    # photos too few hits change to be sure.
    if flipped and flipped.count > given.count and sign_test(
        int(np.sum(flipped.scores > given.scores)),
        int(np.sum(flipped.scores < given.scores))) < _SURE:
      best = flipped
      findings.append(Finding(
          'channels', f'{given.count} hits of {len(labels)}, and {flipped.count} with '
          'red and blue exchanged', 'RGB', f'{model.name} wants BGR: give '
          '--preprocess=caffe if it subtracts the mean of the channels, or exchange '
          'them before its first layer'))
  return best, findings


@dataclasses.dataclass(frozen=True)
class _Trial:
  """Runs a model on the labelled images under another preprocessing."""

  model: Model
  forward: Forward
  images: tf.Tensor
  labels: np.ndarray

  def run(self, preprocess: normalisation.Preprocess, given: Answers,
          pilot: bool) -> Answers | None:
    """Returns the answers under another preprocessing.

    Args:
      preprocess: the other preprocessing.
      given: answers under the model's own.
      pilot: whether to return None where the first 32 have no more hits.
    """
    if not len(self.labels):
      return given
    outputs = self.forward(preprocess(self.images[:_PILOT]))
    if pilot and self._read(outputs).count <= given.hits[:_PILOT].sum():
      return None
    if len(self.labels) > _PILOT:
      rest = self.forward(preprocess(self.images[_PILOT:]))
      outputs = np.concatenate([outputs, rest])
    return self._read(outputs)

  def _read(self, outputs: np.ndarray) -> Answers:
    return read(outputs, self.labels[:len(outputs)], self.model.output)


def _more_hits(answers: Answers, given: Answers) -> bool:
  return sign_test(*_disagreeing(answers, given)) < _SURE


def _not_worse(answers: Answers, given: Answers) -> bool:
  return sign_test(*_disagreeing(given, answers)) > _WORSE


def _disagreeing(one: Answers, other: Answers) -> tuple[int, int]:
  """Returns how many examples only the one hits, and how many only the other."""
  return (int(np.sum(one.hits & ~other.hits)), int(np.sum(other.hits & ~one.hits)))


def _why(given: Answers, answers: Answers, own: float | None,
         distance: float | None) -> str:
  parts = []
  if len(given.hits):
    parts.append(f'{answers.count} hits of {len(given.hits)} in place of {given.count}')
  if own is not None and distance is not None:
    parts.append(f'batch statistics {distance:.2g} from the moving ones in place of '
                 f'{own:.2g}')
  return ', '.join(parts)


def _finding(model: Model, name: str, why: str) -> Finding:
  if name == normalisation.DIVIDED:
    mend = ('divide by 255 in the model (keras.layers.Rescaling) and give '
            '--preprocess=identity')
  elif application(model):
    mend = (f'these weights are not for {model.name} as Keras feeds it: load the '
            f'model from a file or a function, with --preprocess={name}')
  else:
    mend = f'give --preprocess={name}'
  fits = 'pixels from 0 to 255, which it rescales itself' if name == 'identity' else (
      f'the preprocessing {name}')
  return Finding('normalisation', f'preprocessing {model.preprocess_name}',
                 f'{fits} ({why})', mend)
