"""What a model's output is, by the activation that it ends in."""

from typing import Any

from tfeval.models.keras.versions import both
from tfeval.models.options import LOGITS, PROBABILITIES, SIGMOID
from tfeval.utils.errors import UserError


def of(output: Any) -> str | None:
  """Returns what an output of Keras ends in: `softmax`, `sigmoid`, `linear` or None."""
  # Not `layers[-1]`: operations such as `keras.ops.softmax` are no layers, and a
  # subclass may call its layers in any order.
  history = getattr(output, '_keras_history', None)
  # That of Keras 2 is a tuple.
  last = getattr(history, 'operation', getattr(history, 'layer', None))
  if isinstance(last, both('layers.Softmax')):
    return 'softmax'
  activation = getattr(last, 'activation', None)
  for name in ('softmax', 'sigmoid', 'linear'):
    if activation in both(f'activations.{name}'):
      return name
  return None


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
