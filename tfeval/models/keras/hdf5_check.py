"""Walks an HDF5 file in a process of its own: run as a program by `size_budget`.

HDF5's library believes what a damaged file says: it may crash, never return, or take
any memory, and no thread can stop it. So everything but plain values is read here
first, with limits of memory and time, by h5py's low-level functions.

    python hdf5_check.py FILE MEMBER LIMITS

MEMBER is of a zip archive, or empty. LIMITS is JSON: `ratio`, `more` (bytes),
`objects`, `memory` (bytes), `seconds`. Prints JSON: `unpacked`, the bytes of all
arrays; or `found`, what Keras does not write; or `damaged`, what h5py says.
"""

import io
import json
import math
import os
import resource
import sys
import zipfile
from collections.abc import Iterator
from typing import IO, Any

import h5py

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


class Found(Exception):
  """Something in a file that Keras does not write."""


def unpacked_bytes(file: IO[bytes], limits: dict[str, int]) -> int:
  """Returns how many bytes the arrays of a file have; reads every attribute.

  Raises:
    Found: they have far more than the file, or are elsewhere.
  """
  stored, unpacked = file.seek(0, io.SEEK_END), 0
  most = limits['ratio'] * stored + limits['more']
  with h5py.File(file, 'r') as opened:
    for name, declared in _sizes(opened, limits['objects']):
      unpacked += declared
      if unpacked > most:
        raise Found(
          f'its arrays up to {name} unpack to {unpacked:,} bytes, expected at most '
          f'{limits["ratio"]} times the {stored:,} that the file has'
        )
  return unpacked


def _sizes(file: h5py.File, most: int) -> Iterator[tuple[str, int]]:
  """Yields names and bytes of all arrays and attributes.

  Raises:
    Found: one is elsewhere, or packed in a way that is not HDF5's own.
  """
  names: list[str] = ['/']

  # What a visitor returns ends the visit; what it raises is lost.
  def visit(name: bytes, info: h5py.h5l.LinkInfo) -> str | None:
    text = name.decode('utf-8', 'surrogateescape')
    if info.type != h5py.h5l.TYPE_HARD:
      return f'{text} is a link, expected none'
    names.append(text)
    if len(names) > most:
      return f'it has more than {most:,} objects'
    return None

  if found := file.id.links.visit(visit, info=True):
    raise Found(found)
  for name in names:
    item = h5py.h5o.open(file.id, name.encode('utf-8', 'surrogateescape'))
    if isinstance(item, h5py.h5d.DatasetID):
      yield name, _dataset_bytes(name, item)
      _unpack(h5py.Dataset(item))
      attributes = h5py.Dataset(item).attrs
    elif isinstance(item, h5py.h5g.GroupID):
      attributes = h5py.Group(item).attrs
    else:
      raise Found(f'{name} is neither an array nor a group')
    for at in range(h5py.h5a.get_num_attrs(item)):
      yield name, _attribute_bytes(h5py.h5a.open(item, index=at))
    # Only reading tells how long the texts of a list are, and is all or nothing.
    for key in attributes:
      attributes[key]


def _dataset_bytes(name: str, dataset: h5py.h5d.DatasetID) -> int:
  properties = dataset.get_create_plist()
  if properties.get_layout() == h5py.h5d.VIRTUAL or properties.get_external_count():
    raise Found(f'the values of {name} are in another file')
  filters = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
  if filters - _FILTERS:
    raise Found(f'{name} is packed by the unknown filter {min(filters - _FILTERS)}')
  kind = dataset.get_type()
  if _varies(kind):
    raise Found(f'{name} holds no numbers')
  # A chunk is unpacked whole.
  chunked = properties.get_layout() == h5py.h5d.CHUNKED
  values = max(
    math.prod(dataset.shape), math.prod(properties.get_chunk()) if chunked else 0
  )
  return values * kind.get_size()


def _unpack(dataset: h5py.Dataset) -> None:
  """Unpacks what is packed, here where it may take no more than it should.

  A packed chunk unpacks to whatever it holds, not to what the file declares.
  """
  if dataset.id.get_create_plist().get_nfilters():
    for chunk in dataset.iter_chunks():
      dataset[chunk]


def _attribute_bytes(attribute: h5py.h5a.AttrID) -> int:
  kind = attribute.get_type()
  # Of what varies nothing is known before it is read.
  return 0 if _varies(kind) else math.prod(attribute.shape) * kind.get_size()


def _varies(kind: h5py.h5t.TypeID) -> bool:
  """Whether values of a type say themselves how long they are."""
  if isinstance(kind, h5py.h5t.TypeStringID):
    return kind.is_variable_str()
  return isinstance(
    kind, h5py.h5t.TypeVlenID | h5py.h5t.TypeCompoundID | h5py.h5t.TypeArrayID
  )


def main() -> None:
  path, member, limits = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
  memory, seconds = limits['memory'], limits['seconds']
  resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
  resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
  try:
    if member:
      with zipfile.ZipFile(path) as archive, archive.open(member) as stored:
        packed = archive.getinfo(member).compress_type != zipfile.ZIP_STORED
        file: Any = io.BytesIO(stored.read()) if packed else stored
        answer: dict[str, Any] = {'unpacked': unpacked_bytes(file, limits)}
    else:
      with open(path, 'rb') as file:
        answer = {'unpacked': unpacked_bytes(file, limits)}
  except Found as found:
    answer = {'found': str(found)}
  except Exception as error:  # What damaged HDF5 makes h5py raise is open.
    answer = {'damaged': str(error)[:200]}
    if isinstance(error, MemoryError) or 'allocation failed' in str(error):
      answer = {'found': f'what it says of itself takes more than {memory:,} bytes'}
  sys.stdout.write(json.dumps(answer))
  sys.stdout.flush()
  os._exit(0)


if __name__ == '__main__':
  main()
