"""Which arrays of a file are images, labels, names of images and names of classes."""

import dataclasses
import pathlib
import re
import struct
import zipfile

import numpy as np

from tfeval.datasets.containers import locations
from tfeval.datasets.containers.array_values import Array, Packed, Stored
from tfeval.datasets.containers.locations import Location
from tfeval.utils import numpy_files, untrusted
from tfeval.utils.errors import UserError, listed

IMAGES, LABELS, NAMES, CLASSES = 'images', 'labels', 'names', 'classes'
_ROLES = {
  **dict.fromkeys(('x', 'image', 'images', 'imgs', 'data', 'pixels'), IMAGES),
  **dict.fromkeys(('y', 'label', 'labels', 'target', 'targets'), LABELS),
  **dict.fromkeys(('id', 'ids', 'filename', 'filenames', 'names', 'paths'), NAMES),
  **dict.fromkeys(('classes', 'class_names', 'label_names'), CLASSES),
}
# Of a local file header of zip: its length without name and extra field.
_ZIP_HEADER = 30


@dataclasses.dataclass(frozen=True)
class Found:
  """The arrays of a dataset.

  Attributes:
    where: what messages call the images.
    images: where they are.
    labels, names, classes: small arrays; None for none.
  """

  where: str
  images: Stored | Packed
  labels: Array | None = None
  names: Array | None = None
  classes: Array | None = None


def find(location: Location, split: str | None) -> tuple[Found, Location]:
  """Finds the arrays of a dataset.

  Args:
    location: of one file. In an archive arrays are known by their names, such as
      `x_test` and `y_test`, `images` and `labels`, `val_images`; labels of a `.npy`
      file lie beside it.
    split: which one is asked for, where names tell splits.

  Returns:
    The arrays, and the location with the split.

  Raises:
    UserError: there are no images or labels, or several that could be it.
  """
  path = location.files[0]
  if path.suffix.lower() != '.npy':
    return _in_archive(location, path, split)
  found = numpy_files.load_npy(path)
  if not found.flags.c_contiguous:
    raise _fortran(str(path))
  images = Stored(found.offset, found.shape, found.dtype)  # type: ignore[attr-defined]
  if location.labels is not None:
    return Found(str(path), images), location
  beside = labels_beside(path)
  labels = next((one for one in beside if one.is_file()), None)
  if labels is None:
    raise UserError(
      f'{path} has no labels beside it: put them into {beside[0].name}, or give a file '
      'by :labels=FILE behind the name'
    )
  # Nobody has named it, so that it may not be a link to anywhere.
  untrusted.check_inside(labels, labels.parent)
  return Found(str(path), images, Array(labels)), location


def labels_beside(path: pathlib.Path) -> list[pathlib.Path]:
  """Returns where labels of an array by itself may lie, likely ones first.

  >>> [str(one) for one in labels_beside(pathlib.Path('x_test.npy'))]
  ['y_test.npy', 'x_test_labels.npy']
  >>> str(labels_beside(pathlib.Path('val_images.npy'))[0])
  'val_labels.npy'
  """
  words = re.split('(_|-)', path.stem)
  other = {'x': 'y', 'X': 'y', 'image': 'label'}
  named = [
    other.get(word, LABELS) if _ROLES.get(word.lower()) == IMAGES else word
    for word in words
  ]
  stems = [''.join(named), f'{path.stem}_labels']
  return [path.with_name(f'{stem}.npy') for stem in stems if stem != path.stem]


def _in_archive(
  location: Location, path: pathlib.Path, split: str | None
) -> tuple[Found, Location]:
  with numpy_files.opened(path) as archive:
    names = [name.removesuffix('.npy') for name in archive.namelist()]
    known: dict[tuple[str, str], list[str]] = {}
    for name in names:
      role, of_split = _role(name)
      known.setdefault((role, of_split), []).append(name)
    splits = {of_split for role, of_split in known if role == IMAGES}
    if not splits:
      raise UserError(
        f'{path} holds no array of images by its name: expected images, x or x_test, '
        f'seen {listed(names, none="nothing")}'
      )
    chosen = locations.chosen_split(path, splits, split)

    def one(role: str) -> Array | None:
      found = known.get((role, chosen)) or known.get((role, ''), [])
      if len(found) > 1:
        raise UserError(
          f'{path} holds several arrays of {role}, {listed(found)}: store one'
        )
      return Array(path, found[0]) if found else None

    labels = one(LABELS)
    if location.label is not None:
      labels = Array(path, location.label)
    if labels is None and location.labels is None:
      raise UserError(
        f'{path} holds no array of labels by its name: expected labels, y or y_test, '
        f'seen {listed}: say which by :label=NAME behind the name'
      )
    images = one(IMAGES)
    assert images is not None and images.name is not None
    return (
      Found(
        str(images),
        _place(path, archive, images.name),
        labels,
        one(NAMES),
        one(CLASSES),
      ),
      dataclasses.replace(location, split=chosen),
    )


def _role(name: str) -> tuple[str, str]:
  """Returns what an array is by its name, '' for anything else, and of which split."""
  split = locations.split_of(name)
  words = [word for word in re.split(r'[^a-z]+', name.lower()) if word]
  rest = '_'.join(word for word in words if not split or not locations.split_of(word))
  return _ROLES.get(rest, ''), split


def _place(path: pathlib.Path, archive: zipfile.ZipFile, name: str) -> Stored | Packed:
  with numpy_files.array(path, archive, name) as array:
    shape, dtype = array.shape, array.dtype
    if array.fortran:
      raise _fortran(f'{path}: {name}')
  member = archive.getinfo(f'{name}.npy')
  if member.compress_type != zipfile.ZIP_STORED:
    return Packed(name, shape, dtype)
  size = int(np.prod([*shape, dtype.itemsize], dtype=object))
  assert archive.fp is not None
  archive.fp.seek(member.header_offset)
  header = archive.fp.read(_ZIP_HEADER)
  lengths = struct.unpack('<HH', header[26:30])
  end = member.header_offset + _ZIP_HEADER + sum(lengths) + member.file_size
  if size > member.file_size or end > path.stat().st_size:
    raise UserError(f'{path}: {name} is shorter than its shape: get it again')
  return Stored(end - size, shape, dtype)


def _fortran(where: str) -> UserError:
  return UserError(
    f'{where} is in Fortran order: store it by np.ascontiguousarray(images)'
  )
