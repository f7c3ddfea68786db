"""What a model file unpacks to, looked up before anything of it is unpacked.

What Keras writes is as large as its values. A file of a stranger can declare, in a few
kilobytes, values that no memory holds, or name other files to be read.
"""

import contextlib
import io
import math
import os
import pathlib
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from typing import IO

import h5py
import keras

from tfeval.utils import budgets, errors, untrusted
from tfeval.utils.errors import UserError
from tfeval.utils.numpy_files import BROKEN_ARCHIVE

# What `model.save('x.keras')` writes (keras/src/saving/saving_lib.py).
WEIGHTS_MEMBER = 'model.weights.h5'
_MEMBERS = frozenset({'config.json', 'metadata.json', WEIGHTS_MEMBER})
# Of HDF5's own; others are libraries that it would look for and load.
_FILTERS = frozenset(
  {
    h5py.h5z.FILTER_DEFLATE,
    h5py.h5z.FILTER_SHUFFLE,
    h5py.h5z.FILTER_FLETCHER32,
    h5py.h5z.FILTER_SCALEOFFSET,
    h5py.h5z.FILTER_NBIT,
    h5py.h5z.FILTER_LZF,
  }
)


_UNKNOWN = -1
# Address space of a process that reads lists of texts, of which libraries take a half.
_LISTS, _LISTS_SECONDS = 1 << 30, 60
_READ_LISTS = """
import resource, sys
import h5py
path, most = sys.argv[1], int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (most, most))
with h5py.File(path, 'r') as file:
  file.visititems(lambda _, item: [item.attrs[key] for key in item.attrs] and None)
  [file.attrs[key] for key in file.attrs]
"""


class _Found(Exception):
  """Something in a file that Keras does not write."""


def check_hdf5(path: pathlib.Path, file: IO[bytes] | None = None) -> int:
  """Checks that an HDF5 file is as large as it says, and that it is all in it.

  Args:
    path: of the file, or what messages call it.
    file: its content, where it lies inside of another one.

  Returns:
    How many bytes its arrays have.

  Raises:
    UserError: it is damaged, unpacks to far more than it stores, links to other files,
      or is packed by a filter that is not HDF5's own.
  """
  if file is None:
    untrusted.check_file(path)
  try:
    with h5py.File(file or path, 'r') as opened:
      stored = file.seek(0, io.SEEK_END) if file else os.path.getsize(path)
      unpacked, lists = 0, False
      for name, declared in _sizes(opened):
        if declared == _UNKNOWN:
          lists = True
          continue
        unpacked += declared
        if unpacked > budgets.UNPACKED_RATIO * stored + budgets.DECODED:
          raise _Found(
            f'its arrays up to {name} unpack to {unpacked:,} bytes, expected '
            f'at most {budgets.UNPACKED_RATIO} times the {stored:,} that the file has'
          )
    if lists:
      _read_lists(path, file)
    return unpacked
  except _Found as found:
    raise UserError(f'{path}: {found}') from None
  except Exception as error:  # What damaged HDF5 makes h5py raise is open.
    raise UserError(
      f'{path} is truncated or damaged HDF5: copy it again: '
      f'{errors.one_line(error, 120)}'
    ) from error


def _read_lists(path: pathlib.Path, file: IO[bytes] | None) -> None:
  """Reads all lists of texts where it may take no more memory than `_LISTS`.

  Only reading tells how long they are, and is all or nothing: a process of its own.

  Raises:
    _Found: it takes more.
  """
  if file is not None:
    raise _Found('it has lists of texts, which Keras 3 does not write')
  read = subprocess.run(
    [sys.executable, '-I', '-c', _READ_LISTS, os.fspath(path), str(_LISTS)],
    stdin=subprocess.DEVNULL,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
    timeout=_LISTS_SECONDS,
    check=False,
  )
  if read.returncode:
    raise _Found('its lists of names cannot be read, or take more than 1 GiB')


def _sizes(file: h5py.File) -> Iterator[tuple[str, int]]:
  """Yields names and bytes of all arrays and attributes; `_UNKNOWN` of lists of texts.

  Raises:
    _Found: one is elsewhere, or packed in a way that is not HDF5's own.
  """
  names: list[str] = ['/']

  # What a visitor returns ends the visit; what it raises is lost.
  def visit(name: bytes, info: h5py.h5l.LinkInfo) -> str | None:
    text = name.decode('utf-8', 'surrogateescape')
    if info.type != h5py.h5l.TYPE_HARD:
      return f'{text} is a link, expected none'
    names.append(text)
    if len(names) > budgets.OBJECTS:
      return f'it has more than {budgets.OBJECTS:,} objects'
    return None

  if found := file.id.links.visit(visit, info=True):
    raise _Found(found)
  for name in names:
    item = h5py.h5o.open(file.id, name.encode('utf-8', 'surrogateescape'))
    if isinstance(item, h5py.h5d.DatasetID):
      yield name, _dataset_bytes(name, item)
    elif not isinstance(item, h5py.h5g.GroupID):
      raise _Found(f'{name} is neither an array nor a group')
    for at in range(h5py.h5a.get_num_attrs(item)):
      yield name, _attribute_bytes(h5py.h5a.open(item, index=at))


def _dataset_bytes(name: str, dataset: h5py.h5d.DatasetID) -> int:
  properties = dataset.get_create_plist()
  if properties.get_layout() == h5py.h5d.VIRTUAL or properties.get_external_count():
    raise _Found(f'the values of {name} are in another file')
  filters = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
  if filters - _FILTERS:
    raise _Found(f'{name} is packed by the unknown filter {min(filters - _FILTERS)}')
  kind = dataset.get_type()
  if _varies(kind):
    raise _Found(f'{name} holds no numbers')
  # A chunk is unpacked whole.
  chunked = properties.get_layout() == h5py.h5d.CHUNKED
  values = max(
    math.prod(dataset.shape), math.prod(properties.get_chunk()) if chunked else 0
  )
  return values * kind.get_size()


def _attribute_bytes(attribute: h5py.h5a.AttrID) -> int:
  kind, values = attribute.get_type(), math.prod(attribute.shape)
  if not _varies(kind):
    return values * kind.get_size()
  # Each text of a list may be the same one, as long as the whole file.
  return _UNKNOWN if values > 1 else 0


def _varies(kind: h5py.h5t.TypeID) -> bool:
  """Whether values of a type say themselves how long they are."""
  if isinstance(kind, h5py.h5t.TypeStringID):
    return kind.is_variable_str()
  return isinstance(
    kind, h5py.h5t.TypeVlenID | h5py.h5t.TypeCompoundID | h5py.h5t.TypeArrayID
  )


def check_archive(path: pathlib.Path) -> int:
  """Checks that a `.keras` file holds what Keras writes, as large as it says.

  Returns:
    How many bytes its weights have.

  Raises:
    UserError: it holds more, or unpacks to far more than it stores.
  """
  untrusted.check_file(path)
  try:
    with zipfile.ZipFile(path) as archive:
      further = sorted({info.filename for info in archive.infolist()} - _MEMBERS)
      if further:
        raise UserError(
          f'{path} holds {further[0][:80]}, expected {", ".join(sorted(_MEMBERS))}: '
          'give `trust_model` if you trust whoever made the file'
        )
      info = archive.getinfo(WEIGHTS_MEMBER)
      most = budgets.UNPACKED_RATIO * info.compress_size + budgets.DECODED
      if info.file_size > most:
        raise UserError(
          f'{path}: {WEIGHTS_MEMBER} unpacks to {info.file_size:,} bytes, expected at '
          f'most {most:,}'
        )
      with archive.open(info) as member:
        packed = info.compress_type != zipfile.ZIP_STORED
        file = io.BytesIO(member.read()) if packed else member
        return check_hdf5(path, file)
  except UserError:
    raise
  except (OSError, KeyError, ValueError, *BROKEN_ARCHIVE) as error:
    raise UserError(
      f'{path} is not a whole Keras model file: expected what '
      'model.save("x.keras") writes'
    ) from error


@contextlib.contextmanager
def bounded_variables(path: pathlib.Path, most: int) -> Iterator[None]:
  """Where Keras may make so many bytes of variables in this thread, and no more.

  Keras makes a model before it reads its weights, however large.

  Raises:
    UserError: the model of a file would have more.
  """
  variable = keras.src.backend.Variable
  original = variable._initialize_with_initializer
  thread, made = threading.get_ident(), 0

  def counted(self, initializer):
    nonlocal made
    if threading.get_ident() == thread:
      made += math.prod(self._shape) * _bytes_of(self._dtype)
      if made > most:
        raise MemoryError
    original(self, initializer)

  variable._initialize_with_initializer = counted
  try:
    yield
  except Exception as error:
    if made > most:
      # Keras makes an error of its own of any.
      raise UserError(
        f'{path}: its model has more than {most:,} bytes of variables, which its '
        'weights do not fill'
      ) from error
    raise
  finally:
    variable._initialize_with_initializer = original


def _bytes_of(dtype: str) -> int:
  digits = ''.join(filter(str.isdigit, dtype)) or '8'
  return max(1, int(digits) // 8)
