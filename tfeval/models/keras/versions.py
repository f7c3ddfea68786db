"""Keras, and Keras 2 beside it: `tf_keras`, `tf.keras` under TF_USE_LEGACY_KERAS=1.

Keras 2 is never imported here: what is of it can only be where it has been.
"""

import sys
from typing import Any

import keras
import numpy as np


def both(name: str) -> tuple[Any, ...]:
  """Returns what Keras and, where it is imported, Keras 2 have under a public name.

  Args:
    name: such as `Model` or `callbacks.ModelCheckpoint`; one of them may lack it.

  >>> both('layers.Dense')[0] is keras.layers.Dense
  True
  """
  found = []
  for package in (keras, sys.modules.get('tf_keras')):
    value: Any = package
    for part in name.split('.'):
      value = getattr(value, part, None)
    found += [] if value is None else [value]
  return tuple(found)


def is_model(value: Any) -> bool:
  """Returns whether a value is a model of either."""
  return isinstance(value, both('Model'))


def is_legacy(value: Any) -> bool:
  """Returns whether a model, a layer or a metric is one of Keras 2."""
  kinds = [kind for name in ('layers.Layer', 'metrics.Metric') for kind in both(name)]
  return isinstance(value, tuple(kinds)) and not isinstance(
    value, keras.layers.Layer | keras.metrics.Metric
  )


def is_own(defined: Any) -> bool:
  """Returns whether a class or a function is one of Keras' or Keras 2's own."""
  return defined.__module__.partition('.')[0] in ('keras', 'tf_keras')


def model_class(model: Any) -> Any:
  """Returns `Model` of that of both which a model is of."""
  return next(kind for kind in both('Model') if isinstance(model, kind))


def to_numpy(variable: Any) -> np.ndarray:
  """Returns a copy of a variable of either, also of one that replicas share."""
  if isinstance(variable, keras.Variable) or not hasattr(variable, 'numpy'):
    return np.array(keras.ops.convert_to_numpy(variable))
  return np.array(variable.numpy())
