"""What labels may not be: missing, outside of the classes, against what names prove."""

from collections.abc import Sequence

import numpy as np

from tfeval.datasets.containers.locations import Location
from tfeval.datasets.labels import imagenet
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.utils.errors import UserError, listed


def labelled(location: Location, images: Sequence[str], without: np.ndarray) -> None:
  """Raises a UserError if images have no label."""
  if not without.any():
    return
  if without.all():
    raise UserError(
      f'{location.name} has no labels: give them by :labels=FILE behind the name, or '
      'take a split that has some'
    )
  missing = [images[at] for at in np.flatnonzero(without)]
  raise UserError(
    f'{location.name} has {len(missing)} images without label: {listed(missing)}: '
    'label them, or leave them out'
  )


def inside(
  location: Location, images: Sequence[str], seen: Sequence, outside: np.ndarray
) -> None:
  """Raises a UserError if labels are outside of the classes."""
  if outside.any():
    at = np.flatnonzero(outside)
    named = [f'{seen[i]!s:.40} of {images[i]}' for i in at[:10]]
    raise UserError(
      f'{location.name} has {len(at)} labels outside of the classes: '
      f'{listed(named, count=len(at))}: '
      'label them again, or give the classes by :classes=FILE behind the name'
    )


def proven(
  location: Location,
  images: Sequence[str],
  space: LabelSpace,
  labels: np.ndarray,
  known: np.ndarray,
) -> None:
  """Raises a UserError if ImageNet's labels contradict the names of the images."""
  if space is not imagenet.label_space():
    return
  wrong = np.flatnonzero((known >= 0) & (known != labels))
  if wrong.size:
    ids = space.class_ids
    at = wrong[0]
    raise UserError(
      f'{location.name}: {len(wrong)} labels are not the classes that the names of '
      f'the images prove, such as {images[at]}, labelled '
      f'{ids[labels[at]]} in place of {ids[known[at]]}: label them again'
    )
