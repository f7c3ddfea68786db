"""The right classes of images, as a file of labels gives them."""

import dataclasses
import functools
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
  from tfeval.datasets.labels.matching import Matcher


@dataclasses.dataclass(frozen=True)
class LabelTable:
  """A set of right classes for each of m images.

  Attributes:
    ids: string [m], different ids; None: the validation images, image 1 first.
    values: int32, class indices, those of the first image first.
    sizes: int64 [m], how many belong to each image; they sum to `len(values)`.
    sha256: of the file's content.
    note: how the file was read, where it could have been read otherwise; else `''`.
  """

  ids: pa.Array | None
  values: np.ndarray
  sizes: np.ndarray
  sha256: str
  note: str = ''

  @functools.cached_property
  def matcher(self) -> 'Matcher':
    """Finds ids among those of the file, which has some."""
    from tfeval.datasets.labels.matching import Matcher  # Of files alone.

    assert self.ids is not None
    return Matcher(self.ids)
