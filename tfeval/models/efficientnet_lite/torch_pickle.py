"""Reads tensors from a file of PyTorch's older format, without PyTorch.

A pickle is a program, so unpickling an untrusted file runs it. Here nothing of
it runs: the opcodes are listed by `pickletools` and 27 of them are interpreted,
just enough for a dictionary of tensors. No name in the file is ever imported or
called. `pickle.Unpickler` with a restricted `find_class` would not do: one
`LONG_BINPUT` makes it allocate gigabytes, and a deeply nested tuple as a
dictionary key overflows the C stack, both before any hook is asked
(https://docs.python.org/3/library/pickle.html: "only unpickle data you trust").
"""

import dataclasses
import hashlib
import io
import math
import os
import pathlib
import pickletools
import warnings
from typing import Any

import numpy as np

from tfeval.utils import budgets, untrusted
from tfeval.utils.errors import UserError

# The format, from `_legacy_save` and `_legacy_load` in PyTorch's
# torch/serialization.py: five pickles (magic number, protocol version, system
# information, the object, the keys of the storages), then for each key the number
# of elements as int64 and the elements. All little-endian, whatever the machine.
MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001

_DTYPES = {
  'DoubleStorage': np.dtype('<f8'),
  'FloatStorage': np.dtype('<f4'),
  'HalfStorage': np.dtype('<f2'),
  'LongStorage': np.dtype('<i8'),
  'IntStorage': np.dtype('<i4'),
  'ShortStorage': np.dtype('<i2'),
  'CharStorage': np.dtype('i1'),
  'ByteStorage': np.dtype('u1'),
}
_ORDERED_DICT = 'collections OrderedDict'
_REBUILD = 'torch._utils _rebuild_tensor_v2'

# NumPy 1 refuses more; no layer has more than five.
_MAX_DIMENSIONS = 32

# A tensor takes about 45 opcodes. One byte can make an object of 64, so without a
# limit a file could take sixty times its size in memory.
_MAX_OPCODES = 1_000_000


class _Refused(Exception):
  """Why the file is refused, without its name."""


@dataclasses.dataclass(frozen=True)
class _Global:
  """A name out of the allow-list. Stands for the object, is never resolved."""

  name: str


@dataclasses.dataclass(frozen=True)
class _Storage:
  key: str
  dtype: np.dtype
  count: int


@dataclasses.dataclass(frozen=True)
class _Tensor:
  """A view of a storage; offset and strides are in elements."""

  storage: _Storage
  offset: int
  size: tuple[int, ...]
  strides: tuple[int, ...]


def read_state_dict(
  path: str | os.PathLike[str], sha256: str | None = None
) -> dict[str, np.ndarray]:
  """Returns the tensors of a state dict that `torch.save` wrote before PyTorch 1.6.

  Memory stays within twice the file's size and a constant, whatever the file
  claims: the file is read once (the bytes that are hashed are the bytes that are
  parsed), each storage is copied once, and the tensors are views of the storages.

  Args:
    path: the file, usually `*.pth`. May come from anywhere.
    sha256: the expected SHA-256 of the file, 64 hexadecimal digits, checked before
      anything is parsed. None: not checked.

  Returns:
    Name to array, in the file's order. Shapes as in PyTorch (kernels are OIHW),
    dtypes float16/32/64, int8/16/32/64 or uint8; read-only. Tensors that shared
    memory in PyTorch share it here.

  Raises:
    UserError: the file is not there, is not what `sha256` says, is in the zip
      format, is damaged or holds anything but a dictionary of dense tensors.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise UserError(f'{path}: no such file, expected a PyTorch state dict (.pth)')
  try:
    data = untrusted.read_bytes(path, budgets.PICKLE)
  except OSError as e:
    raise UserError(f'{path}: cannot be read: {e.strerror}') from e
  if sha256 is not None:
    found = hashlib.sha256(data).hexdigest()
    if found != sha256.lower():
      raise UserError(
        f'{path}: SHA-256 is {found}, expected {sha256.lower()}: the file is '
        'damaged or another version, install or download it again'
      )
  try:
    return _parse(data)
  except _Refused as e:
    raise UserError(
      f'{path}: {e}; expected a state dict that torch.save wrote with '
      '_use_new_zipfile_serialization=False: get the original file again or '
      'save it that way'
    ) from e


def _parse(data: bytes) -> dict[str, np.ndarray]:
  if data.startswith(b'PK\x03\x04'):
    raise _Refused('this is the zip format of PyTorch 1.6 and later')
  stream = io.BytesIO(data)
  try:
    magic = _read_pickle(stream)
  except _Refused as e:
    raise _Refused(f'not a PyTorch file ({e})') from e
  # `type`, because True == 1 and the file chooses the types.
  if type(magic) is not int or magic != MAGIC_NUMBER:
    raise _Refused('not a PyTorch file (the magic number is missing)')
  version = _read_pickle(stream)
  if type(version) is not int or version != PROTOCOL_VERSION:
    raise _Refused(f'the protocol version is not {PROTOCOL_VERSION}')
  if type(_read_pickle(stream)) is not dict:
    raise _Refused('the system information is not a dictionary')
  tensors = _read_pickle(stream, tensors=True)
  if type(tensors) is not dict:
    raise _Refused('the object is not a dictionary of tensors')
  for name, tensor in tensors.items():
    if type(tensor) is not _Tensor:
      raise _Refused(f'the entry {_shown(name)} is not a tensor')
  declared: dict[str, _Storage] = {}
  for tensor in tensors.values():
    if declared.setdefault(tensor.storage.key, tensor.storage) != tensor.storage:
      raise _Refused('one storage is declared in two ways')
  keys = _read_pickle(stream)
  storages = _read_storages(memoryview(data), stream.tell(), keys, declared)
  return {name: _view(t, storages[t.storage.key]) for name, t in tensors.items()}


def _read_storages(
  data: memoryview, position: int, keys: Any, declared: dict[str, _Storage]
) -> dict[str, np.ndarray]:
  """Returns the 1-D storages, which fill the file from the position to its end."""
  if type(keys) is not list or any(type(k) is not str for k in keys):
    raise _Refused('the storage keys are not a list of strings')
  if len(keys) != len(declared) or set(keys) != set(declared):
    raise _Refused('the storages are not those that the tensors use')
  storages = {}
  for key in keys:
    storage = declared[key]
    start = position + 8
    if start > len(data):
      raise _Refused('the file is truncated')
    if int.from_bytes(data[position:start], 'little') != storage.count:
      raise _Refused('a storage has another length than its tensors declare')
    # Python integers do not overflow, so this comparison holds for any count.
    position = start + storage.count * storage.dtype.itemsize
    if position > len(data):
      raise _Refused('the file is truncated')
    # The copy is aligned; the file's bytes usually are not.
    array = np.frombuffer(data[start:position], storage.dtype).copy()
    array.flags.writeable = False
    storages[key] = array
  if position != len(data):
    raise _Refused(f'{len(data) - position} bytes follow the last storage')
  return storages


def _view(tensor: _Tensor, storage: np.ndarray) -> np.ndarray:
  """Returns the checked tensor as a read-only view of its storage."""
  if 0 in tensor.size:
    return storage[:0].reshape(tensor.size)
  # `as_strided` checks nothing: `_tensor` has checked that all lies inside. The
  # stride of a dimension of one element is never used and may be any number.
  itemsize = storage.dtype.itemsize
  strides = [
    s * itemsize if n > 1 else 0
    for n, s in zip(tensor.size, tensor.strides, strict=True)
  ]
  return np.lib.stride_tricks.as_strided(
    storage[tensor.offset :], tensor.size, strides, writeable=False
  )


def _read_pickle(stream: io.BytesIO, tensors: bool = False) -> Any:
  """Interprets the next pickle of the stream and leaves the stream behind it.

  Args:
    stream: positioned at a pickle.
    tensors: whether the names and storages of a state dict may occur.

  Returns:
    int, bool, str, None, or a tuple, list or dict (keys are str) of these and, with
    `tensors`, of `_Tensor`.

  Raises:
    _Refused: it is no pickle, or does anything else.
  """
  machine = _Machine(tensors)
  try:
    # `BytesIO.read(n)` returns what is there: a claimed length allocates nothing.
    with warnings.catch_warnings():
      # Text with odd escapes: decoded with a warning before it is refused.
      warnings.simplefilter('ignore')
      for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if count >= _MAX_OPCODES:
          raise _Refused(f'a pickle has more than {_MAX_OPCODES} opcodes')
        machine.step(opcode.name, argument)
  except ValueError as e:  # Unknown opcode, cut-off argument, no STOP.
    raise _Refused('the file is truncated or damaged') from e
  if len(machine.stack) != 1:
    raise _Refused('the file is damaged: a pickle ends in the middle of an object')
  return machine.pop()


# Opcodes that push a value, their argument, or a tuple of the last values.
_CONSTANTS = {'NONE': None, 'NEWTRUE': True, 'NEWFALSE': False, 'EMPTY_TUPLE': ()}
_LITERALS = frozenset(['BININT', 'BININT1', 'BININT2', 'LONG1', 'BINUNICODE'])
_TUPLES = {'TUPLE1': 1, 'TUPLE2': 2, 'TUPLE3': 3}

_MARK = object()


class _Machine:
  """The stack machine of pickle protocol 2, as far as state dicts need it.

  What an opcode does is described in the standard library's `pickletools`. Every
  step takes time and memory proportional to its bytes in the file.
  """

  def __init__(self, tensors: bool):
    self.stack: list[Any] = []
    self._memo: dict[int, Any] = {}
    self._globals = {_ORDERED_DICT, _REBUILD} if tensors else set()
    self._globals |= {f'torch {name}' for name in _DTYPES} if tensors else set()

  def pop(self) -> Any:
    if not self.stack or self.stack[-1] is _MARK:
      raise _Refused('the file is damaged: a pickle takes from an empty stack')
    return self.stack.pop()

  def _pop_to_mark(self) -> list[Any]:
    values = []
    while self.stack and self.stack[-1] is not _MARK:
      values.append(self.stack.pop())
    if not self.stack:
      raise _Refused('the file is damaged: a pickle takes from an empty stack')
    self.stack.pop()
    return values[::-1]

  def _top(self, kind: type) -> Any:
    if not self.stack or type(self.stack[-1]) is not kind:
      raise _Refused(f'the pickle changes something that is not a {kind.__name__}')
    return self.stack[-1]

  def step(self, name: str, argument: Any) -> None:
    """Executes one opcode, given its name and decoded argument."""
    push = self.stack.append
    match name:
      case 'PROTO' | 'STOP':
        pass
      case _ if name in _CONSTANTS:
        push(_CONSTANTS[name])
      case _ if name in _LITERALS:
        push(argument)
      case _ if name in _TUPLES:
        push(tuple(reversed([self.pop() for _ in range(_TUPLES[name])])))
      case 'MARK':
        push(_MARK)
      case 'TUPLE':
        push(tuple(self._pop_to_mark()))
      case 'EMPTY_LIST':
        push([])
      case 'APPEND':
        values = [self.pop()]
        self._top(list).extend(values)
      case 'APPENDS':
        values = self._pop_to_mark()
        self._top(list).extend(values)
      case 'EMPTY_DICT':
        push({})
      case 'SETITEM':
        pair = [self.pop(), self.pop()]
        self._set_items(pair[::-1])
      case 'SETITEMS':
        self._set_items(self._pop_to_mark())
      case 'BINPUT' | 'LONG_BINPUT':
        value = self.pop()
        self._memo[argument] = value
        push(value)
      case 'BINGET' | 'LONG_BINGET':
        if argument not in self._memo:
          raise _Refused('the file is damaged: a pickle refers to nothing')
        push(self._memo[argument])
      case 'GLOBAL':
        if argument not in self._globals:
          raise _Refused(f'the pickle names {_shown(argument)}, which is not allowed')
        push(_Global(argument))
      case 'BINPERSID':
        push(self._storage(self.pop()))
      case 'REDUCE':
        arguments = self.pop()
        push(_call(self.pop(), arguments))
      case 'BUILD':
        # The attributes of an OrderedDict: torch keeps layer versions in
        # `_metadata`. No attribute is ever set, whatever its name.
        self.pop()
        self._top(dict)
      case _:
        raise _Refused(f'the pickle has the opcode {name}, which is not allowed')

  def _set_items(self, values: list[Any]) -> None:
    target = self._top(dict)
    keys = values[::2]
    # Only strings: hashing a nested tuple can take for ever or end the process.
    if len(values) % 2 or any(type(key) is not str for key in keys):
      raise _Refused('a key of a dictionary is not a string')
    target.update(zip(keys, values[1::2], strict=True))

  def _storage(self, identity: Any) -> _Storage:
    """Returns the storage that a persistent id describes."""
    # ('storage', type, key, device, count, view); views are older than PyTorch 0.4.
    match identity:
      case ('storage', _Global(name), str(key), str(), int(count), None):
        dtype = _DTYPES.get(name.removeprefix('torch '))
        if dtype is not None and type(count) is int and count >= 0:
          return _Storage(key, dtype, count)
    raise _Refused('the pickle has a storage of an unknown kind')


def _call(function: Any, arguments: Any) -> Any:
  """Stands for the two calls that a state dict needs."""
  if function == _Global(_ORDERED_DICT) and type(arguments) is tuple:
    if not arguments:
      return {}
    raise _Refused('the pickle fills an OrderedDict in an unknown way')
  if function == _Global(_REBUILD) and type(arguments) is tuple:
    # (storage, offset, size, strides, requires_grad, hooks); gradients and hooks
    # mean nothing to a reader of values, a seventh argument (metadata) may.
    if len(arguments) == 6:
      return _tensor(*arguments[:4])
    raise _Refused('the pickle describes a tensor in an unknown way')
  raise _Refused('the pickle calls something that is not allowed')


def _tensor(storage: Any, offset: Any, size: Any, strides: Any) -> _Tensor:
  """Returns the tensor, having checked that it lies inside its storage."""
  if type(storage) is not _Storage or not (
    _is_naturals((offset,)) and _is_naturals(size) and _is_naturals(strides)
  ):
    raise _Refused('the pickle describes a tensor in an unknown way')
  if len(size) != len(strides) or len(size) > _MAX_DIMENSIONS:
    raise _Refused('a tensor has a wrong number of dimensions')
  last = offset + sum((n - 1) * s for n, s in zip(size, strides, strict=True))
  count = math.prod(size)
  if count:
    # More elements than the storage has are an expanded tensor (stride 0): small
    # in the file, of any size once somebody copies it.
    inside = last < storage.count and count <= storage.count
  else:
    # NumPy multiplies the other dimensions of an empty array, too.
    inside = offset <= storage.count and math.prod(n or 1 for n in size) < 2**31
  if not inside:
    raise _Refused('a tensor does not lie inside its storage')
  return _Tensor(storage, offset, size, strides)


def _is_naturals(values: Any) -> bool:
  # No lists: the pickle could append to one after it has been checked.
  return type(values) is tuple and all(type(v) is int and v >= 0 for v in values)


def _shown(name: str) -> str:
  """Returns a name out of the file for a message: one short line."""
  return repr(name if len(name) <= 60 else name[:57] + '...')
