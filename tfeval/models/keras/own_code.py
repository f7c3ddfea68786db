"""Modules of the user's own that model files need: `import_module`.

A file names classes and functions of its author. Those that a module of the user's
defines are theirs, and a file may use them: nothing else of what the module holds.
"""

import contextlib
import importlib
import importlib.util
import inspect
import os
import pathlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import keras

from tfeval.models.keras.versions import both
from tfeval.utils import errors
from tfeval.utils.errors import UserError

# How Keras and Keras 2 say that they do not know a class or a function.
_UNKNOWN = re.compile(
  r"(?:(?:Could not locate (?:class|function)|Unknown [\w ]+?:?) '|"
  r"Cannot deserialize object of type `)([^'`\n]{1,200})['`]"
)
_BUILT_IN = (
  'layers activations initializers regularizers constraints losses ops'.split()
)


def import_modules(names: Sequence[str] | None) -> dict[str, Any]:
  """Imports modules once, and returns what they define for model files.

  Args:
    names: of modules, as `import` finds them in the current directory and PYTHONPATH,
      or paths of `.py` files.

  Returns:
    Classes and functions by the names that files give them: their own, unless it is
    one of Keras' own, and `package>name` where they are registered.

  Raises:
    UserError: one cannot be imported, or is called as another module is.
  """
  modules = [_imported(name) for name in names or ()]
  own = [module.__name__ for module in modules]
  found: dict[str, Any] = {}
  for module in modules:
    for name, value in vars(module).items():
      if _is_of(value, [module.__name__]) and not _is_built_in(name):
        found[name] = value
  # Of Keras 2 too, where a module has imported it.
  for registered in both('saving.get_custom_objects'):
    for name, value in registered().items():
      if _is_of(value, own):
        found[name] = value
  return found


def _is_of(value: Any, modules: Sequence[str]) -> bool:
  """Whether a class or a function is written in one of some modules, or below it."""
  if not (inspect.isclass(value) or inspect.isfunction(value)):
    return False
  return any(f'{value.__module__}.'.startswith(f'{name}.') for name in modules)


def _is_built_in(name: str) -> bool:
  # Else all files would get the user's `relu`, not that of Keras.
  return any(hasattr(getattr(keras, kind), name) for kind in _BUILT_IN)


def _imported(name: str) -> ModuleType:
  if os.getcwd() not in sys.path:
    sys.path.insert(0, os.getcwd())
  # The user's own code may raise anything.
  try:
    if name.endswith('.py'):
      return _from_file(pathlib.Path(name).expanduser())
    return importlib.import_module(name)
  except UserError:
    raise
  except (Exception, SystemExit) as error:
    where = (
      '' if name.endswith('.py') else ' (from the current directory or PYTHONPATH)'
    )
    raise UserError(
      f'`import_module={name}` cannot be imported{where}: {type(error).__name__}: '
      f'{errors.one_line(error)}'
    ) from error


def _from_file(path: pathlib.Path) -> ModuleType:
  if not path.is_file():
    raise UserError(f'`import_module={path}`: there is no such file')
  known = sys.modules.get(path.stem)
  if known is not None:
    if os.path.realpath(getattr(known, '__file__', None) or '') == os.path.realpath(
      path
    ):
      return known
    raise UserError(
      f'`import_module={path}`: another module is called {path.stem}: rename the file'
    )
  described = importlib.util.spec_from_file_location(path.stem, path)
  module = importlib.util.module_from_spec(described)
  sys.modules[path.stem] = module
  try:
    described.loader.exec_module(module)
  except BaseException:
    del sys.modules[path.stem]
    raise
  return module


@contextlib.contextmanager
def available(found: Mapping[str, Any]) -> Iterator[None]:
  """Where Keras finds what `import_modules` returned."""
  with keras.saving.custom_object_scope(dict(found)):
    yield


def missing(path: pathlib.Path, error: BaseException) -> UserError | None:
  """Returns the error for a file that needs code nobody imported; None for others.

  Args:
    path: of the file.
    error: what Keras raised when it loaded it.
  """
  found = _UNKNOWN.search(str(error))
  if found is None:
    return None
  return UserError(
    f'{path} needs {found[1]}, which Keras does not have: give `import_module`=MODULE, '
    'the module or .py file that defines it'
  )
