"""What labels that are numbers count from, by what the data prove."""

from collections.abc import Sequence

import numpy as np

from tfeval.datasets.containers import checks, proofs
from tfeval.datasets.containers.locations import Location
from tfeval.datasets.labels import imagenet
from tfeval.utils.errors import UserError


def start(
  location: Location,
  numbers: np.ndarray,
  count: int | None,
  count_from: int | None,
  is_declared: bool = False,
) -> int:
  """Returns the number of the first class.

  Args:
    location: whose option goes before.
    numbers: int64 [images].
    count: of the classes; None where nothing tells.
    count_from: what it is where the numbers do not prove it; None to ask.
    is_declared: whether the container itself says so, by names of its classes.

  Raises:
    UserError: it cannot be known.
  """
  if location.first_label is not None:
    return location.first_label
  low, high = int(numbers.min()), int(numbers.max())
  if low == 0:
    return 0
  if high == (len(imagenet.label_space()) if count is None else count):
    return 1
  # From 1 on: they count from 1, or the first of classes from 0 on has no image.
  if count_from is not None and (low != 1 or is_declared):
    return count_from
  raise UserError(
    f'{location.name}: labels are {low} to {high}, which does not tell what the first '
    'class is: add :first_label=1 to the name (0 is background), or :first_label=0'
  )


def by_names(
  location: Location, images: Sequence[str], numbers: np.ndarray, known: np.ndarray
) -> tuple[np.ndarray, list[int] | None, tuple[str, ...]]:
  """Returns labels by what the names of images prove of the numbers.

  Args:
    location: whose option goes before.
    images: names of the images.
    numbers: int64 [images].
    known: int64 [images], the ILSVRC2012 class that each name proves, -1 for none; one
      at least.

  Returns:
    int64 [images], classes of ILSVRC2012; those that compete where numbers count only
    the classes that occur, as in a part of ImageNet; and what was decided.

  Raises:
    UserError: the names contradict all countings, or cannot tell two of them.
  """
  every = np.arange(len(imagenet.label_space()))
  ways = {
    'from 0': (0, every),
    'from 1': (1, every),
    'ILSVRC ids': (1, np.argsort(imagenet.ilsvrc_ids())),
  }
  part = np.unique(known)
  if (known >= 0).all() and not any(map(proofs.validation_number, images)):
    ways |= {f'from {n} those that occur': (n, part) for n in (0, 1)}
  if location.first_label is not None:
    ways = {way: ways[way] for way in ways if f'from {location.first_label}' in way}
  fits: dict[str, np.ndarray] = {}
  hits = {}
  for way, (start, order) in ways.items():
    inside = (numbers >= start) & (numbers < start + len(order))
    found = np.where(inside, order[np.where(inside, numbers - start, 0)], -1)
    hits[way] = int((found == known)[known >= 0].sum())
    if hits[way] == (known >= 0).sum():
      checks.inside(location, images, numbers, ~inside)
      fits[way] = found
  if not fits:
    way = max(hits, key=lambda name: hits[name])
    start, order = ways[way]
    raise UserError(
      f'{location.name}: {hits[way]} of {(known >= 0).sum()} labels are the classes '
      f'that the names of the images prove, counted {way}: label them again'
    )
  if len({found.tobytes() for found in fits.values()}) > 1:
    raise UserError(
      f'{location.name}: labels count {" or ".join(fits)}: too few images tell: add '
      ':first_label=0 or :first_label=1 to the name'
    )
  way = next(iter(fits))
  notes = () if way == 'from 0' else (f'labels count {way}, as names of images prove',)
  few = len(ways[way][1]) < len(every)
  return fits[way], part.tolist() if few else None, notes
