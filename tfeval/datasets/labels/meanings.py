"""What the texts of labels mean: classes by index, id or readable name."""

import collections
import functools
import re
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.utils import arrow, budgets
from tfeval.utils.arrow import to_numpy
from tfeval.utils.errors import listed

_INDEX = re.compile(r'(\d{1,9})(?:\.0*)?', re.ASCII)
_WNID = re.compile(r'(n\d{8})(?![^\W_])', re.ASCII | re.IGNORECASE)
# What spreadsheets, databases and pandas write where there is no label.
_MISSING = frozenset(('nan', 'null', 'nat', '<na>', 'n/a', '#n/a'))
NOTHING, UNKNOWN = -1, -2


def folded(name: str) -> str:
  """Returns a name without regard to case, blanks, underscores and hyphens.

  >>> folded('Great_White-shark')
  'great white shark'
  """
  return re.sub(r'[\s_\-]+', ' ', name).strip().casefold()


def normal(name: str) -> str:
  """Returns what equal names have in common, however they are written.

  >>> normal('Great_White-shark'), normal('tench, Tinca tinca')
  ('great white shark', 'tench')
  """
  return folded(name.partition(',')[0])


def index_of(text: str) -> int | None:
  """Returns the whole number that a text is, None if it is none.

  >>> index_of('65'), index_of('65.000000'), index_of('65.5'), index_of('-1')
  (65, 65, None, None)
  """
  found = _INDEX.fullmatch(text)
  return int(found[1]) if found else None


def no_classes(texts: Iterable[str]) -> list[str]:
  """Returns which of some labels can be no classes, though nothing names the classes.

  That is what programs write for no label and, where all are numbers, those that are
  not whole or below 0.

  >>> no_classes(['cat', 'NaN']), no_classes(['0', '1.5']), no_classes(['cat', '1.5'])
  (['NaN'], ['1.5'], [])
  """
  texts = list(texts)
  odd = [text for text in texts if text.casefold() in _MISSING]
  if not odd and all(map(_is_number, texts)):
    odd = [text for text in texts if index_of(text) is None]
  return odd


def _is_number(text: str) -> bool:
  try:
    float(text.replace(',', '.'))
  except ValueError:
    return False
  return True


class Meanings:
  """What texts mean in a label space.

  In this order: an id (a wnid, the name of a folder); an index, perhaps as `65.0`; an
  id in other case; a wnid with something behind it, as in `n01440764_tench`; a readable
  name, whatever its case, with blanks or underscores. Where ids are numbers themselves,
  texts are ids if all of them are, and else indices.
  """

  def __init__(self, space: LabelSpace):
    self.space = space
    self._ids = space.index_of_id
    self._of_number = _numbered(space.class_ids)

  @functools.cached_property
  def _folded(self) -> dict[str, list[int]]:
    return _places([one.casefold() for one in self.space.class_ids])

  @functools.cached_property
  def _exact(self) -> dict[str, list[int]]:
    # Two classes are Cardigan, a dog, and cardigan.
    return _places(self.space.class_names)

  @functools.cached_property
  def _named(self) -> dict[str, list[int]]:
    return _places([normal(one) for one in self.space.class_names])

  def indices(self, texts: pa.Array) -> np.ndarray:
    """Returns the class of each text.

    Args:
      texts: string [n]; `''` is no label.

    Returns:
      int32 [n], class indices, `NOTHING`, or `UNKNOWN`.
    """
    coded = texts.dictionary_encode()
    # More are no labels: nothing has so many classes.
    different = coded.dictionary[: budgets.CLASSES].to_pylist()
    different = [text.strip() for text in different]
    of_number = self._of_number
    if of_number and all(index_of(text) in of_number for text in different if text):
      known = [of_number[index_of(one)] if one else NOTHING for one in different]
    else:
      known = [self._of(text) for text in different]
    known += [UNKNOWN] * (len(coded.dictionary) - len(known))
    return np.array(known, np.int32)[to_numpy(coded.indices)]

  def of_named(self, texts: pa.Array, names: Sequence[str]) -> np.ndarray:
    """Returns the class of each text, a number of one of some names.

    Args:
      texts: string [n]; `''` and `'-1'` are no label.
      names: ids or readable names. Of those that several classes have the first is
        the first class.

    Returns:
      int32 [n], as `indices` does.
    """
    seen: collections.Counter[str] = collections.Counter()
    meant = self.indices(arrow.strings(names)).tolist()
    for place, name in enumerate(map(normal, names)):
      several = self._named.get(name, [])
      if meant[place] == UNKNOWN and seen[name] < len(several):
        meant[place] = several[seen[name]]
        seen[name] += 1
    coded = texts.dictionary_encode()
    known = []
    for text in coded.dictionary.to_pylist():
      index = index_of(text)
      inside = index is not None and index < len(meant)
      known.append(
        meant[index] if inside else NOTHING if text in ('', '-1') else UNKNOWN
      )
    return np.array(known, np.int32)[to_numpy(coded.indices)]

  def _of(self, text: str) -> int:
    if not text:
      return NOTHING
    if not self._of_number and text in self._ids:
      return self._ids[text]
    index = index_of(text)
    if index is not None:
      return index if index < len(self.space) else UNKNOWN
    wnid = _WNID.match(text)
    places = (
      self._folded.get(text.casefold())
      or (self._folded.get(wnid[1].casefold()) if wnid else None)
      or self._exact.get(text)
      or self._named.get(normal(text))
    )
    return places[0] if places and len(places) == 1 else UNKNOWN

  def explain(self, text: str) -> str:
    """Returns what is wrong with a text that is `UNKNOWN`, for messages."""
    several = self._named.get(normal(text), [])
    if len(several) > 1:
      ids = listed(self.space.class_ids[i] for i in several)
      return f'which {len(several)} classes are called: expected one of {ids}'
    what = 'a wnid' if _WNID.fullmatch(self.space.class_ids[0]) else 'an id'
    return f'expected a class from 0 to {len(self.space) - 1}, {what} or a name'


def _numbered(ids: Sequence[str]) -> dict[int | None, int]:
  """Returns the class of each number, if all ids are different numbers, else none."""
  numbers = [index_of(one) for one in ids]
  found = {number: place for place, number in enumerate(numbers)}
  return found if None not in found and len(found) == len(ids) else {}


def _places(names: Sequence[str]) -> dict[str, list[int]]:
  found: dict[str, list[int]] = {}
  for index, name in enumerate(names):
    found.setdefault(name, []).append(index)
  return found
