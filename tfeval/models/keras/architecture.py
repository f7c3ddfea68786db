"""What a Keras model computes, its values aside, as a digest.

The configuration of its layers, and the code of those that are the user's own, with
what these keep beside their configuration. Names that Keras gives, which count up in a
process, and seeds that it draws are no part of it.
"""

import functools
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

import keras
from keras.src.utils import naming

from tfeval.models.keras import tracing
from tfeval.models.keras.versions import both
from tfeval.utils.code_digest import code_sha256, holds_values, is_users

# What Keras puts into the attributes of a layer or model, beside those that it has from
# the beginning.
_OF_KERAS = frozenset(
  (
    'build',
    'built',
    'call',
    'compiled',
    'history',
    'jit_compile',
    'loss',
    'name',
    'optimizer',
    'predict_function',
    'quantize',
    'run_eagerly',
    'steps_per_execution',
    'supports_masking',
    'test_function',
    'train_function',
  )
)
_BEGINNINGS = ('_compile', '_eval_', '_self_', '_tf_', 'stop_')
# What is a layer or variable itself, or of training.
_ELSEWHERE = (
  'layers.Layer',
  'Variable',
  'metrics.Metric',
  'losses.Loss',
  'optimizers.Optimizer',
)
_PLAIN = (type(None), bool, int, float, complex, str, bytes)


def architecture_sha256(model: keras.Model) -> str:
  """Returns the digest, which the same model has in another process too.

  What only this process has, such as a file that is open, is left out.
  """
  configs = tracing.layer_configs(model)
  names = _given_names(configs)
  sha256 = hashlib.sha256()
  for layer, config in zip(model._flatten_layers(), configs, strict=True):
    sha256.update(json.dumps(_without(config, names), sort_keys=True).encode())
    for code in _code(layer):
      sha256.update(code.encode())
  return sha256.hexdigest()


def own_code(model: keras.Model) -> tuple[str, ...]:
  """Returns digests of what is the user's own in a model, with its attributes.

  That no configuration tells of it, a compiled step does not know.
  """
  layers = [one for one in model._flatten_layers() if is_users(type(one).__module__)]
  return tuple(code for layer in layers for code in _code(layer))


def layers_sha256(model: keras.Model) -> str:
  """Returns a digest of layers, as they tell of themselves, and shapes of weights.

  Of code that is the functions which layers keep, as a Lambda does; numbers that a
  layer keeps may count what it does.
  """
  configs = tracing.layer_configs(model)
  weights = [[str(one.dtype), list(one.shape)] for one in model.weights]
  described = [_without(config, _given_names(configs)) for config in configs]
  functions = [
    f'{key} {code_sha256(value, whole=False)}'
    for layer in model._flatten_layers()
    for key, value in sorted(_state(layer).items())
    if _is_function(value)
  ]
  content = json.dumps([described, weights, functions], sort_keys=True)
  return hashlib.sha256(content.encode()).hexdigest()


def _given_names(configs: list[Any]) -> dict[str, str]:
  """Returns names for those that Keras gave: of a class and how many it had."""
  found: dict[str, str] = {}

  def look(class_name: Any, name: Any) -> None:
    if isinstance(class_name, str) and isinstance(name, str) and name not in found:
      stem = re.escape(naming.to_snake_case(class_name.rpartition('.')[2]))
      if re.fullmatch(rf'{stem}(_\d+)?', name):
        found[name] = f'#{len(found)}'

  def walk(value: Any) -> None:
    if isinstance(value, dict):
      config = value.get('config')
      if isinstance(config, dict):
        look(value.get('class_name', value.get('class')), config.get('name'))
      for one in value.values():
        walk(one)
    elif isinstance(value, list | tuple):
      for one in value:
        walk(one)

  walk(configs)
  return found


def _without(value: Any, names: dict[str, str]) -> Any:
  """Returns a configuration without what differs from process to process."""
  if isinstance(value, dict):
    if value.get('class_name') == '__lambda__':
      return '__lambda__'  # Its code tells which line it was on.
    return {key: _without(one, names) for key, one in value.items() if key != 'seed'}
  if isinstance(value, list | tuple):  # Arguments of calls are tuples.
    return [_without(one, names) for one in value]
  return names.get(value, value) if isinstance(value, str) else value


def _code(layer: keras.layers.Layer) -> Iterator[str]:
  """Yields digests of what is the user's own in a layer."""
  own = is_users(type(layer).__module__)
  if own:
    yield code_sha256(type(layer), whole=False)
  for key, value in sorted(_state(layer).items()):
    if _is_function(value) or own and _is_told(value):
      yield f'{key} {code_sha256(value, whole=False)}'


def _state(layer: keras.layers.Layer) -> dict[str, Any]:
  """Returns the attributes of a layer that Keras does not give it."""
  base = _attributes_of(both('layers.Layer') + both('Model'))
  weights = {id(one) for one in layer.weights}
  return {
    key: value
    for key, value in vars(layer).items()
    if key not in base and not key.startswith(_BEGINNINGS) and id(value) not in weights
  }


@functools.cache
def _attributes_of(kinds: tuple[type, ...]) -> frozenset[str]:
  """Returns what a class of Keras gives each layer and model, or Keras 2."""
  return _OF_KERAS.union(*(vars(kind(name='one')) for kind in kinds))


def _kinds(*names: str) -> tuple[type, ...]:
  return tuple(kind for name in names for kind in both(name))


def _is_function(value: Any) -> bool:
  """Whether a value is a function of the user's, perhaps with arguments."""
  if isinstance(value, _kinds(*_ELSEWHERE)):
    return False
  function = getattr(value, 'func', value)
  return callable(function) and is_users(getattr(function, '__module__', 'builtins'))


def _is_told(value: Any) -> bool:
  """Whether a value of a layer counts: no layer or variable, which are elsewhere."""
  if isinstance(value, list | tuple | set | frozenset):
    return all(map(_is_told, value))
  if isinstance(value, dict):
    return all(map(_is_told, value.values()))
  if isinstance(value, _kinds(*_ELSEWHERE, 'KerasTensor')):
    return False
  return isinstance(value, _PLAIN) or holds_values(value)
