"""Predictions that flip where the same model computes in another way."""

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfeval.analysis.alignment import AlignedPredictions
from tfeval.metrics import paired
from tfeval.preprocess import protocol
from tfeval.runs.result_file import ComputeSection

_FULL = 'float32'


@dataclasses.dataclass(frozen=True)
class Flips:
  """How many images have another first class in a run than in its reference.

  Attributes:
    labels: name of a label set, or of its subset.
    images: all of them, with a label or without.
    flipped: images whose first class is another one, right or wrong.
    hits: the reference's top-1 hits and the other's; `first` went from right to wrong,
      `second` from wrong to right.
  """

  labels: str
  images: int
  flipped: int
  hits: paired.PairedHits


@dataclasses.dataclass(frozen=True)
class NumericVariant:
  """A run of the same model on the same pixels, computed in another way.

  Attributes:
    reference: position of the run that it is compared with.
    other: position of the run itself.
    differences: what the two say of how they were computed, where it differs:
      (key, the reference's, the other's).
    flips: by label set.
  """

  reference: int
  other: int
  differences: list[tuple[str, Any, Any]]
  flips: list[Flips]


def find_variants(
  aligned: Sequence[AlignedPredictions], names: Sequence[str]
) -> list[NumericVariant]:
  """Counts flipped predictions of runs of the same model, weights, data and protocol.

  The reference is the run in float32: without TensorFloat-32 and compiling before
  with, then the first one. Runs whose weights have no known digest are never the same.

  Args:
    aligned: of the same images in the same order.
    names: of the label sets.
  """
  same: dict[str, list[int]] = {}
  for position, one in enumerate(aligned):
    if (identity := _identity(one)) is not None:
      same.setdefault(repr(identity), []).append(position)
  found = []
  for positions in same.values():
    reference = min(positions, key=lambda i: _imprecision(aligned[i]))
    found += [
      _recomputed(aligned, reference, other, names)
      for other in positions
      if other != reference
    ]
  return found


def _identity(one: AlignedPredictions) -> tuple | None:
  result = one.run.result
  if (result.model.weights_sha256 or result.model.values_sha256) is None:
    return None
  # The path of a file may be another one; its digest is reported as well.
  model = {**result.model, 'name': one.run.key.model_name, 'weights': None}
  content = None if one.hashes.null_count else result.dataset.content_digest
  fields = protocol.comparable(result.protocol)
  return (sorted(model.items()), sorted(fields.items()), content)


def _imprecision(one: AlignedPredictions) -> tuple[bool, ...]:
  compute = one.run.result.compute
  return compute.dtype != _FULL, bool(compute.tf32), bool(compute.jit)


def _recomputed(
  aligned: Sequence[AlignedPredictions],
  reference: int,
  other: int,
  names: Sequence[str],
) -> NumericVariant:
  one, two = aligned[reference], aligned[other]
  flipped = one.predicted[:, 0] != two.predicted[:, 0]
  flips = []
  for name in names:
    within = one.within(name)
    hits = paired.paired_hits(
      one.hits(name, 'top1')[within],
      two.hits(name, 'top1')[within],
      one.counted(name)[within],
    )
    images, changed = (int(np.count_nonzero(x)) for x in (within, flipped & within))
    flips.append(Flips(name, images, changed, hits))
  computed = _differences(one.run.result.compute, two.run.result.compute)
  return NumericVariant(reference, other, computed, flips)


def _differences(
  one: ComputeSection, two: ComputeSection
) -> list[tuple[str, Any, Any]]:
  a, b = _flat(one), _flat(two)
  return [(key, a[key], b[key]) for key in a if key in b and a[key] != b[key]]


def _flat(compute: ComputeSection) -> dict[str, Any]:
  found = {**compute, **compute.versions}
  del found['versions']
  if compute.code_sha256 is not None:
    found['code_sha256'] = compute.code_sha256[:8]
  if compute.devices is not None:
    kinds = collections.Counter(name.partition(':')[0] for name in compute.devices)
    found['devices'] = ' + '.join(f'{n} x {kind}' for kind, n in sorted(kinds.items()))
  return found
