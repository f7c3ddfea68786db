"""Folders that are called by numbers: classes of their own, or those of ILSVRC2012.

`5` may be the sixth class of ILSVRC2012, the one with the id 5 of the development kit,
or a class of somebody's own. The numbers themselves say it where they are all of 0 to
999 or of 1 to 1000; else images whose class their names tell do, or nobody knows.
"""

import collections
from collections.abc import Iterable, Sequence

from tfeval.datasets.labels import imagenet
from tfeval.datasets.labels.spaces import ILSVRC_ID, INDEX
from tfeval.utils.errors import UserError

_FROM_ONE = 'index + 1'


def parse(where: str, names: Iterable[str]) -> list[int] | None:
  """Returns the numbers that names are, with or without leading zeros.

  Args:
    where: they are from, for messages.
    names: of classes.

  Returns:
    None where one of them is no number.

  Raises:
    UserError: two are the same number.

  >>> parse('mine', ['0', '07', '10']), parse('mine', ['0', 'a'])
  ([0, 7, 10], None)
  """
  seen: dict[int, str] = {}
  for name in names:
    if not (name.isascii() and name.isdecimal() and len(name) < 10):
      return None
    if (number := int(name)) in seen:
      raise UserError(
        f'{where}: {seen[number]} and {name} are the same number: put them together'
      )
    seen[number] = name
  return list(seen)


def indices(where: str, numbers: Sequence[int], form: str) -> list[int]:
  """Returns the ILSVRC2012 classes that numbers mean.

  Args:
    where: they are from, for messages.
    numbers: each once.
    form: `INDEX`, or `ILSVRC_ID`.

  Raises:
    UserError: a number is none of these.

  >>> indices('mine', [449, 450], ILSVRC_ID)
  [0, 1]
  """
  of_number = _classes_by_number()[form]
  for number in numbers:
    if number not in of_number:
      raise UserError(
        f'{where}: class folder {number}, expected {min(of_number)} to '
        f'{max(of_number)} of `class_folders={form}`: rename it, or leave this out'
      )
  return [of_number[number] for number in numbers]


def form_of(
  where: str, numbers: Sequence[int], known: Iterable[tuple[int, int]]
) -> str | None:
  """Returns what numbers count, None: classes of somebody's own.

  Args:
    where: they are from, for messages.
    numbers: each once.
    known: of images whose ILSVRC2012 class their names tell, the number that they
      have and the index of this class.

  Raises:
    UserError: the images tell another order, or both orders are as good.
  """
  expected = _form_of_all(numbers)
  pairs = collections.Counter(known)
  total, by_form = sum(pairs.values()), _classes_by_number()
  fits = {
    form: sum(n for (number, index), n in pairs.items() if of.get(number) == index)
    for form, of in by_form.items()
  }
  proven = [form for form, count in fits.items() if 2 * count > total]
  if expected in proven or (expected and not total):
    return expected
  if proven == [_FROM_ONE] or (expected and total):
    counts = ', '.join(f'{count} by {form}' for form, count in fits.items())
    raise UserError(
      f'{where}: the class folders {min(numbers)} to {max(numbers)} are no ImageNet '
      f'index from 0 and no ILSVRC id: of {total} images that tell their class by '
      f'name, they hold {counts}: name the folders by wnid'
    )
  proven = [form for form in proven if form != _FROM_ONE]
  if len(proven) == 2:
    # Each has one number that the other one lacks.
    proven = [ILSVRC_ID] * (1000 in numbers) or [INDEX] * (0 in numbers)
    if not proven:
      raise UserError(
        f'{where}: the class folders may be ImageNet indices or ILSVRC ids: give '
        f'`class_folders={INDEX}` or `class_folders={ILSVRC_ID}`'
      )
  return proven[0] if proven else None


def _form_of_all(numbers: Sequence[int]) -> str | None:
  """Returns what only all numbers of a kind can be."""
  of_number = _classes_by_number()
  return next(
    (form for form in (INDEX, ILSVRC_ID) if set(numbers) == of_number[form].keys()),
    None,
  )


def _classes_by_number() -> dict[str, dict[int, int]]:
  """Returns the class of each number, of `INDEX`, `ILSVRC_ID` and `_FROM_ONE`."""
  ids = imagenet.ilsvrc_ids()
  every = list(range(len(ids)))
  return {
    INDEX: dict(zip(every, every, strict=True)),
    ILSVRC_ID: dict(zip(ids, every, strict=True)),
    _FROM_ONE: {index + 1: index for index in every},
  }
