"""A dataset of what was found in containers."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from tfeval.datasets import base
from tfeval.datasets.containers import proofs
from tfeval.datasets.containers.classes import Labelled
from tfeval.datasets.containers.locations import Location
from tfeval.datasets.options import DatasetConfig
from tfeval.utils import files


@dataclasses.dataclass(frozen=True)
class Found:
  """Images in containers, in order.

  Attributes:
    location: the files.
    ids: of the images, each once.
    labelled: their labels.
    sizes: something of each image that is likely to change with it, such as its size.
    images: makes a `tf.data.Dataset` of encoded images, scalar strings, from a first
      position, the one behind the last, and a step; the positions may be int64 [] in a
      graph, and then there is no step but 1.
    notes: what a reader of the result must know.
    read_by_python: as of `base.ImageDataset`.
    encoded: as of `base.ImageDataset`.
    has_stride: whether images can be left out without being read.
  """

  location: Location
  ids: Sequence[str]
  labelled: Labelled
  sizes: Sequence[object]
  images: Callable[[Any, Any, int], Any]
  notes: tuple[str, ...] = ()
  read_by_python: bool = True
  encoded: bool = True
  has_stride: bool = True


def make(config: DatasetConfig, found: Found) -> base.ImageDataset:
  """Returns the dataset, without reading an image.

  Args:
    config: `limit` takes the first images in the order of the files.
    found: what there is.

  Raises:
    UserError: ReaL labels are asked for of images that have none.
  """
  limit = config.limit
  if limit is not None and limit >= len(found.ids):
    limit = None  # It is the whole.
  ids, labels = list(found.ids[:limit]), found.labelled.labels[:limit]
  label_sets = {}
  if config.real_labels is not None:
    by_name = base.RealLabels(config.real_labels)
    label_sets[base.REAL] = base.LabelSet(by_name.digest, {i: by_name[i] for i in ids})
  notes = found.labelled.notes + found.notes
  if limit is None and proofs.validation_number(ids[0]):
    notes = base.partial_notes(len(ids)) + notes

  def examples(start: Any = 0, stop: Any = None, step: int = 1) -> Any:
    from tfeval.datasets.containers import reading  # TensorFlow, which takes seconds.

    stop = len(ids) if stop is None else stop
    images = found.images(start, stop, step)
    return reading.with_columns(ids, labels, images, start, stop, step)

  return base.ImageDataset(
    name=found.location.name,
    config=None,
    version=None,
    split=found.location.split,
    label_space=found.labelled.space,
    competing=found.labelled.competing,
    listed=found.labelled.listed,
    num_examples=len(ids),
    expected_ids=ids,
    has_ids_in_order=True,
    limit=limit,
    notes=notes,
    label_sets=label_sets,
    size_digest=files.digest_of_pairs(
      (name, f'{label}\t{size}')
      for name, label, size in zip(ids, labels, found.sizes[:limit], strict=True)
    ),
    examples=lambda start=0, stop=None: examples(start, stop),
    strided=(lambda n: examples(step=n)) if found.has_stride else None,
    read_by_python=found.read_by_python,
    encoded=found.encoded,
  )
