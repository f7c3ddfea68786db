"""What a model's output is, by the activation that it ends in."""

from typing import Any

from tfeval.models.keras.versions import both, is_model, is_own
from tfeval.models.options import LOGITS, PROBABILITIES, SIGMOID
from tfeval.utils.errors import UserError

# Layers and operations that leave a softmax or a sigmoid one.
_PASSING = ('Activation', 'Reshape', 'Flatten', 'Identity', 'Dropout')
_PASSING += ('Cast', 'Squeeze')  # Operations of `keras.ops`.


def of(output: Any) -> str | None:
  """Returns what an output of Keras ends in: `softmax`, `sigmoid`, `linear` or None.

  Args:
    output: symbolic; behind what changes no value, and inside of nested models, its
      activation is looked for.
  """
  # Not `layers[-1]`: operations such as `keras.ops.softmax` are no layers, and a
  # subclass may call its layers in any order.
  found = None
  while output is not None:
    history = getattr(output, '_keras_history', None)
    # That of Keras 2 is a tuple.
    last = getattr(history, 'operation', getattr(history, 'layer', None))
    ends_in = _activation(last)
    if ends_in in ('softmax', 'sigmoid'):
      return ends_in
    found = found or ends_in
    output = _behind(last, history)
  return found


def _activation(last: Any) -> str | None:
  if isinstance(last, both('layers.Softmax')):
    return 'softmax'
  # `keras.ops.softmax` is an operation of this name.
  if is_own(type(last)) and type(last).__name__ in ('Softmax', 'Sigmoid'):
    return type(last).__name__.lower()
  activation = getattr(last, 'activation', None)
  for name in ('softmax', 'sigmoid', 'linear'):
    if activation in both(f'activations.{name}'):
      return name
  return None


def _behind(last: Any, history: Any) -> Any:
  """Returns the output whose activation that of an operation is, if there is one."""
  if is_model(last):
    outputs = getattr(last, 'outputs', None) or []
    number = history.tensor_index
    return outputs[number] if number < len(outputs) else None
  if not is_own(type(last)) or type(last).__name__ not in _PASSING:
    return None
  if type(last).__name__ == 'Activation' and _activation(last) != 'linear':
    return None
  node = last._inbound_nodes[history.node_index]
  inputs = getattr(node, 'input_tensors', None)  # Of Keras 2 perhaps one alone.
  inputs = inputs if isinstance(inputs, (list, tuple)) else [inputs]
  return inputs[0] if len(inputs) == 1 else None


def output_kind(ends_in: str | None, name: str, given: str | None) -> str:
  """Returns what an output is, by the activation it ends in or as it is given.

  Raises:
    UserError: these contradict each other, or nothing tells.
  """
  if given == LOGITS and ends_in in ('softmax', 'sigmoid'):
    raise UserError(
      f'{name} ends in a {ends_in}, so it returns probabilities: leave '
      'out `output=logits`'
    )
  if ends_in == 'softmax':
    return PROBABILITIES
  if given is not None:
    return given
  kinds = {'sigmoid': SIGMOID, 'linear': LOGITS}
  if ends_in in kinds:
    return kinds[ends_in]
  raise UserError(
    f'whether {name} returns logits or probabilities cannot be known: '
    'give `output=logits`, `output=probabilities` or `output=sigmoid`'
  )
