"""Label sets by name or path, matched to rows by their ids; and subsets of images."""

import dataclasses
import functools
import pathlib
from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfeval.datasets.labels import files, imagenet
from tfeval.datasets.labels.files import LabelTable, first
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.metrics.accuracy import LabelSets
from tfeval.utils import arrow, budgets, paths, untrusted
from tfeval.utils.arrow import to_numpy
from tfeval.utils.errors import UserError

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
  """

  name: str
  file: LabelTable | None = None
  path: pathlib.Path | None = None

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
    if unlabelled.any():
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
    given: of each `original`, `real` (those that the rows carry), or a path, see
      `files.read_labels`; or one of `prepared`; or an opened one.
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
  if twice := files.doubles([labels.name for labels in found]):
    raise UserError(
      f'`labels`: two sets are called {twice[0]}: leave one out, or rename a file'
    )
  return found


def _open(
  text: str, space: LabelSpace, prepared: Mapping[str, LabelTable]
) -> LabelSource:
  if text in (ORIGINAL, REAL) or text in prepared:
    return LabelSource(text, prepared.get(text))
  path = pathlib.Path(text).expanduser()
  if path.stem == ORIGINAL or SUBSET_SUFFIX in path.stem:
    raise UserError(
      f'`labels={text}` would be called {path.stem}, which stands for '
      'something else in results: rename the file'
    )
  return LabelSource(path.stem, files.read_labels(path, space), path)


@functools.cache
def packaged() -> LabelTable:
  """Returns the original validation labels as TFDS packages them."""
  values = np.array(imagenet.original_validation_labels(), np.int32)
  return LabelTable(None, values, np.ones(len(values), np.int64), '')


def check_ids(labels: LabelSource, ids: pa.Array, where: paths.Path) -> None:
  """Checks that a file of labels names no image that nobody knows.

  Args:
    labels: a label set.
    ids: string [n], of a run's images.
    where: the run's directory, for the message.

  Raises:
    UserError: an id is neither one of the run's nor a validation image's; names the
      first ten.
  """
  named = labels.ids
  if named is None:
    return
  others = arrow.without(named, ids).to_pylist()
  if unknown := [name for name in others if not imagenet.validation_number(name)]:
    raise UserError(
      f'{labels.path}: {len(unknown)} of its {len(named)} ids are neither of {where} '
      f'nor of validation images: {first(unknown)}: mend or remove these'
    )


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
    at = to_numpy(pc.index_in(ids, file.ids), null=-1)
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


@dataclasses.dataclass(frozen=True)
class Subset:
  """The images that a second accuracy is counted over.

  Attributes:
    keep: ids of the only images that count; None for all.
    omit: ids of images that do not.
  """

  keep: pa.Array | None
  omit: pa.Array | None

  def mask(self, ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Returns bool [n]: which images belong to it."""
    inside = np.ones(len(ids), bool)
    if self.keep is not None:
      inside &= to_numpy(pc.is_in(ids, self.keep))
    if self.omit is not None:
      inside &= ~to_numpy(pc.is_in(ids, self.omit))
    return inside

  def check(self, ids: pa.Array, where: paths.Path) -> None:
    """Checks that it names nothing but these images, and some of them.

    Raises:
      UserError: it names others, and lists the first ten; or leaves none.
    """
    for flag, listed in (('keep', self.keep), ('omit', self.omit)):
      if listed is None:
        continue
      if unknown := arrow.without(listed, ids).to_pylist():
        raise UserError(
          f'`{flag}`: {len(unknown)} of {len(listed)} ids are none of '
          f'the {len(ids)} images: {first(sorted(unknown))}'
        )
    if not self.mask(ids).any():
      raise UserError(
        f'`keep` and `omit` leave none of the {len(ids)} images of {where}'
      )


def open_subset(keep: str | None, omit: str | None) -> Subset | None:
  """Reads lists of ids; returns None without any.

  Args:
    keep, omit: paths, see `read_ids`.
  """
  if keep is None and omit is None:
    return None
  lists = [
    None if path is None else pc.unique(read_ids(pathlib.Path(path)))
    for path in (keep, omit)
  ]
  return Subset(*lists)


def read_ids(path: pathlib.Path) -> pa.Array:
  """Reads ids: one on each line, or a JSON list of them (`.json`).

  Raises:
    UserError: the file is missing, empty, or no such list.
  """
  path = path.expanduser()
  if path.suffix.lower() == '.json':
    found = files.read_json_without_repeats(path)
    if not isinstance(found, list) or set(map(type, found)) - {str}:
      raise UserError(f'{path} is not a list of ids')
  else:
    found = _read_lines(path)
  if not found:
    raise UserError(f'{path} lists no ids')
  return files.to_ids(path, found)


def _read_lines(path: pathlib.Path) -> list[str]:
  try:
    content = untrusted.read_bytes(path, budgets.TEXT_FILE)
    files.check_rows(path, content.count(b'\n'))
    lines = content.decode().split('\n')
  except OSError as error:
    raise UserError(f'cannot read ids {path}: {error.strerror}') from error
  except UnicodeDecodeError as error:
    raise UserError(f'{path} is not text: expected one id on each line') from error
  return [line.removesuffix('\r') for line in lines if line.strip()]


def select(labels: LabelSets, inside: np.ndarray) -> LabelSets:
  """Returns the sets of some examples.

  Args:
    labels: of n examples.
    inside: bool [n].
  """
  return LabelSets(
    np.asarray(labels.values)[np.repeat(inside, labels.sizes)],
    np.asarray(labels.sizes)[inside],
  )
