"""Cases for metrics that count, and a count of them in plain Python."""

import keras
import numpy as np


def case(seed: int, n: int = 90, classes: int = 12):
  """Scores with many ties, sets of right classes (some empty), labels (some -1)."""
  random = np.random.default_rng(seed)
  scores = random.integers(-2, 3, (n, classes)).astype(np.float32)
  return scores, random.random((n, classes)) < 0.15, random.integers(-1, classes, n)


def counted(scores, sets, k, weight=None) -> tuple[int, int]:
  """Counts in plain Python; a NaN row is a miss."""
  correct = count = 0
  for i, (row, right) in enumerate(zip(scores.tolist(), sets, strict=True)):
    right = np.flatnonzero(right)
    if len(right) and (weight is None or weight[i]):
      best = sorted(range(len(row)), key=lambda c: (-row[c], c))[:k]
      count += 1
      correct += bool({*best} & {*right}) and not np.isnan(row).any()
  return correct, count


def one_hot(labels, classes=12):
  return labels[:, None] == np.arange(classes)


def counts(metric) -> tuple[int, int]:
  return metric.correct, metric.count


def small_model(seed=0, classes=12, **compile_):
  keras.utils.set_random_seed(seed)
  model = keras.Sequential([keras.layers.Input((6,)), keras.layers.Dense(classes)])
  model.compile('sgd', keras.losses.BinaryCrossentropy(from_logits=True), **compile_)
  return model
