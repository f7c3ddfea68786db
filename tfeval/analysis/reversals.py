"""Slices in which the model is better that is worse of all images."""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from tfeval.analysis.attributes import Attribute
from tfeval.metrics import paired, slices
from tfeval.metrics.slices import NONE, Slice

# Of Holm's correction, for what is called significant.
LEVEL = 0.05


@dataclasses.dataclass(frozen=True)
class Reversal:
  """A slice in which the model is better that is worse elsewhere.

  Attributes:
    slice: its place among the slices.
    worse, better: positions of the runs, by their rates of all images.
    p_holm: of the difference in the slice: McNemar's exact test of runs of the same
      images, Fisher's of others; Holm over all slices and pairs of runs.
  """

  slice: int
  worse: int
  better: int
  p_holm: float


@dataclasses.dataclass(frozen=True, eq=False)
class Hits:
  """What a run hits.

  Attributes:
    ids: string [n], sorted.
    counted: bool [n], which images count.
    hit: bool [n].
    codes: int64 [attributes, n], the slice of each attribute.
  """

  ids: pa.Array
  counted: np.ndarray
  hit: np.ndarray
  codes: np.ndarray

  def inside(self, attribute: int, code: int) -> np.ndarray:
    """Returns bool [n]: which images that count are in a slice."""
    return self.counted & (self.codes[attribute] == code)


def find(
  runs: Sequence[Hits],
  rates: Sequence[float],
  where: Sequence[tuple[int, int]],
  found: Sequence[Sequence[Slice | None]],
) -> list[Reversal]:
  """Finds slices that reverse the order of two runs.

  Args:
    runs: what they hit.
    rates: of each, of all images.
    where: (attribute, code) of each slice.
    found: by run, a `Slice` of each; None where it has no image.

  Returns:
    Those of the lowest p first.
  """
  tested = []
  for i, j in itertools.combinations(range(len(runs)), 2):
    worse, better = (i, j) if rates[i] < rates[j] else (j, i)
    together = runs[i].ids.equals(runs[j].ids)
    for at, place in enumerate(where):
      one, other = found[worse][at], found[better][at]
      if one is None or other is None:
        continue
      if together:
        p = _paired(runs[worse], runs[better], place)
      else:
        p = slices.fisher(one.correct, one.count, other.correct, other.count)
      reverses = rates[i] != rates[j] and one.rate > other.rate
      tested.append((reverses, Reversal(at, worse, better, p)))
  adjusted = paired.holm(np.array([each.p_holm for _, each in tested])).tolist()
  there = [
    dataclasses.replace(each, p_holm=p)
    for (reverses, each), p in zip(tested, adjusted, strict=True)
    if reverses
  ]
  return sorted(there, key=lambda each: each.p_holm)


def _paired(worse: Hits, better: Hits, place: tuple[int, int]) -> float:
  inside = worse.inside(*place)
  counted = np.ones(int(inside.sum()), bool)
  cells = paired.paired_hits(worse.hit[inside], better.hit[inside], counted)
  return paired.mcnemar(cells.first, cells.second)


def simpson(
  names: Sequence[tuple[str, str]],
  reversals: Sequence[Reversal],
  found: Sequence[Attribute],
) -> list[tuple[int, int, str]]:
  """Finds runs whose order is reversed in each slice that an attribute has.

  Of the same images there are none: their order is that of a mean of the slices.

  Args:
    names: (attribute, slice) of each slice.
    reversals: as `find` returns them.
    found: the attributes. Factors that images have or have not divide nothing.

  Returns:
    (worse, better, attribute) each.
  """
  told = []
  for attribute in found:
    of_it = {i for i, (name, _) in enumerate(names) if name == attribute.name}
    if len(of_it) < 2 or (attribute.codes == NONE).any():
      continue
    for pair in dict.fromkeys((one.worse, one.better) for one in reversals):
      there = {one.slice for one in reversals if (one.worse, one.better) == pair}
      if of_it <= there:
        told.append((*pair, attribute.name))
  return told
