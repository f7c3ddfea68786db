"""How runs differ: in images, labels, their content, and protocols."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc

from tfeval.analysis.alignment import AlignedPredictions
from tfeval.metrics import accuracy
from tfeval.preprocess import protocol
from tfeval.runs.result_file import ProtocolSection
from tfeval.runs.run import Run
from tfeval.runs.same_classes import classes_difference
from tfeval.utils import arrow
from tfeval.utils.errors import listed


def ids_difference(one: AlignedPredictions, other: AlignedPredictions) -> str | None:
  """Returns how the images of two runs differ by their ids; None: they do not."""
  if one.ids.equals(other.ids):
    return None
  found = []
  for a, b in ((one, other), (other, one)):
    only = arrow.without(a.ids, b.ids)
    if len(only):
      found.append(
        f'{len(only)} of {len(a.ids)} ids of {a.name} are not in {b.name}: '
        f'{listed(only[:10].to_pylist(), count=len(only))}'
      )
  return '; '.join(found)


def data_difference(one: AlignedPredictions, other: AlignedPredictions) -> str | None:
  """Returns how images or labels of two runs differ; None: they do not."""
  return ids_difference(one, other) or (
    labels_difference(one, other) or content_difference(one, other)
  )


def labels_difference(one: AlignedPredictions, other: AlignedPredictions) -> str | None:
  """Returns how the labels of the same images differ; None: they do not."""
  if found := classes_difference(one.run, other.run):
    return found
  for name in sorted(one.labels.keys() & other.labels.keys()):
    if all(
      np.array_equal(getattr(one.labels[name], key), getattr(other.labels[name], key))
      for key in ('sizes', 'values')
    ):
      continue
    a, b = (_as_sets(aligned.labels[name]) for aligned in (one, other))
    wrong = [i for i, pair in enumerate(zip(a, b, strict=True)) if pair[0] != pair[1]]
    if wrong:
      ids = one.ids.take(wrong[:10]).to_pylist()
      return (
        f'{len(wrong)} of {len(a)} images have other labels ({name}) in '
        f'{one.name} than in {other.name}: {listed(ids, count=len(wrong))}'
      )
  return None


def _as_sets(labels: accuracy.LabelSets) -> list[list[int]]:
  """Returns the set of each image, sorted: the order of a set says nothing."""
  ends = np.cumsum(labels.sizes)
  example = np.repeat(np.arange(len(ends)), labels.sizes)
  values = np.asarray(labels.values)[np.lexsort((labels.values, example))].tolist()
  return [
    values[start:end]
    for start, end in zip((ends - labels.sizes).tolist(), ends.tolist(), strict=True)
  ]


def content_difference(
  one: AlignedPredictions, other: AlignedPredictions
) -> str | None:
  """Returns how images of the same ids differ by their SHA-256; None: they do not.

  What one run does not know the hash of is not compared.
  """
  # Null where a hash is; `filter` drops those.
  ids = one.ids.filter(pc.not_equal(one.hashes, other.hashes))
  if not len(ids):
    return None
  return (
    f'{len(ids)} of {len(one.ids)} images have another content (SHA-256) in '
    f'{one.name} than in {other.name}: {listed(ids[:10].to_pylist(), count=len(ids))}'
  )


def known_first(aligned: Iterable[AlignedPredictions]) -> list[AlignedPredictions]:
  """Returns predictions in an order in which the first tells of all that differ.

  What has no image hashes differs from nothing, so what others are compared with must
  have them if any has.
  """
  return sorted(aligned, key=lambda one: one.hashes.null_count)


def content_remarks(aligned: Sequence[AlignedPredictions]) -> list[str]:
  """Says of which runs the content of the images could not be compared."""
  unknown = [one.name for one in aligned if one.hashes.null_count]
  if not unknown:
    return []
  of = 'any run' if len(unknown) == len(aligned) else listed(unknown)
  return [
    'image contents were not compared, only ids and labels: no image hashes '
    f'are stored of {of}'
  ]


def protocol_difference(one: Run, other: Run) -> str | None:
  """Returns how the protocols of two runs differ; None: they do not.

  The same protocol at the input sizes of two models is not different.
  """
  a, b = (_protocol(run.result.protocol) for run in (one, other))
  if a == b:
    return None
  keys = ['name']
  if a['name'] == b['name']:
    keys = sorted(key for key in a.keys() | b.keys() if a.get(key) != b.get(key))
  return ', '.join(f'{key} {a.get(key)} and {b.get(key)}' for key in keys)


def _protocol(described: ProtocolSection) -> dict[str, Any]:
  fields = protocol.comparable(described)
  return {key: fields[key] for key in fields.keys() - {'spec', 'size', 'resize_side'}}


def unknown_protocols(aligned: Sequence[AlignedPredictions]) -> list[str]:
  """Says that runs may have been evaluated with different protocols."""
  unknown = sum(one.run.result.protocol.name == 'unknown' for one in aligned)
  if not unknown or len(aligned) == 1:
    return []
  return [
    f'the protocol of {unknown} of {len(aligned)} runs is not known: imported '
    'runs may have been evaluated with different ones'
  ]
