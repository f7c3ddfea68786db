"""Which of several outputs is the classifier's."""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from tfeval.models.backend import Backend
from tfeval.utils import errors
from tfeval.utils.errors import UserError


def select(
  function: Callable[[tf.Tensor], Any],
  name: str,
  output_name: str | None,
  output_names: tuple[str, ...] = (),
) -> Callable[[tf.Tensor], tf.Tensor]:
  """Returns a function that returns one of a model's outputs.

  Args:
    function: returns a tensor, several in a list, or several by name.
    name: the model's, for errors.
    output_name: which output, None where there is only one.
    output_names: of the outputs, where `function` returns a list.

  Raises:
    UserError: when called: there is no such output, or several and none is named.
  """

  def one(x):
    outputs = function(x)
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
      raise UserError(
        f'{name} has the outputs {", ".join(map(str, outputs))}: give `output_name`'
      )
    if output_name not in outputs:
      raise errors.unknown(f'output of {name}', output_name, map(str, outputs))
    return outputs[output_name]

  return one


def chosen(backend: Backend, name: str, output_name: str | None) -> Any:
  """Returns the output that is the classifier's, None if a model tells nothing.

  Raises:
    UserError: as `select`, before an image is seen.
  """
  outputs = backend.outputs()
  return select(lambda x: x, name, output_name)(outputs) if outputs else None


def activation(backend: Backend, output_name: str | None) -> str | None:
  """Returns the activation that the classifier's output ends in, None: not known."""
  names = list(backend.outputs())
  name = names[0] if output_name is None and len(names) == 1 else output_name
  return backend.activations.get(name or '')
