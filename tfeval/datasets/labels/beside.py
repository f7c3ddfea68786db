"""Labels that lie in a file beside the images: the classes that these images have."""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfeval.datasets.labels import devkit, files, imagenet, numbering, sets
from tfeval.datasets.labels.entries import LabelEntries
from tfeval.datasets.labels.label_table import LabelTable
from tfeval.datasets.labels.listing import doubles
from tfeval.datasets.labels.matching import Matcher
from tfeval.datasets.labels.meanings import UNKNOWN, Meanings, index_of, no_classes
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.metrics.accuracy import LabelSets
from tfeval.utils import arrow, budgets
from tfeval.utils.errors import UserError, listed


@dataclasses.dataclass(frozen=True)
class ImageLabels:
  """The labels of n images, and the classes that they are of.

  Attributes:
    space: the classes: those of ILSVRC2012, or those that the file names.
    labels: [n], a class index for each image.
    classes: the indices of those that the images have, ascending.
    note: what a reader of the result must know.
  """

  space: LabelSpace
  labels: list[int]
  classes: list[int]
  note: str


def read_image_labels(path: pathlib.Path, ids: Sequence[str], name: str) -> ImageLabels:
  """Reads the labels of images that nothing else says.

  The classes are those of ILSVRC2012 if the images are validation images, if all labels
  are wnids or readable names of these, or if they are numbers below 1000 with gaps.
  Else they are what the labels are called, in the order of the text; numbers from 0 or
  1 on without gaps are classes of their own, in their order.

  Args:
    path: of the file, see `files.read_labels`.
    ids: file names of the images, with a folder or without.
    name: of the classes, where they are the file's own.

  Raises:
    UserError: the file cannot be read; an image has no label or two, a label no image;
      labels of validation images are numbered otherwise than the classes.
  """
  images = arrow.strings(ids)
  entries, _ = files.read_entries(path, lambda texts: _are_labels(texts, images))
  is_validation = sets.validation_numbers(images) > 0
  space = _space(path, entries, bool(is_validation.all()), name)
  table = files.read_labels(path, space)
  source = sets.LabelSource(path.stem, table, path)
  sets.check_ids(source, images, f'the {len(ids)} images')
  found = source.of_rows(pa.table({'id': images}))
  check_one_each(path, ids, found)
  check_numbering(path, images, found, space)
  classes = np.unique(found.values).tolist()
  of = 'the classes of ILSVRC2012' if _is_imagenet(space) else 'classes of their own'
  note = f'labels of {path.name}: {of}, {len(classes)} of {len(space)}'
  if table.note:
    note += f', {table.note}'
  return ImageLabels(space, found.values.tolist(), classes, note)


def _is_imagenet(space: LabelSpace) -> bool:
  return space.digest == imagenet.label_space().digest


def _are_labels(texts: pa.Array, images: pa.Array) -> bool:
  """Whether a column without a name is one of labels: it names none of the images."""
  return not (Matcher(images).places(texts) >= 0).any()


def _space(
  path: pathlib.Path, entries: LabelEntries, is_validation: bool, name: str
) -> LabelSpace:
  """Returns the classes that texts are of; see `read_image_labels`."""
  known = imagenet.label_space()
  if entries.class_names is not None and not is_validation:
    return _named_space(path, entries.class_names, name)
  texts = [text.strip() for text in pc.unique(entries.texts).to_pylist()]
  texts = sorted({text for text in texts if text})
  if is_validation or devkit.is_ground_truth(entries, known):
    return known
  _check_texts(path, entries, texts)
  numbers = [index_of(text) for text in texts]
  if None not in numbers:
    own = sorted({one for one in numbers if one is not None})
    if len(own) < 2 or own not in (list(range(len(own))), list(range(1, len(own) + 1))):
      if own and own[-1] >= len(known):
        raise UserError(
          f'{path}: its labels are {len(own)} numbers from {own[0]} to {own[-1]} with '
          'gaps, and nothing says how many classes there are: give their names'
        )
      return known
    if len(own) == len(known):
      return known
    texts = [str(one) for one in own]
  elif (Meanings(known).indices(arrow.strings(texts)) != UNKNOWN).all():
    return known
  if len(texts) > budgets.CLASSES:
    raise UserError(
      f'{path} names {len(texts):,} classes, expected at most {budgets.CLASSES:,}'
    )
  return LabelSpace(name, tuple(texts), tuple(texts))


def _check_texts(
  path: pathlib.Path, entries: LabelEntries, texts: Sequence[str]
) -> None:
  """Checks that no label is what programs write for none, or a number but no class.

  Args:
    path: of the file.
    entries: what it says.
    texts: each of its labels once.

  Raises:
    UserError: one is.
  """
  odd = no_classes(texts)
  if odd:
    stripped = [text.strip() for text in entries.texts.to_pylist()]
    image = entries.name(int(entries.entry_of_text[stripped.index(odd[0])]))
    raise UserError(
      f'{path}: the label of {image} is {odd[0][:40]!r}, expected a name or a whole '
      'number from 0 on: correct it, or leave the image out'
    )


def _named_space(path: pathlib.Path, names: Sequence[str], name: str) -> LabelSpace:
  """Returns the classes that a file names in their order."""
  known = imagenet.label_space()
  if (Meanings(known).indices(arrow.strings(names)) != UNKNOWN).all():
    return known
  if twice := doubles(list(names)):
    raise UserError(
      f'{path} names {len(twice)} classes twice: {listed(twice)}: rename one of each'
    )
  return LabelSpace(name, tuple(names), tuple(names))


def check_one_each(path: pathlib.Path, ids: Sequence[str], found: LabelSets) -> None:
  """Checks that each image has one label.

  Args:
    path: of the file of labels.
    ids: of n images.
    found: a set for each.

  Raises:
    UserError: some have none, or several; says how many and names the first ten.
  """
  sizes = np.asarray(found.sizes)
  for wrong, what, advice in (
    (sizes == 0, 'no label', 'add these, or remove the images'),
    (sizes > 1, 'several different labels', 'leave one of each'),
  ):
    if wrong.any():
      names = [ids[i] for i in np.flatnonzero(wrong)[:10].tolist()]
      told = listed(names, count=int(wrong.sum()))
      raise UserError(
        f'{path}: {int(wrong.sum())} of {len(ids)} images have {what}: {told}: {advice}'
      )


def check_numbering(
  path: pathlib.Path, images: pa.Array, found: LabelSets, space: LabelSpace
) -> None:
  """Checks that labels are not numbered otherwise, where all are of validation images.

  Args:
    path: of the file of labels.
    images: string [n], ids.
    found: a set for each.
    space: the classes of the labels.

  Raises:
    UserError: they agree with the packaged labels under another numbering only.
  """
  numbers = sets.validation_numbers(images)
  if not (numbers > 0).all() or not _is_imagenet(space):
    return
  counts = numbering.NumberingCounts(space)
  packaged: LabelTable = sets.packaged()
  counts.add(packaged.values[numbers - 1], found)
  name = counts.found()
  if name is not None:
    raise UserError(
      f'{path}: its labels seem to be {numbering.WORDS[name]}: {counts.as_they_stand} '
      f'of {counts.count} are those of the validation images as they stand, '
      f'{counts.others[name]} under that: give them as indices from 0, or as wnids'
    )
