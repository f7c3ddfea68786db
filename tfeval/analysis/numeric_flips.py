"""Answers that flip where the same model computes in another way.

Nothing here imports TensorFlow.
"""

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfeval.analysis.alignment import Answers
from tfeval.metrics import paired
from tfeval.preprocess import protocol
from tfeval.runs import display

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
class Recomputed:
  """A run of the same model on the same pixels, computed in another way.

  Attributes:
    reference: position of the run that it is held against.
    other: position of the run itself.
    differences: what the two say of how they were computed, where it differs:
      (key, the reference's, the other's).
    flips: by label set.
  """

  reference: int
  other: int
  differences: list[tuple[str, Any, Any]]
  flips: list[Flips]


def find(answers: Sequence[Answers], names: Sequence[str]) -> list[Recomputed]:
  """Counts flipped answers of runs of the same model, weights, data and protocol.

  The reference is the run in float32: without TensorFloat-32 and compiling before
  with, then the first one. Runs whose weights have no known digest are never the same.

  Args:
    answers: of the same images in the same order.
    names: of the label sets.
  """
  same: dict[str, list[int]] = {}
  for position, one in enumerate(answers):
    if (identity := _identity(one)) is not None:
      same.setdefault(repr(identity), []).append(position)
  found = []
  for positions in same.values():
    reference = min(positions, key=lambda i: _imprecision(answers[i]))
    found += [
      _recomputed(answers, reference, other, names)
      for other in positions
      if other != reference
    ]
  return found


def _identity(one: Answers) -> tuple | None:
  result = one.run.result
  model, dataset = dict(result['model']), result['dataset']
  # The path of a file may be another one; its digest is told as well.
  model.update(name=display.model_name(result), weights=None)
  if (model.get('weights_sha256') or model.get('values_sha256')) is None:
    return None
  content = None if one.hashes.null_count else dataset.get('content_digest')
  fields = protocol.comparable(result['protocol'])
  return (sorted(model.items()), sorted(fields.items()), content)


def _compute(one: Answers) -> dict[str, Any]:
  compute = one.run.result.get('compute')
  return compute if isinstance(compute, dict) else {}


def _imprecision(one: Answers) -> tuple[bool, ...]:
  compute = _compute(one)
  return (
    compute.get('dtype') != _FULL,
    bool(compute.get('tf32')),
    bool(compute.get('jit')),
  )


def _recomputed(
  answers: Sequence[Answers], reference: int, other: int, names: Sequence[str]
) -> Recomputed:
  one, two = answers[reference], answers[other]
  flipped = one.predicted[:, 0] != two.predicted[:, 0]
  flips = []
  for name in names:
    within = one.within(name)
    hits = paired.paired_hits(
      one.hits(name, 'top1')[within],
      two.hits(name, 'top1')[within],
      one.counted(name)[within],
    )
    flips.append(
      Flips(
        name,
        int(np.count_nonzero(within)),
        int(np.count_nonzero(flipped & within)),
        hits,
      )
    )
  return Recomputed(reference, other, _differences(_compute(one), _compute(two)), flips)


def _differences(
  one: dict[str, Any], two: dict[str, Any]
) -> list[tuple[str, Any, Any]]:
  a, b = _flat(one), _flat(two)
  return [(key, a[key], b[key]) for key in a if key in b and a[key] != b[key]]


def _flat(compute: dict[str, Any]) -> dict[str, Any]:
  found = {**compute, **compute.get('versions', {})}
  found.pop('versions', None)
  if 'code_sha256' in found:
    found['code_sha256'] = found['code_sha256'][:8]
  if 'devices' in found:
    kinds = collections.Counter(name.partition(':')[0] for name in found['devices'])
    found['devices'] = ' + '.join(f'{n} x {kind}' for kind, n in sorted(kinds.items()))
  return found
