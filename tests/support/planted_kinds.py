"""Images of ten classes as features, with shifts of a known kind planted in them."""

import numpy as np
from scipy import special

from tfeval.analysis.shift.side import Side

CLASSES, DIMENSIONS = 10, 32
KINDS = ('none', 'covariate', 'prior', 'concept')
# How far class means lie apart, in standard deviations: some 80 % are hit.
_APART = 2.6
# The classifier is more sure than it is right.
_SURENESS = 1.6
_MEANS = np.random.default_rng(7).standard_normal((CLASSES, DIMENSIONS))
_MEANS *= _APART / np.linalg.norm(_MEANS, axis=1, keepdims=True)
_FALLING = 0.75 ** np.arange(CLASSES)


def side(kind: str, n: int, seed: int, name: str = 'side') -> Side:
  """Returns n images under one kind of shift.

  Covariate: all features move by one vector and what they are of stays. Prior: the
  first class is 13 times as frequent as the last. Concept: of three classes, a third
  of the images is labelled as the next class.
  """
  random = np.random.default_rng([seed, KINDS.index(kind)])
  shares = _FALLING if kind == 'prior' else np.ones(CLASSES)
  labels = random.choice(CLASSES, n, p=shares / shares.sum())
  features = _MEANS[labels] + random.standard_normal((n, DIMENSIONS))
  if kind == 'covariate':
    features[:, :4] += 0.5
  if kind == 'concept':
    other = (labels < 3) & (random.random(n) < 1 / 3)
    labels = np.where(other, (labels + 1) % CLASSES, labels)
  # The exact posterior of normal densities, sharpened.
  scores = _SURENESS * (features @ _MEANS.T - 0.5 * np.square(_MEANS).sum(axis=1))
  log_probs = special.log_softmax(scores, axis=1)
  predicted = log_probs.argmax(axis=1)
  return Side(
    name,
    np.array([f'{name}-{i:05}' for i in range(n)]),
    predicted,
    predicted == labels,
    np.ones(n, bool),
    labels,
    features.astype(np.float16),
    'made',
    np.sort(log_probs, axis=1)[:, ::-1].astype(np.float32),
    log_probs,
  )
