"""Functions of the user that return a model: `--model=module:function:key=value`.

A factory returns a `keras.Model`, or a dict of the model and what flags would have
to say of it otherwise. A dict needs no import of tfeval in training code:

    def build(depth=18):
      return {'model': resnet(depth), 'preprocess': normalise, 'input_size': 224,
              'output': 'logits'}

`preprocess` is a function of float32 [n, input_size, input_size, 3] in [0, 255], RGB,
or a name that `model.preprocessing` knows. Every key but `model` may be missing. A flag
that says otherwise is an error: neither can be known to be the wrong one.
"""

import dataclasses
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import keras

from tfeval.models import table
from tfeval.models.keras.versions import is_model
from tfeval.models.model import check_options, function_name
from tfeval.models.options import ModelOptions
from tfeval.utils import errors
from tfeval.utils.errors import UserError
from tfeval.utils.spec import Spec

_TOLD = ('preprocess', 'input_size', 'output')
_KEYS = ('model', *_TOLD)
# Packages whose name on PyPI is not that of their module.
_ON_PYPI = {
  'PIL': 'pillow',
  'cv2': 'opencv-python',
  'skimage': 'scikit-image',
  'sklearn': 'scikit-learn',
  'yaml': 'pyyaml',
}


def call(spec: Spec, known: ModelOptions) -> tuple[keras.Model, ModelOptions]:
  """Calls a factory.

  Args:
    spec: `module:function` or a name of `table.LOADERS`, with keyword arguments.
    known: what is known of the model without it.

  Returns:
    The model, and what is known with what the factory told.

  Raises:
    UserError: it cannot be imported, lacks a package, raises, returns something
      else, or tells what contradicts what is known.
  """
  returned = _call(spec)
  if isinstance(returned, Mapping):
    return _read(spec, returned, known)
  return _checked_model(spec, returned, 'returned'), known


def _call(spec: Spec) -> Any:
  if ':' in spec.target:
    factory = _imported(spec)
  else:
    factory = table.LOADERS[spec.target]
  try:
    return factory(**dict(spec.options))
  except UserError:
    raise
  except (Exception, SystemExit) as error:
    _explain(spec, error, f'{spec.target} raised {type(error).__name__}')


def _imported(spec: Spec) -> Callable[..., Any]:
  module_name, _, name = spec.target.partition(':')
  # As `python -m` does, and an installed command does not.
  if os.getcwd() not in sys.path:
    sys.path.insert(0, os.getcwd())
  # The user's own code may raise anything, and a script without a guard may exit.
  try:
    module = importlib.import_module(module_name)
  except (Exception, SystemExit) as error:
    _explain(
      spec,
      error,
      f'cannot import {module_name} for {spec.text} (from the '
      'current directory or PYTHONPATH)',
    )
  factory = getattr(module, name, None)
  if not callable(factory):
    raise UserError(f'{module_name} has no function {name!r}')
  return factory


def _explain(spec: Spec, error: BaseException, what: str) -> NoReturn:
  package = (getattr(error, 'name', None) or '').partition('.')[0]
  if (
    isinstance(error, ModuleNotFoundError)
    and package
    and package != spec.target.partition(':')[0].partition('.')[0]
    and package not in sys.modules
    and importlib.util.find_spec(package) is None
  ):
    raise UserError(
      f'{spec.target} needs the package {package}, which is not installed: '
      f'pip install {_ON_PYPI.get(package, package)}'
    ) from error
  raise UserError(f'{what}: {errors.one_line(error)}') from error


def _read(
  spec: Spec, returned: Mapping[str, Any], known: ModelOptions
) -> tuple[keras.Model, ModelOptions]:
  for key in returned:
    if key not in _KEYS:
      raise errors.unknown(f'key of what {spec.target} returned', str(key), _KEYS)
  if 'model' not in returned:
    raise UserError(
      f'{spec.target} returned a dict without the key model, expected '
      f'{", ".join(_KEYS)}'
    )
  model = _checked_model(spec, returned['model'], 'returned as its model')
  told = {key: returned[key] for key in _TOLD if returned.get(key) is not None}
  try:
    check_options(ModelOptions(**told))
  except UserError as error:
    raise UserError(f'what {spec.target} returned: {error}') from error
  for key, value in told.items():
    given = getattr(known, key)
    if given not in (None, value):
      # A protocol may ask for a size too.
      flag = '`input_size` or `protocol`' if key == 'input_size' else f'`{key}`'
      raise UserError(
        f'{flag} says {_shown(given)}, {spec.target} returned the {key} '
        f'{_shown(value)}: leave one out'
      )
  return model, dataclasses.replace(known, **told)


def _shown(value: Any) -> str:
  return function_name(value) if callable(value) else str(value)


def _checked_model(spec: Spec, value: Any, how: str) -> keras.Model:
  if is_model(value):
    return value
  package = type(value).__module__.partition('.')[0]
  kind = type(value).__qualname__ + (f' of {package}' if package != 'builtins' else '')
  raise UserError(
    f'{spec.target} {how} {kind}, expected a keras.Model'
    + (
      ''
      if how != 'returned'
      else ', or a dict of it with preprocess, input_size and output'
    )
  )
