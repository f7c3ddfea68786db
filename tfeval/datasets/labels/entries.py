"""What files of labels say, before anybody knows what it means."""

import dataclasses
import pathlib

import numpy as np
import pyarrow as pa

from tfeval.datasets.labels import imagenet
from tfeval.utils.errors import UserError


@dataclasses.dataclass(frozen=True)
class LabelEntries:
  """Texts of labels for each of m lines or entries.

  Attributes:
    ids: string [m], an image may have several; None: the validation images, image 1
      first.
    texts: string [n], those of the first entry first; `''` is no label.
    sizes: int64 [m], how many belong to each entry; they sum to n.
    sets: whether several labels of an image make a set; else they are a mistake.
    class_names: what the numbers among the texts mean, 0 first; None: nothing says so.
  """

  ids: pa.Array | None
  texts: pa.Array
  sizes: np.ndarray
  sets: bool = True
  class_names: tuple[str, ...] | None = None

  @classmethod
  def one_each(
    cls, ids: pa.Array | None, texts: pa.Array, sets: bool = True
  ) -> 'LabelEntries':
    """Returns entries with one label each, perhaps `''`."""
    return cls(ids, texts, np.ones(len(texts), np.int64), sets)

  @property
  def entry_of_text(self) -> np.ndarray:
    """int64 [n], to which entry each text belongs."""
    return np.repeat(np.arange(len(self.sizes)), self.sizes)

  def name(self, entry: int) -> str:
    """Returns the image of an entry, for messages."""
    if self.ids is None:
      return imagenet.validation_name(entry + 1)
    return self.ids[entry].as_py()


def check_count(path: pathlib.Path, count: int) -> None:
  """Checks that there is an entry for each validation image, where none is named.

  Raises:
    UserError: there is another number.
  """
  if count != imagenet.NUM_VALIDATION:
    raise UserError(
      f'{path} has {count} entries, expected {imagenet.NUM_VALIDATION}, one '
      'for each validation image: give labels of others by file name'
    )
