"""What Python code does, as a digest that another process finds again.

Of a function that is its bytecode, constants, defaults and closure, and what it uses of
its module's variables, with the functions and classes of the user's among them. Where
it is written, on which line and in which file, does not matter. Installed packages are
known by the names of what is taken of them.
"""

import dis
import enum
import functools
import hashlib
import os
import pathlib
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator, Set
from typing import Any

import numpy as np

_DEEPEST = 60  # Of values in values; what is deeper is not known.
_INSTALLED = frozenset(('site-packages', 'dist-packages'))
_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis))
_TFEVAL = __name__.partition('.')[0]
# Of code objects: what it computes. Not where it is, or what it is called.
_OF_CODE = (
  'co_argcount',
  'co_posonlyargcount',
  'co_kwonlyargcount',
  'co_flags',
  'co_code',
  'co_names',
  'co_varnames',
  'co_freevars',
  'co_cellvars',
)


def code_sha256(*values: Any, whole: bool = True) -> str | None:
  """Returns the digest of functions, classes, and values that these use.

  Args:
    values: functions, methods, callables, classes, arrays, or plain values.
    whole: whether to return None where they use something that only this process has,
      such as a lock, so that nobody can tell whether it is the same. Otherwise it is
      left out.

  Returns:
    64 hexadecimal digits, or None.

  >>> code_sha256(len, (1, 2.0)) == code_sha256(len, (1, 2.0))
  True
  >>> code_sha256(len) == code_sha256(max)
  False
  """
  digest = _Digest()
  found = [digest.of(value) for value in values]
  if whole and digest.unknown:
    return None
  return hashlib.sha256(b''.join(found)).hexdigest()


def is_users(module_name: str | None) -> bool:
  """Returns whether a module is the user's own, neither installed nor tfeval's."""
  name = module_name or ''
  if name == '__main__':  # A notebook, a script.
    return True
  if name.partition('.')[0] in (_TFEVAL, 'builtins'):
    return False
  module = sys.modules.get(name)
  file = getattr(module, '__file__', None)
  if file is None:  # Made in memory, or built in.
    return name not in sys.builtin_module_names
  return not _is_installed(file)


@functools.cache
def _is_installed(file: str) -> bool:
  path = pathlib.Path(file).resolve()
  if _INSTALLED & set(path.parts):
    return True
  # The virtual environment is in its own folder, not in that of the library.
  return path.is_relative_to(pathlib.Path(sysconfig.get_path('stdlib')).resolve())


def holds_values(value: Any) -> bool:
  """Returns whether a value is an array of any kind, or an object of a user's class."""
  if hasattr(value, '__array__'):
    return True
  return is_users(type(value).__module__) and hasattr(value, '__dict__')


class _Digest:
  """Digests of values, one inside of the other.

  Attributes:
    unknown: what could not be told, in words.
  """

  def __init__(self) -> None:
    self.unknown: list[str] = []
    self._inside: dict[
      int, int
    ] = {}  # Values that hold this one, and how deep each is.
    self._found: dict[int, tuple[bytes, Any]] = {}  # With the value, which so stays.

  def of(self, value: Any) -> bytes:
    """Returns the digest of a value, 32 bytes."""
    if isinstance(value, enum.Enum):
      return joined('enum', _name(type(value)), value.name)
    if isinstance(value, _PLAIN):
      return joined(type(value).__name__, repr(value))
    if id(value) in self._found:
      return self._found[id(value)][0]
    depth = len(self._inside)
    if id(value) in self._inside:  # Of values that hold each other.
      return joined('again', depth - self._inside[id(value)])
    if depth > _DEEPEST:
      return self._unknown('values deep in values')
    self._inside[id(value)] = depth
    try:
      found = self._of_kind(value)
    finally:
      del self._inside[id(value)]
    self._found[id(value)] = found, value
    return found

  def _of_kind(self, value: Any) -> bytes:
    for kinds, of in _KINDS:
      if isinstance(value, kinds):
        return of(self, value)
    return self._object(value)

  def _unknown(self, what: str) -> bytes:
    self.unknown.append(what)
    return b''

  def _sequence(self, value: Any) -> bytes:
    return joined(type(value).__name__, *map(self.of, value))

  def _unordered(self, value: Any) -> bytes:
    return joined('set', *sorted(map(self.of, value)))

  def _mapping(self, value: Any) -> bytes:
    pairs = [joined(self.of(key), self.of(one)) for key, one in value.items()]
    return joined('dict', *sorted(pairs))

  def _array(self, value: np.ndarray | np.generic) -> bytes:
    if value.dtype.hasobject:
      return self._sequence(value.tolist())
    content = hashlib.sha256(np.ascontiguousarray(value).data).digest()
    return joined('array', value.dtype.str, value.shape, content)

  def _module(self, value: types.ModuleType) -> bytes:
    return joined('module', value.__name__)

  def _named(self, value: Any) -> bytes:
    return joined('named', _name(value))

  def _method(self, value: types.MethodType) -> bytes:
    return joined('method', self.of(value.__func__), self.of(value.__self__))

  def _partial(self, value: functools.partial) -> bytes:
    return joined('partial', *map(self.of, (value.func, value.args, value.keywords)))

  def _wrapped(self, value: Any) -> bytes:
    return joined(type(value).__name__, self.of(value.__func__))

  def _property(self, value: property) -> bytes:
    return joined('property', *map(self.of, (value.fget, value.fset)))

  def _function(self, value: types.FunctionType) -> bytes:
    if not is_users(value.__module__):
      return self._named(value)
    cells = [
      self.of(cell.cell_contents) if _is_full(cell) else b''
      for cell in value.__closure__ or ()
    ]
    return joined(
      'function',
      self._code(value.__code__),
      self.of(value.__defaults__),
      self.of(value.__kwdefaults__),
      *cells,
      *self._globals(value),
    )

  def _code(self, code: types.CodeType) -> bytes:
    consts = [
      self._code(one) if isinstance(one, types.CodeType) else self.of(one)
      for one in code.co_consts
    ]
    return joined('code', *(getattr(code, name) for name in _OF_CODE), *consts)

  def _globals(self, function: types.FunctionType) -> Iterator[bytes]:
    """Yields digests of what a function uses of its module."""
    names, attributes = set(), set()
    for instruction in _instructions(function.__code__):
      if instruction.opname in ('LOAD_GLOBAL', 'LOAD_NAME'):
        names.add(instruction.argval)
      elif instruction.opname in ('LOAD_ATTR', 'LOAD_METHOD'):
        attributes.add(instruction.argval)
    there = function.__globals__
    for name in sorted(names & there.keys()):
      yield joined(name, self.of(there[name]))
      if isinstance(there[name], types.ModuleType):
        yield from self._of_module(there[name], attributes, set())

  def _of_module(
    self, module: types.ModuleType, attributes: Set[str], seen: set[str]
  ) -> Iterator[bytes]:
    """Yields digests of attributes of a module, and of the user's modules in it."""
    if not is_users(module.__name__) or module.__name__ in seen:
      return
    seen.add(module.__name__)
    for name in sorted(attributes & vars(module).keys()):
      value = vars(module)[name]
      yield joined(module.__name__, name, self.of(value))
      if isinstance(value, types.ModuleType):
        yield from self._of_module(value, attributes, seen)

  def _class(self, value: type) -> bytes:
    if not is_users(value.__module__):
      return self._named(value)
    found = []
    for base in value.__mro__:
      if not is_users(base.__module__):
        found.append(self._named(base))
        continue
      for name, one in sorted(vars(base).items()):
        if not (name.startswith('__') and name.endswith('__')) or callable(one):
          found.append(joined(name, self._attribute(one)))
    return joined('class', *found)

  def _attribute(self, value: Any) -> bytes:
    known = (*_PLAIN, types.FunctionType, classmethod, staticmethod, property)
    plain = (tuple, list, dict, set, frozenset, np.ndarray, type)
    if isinstance(value, (*known, *plain)) or holds_values(value):
      return self.of(value)
    return b''  # What Python and others keep in a class: slots, caches.

  def _object(self, value: Any) -> bytes:
    """Of an object that no rule is of: its class and its state."""
    parts = [self.of(type(value))]
    try:
      if hasattr(value, 'get_config') and hasattr(value, 'get_weights'):  # A layer.
        config = {k: v for k, v in value.get_config().items() if k != 'name'}
        return joined(*parts, self.of(config), self.of(value.get_weights()))
      if hasattr(value, '__array__'):  # A tensor, a variable.
        return joined(*parts, self._array(np.asarray(value)))
    except Exception:  # It may be anyone's.
      return self._unknown(f'a {type(value).__qualname__} that does not tell of itself')
    if is_users(type(value).__module__) and hasattr(value, '__dict__'):
      return joined(*parts, self.of(vars(value)))
    text = repr(value)
    if ' at 0x' in text or len(text) > 10_000:
      return self._unknown(f'a {type(value).__qualname__}')
    return joined(*parts, text)


_KINDS: tuple[tuple[Any, Callable[[_Digest, Any], bytes]], ...] = (
  ((tuple, list), _Digest._sequence),
  ((set, frozenset), _Digest._unordered),
  ((dict, types.MappingProxyType), _Digest._mapping),
  ((np.ndarray, np.generic), _Digest._array),
  (types.FunctionType, _Digest._function),
  (types.MethodType, _Digest._method),
  ((types.BuiltinFunctionType, np.ufunc), _Digest._named),
  (functools.partial, _Digest._partial),
  ((staticmethod, classmethod), _Digest._wrapped),
  (property, _Digest._property),
  (types.ModuleType, _Digest._module),
  (type, _Digest._class),
  (os.PathLike, lambda digest, value: joined('path', os.fspath(value))),
)


def joined(*parts: Any) -> bytes:
  """Returns the digest of parts in their order, each known from the next."""
  sha256 = hashlib.sha256()
  for part in parts:
    content = part if isinstance(part, bytes) else repr(part).encode()
    sha256.update(len(content).to_bytes(8, 'little') + content)
  return sha256.digest()


def _name(value: Any) -> str:
  name = getattr(value, '__qualname__', None) or getattr(value, '__name__', '')
  return f'{getattr(value, "__module__", None)}:{name}'


def _is_full(cell: types.CellType) -> bool:
  try:
    return cell.cell_contents is not cell
  except ValueError:  # Its variable is not assigned yet.
    return False


def _instructions(code: types.CodeType) -> Iterator[dis.Instruction]:
  """Yields those of a function and of the functions in it."""
  yield from dis.get_instructions(code)
  for one in code.co_consts:
    if isinstance(one, types.CodeType):
      yield from _instructions(one)
