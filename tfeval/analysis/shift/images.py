"""Images themselves, without a model: how statistics of both sides differ."""

import dataclasses

import numpy as np

from tfeval.analysis.shift.farthest import Far
from tfeval.analysis.shift.measures import Measure, Options, corrected, splits
from tfeval.analysis.shift.side import LEAST_IMAGES
from tfeval.metrics.shift import outputs

# Of a spread: the median absolute deviation of normal values is so much of it.
_OF_NORMAL = 0.6745


@dataclasses.dataclass(frozen=True, eq=False)
class ImageStatistics:
  """What was measured of the images of a side.

  Attributes:
    name: of the side.
    ids: [n], those that could be decoded.
    values: float64 [n] by statistic, see `metrics.shift.image_statistics`; NaN where an
      image has none.
    failed: what is wrong with the others, by id.
    changed: ids of those that are no longer the bytes that the run had, and
    missing: of those that are no longer there; both are left out.
  """

  name: str
  ids: list[str]
  values: dict[str, np.ndarray]
  failed: dict[str, str]
  changed: list[str] = dataclasses.field(default_factory=list)
  missing: list[str] = dataclasses.field(default_factory=list)


def compare(
  source: ImageStatistics, target: ImageStatistics, options: Options
) -> list[Measure]:
  """Returns Kolmogorov-Smirnov's distance of each statistic, Holm over all of them."""
  found = []
  for name in source.values:
    first, second = (side.values[name] for side in (source, target))
    first, second = first[~np.isnan(first)], second[~np.isnan(second)]
    if min(len(first), len(second)) < LEAST_IMAGES:
      why = f'{len(first):,} and {len(second):,} images have one'
      found.append(Measure(f'KS of {name}', 'images', unavailable=why))
      continue
    value, p = outputs.kolmogorov_smirnov(first, second)
    null = [
      outputs.kolmogorov_smirnov(first[a], first[b]).value
      for a, b in splits(len(first), options.seed)
    ]
    medians = float(np.median(first)), float(np.median(second))
    mean = float(np.mean(null))
    found.append(Measure(f'KS of {name}', 'images', value, mean, p, medians=medians))
  return corrected(found)


def farthest(source: ImageStatistics, target: ImageStatistics, count: int) -> list[Far]:
  """Returns the images of which some statistic is farthest outside of the source's.

  Args:
    source, target: of both sides.
    count: how many, at most.

  Returns:
    Of each the distance to the source's median by its spread (of the median absolute
    deviation, for normal values), and the share of the source that is as far.
  """
  names = [
    name
    for name, values in source.values.items()
    if not (np.isnan(values).all() or np.isnan(target.values[name]).all())
  ]
  first, second = (
    np.stack([side.values[name] for name in names], 1) for side in (source, target)
  )
  middle = np.nanmedian(first, axis=0)
  spread = np.nanmedian(np.abs(first - middle), axis=0) / _OF_NORMAL
  spread[~(spread > 0)] = np.inf
  usual, found = (
    np.nanmax(np.abs(one - middle) / spread, axis=1) for one in (first, second)
  )
  order = np.argsort(-found, kind='stable')[:count]
  return [
    Far(target.ids[i], float(found[i]), float(np.mean(usual >= found[i])))
    for i in order
  ]
