"""Digests of the rows of a run."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfeval.utils import arrow, files


def digest_of_sorted(ids: pa.Array, values: pa.Array) -> str:
  """Computes `files.digest_of_pairs` of sorted ids in Arrow: a tenth of the time.

  Args:
    ids: string [n], sorted.
    values: string [n], null for nothing.
  """
  tab, end, nothing = arrow.strings(['\t', '\n', ''])
  lines = pc.binary_join_element_wise(ids, values, tab, null_handling='replace')
  lines = pc.binary_join_element_wise(lines, nothing, end)
  sha256 = hashlib.sha256()
  if len(lines):
    offsets = np.frombuffer(lines.buffers()[1], np.int32)[lines.offset :]
    first, last = offsets[0], offsets[len(lines)]
    content = lines.buffers()[2].slice(first, last - first)
    signs = np.frombuffer(content, np.uint8)
    if any(np.count_nonzero(signs == ord(one)) != len(lines) for one in '\t\n'):
      # Of an id that has one.
      pairs = zip(ids.to_pylist(), values.to_pylist(), strict=True)
      return files.digest_of_pairs(pairs)
    sha256.update(content)
  return sha256.hexdigest()
