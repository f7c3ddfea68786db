"""Every measure of a difference, beside what it is between two halves of the source."""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from tfeval.analysis.shift.side import Geometry, Side
from tfeval.metrics import paired
from tfeval.metrics.shift import classifier, frechet, outputs, two_sample
from tfeval.metrics.stored_rows import NEEDS_OUTPUTS

# How often the source is halved at random: the mean stands beside each measure.
SPLITS = 5


@dataclasses.dataclass(frozen=True)
class Options:
  """How tests are made.

  Attributes:
    level: of significance.
    permutations: of each test.
    seed: of all that is drawn.
  """

  level: float = 0.05
  permutations: int = 1000
  seed: int = 0


@dataclasses.dataclass(frozen=True)
class Measure:
  """One measure.

  Attributes:
    name: what readers know it as.
    of: what it compares.
    value: source against target; None where it is not known.
    null: between two halves of the source, the mean of some splits.
    p: that as much comes by chance; None of measures without a test.
    p_holm: the same, by Holm's method for all that are told beside it.
    unavailable: why there is no value.
    images: how many of each side it is of, where that is not all.
    medians: of source and target, of measures of one number for each image.
  """

  name: str
  of: str
  value: float | None = None
  null: float | None = None
  p: float | None = None
  p_holm: float | None = None
  unavailable: str | None = None
  images: int | None = None
  medians: tuple[float, float] | None = None


def corrected(measures: list[Measure]) -> list[Measure]:
  """Returns measures with p-values by Holm's method for all that have one."""
  tested = [one for one in measures if one.p is not None]
  adjusted = iter(paired.holm(np.array([one.p for one in tested])))
  return [
    one if one.p is None else dataclasses.replace(one, p_holm=float(next(adjusted)))
    for one in measures
  ]


def splits(n: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Yields the positions of two halves of n images, `SPLITS` times."""
  random = np.random.default_rng(seed)
  for _ in range(SPLITS):
    order = random.permutation(n)
    yield order[: n // 2], order[n // 2 : 2 * (n // 2)]


def of_features(space: Geometry, options: Options) -> list[Measure]:
  """Returns the measures of features: kernels, distances, Fréchet, a classifier."""
  n, seed = len(space.first), options.seed
  widths = [space.sigma * factor for factor in (0.5, 1, 2)]
  several = two_sample.rbf_kernel(space.distances, widths)
  tested: list[tuple[str, np.ndarray, Callable, Callable]] = [
    ('MMD²', space.kernel, two_sample.mmd_test, two_sample.mmd2),
    ('MMD², three widths', several, two_sample.mmd_test, two_sample.mmd2),
    (
      'energy distance',
      space.distances,
      two_sample.energy_test,
      lambda distances, half: two_sample.energy_distance(distances, half, True),
    ),
  ]
  found = []
  for name, matrix, test, value_of in tested:
    value, p = test(matrix, n, options.permutations, seed)
    null = [
      value_of(matrix[np.ix_(both, both)], len(a))
      for a, b in splits(n, seed)
      for both in [np.concatenate([a, b])]
    ]
    found.append(Measure(name, space.of, value, float(np.mean(null)), p))
  return [*found, _frechet(space, seed), _classifier(space, seed)]


def _frechet(space: Geometry, seed: int) -> Measure:
  """Of as many images as there are in half of the source: it is biased by that."""
  n, m = len(space.first), len(space.second)
  equal = min(n // 2, m)
  value, null = [], []
  target = np.random.default_rng(seed).permutation(m)[:equal]
  for a, b in splits(n, seed):
    a, b = a[:equal], b[:equal]
    value.append(frechet.frechet_distance(space.first[a], space.second[target]))
    null.append(frechet.frechet_distance(space.first[a], space.first[b]))
  means = float(np.mean(value)), float(np.mean(null))
  return Measure('Fréchet distance', space.of, *means, images=equal)


def _classifier(space: Geometry, seed: int) -> Measure:
  name = 'C2ST accuracy'
  try:
    found = classifier.classifier_test(space.first, space.second, seed)
    null = [
      classifier.classifier_test(space.first[a], space.first[b], seed).accuracy
      for a, b in splits(len(space.first), seed)
    ]
  except classifier.NotInstalled as error:
    return Measure(name, space.of, unavailable=str(error))
  return Measure(name, space.of, found.accuracy, float(np.mean(null)), found.p)


def of_outputs(source: Side, target: Side, options: Options) -> list[Measure]:
  """Returns the measures of outputs: what is predicted, and how sure."""

  def measure(name: str, first: np.ndarray, second: np.ndarray, test) -> Measure:
    value, p = test(first, second)
    null = [test(first[a], first[b]).value for a, b in splits(len(first), options.seed)]
    return Measure(name, 'outputs', value, float(np.mean(null)), p)

  found = [
    measure(
      'χ² of predicted classes',
      source.predicted,
      target.predicted,
      lambda a, b: outputs.of_classes(a, b, options.permutations, options.seed),
    )
  ]
  for name in source.scores:
    if name in target.scores:
      pair = source.scores[name], target.scores[name]
      found.append(measure(f'KS of {name}', *pair, outputs.kolmogorov_smirnov))
  if source.log_probs is None or target.log_probs is None:
    why = NEEDS_OUTPUTS
    return [*found, Measure('KS of each class', 'outputs', unavailable=why)]
  pair = np.exp(source.log_probs), np.exp(target.log_probs)
  return [*found, measure('KS of each class', *pair, outputs.of_probabilities)]
