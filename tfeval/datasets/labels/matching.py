"""Which image an id means where files write it with a folder, or without a suffix."""

import dataclasses
import functools

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfeval.utils import arrow
from tfeval.utils.arrow import to_numpy

_SUFFIX = r'(?i)\.(jpe?g|jpe|jfif|png|gif|bmp|webp|tiff?)$'
_SUFFIX_OF = r'(?i)\.(?P<suffix>jpe?g|jpe|jfif|png|gif|bmp|webp|tiff?)$'
_FOLDERS = r'^.*[/\\]'
_ALL_BUT_LAST = r'^.*[/\\]([^/\\]*[/\\])'


@dataclasses.dataclass(frozen=True)
class _Keys:
  """What is compared of n ids.

  Attributes:
    in_folder: string [n], `folder/name` without a suffix.
    name: string [n], without folders and suffix.
    suffix: string [n], in lower case, all those of JPEG alike; `''` for none.
    has_folder: bool [n].
  """

  in_folder: pa.Array
  name: pa.Array
  suffix: pa.Array
  has_folder: np.ndarray

  @classmethod
  def of(cls, ids: pa.Array) -> '_Keys':
    whole = _without(ids, _SUFFIX)
    matched = pc.extract_regex(ids, _SUFFIX_OF).field('suffix')
    suffix = pc.coalesce(pc.ascii_lower(matched), arrow.strings([''])[0])
    suffix = pc.replace_substring_regex(suffix, '^(jpeg|jpe|jfif)$', 'jpg')
    return cls(
      pc.replace_substring_regex(
        pc.replace_substring(whole, '\\', '/'), _ALL_BUT_LAST, r'\1'
      ),
      _without(whole, _FOLDERS),
      suffix,
      to_numpy(pc.match_substring_regex(ids, r'[/\\]')),
    )


class Matcher:
  """Finds ids in a list of ids.

  An id is found as it stands; else by its folder and name; else by its name alone, if
  it or the other has no folder. The suffix of an image may be missing of one of both,
  or be another one of JPEG. What several of the list are called is not found.

  >>> listed = Matcher(pa.array(['val/a.jpg', 'b', 'c/1.png', 'd/1.png', 'b']))
  >>> listed.places(pa.array(['a.JPEG', 'b', 'b.JPEG', 'val/c/1.png', '1', 'a.png']))
  array([ 0,  1, -1,  2, -1, -1])
  """

  def __init__(self, ids: pa.Array):
    """Takes string [m]."""
    self._ids = ids

  def places(self, ids: pa.Array) -> np.ndarray:
    """Returns the place of each of n ids in the list, -1 where it is not.

    Args:
      ids: string [n].

    Returns:
      int64 [n].
    """
    # A copy: what Arrow has may not be written to.
    found = np.array(to_numpy(pc.index_in(ids, self._ids), null=-1), np.int64)
    missing = np.flatnonzero(found < 0)
    if missing.size and len(self._ids):
      found[missing] = self._by_keys(_Keys.of(ids.take(arrow.numbers(missing))))
    return found

  @functools.cached_property
  def _keys(self) -> _Keys:
    return _Keys.of(self._ids)

  def _by_keys(self, wanted: _Keys) -> np.ndarray:
    listed = self._keys
    by_folder = _unique_places(wanted.in_folder, listed.in_folder)
    by_name = _unique_places(wanted.name, listed.name)
    both_in_folders = wanted.has_folder & listed.has_folder[by_name]
    found = np.where(both_in_folders, -1, by_name)
    found = np.where(wanted.has_folder & (by_folder >= 0), by_folder, found)
    there = listed.suffix.take(arrow.numbers(np.maximum(found, 0)))
    differ = to_numpy(pc.not_equal(wanted.suffix, there))
    for suffixes in (wanted.suffix, there):
      differ &= to_numpy(pc.not_equal(suffixes, ''))
    return np.where(differ, -1, found)


def _without(ids: pa.Array, pattern: str) -> pa.Array:
  return pc.replace_substring_regex(ids, pattern, '')


def _unique_places(keys: pa.Array, listed: pa.Array) -> np.ndarray:
  """Returns where each key stands in a list that has it once, else -1."""
  coded = listed.dictionary_encode()
  codes = to_numpy(coded.indices)
  count = np.bincount(codes, minlength=len(coded.dictionary))
  place = np.full(len(coded.dictionary), -1, np.int64)
  place[codes] = np.arange(len(codes))
  place[count > 1] = -1
  at = to_numpy(pc.index_in(keys, coded.dictionary), null=-1)
  return np.where(at >= 0, place[at], -1)


def stem(file_name: str) -> str:
  """Returns the name of an image without its folders and suffix.

  >>> stem('val/n014/a.b.JPEG')
  'a.b'
  """
  return _Keys.of(arrow.strings([file_name])).name[0].as_py()
