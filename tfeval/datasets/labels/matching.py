"""Which image an id means where files write it with a folder, or without a suffix."""

import functools

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfeval.utils import arrow
from tfeval.utils.arrow import to_numpy

_SUFFIX = r'(?i)\.(jpe?g|jpe|jfif|png|gif|bmp|webp|tiff?)$'
_FOLDERS = r'^.*[/\\]'
_ALL_BUT_LAST = r'^.*[/\\]([^/\\]*[/\\])'


class Matcher:
  """Finds ids in a list of ids.

  An id is found as it stands; else by its folder and name; else by its name alone, if
  it or the other has no folder. The last two leave the suffix of an image out, and
  find only what a single one of the list is called.

  >>> listed = Matcher(pa.array(['val/a.jpg', 'b', 'c/1.png', 'd/1.png', 'b']))
  >>> listed.places(pa.array(['a.jpg', 'b', 'b.JPEG', 'val/c/1.png', '1.png']))
  array([ 0,  1, -1,  2, -1])
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
      found[missing] = self._by_key(ids.take(arrow.numbers(missing)))
    return found

  def _by_key(self, ids: pa.Array) -> np.ndarray:
    folders, names, has_folder = self._keys
    here = _has_folder(ids)
    by_folder = _unique_places(_in_folder(ids), folders)
    found = np.where(here, by_folder, -1)
    by_name = _unique_places(_name(ids), names)
    either_is_bare = ~(here & has_folder[by_name])
    return np.where((found < 0) & either_is_bare, by_name, found)

  @functools.cached_property
  def _keys(self) -> tuple[pa.Array, pa.Array, np.ndarray]:
    return _in_folder(self._ids), _name(self._ids), _has_folder(self._ids)


def _has_folder(ids: pa.Array) -> np.ndarray:
  return to_numpy(pc.match_substring_regex(ids, r'[/\\]'))


def _name(ids: pa.Array) -> pa.Array:
  return _without(_without(ids, _FOLDERS), _SUFFIX)


def _in_folder(ids: pa.Array) -> pa.Array:
  """Returns `folder/name`, with slashes and without a suffix."""
  ids = pc.replace_substring_regex(ids, _ALL_BUT_LAST, r'\1')
  return _without(pc.replace_substring(ids, '\\', '/'), _SUFFIX)


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
  return _name(arrow.strings([file_name]))[0].as_py()
