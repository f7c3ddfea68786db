"""Label sets by name or path, matched to rows by their ids."""

import dataclasses
import functools
import logging
import pathlib
from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfeval.datasets.labels import imagenet, label_errors
from tfeval.datasets.labels.label_table import LabelTable
from tfeval.datasets.labels.listing import doubles
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.metrics.accuracy import LabelSets
from tfeval.utils import arrow
from tfeval.utils.arrow import to_numpy
from tfeval.utils.errors import UserError, listed

_LOG = logging.getLogger('tfeval')
ORIGINAL, REAL = 'original', 'real'
# `original@subset`: the same labels over the images of a subset alone.
SUBSET_SUFFIX = '@subset'
# That of `imagenet.validation_number`, in lower case.
_VALIDATION_NAME = r'^ilsvrc2012_val_[0-9]{8}(_n[0-9]{8})?(\.(jpe?g|jpe|jfif|png))?$'


@dataclasses.dataclass(frozen=True)
class LabelSource:
  """A label set that rows can be scored against.

  Attributes:
    name: what metrics call it: `original`, `real`, or a file's stem.
    file: its labels; None: those that the rows carry.
    path: of the file, None without one.
    is_imagenet: whether a row without a label, but with the name of a validation image,
      has that one's.
  """

  name: str
  file: LabelTable | None = None
  path: pathlib.Path | None = None
  is_imagenet: bool = True

  @property
  def ids(self) -> pa.Array | None:
    """The images that a file names; None: the validation images, or those of rows."""
    return None if self.file is None else self.file.ids

  def of_rows(self, part: pa.Table) -> LabelSets:
    """Returns the labels of stored rows, in their order.

    Args:
      part: has `id`, and without a file `label` or `real_labels`.
    """
    if self.file is not None:
      return match(self.file, part['id'])
    if self.name == REAL:
      real = part['real_labels'].combine_chunks()
      sizes = to_numpy(pc.list_value_length(real), null=0)
      return LabelSets(to_numpy(real.flatten()), sizes)
    stored = to_numpy(part['label'], null=-1)
    unlabelled = stored < 0
    if self.is_imagenet and unlabelled.any():
      # Row by row: into which parts rows are split may not matter.
      numbers = validation_numbers(part['id'].combine_chunks())
      found = np.where(numbers > 0, packaged().values[numbers - 1], -1)
      stored = np.where(unlabelled, found, stored)
    return LabelSets.from_single(stored)


def open_labels(
  given: Iterable[str | LabelSource],
  space: LabelSpace | None = None,
  prepared: Mapping[str, LabelTable] | None = None,
) -> list[LabelSource]:
  """Opens label sets.

  Args:
    given: of each `original`, `real` (those that the rows carry), `label_errors` (see
      `label_errors.corrected`), or a path, see `files.read_labels`; or one of
      `prepared`; or an opened one.
    space: the classes; None: those of ILSVRC2012.
    prepared: label sets that are no files, by name.

  Raises:
    UserError: a file is not as it should be, or two sets have one name.
  """
  space = space or imagenet.label_space()
  found = [
    one if isinstance(one, LabelSource) else _open(one, space, prepared or {})
    for one in given
  ]
  if twice := doubles([labels.name for labels in found]):
    raise UserError(
      f'`labels`: two sets are called {twice[0]}: leave one out, or rename a file'
    )
  return found


def _open(
  text: str, space: LabelSpace, prepared: Mapping[str, LabelTable]
) -> LabelSource:
  if text in (ORIGINAL, REAL) or text in prepared:
    is_imagenet = space.digest == imagenet.label_space().digest
    return LabelSource(text, prepared.get(text), is_imagenet=is_imagenet)
  if text == label_errors.NAME:
    return _corrected(space)
  path = pathlib.Path(text).expanduser()
  if path.stem == ORIGINAL or SUBSET_SUFFIX in path.stem:
    raise UserError(
      f'`labels={text}` would be called {path.stem}, which stands for '
      'something else in results: rename the file'
    )
  from tfeval.datasets.labels import files  # With readers of every kind of file.

  table = files.read_labels(path, space)
  if table.note:
    _LOG.info('%s: %s', path, table.note)
  return LabelSource(path.stem, table, path)


def _corrected(space: LabelSpace) -> LabelSource:
  if space.digest != imagenet.label_space().digest:
    raise UserError(
      f'`labels={label_errors.NAME}` are of the 1000 classes of ILSVRC2012, the runs '
      f'are of {len(space):,} others: leave it out'
    )
  table = label_errors.corrected()
  _LOG.info('%s: %s', label_errors.NAME, table.note)
  return LabelSource(label_errors.NAME, table)


@functools.cache
def packaged() -> LabelTable:
  """Returns the original validation labels as TFDS packages them."""
  values = np.array(imagenet.original_validation_labels(), np.int32)
  return LabelTable(None, values, np.ones(len(values), np.int64), '')


def check_ids(labels: LabelSource, ids: pa.Array, where: object) -> None:
  """Checks that a file of labels names no image that nobody knows.

  Args:
    labels: a label set.
    ids: string [n], of a run's images.
    where: whose they are, such as the run's directory, for the message.

  Raises:
    UserError: an id is neither one of the run's nor a validation image's; names the
      first ten.
  """
  named = labels.ids
  if named is None:
    return
  unmatched = np.flatnonzero(_rows_of(labels, ids) < 0)
  others = named.take(arrow.numbers(unmatched)).to_pylist()
  if unknown := [name for name in others if not _is_validation_image(name)]:
    raise UserError(
      f'{labels.path}: {len(unknown)} of its {len(named)} ids are neither of {where} '
      f'nor of validation images: {listed(unknown)}: correct or remove these'
    )


def _is_validation_image(name: str) -> bool:
  from tfeval.datasets.labels import matching  # Of files alone.

  return imagenet.validation_number(f'{matching.stem(name)}.JPEG') is not None


def ids_as_in(labels: LabelSource, ids: pa.Array) -> pa.Array:
  """Returns the ids that a file names, as a run calls these images.

  Args:
    labels: of a file that names images.
    ids: string [n], of a run's images.

  Returns:
    string [m], those that are none of the run's as they stand in the file.

  Raises:
    UserError: two images of the run are the same one of the file.
  """
  row = _rows_of(labels, ids)
  found = ids.take(arrow.numbers(np.maximum(row, 0), row < 0))
  return pc.coalesce(found, labels.ids)


def _rows_of(labels: LabelSource, ids: pa.Array) -> np.ndarray:
  """Returns int64 [m]: which of a run's images each id of a file is, -1 for none."""
  assert labels.file is not None and labels.file.ids is not None
  named = labels.file.ids
  place = labels.file.matcher.places(ids)
  counts = np.bincount(place[place >= 0], minlength=len(named))
  if (several := np.flatnonzero(counts > 1)).size:
    both = ids.take(arrow.numbers(np.flatnonzero(place == several[0]))).to_pylist()
    raise UserError(
      f'{labels.path}: {several.size} of its ids mean several images each: '
      f'{named[several[0]].as_py()} is {" and ".join(both[:2])}: write these out'
    )
  row = np.full(len(named), -1)
  row[place[place >= 0]] = np.flatnonzero(place >= 0)
  return row


def match(file: LabelTable, ids: pa.Array | pa.ChunkedArray) -> LabelSets:
  """Finds the labels of images by their ids.

  Args:
    file: the labels.
    ids: string [n].

  Returns:
    A set for each of the n images; empty where the file has none.
  """
  ids = arrow.joined(ids)
  if file.ids is None:
    at = validation_numbers(ids) - 1
  else:
    at = file.matcher.places(ids)
  sizes = np.where(at >= 0, file.sizes[at], 0)
  starts = (np.cumsum(file.sizes) - file.sizes)[at]
  # Set i goes to the places from the sum of the sizes before it.
  shift = np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)
  return LabelSets(file.values[shift + np.arange(len(shift))], sizes)


def validation_numbers(ids: pa.Array) -> np.ndarray:
  """Does what `imagenet.validation_number` does, for n ids at once.

  Args:
    ids: string [n].

  Returns:
    int64 [n], 1 to 50,000, or 0 for what is no validation image.

  >>> validation_numbers(pa.array(['ILSVRC2012_val_00000007.JPEG', 'cat.jpg']))
  array([7, 0])
  """
  # In lower case: matching that ignores case takes twice as long.
  ids = pc.ascii_lower(ids)
  fits = pc.match_substring_regex(ids, _VALIDATION_NAME)
  digits = pc.utf8_slice_codeunits(ids.filter(fits), 15, 23).cast(pa.int64())
  numbers = np.zeros(len(ids), np.int64)
  numbers[to_numpy(fits)] = to_numpy(digits)
  return np.where(numbers <= imagenet.NUM_VALIDATION, numbers, 0)
