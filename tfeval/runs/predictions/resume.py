"""What an interrupted run has left, after which the next one resumes."""

import itertools
from collections.abc import Iterable
from typing import Any

from tfeval.runs import predictions
from tfeval.runs.result_file import Manifest
from tfeval.utils.errors import UserError
from tfeval.utils.paths import Path


def whole_parts(directory: Path, shard: range, gapless: bool) -> list[dict]:
  """Returns the parts at the start of a store after which a run can resume.

  Args:
    directory: the store, which may be missing or damaged.
    shard: the positions that it is to hold.
    gapless: whether a position that is missing ends them.

  Returns:
    Entries of the index: each of these parts is whole and has positions, which
    follow those of the part before it.
  """
  try:
    parts = predictions.listed_parts(directory)
  except UserError:
    return []
  kept, position = [], shard.start
  for number, part in enumerate(parts):
    if part['file'] != f'part-{number:05d}.parquet':
      break
    if not is_of(part, range(position, shard.stop)):
      break
    ranges = part['positions']
    if gapless and ranges != [[position, ranges[-1][1]]]:
      break
    try:
      predictions.read_part(directory, part, ['id'])
    except UserError:
      break
    kept.append(part)
    position = ranges[-1][1]
  return kept


def is_of(part: dict, positions: range) -> bool:
  """Returns whether an entry of an index can be of rows of some positions."""
  ranges: Any = part.get('positions')
  if not _are_ranges(ranges):
    return False
  if ranges[0][0] < positions.start or ranges[-1][1] > positions.stop:
    return False
  if sum(stop - start for start, stop in ranges) != part.get('rows'):
    return False
  on_host, steps = part.get('resized_on_host', []), part.get('step_sizes', [])
  return _are_among(on_host, ranges) and _are_sizes(steps)


def _are_ranges(ranges: Any) -> bool:
  if (
    not ranges
    or not isinstance(ranges, list)
    or not all(
      isinstance(one, list) and len(one) == 2 and all(type(n) is int for n in one)
      for one in ranges
    )
  ):
    return False
  ends = [-1, *[end for one in ranges for end in one]]
  return all(a < b for a, b in itertools.pairwise(ends))


def _are_among(positions: Any, ranges: list[list[int]]) -> bool:
  return isinstance(positions, list) and all(
    type(one) is int and any(start <= one < stop for start, stop in ranges)
    for one in positions
  )


def _are_sizes(sizes: Any) -> bool:
  return isinstance(sizes, list) and all(type(one) is int and one > 0 for one in sizes)


def positions_of(parts: Iterable[dict]) -> list[int]:
  """Returns the positions of all rows of parts, in their order."""
  return [
    position
    for part in parts
    for start, stop in part['positions']
    for position in range(start, stop)
  ]


def part_size(manifest: Manifest) -> int:
  """Returns how many positions a part covers: whole batches.

  Args:
    manifest: what is run. A batch is computed at once, wherever a run resumes.
  """
  batch_size, rows = manifest.compute.batch_size, manifest.store.rows_per_part
  assert batch_size and rows  # Only imports have none, and these do not resume.
  return -(-rows // batch_size) * batch_size
