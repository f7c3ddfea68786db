"""Which of several outputs is the classifier's."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from tfeval.models.backend import Backend
from tfeval.utils import errors
from tfeval.utils.errors import UserError, listed


def select(
  function: Callable[[tf.Tensor], Any],
  name: str,
  output_name: str | None,
  output_names: tuple[str, ...] = (),
) -> Callable[[tf.Tensor], tf.Tensor]:
  """Returns a function that returns one of a model's outputs, [n, C].

  Args:
    function: returns a tensor, several in a list, or several by name.
    name: the model's, for errors.
    output_name: which output, None where there is only one.
    output_names: of the outputs, where `function` returns a list.

  Raises:
    UserError: when called: there is no such output, or several and none is named.
  """

  def one(x):
    output = _picked(function(x), name, output_name, output_names)
    shape = getattr(output, 'shape', None)
    flat = flat_shape(shape)
    if flat is shape:
      return output
    return tf.reshape(output, [-1 if flat[0] is None else flat[0], flat[1]])

  return one


def _picked(
  outputs: Any, name: str, output_name: str | None, output_names: tuple[str, ...]
) -> Any:
  if isinstance(outputs, (list, tuple)):
    names = (
      output_names
      if len(output_names) == len(outputs)
      else tuple(str(i) for i in range(len(outputs)))
    )
    outputs = dict(zip(names, outputs, strict=True))
  if not isinstance(outputs, Mapping):
    if output_name is None:
      return outputs
    outputs = {key: outputs for key in output_names}
  if output_name is None and len(outputs) == 1:
    return next(iter(outputs.values()))
  if output_name is None:
    raise UserError(f'{name} has the outputs {listed(outputs)}: give `output_name`')
  if output_name not in outputs:
    raise errors.unknown(f'output of {name}', output_name, map(str, outputs))
  return outputs[output_name]


def flat_shape(shape: Any) -> Any:
  """Returns (n, C) of (n, 1, 1, C) and (n, C, 1, 1), and other shapes as they are.

  >>> flat_shape((None, 1, 1, 10)), flat_shape((8, 10, 1, 1)), flat_shape((8, 7, 10))
  ((None, 10), (8, 10), (8, 7, 10))
  """
  rest = () if shape is None else tuple(shape)[1:]
  if len(rest) < 2 or None in rest or math.prod(rest) != max(rest):
    return shape
  return shape[0], max(rest)


def chosen(backend: Backend, name: str, output_name: str | None) -> Any:
  """Returns the output that is the classifier's, None if a model tells nothing.

  Raises:
    UserError: as `select`, before an image is seen.
  """
  outputs = backend.outputs()
  return _picked(outputs, name, output_name, ()) if outputs else None


def activation(backend: Backend, output_name: str | None) -> str | None:
  """Returns the activation that the classifier's output ends in, None: not known."""
  names = list(backend.outputs())
  name = names[0] if output_name is None and len(names) == 1 else output_name
  return backend.activations.get(name or '')
