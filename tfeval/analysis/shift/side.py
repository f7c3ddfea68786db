"""What one side of a shift is known by: features, outputs and hits of its images."""

import dataclasses
import functools

import numpy as np

from tfeval.metrics.shift import outputs, two_sample

# Of an image and of all that is measured on it; fewer than that say nothing.
LEAST_IMAGES = 20


@dataclasses.dataclass(frozen=True, eq=False)
class Side:
  """Source or target.

  Attributes:
    name: what readers call it.
    ids: of its n images.
    predicted: int64 [n], first classes, as columns of `log_probs` where that is there.
    features: float [n, d]; None where none were stored.
    layer: what they are of; None without them.
    ranked: float [n, k], log-probabilities of the best classes, best first; None where
      nothing is known of them.
    log_probs: float64 [n, classes], of all classes; None where not all are stored.
    hits: bool [n], which images are hit.
    labelled: bool [n], which images have a label.
    labels: int64 [n], columns of `log_probs`; negative where there is no single label.
  """

  name: str
  ids: np.ndarray
  predicted: np.ndarray
  hits: np.ndarray
  labelled: np.ndarray
  labels: np.ndarray
  features: np.ndarray | None = None
  layer: str | None = None
  ranked: np.ndarray | None = None
  log_probs: np.ndarray | None = None

  def __len__(self) -> int:
    return len(self.ids)

  @functools.cached_property
  def scores(self) -> dict[str, np.ndarray]:
    """Numbers that say how sure the model is of each image, by name; float64 [n]."""
    if self.ranked is None or self.ranked.shape[1] < 2:
      return {}
    found = outputs.confidence(self.ranked)
    if self.log_probs is not None:
      found['negative entropy'] = outputs.negative_entropy(np.exp(self.log_probs))
    return found

  def take(self, positions: np.ndarray) -> 'Side':
    """Returns some of its images."""
    chosen = {
      field.name: value[positions]
      for field in dataclasses.fields(self)
      if isinstance(value := getattr(self, field.name), np.ndarray)
    }
    return dataclasses.replace(self, **chosen)


@dataclasses.dataclass(frozen=True, eq=False)
class Geometry:
  """All images of both sides beside each other.

  Attributes:
    of: what distances are of, such as `features of avg_pool`.
    first, second: float [n, d] and [m, d].
    distances: float64 [n + m, n + m].
    sigma: the width of the kernel, the median distance.
    kernel: float64 [n + m, n + m].
  """

  of: str
  first: np.ndarray
  second: np.ndarray
  distances: np.ndarray
  sigma: float
  kernel: np.ndarray


def geometry(source: Side, target: Side) -> Geometry | None:
  """Returns the distances of features, or else of all outputs; None without both.

  Raises:
    ValueError: features are constant.
  """
  if source.features is not None and target.features is not None:
    of = f'features of {source.layer}'
    first, second = source.features, target.features
  elif source.log_probs is not None and target.log_probs is not None:
    of = 'outputs'
    first, second = source.log_probs, target.log_probs
  else:
    return None
  distances = two_sample.pair_distances(first, second)
  sigma = two_sample.median_distance(distances)
  kernel = two_sample.rbf_kernel(distances, [sigma])
  return Geometry(of, first, second, distances, sigma, kernel)
