"""What a file that was given as weights really is, for the errors that say so."""

import pathlib
import zipfile

import h5py

from tfeval.utils.errors import UserError

# First bytes, and what has them.
_KINDS = (
  (b'\x89HDF', 'HDF5 that was cut off'),
  (b'\x80', 'a Python pickle, as PyTorch writes them'),
  (b'PK', 'a ZIP archive'),
)
_OPTIMIZERS = ('optimizer', 'optimizer_weights')


def described(path: pathlib.Path) -> str:
  """Returns what a file is in a few words, such as `HDF5 of 475,544 values`."""
  if path.is_dir():
    return 'a folder'
  if h5py.is_hdf5(path):
    try:
      return f'HDF5 of {_values(path):,} values'
    except (OSError, RuntimeError, KeyError):
      return 'damaged HDF5'
  with open(path, 'rb') as file:
    start = file.read(64)
  if not start:
    return 'empty'
  if zipfile.is_zipfile(path) and 'model.weights.h5' in _members(path):
    return 'a whole .keras model, to be given as `model`'
  for first, kind in _KINDS:
    if start.startswith(first):
      return kind
  if start.decode('latin-1').replace('\n', ' ').isprintable():
    return f'text that begins {start.decode("latin-1").split(chr(10))[0][:40]!r}'
  return f'of another format that begins with the bytes {start[:4].hex(" ")}'


def _members(path: pathlib.Path) -> list[str]:
  try:
    with zipfile.ZipFile(path) as archive:
      return archive.namelist()
  except (zipfile.BadZipFile, OSError, ValueError):
    return []


def _values(path: pathlib.Path) -> int:
  count = 0

  def add(name, item):
    nonlocal count
    if isinstance(item, h5py.Dataset) and name.partition('/')[0] not in _OPTIMIZERS:
      count += item.size or 0

  with h5py.File(path, 'r') as file:
    file.visititems(add)
  return count


def is_legacy(path: pathlib.Path) -> bool:
  """Whether an HDF5 file has the layout of Keras 2 and of whole models.

  Raises:
    OSError: the file is damaged.
    UserError: it has no layout of Keras.
  """
  with h5py.File(path, 'r') as file:
    if 'layer_names' in file.attrs or 'model_weights' in file:
      return True
    # In the layout of Keras 3 each layer keeps its variables in a group `vars`.
    if file.visit(lambda name: name.endswith('vars') or None):
      return False
  raise UserError(
    f'weights {path} are HDF5, but not as Keras saves weights: expected '
    '.h5 or .weights.h5'
  )
