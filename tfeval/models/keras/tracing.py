"""What a compiled step has taken from a model beside its variables.

Some layers, such as an adapted `keras.layers.Normalization`, compute with tensors that
they derive of their variables in `finalize_state`. What assigns variables does not call
that, and what was traced before has the old tensors as constants.
"""

import hashlib
import json
import warnings
from collections.abc import Hashable
from typing import Any

import keras
import numpy as np


def layer_configs(model: keras.Model) -> list[Any]:
  """Returns what a model is made of, its training aside, for JSON.

  The configuration of the model, and of each layer in it; None for those that do not
  tell theirs. Attributes that a layer does not tell of are not seen.
  """
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')  # Keras', of lambdas, which nobody loads here.
    return [config(layer) for layer in model._flatten_layers()]


def config(layer: keras.layers.Layer) -> dict[str, Any] | None:
  """Returns what a layer is made of, its training aside; None if it does not tell."""
  try:
    found = keras.saving.serialize_keras_object(layer.get_config())
    json.dumps(found)
  except Exception:  # It may be anyone's.
    return None
  return {
    'class': f'{type(layer).__module__}.{type(layer).__qualname__}',
    'config': _without_training(found),
  }


def _without_training(config: Any) -> Any:
  if isinstance(config, dict):
    return {
      key: _without_training(value)
      for key, value in config.items()
      if key not in ('trainable', 'compile_config')
    }
  if isinstance(config, list):
    return [_without_training(value) for value in config]
  return config


def refresh_derived_state(model: keras.Model) -> None:
  """Lets layers derive anew what they derive of variables that were assigned."""
  for layer in _deriving(model):
    layer.finalize_state()


def trace_key(model: keras.Model) -> Hashable:
  """Returns a value that changes when a step has to be traced again.

  Changes of attributes that no configuration tells of go unseen.
  """
  sha256 = hashlib.sha256(json.dumps(layer_configs(model), sort_keys=True).encode())
  for layer in _deriving(model):
    for values in layer.get_weights():
      sha256.update(np.ascontiguousarray(values).tobytes())
  return sha256.digest(), tuple(map(id, model.variables))


def is_values_alone(model: keras.Model) -> bool:
  """Returns whether layers and values of weights are all that a model's file holds.

  False where a layer does not tell of itself, stores assets, or is one of the user's
  own that stores what it likes.
  """
  base = keras.layers.Layer
  return None not in layer_configs(model) and not any(
    hasattr(layer, 'load_assets')
    or type(layer).load_own_variables is not base.load_own_variables
    and not type(layer).__module__.startswith('keras.')
    for layer in model._flatten_layers()
  )


def _deriving(model: keras.Model) -> list[keras.layers.Layer]:
  return [
    layer for layer in model._flatten_layers() if hasattr(layer, 'finalize_state')
  ]
