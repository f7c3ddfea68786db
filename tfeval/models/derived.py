"""What a compiled step has taken from a model beside its variables.

Some layers, such as an adapted `keras.layers.Normalization`, compute with tensors that
they derive of their variables in `finalize_state`. What assigns variables does not call
that, and what was traced before has the old tensors as constants.
"""

import hashlib
import json
from collections.abc import Hashable
from typing import Any

import keras
import numpy as np


def layers(model: keras.Model) -> dict[str, Any] | None:
  """Returns what a model is made of, its training aside; None if it cannot tell."""
  try:
    structure = json.loads(model.to_json())
  except (NotImplementedError, TypeError, ValueError, AttributeError):
    return None
  structure.pop('compile_config', None)
  return structure


def settle(model: keras.Model) -> None:
  """Lets layers derive anew what they derive of variables that were assigned."""
  for layer in _deriving(model):
    layer.finalize_state()


def traced(model: keras.Model) -> Hashable:
  """Returns a value that changes whenever a step has to be traced again."""
  sha256 = hashlib.sha256(json.dumps(layers(model), sort_keys=True).encode())
  for layer in _deriving(model):
    for values in layer.get_weights():
      sha256.update(np.ascontiguousarray(values).tobytes())
  return sha256.digest(), tuple(map(id, model.variables))


def is_values_alone(model: keras.Model) -> bool:
  """Returns whether layers and values of weights are all that a model's file holds.

  False where a layer stores assets, or one of the user's own stores what it likes.
  """
  base = keras.layers.Layer
  return not any(
      hasattr(layer, 'load_assets')
      or type(layer).load_own_variables is not base.load_own_variables
      and not type(layer).__module__.startswith('keras.')
      for layer in model._flatten_layers())


def _deriving(model: keras.Model) -> list[keras.layers.Layer]:
  return [layer for layer in model._flatten_layers()
          if hasattr(layer, 'finalize_state')]
