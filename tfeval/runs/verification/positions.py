"""Whether each image of a dataset is that of one row at most."""

import bisect
from collections.abc import Sequence
from typing import Any

from tfeval.runs.result_file import EvaluatedSection
from tfeval.runs.verification.result_checks import hold


def check(parts: Sequence[dict[str, Any]], dataset: EvaluatedSection) -> str:
  """Checks the positions of rows in the dataset.

  Args:
    parts: of an index that follows the schema.
    dataset: what was evaluated.

  Raises:
    Failed: a position is there twice or outside, or there are not as many as rows.
  """
  there = [part for part in parts if 'positions' in part]
  if not there:
    return 'none are stored'
  hold(len(there) == len(parts), f'{len(there)} of {len(parts)} parts have positions')
  ranges: list[list[int]] = []
  resized: set[int] = set()
  for part in parts:
    own, on_host = part['positions'], part.get('resized_on_host', [])
    _check_part(part['file'], own, part['rows'], on_host)
    ranges += own
    resized.update(on_host)
  _check_disjoint(sorted(ranges))
  seen, last = sum(stop - start for start, stop in ranges), max(ranges)[1] - 1
  hold(
    last < dataset.expected,
    f'position {last} is there, the dataset has {dataset.expected:,}',
  )
  reported = dataset.resized_on_host
  hold(
    reported is None or reported == len(resized),
    f'{len(resized):,} images were resized on the host, not {reported}',
  )
  return f'{seen:,} of {dataset.expected:,}, none twice'


def _check_part(
  name: str, ranges: list[list[int]], rows: int, on_host: list[int]
) -> None:
  seen = sum(stop - start for start, stop in ranges)
  hold(seen == rows, f'{name}: {seen:,} positions of {rows:,} rows')
  _check_disjoint(ranges)
  starts = [start for start, _ in ranges]
  for position in on_host:
    at = bisect.bisect(starts, position) - 1
    hold(
      at >= 0 and position < ranges[at][1],
      f'{name}: position {position} was resized on the host and is not there',
    )


def _check_disjoint(ranges: list[list[int]]) -> None:
  end = 0
  for start, stop in ranges:
    hold(start < stop, f'positions {start} to {stop} are none')
    hold(start >= end, f'position {start} is there twice, or not in its order')
    end = stop
