"""Features of images: what a layer of a Keras model is fed or returns, pooled.

They are taken while the model computes its outputs, in the same pass: for as long as
that is traced, `call` of the layer tells what it was called with. So any layer can be
asked, of nested models and of subclasses too, and nothing of the model is changed.
"""

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import tensorflow as tf

from tfeval.models import heads
from tfeval.models.backend import FEATURES
from tfeval.models.keras.versions import both
from tfeval.models.model import Model
from tfeval.utils import budgets, errors
from tfeval.utils.errors import UserError, listed

_T = TypeVar('_T')
# What a classifier is: layers with a weight for each class and feature.
_CLASSIFIERS = ('layers.Dense', 'layers.Conv1D', 'layers.Conv2D', 'layers.Conv3D')
# Images in a batch that nobody computes.
_BATCH = 2
_LOCK = threading.Lock()


class _Call(NamedTuple):
  """A call of a layer: which one, its first argument, and what it returned."""

  layer: Any
  given: Any
  returned: Any


@dataclasses.dataclass(eq=False)
class _Listener:
  """What a thread has called since it began to listen."""

  thread: int
  calls: list[_Call]


class _Heard:
  """Stands for `call` of a layer while somebody listens."""

  def __init__(self, layer: Any):
    self._layer, self._call, self._is_own = layer, layer.call, 'call' in vars(layer)
    self.listeners: list[_Listener] = []

  def __call__(self, *args: Any, **kwargs: Any) -> Any:
    returned = self._call(*args, **kwargs)
    given = next(iter([*args, *kwargs.values()]), None)
    for one in self.listeners:
      if one.thread == threading.get_ident():
        one.calls.append(_Call(self._layer, given, returned))
    return returned

  def undo(self) -> None:
    """Gives the layer its own `call` back."""
    if self._is_own:
      object.__setattr__(self._layer, 'call', self._call)
    else:
      object.__delattr__(self._layer, 'call')


@contextlib.contextmanager
def _listening(layers: Sequence[Any]) -> Iterator[list[_Call]]:
  """Yields what layers are called with in this thread meanwhile, in that order.

  Replicas are traced in threads of their own, perhaps beside each other.
  """
  listener = _Listener(threading.get_ident(), [])
  with _LOCK:
    for layer in layers:
      if not isinstance(layer.call, _Heard):
        # Not as Keras does it, which would track it.
        object.__setattr__(layer, 'call', _Heard(layer))
      layer.call.listeners.append(listener)
  try:
    yield listener.calls
  finally:
    with _LOCK:
      for layer in layers:
        heard = layer.call
        heard.listeners.remove(listener)
        if not heard.listeners:
          heard.undo()


@dataclasses.dataclass(frozen=True, eq=False)
class Tap:
  """Takes features while a model computes; `tap_of` makes it.

  Attributes:
    layer: the layer.
    is_input: whether they are what it is fed; else what it returns.
    channels_first: whether channels stand before space in these.
    dimension: how many features an image has; 0: not known yet.
  """

  layer: Any
  is_input: bool
  channels_first: bool
  dimension: int = 0

  def during(self, compute: Callable[[], _T]) -> tuple[_T, tf.Tensor]:
    """Returns what is computed, and the features of the images that it is of.

    Args:
      compute: calls the model once, while it is traced.

    Returns:
      What `compute` returns; float32 [n, dimension].

    Raises:
      UserError: the layer was not called once, or returned no such thing.
    """
    with _listening([self.layer]) as calls:
      found = compute()
    if len(calls) != 1:
      raise UserError(
        f'layer {self.layer.name} computes {len(calls)} times for an image, expected '
        'once: name another one by `store_features=`LAYER'
      )
    return found, self._pooled(calls[0].given if self.is_input else calls[0].returned)

  def _pooled(self, values: Any) -> tf.Tensor:
    """Returns the mean over all axes but those of images and of channels."""
    shape = getattr(values, 'shape', None)
    if shape is None or len(shape) < 2:
      what = f'{type(values).__name__} {"" if shape is None else tuple(shape)}'.strip()
      raise UserError(
        f'layer {self.layer.name} returns {what}, expected values for each image: name '
        'another one by `store_features=`LAYER'
      )
    channels = 1 if self.channels_first else len(shape) - 1
    space = [axis for axis in range(1, len(shape)) if axis != channels]
    values = tf.cast(values, tf.float32)
    return tf.reduce_mean(values, space) if space else values


def tap_of(model: Model, layer: str | None) -> Tap:
  """Returns what takes the features of a model.

  Args:
    model: a Keras model.
    layer: the name of a layer, in nested models too, whose output they are. None: they
      are the input of the classifier, the penultimate layer's output. The classifier is
      the last Dense layer or convolution that returns as many values as the model.
      Values of several places, as those of [n, height, width, channels], are averaged.

  Raises:
    UserError: it is no Keras model, has no such layer, or does not compute it once.
  """
  if FEATURES not in model.backend.capabilities:
    raise UserError(
      f'features are what layers of Keras models return, and {model.name} is none: '
      'leave `store_features` out'
    )
  layers = model.backend.model._flatten_layers(include_self=False)
  if layer is not None:
    tap = Tap(_named(layers, layer, model.name), False, _is_channels_first(model))
  else:
    classifier = _classifier(layers, model)
    first = getattr(classifier, 'data_format', None) == 'channels_first'
    tap = Tap(classifier, True, first)
  shape = _traced(model, lambda compute: tap.during(compute)[1].shape)
  if shape[0] != _BATCH or not 1 <= (shape[1] or 0) <= budgets.CLASSES:
    raise UserError(
      f'layer {tap.layer.name} of {model.name} makes {tuple(shape)} of {_BATCH} '
      'images, expected a row for each: name another one by `store_features=`LAYER'
    )
  return dataclasses.replace(tap, dimension=shape[1])


def _named(layers: Sequence[Any], name: str, model: str) -> Any:
  found = [one for one in layers if one.name == name]
  if not found:
    names = list(dict.fromkeys(one.name for one in layers))
    raise errors.unknown(f'layer of {model}', name, names)
  if len(found) > 1:
    raise UserError(
      f'{model} has {len(found)} layers called {name}: name another one by '
      '`store_features=`LAYER'
    )
  return found[0]


def _is_channels_first(model: Model) -> bool:
  return model.backend.input_spec.channels_first


def _classifier(layers: Sequence[Any], model: Model) -> Any:
  advice = 'give `store_features=`LAYER, a layer whose output they are'
  names = list(model.backend.outputs())
  if len(names) > 1:
    raise UserError(
      f'{model.name} has the outputs {listed(names)}, so which layer is '
      f'the penultimate one cannot be known: {advice}'
    )
  kinds = tuple(kind for name in _CLASSIFIERS for kind in both(name))
  candidates = [one for one in layers if isinstance(one, kinds)]

  def found(compute: Callable[[], tf.Tensor]) -> Any:
    with _listening(candidates) as calls:
      outputs = compute().shape[-1]
    return [one.layer for one in calls if outputs in one.returned.shape[1:]]

  fitting = _traced(model, found)
  if not fitting:
    raise UserError(
      f'{model.name} has no Dense layer or convolution that returns as many values as '
      f'the model, so which layer is the penultimate one cannot be known: {advice}'
    )
  return fitting[-1]


def _traced(model: Model, look: Callable[[Callable[[], tf.Tensor]], _T]) -> _T:
  """Returns what is seen while a model's outputs are traced, which computes nothing."""
  spec = model.backend.input_spec
  if spec.encoded:
    images = tf.TensorSpec([_BATCH], tf.string)
  else:
    side = model.input_size
    images = tf.TensorSpec([_BATCH, side, side, model.channels], tf.float32)
  function = heads.select(
    model.backend, model.name, model.output_name, tuple(model.backend.outputs())
  )
  seen: list[_T] = []
  try:
    tf.function(
      lambda x: seen.append(look(lambda: function(x))), autograph=False
    ).get_concrete_function(images)
  except UserError:
    raise
  except Exception as error:  # The model may be anyone's.
    raise UserError(
      f'features of {model.name} cannot be taken: {errors.one_line(error)}: leave '
      '`store_features` out, or name another layer'
    ) from error
  return seen[-1]
