"""What the engine is given: a model and what it wants to be fed."""

import contextlib
import dataclasses
import functools
import importlib
import inspect
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.models import normalisation, normalisation_ops, table
from tfeval.models.backend import Backend, InputSpec
from tfeval.models.options import BGR, FEEDS, OUTPUTS, PREPROCESSINGS, ModelOptions
from tfeval.utils import errors
from tfeval.utils.arguments import shown
from tfeval.utils.errors import UserError
from tfeval.utils.time_limit import TimeLimit

# How outputs are matched to the classes of a dataset.
BY_ORDER, BY_CLASS = 'order', 'class'
# Modes of Keras' `preprocess_input`, which TensorFlow would round otherwise in a graph.
_MODES = {
  'caffe': 'bgr:mean255=103.939,116.779,123.68',
  'tf': 'scale=1/127.5:offset=-1',
  'torch': 'mean=0.485,0.456,0.406:std=0.229,0.224,0.225',
}


@dataclasses.dataclass(frozen=True, eq=False)
class OutputOrder:
  """Outputs in the order that a model returns them in.

  Attributes:
    space: what each is taken for.
    classes: int64 [outputs], the index of this in the model's label space.
  """

  space: LabelSpace
  classes: np.ndarray

  @property
  def is_ascending(self) -> bool:
    return bool((np.diff(self.classes) > 0).all())


@dataclasses.dataclass(frozen=True)
class Model:
  """A model and what it wants to be fed; `tfeval.load_model` makes it.

  Called on images it returns what the model says of them. That is all there is to
  know of a model to evaluate it, wherever it came from:

      model = tfeval.load_model('MobileNet:alpha=0.25')
      model.input_size              # 224
      model.output                  # 'logits'
      scores = model(pixels)        # uint8 [n, 224, 224, 3] -> float32 [n, 1000]
      scores.numpy().argmax(1)      # classes in the order of the sorted wnids
      step = tf.function(model)     # for many batches: compiled once

  Attributes:
    name: as it was asked for, such as `MobileNet:alpha=0.25`.
    function: float32 [batch, size, size, 3], preprocessed -> [batch, classes], made of
      what the backend returns.
    preprocess: float32 [batch, size, size, 3] in [0, 255] -> what `function` takes.
    preprocess_name: what `preprocess` is called.
    input_size: side of the input in pixels; 0: it takes encoded images.
    output: `'logits'` or `'probabilities'`.
    weights: `'imagenet'`, `'none'`, a path, or `'memory'`, see `models.keras.wrap`.
    weights_sha256: of the file that was loaded; None where there was no file.
    parameters: how many weights it has; None where that cannot be known.
    dtype: what it computes in; several joined by `+`.
    class_map: how `function` was made to return sorted wnids, None if it did.
    output_name: the output that `function` returns, None for the only one.
    backend: what `function` calls.
    label_space: the classes that `function` returns a value for, in their order; None
      where nothing names its outputs.
    outputs: how many values `function` returns for an image; None: not known yet.
    said: int64 [outputs], the class of each, ascending; None: all classes in order.
    as_returned: its outputs before they were put into the order of classes; None: they
      were in it.
    matched: how outputs were matched to the classes of a dataset, see `fitting.fit`.
    time_limit: of a batch of a file that is not trusted; None: none.
    channels: of its input; 3 are RGB.
    preprocess_sha256: of what `preprocess` does, see `graph_digest`; None where its
      name says that.
    is_single: whether `function` makes two values of the only one that the backend
      returns, see `binary.two_classes`.
    feed: how it is fed otherwise than it wants, see `feeding.otherwise`; None: not.
    adaptation: how it was adapted to what it is evaluated on, as the manifest says it;
      None: not.
    preprocess_changes: operations by which it does something else each time; where
      there are any, no two runs can be known to be the same.
  """

  name: str
  function: Callable[[tf.Tensor], tf.Tensor]
  preprocess: Callable[[tf.Tensor], tf.Tensor]
  preprocess_name: str
  input_size: int
  output: str
  weights: str
  weights_sha256: str | None
  parameters: int | None
  dtype: str = 'float32'
  class_map: str | None = None
  output_name: str | None = None
  backend: Backend = dataclasses.field(kw_only=True)
  label_space: LabelSpace | None = None
  outputs: int | None = None
  said: np.ndarray | None = dataclasses.field(default=None, compare=False)
  as_returned: OutputOrder | None = dataclasses.field(default=None, compare=False)
  matched: str | None = None
  time_limit: TimeLimit | None = None
  channels: int = 3
  preprocess_sha256: str | None = None
  preprocess_changes: tuple[str, ...] = ()
  feed: str | None = None
  adaptation: Mapping[str, Any] | None = dataclasses.field(default=None, compare=False)
  is_single: bool = False

  def __call__(self, pixels: Any) -> tf.Tensor:
    """Returns what the model says of images.

    Args:
      pixels: tensor or array of any real type, [n, input_size, input_size, channels],
        n at least 1, RGB in [0, 255]: they are preprocessed here. Where it takes
        encoded images, these: string [n].

    Returns:
      float32 [n, outputs], logits or probabilities as `output` says.

    Raises:
      UserError: the images have another shape, or the model does not return a
        value for each of its classes.
    """
    images = self._encoded(pixels) if self.takes_encoded else self._pixels(pixels)
    scores = tf.cast(self.function(self.preprocess(images)), tf.float32)
    outputs = self.outputs if self.said is None else len(self.said)
    if not scores.shape.is_compatible_with((None, outputs)):
      raise wrong_outputs(self.name, scores.shape, self.label_space)
    return scores

  def _encoded(self, images: Any) -> tf.Tensor:
    try:
      found = tf.convert_to_tensor(images, tf.string)
    except (TypeError, ValueError, tf.errors.OpError):
      found = None
    if found is None or found.shape.rank != 1 or found.shape[0] == 0:
      raise UserError(
        f'{self.name} takes encoded images, strings [n] with n at least 1, got '
        f'{shown(images)}'
      )
    return found

  def _pixels(self, pixels: Any) -> tf.Tensor:
    side, channels = self.input_size, self.channels
    try:
      images = tf.cast(pixels, tf.float32)
    except (TypeError, ValueError, tf.errors.OpError) as error:
      raise UserError(
        f'{self.name} takes images [n, {side}, {side}, {channels}], got {shown(pixels)}'
      ) from error
    shape = images.shape
    if not shape.is_compatible_with((None, side, side, channels)) or shape[:1] == (0,):
      raise UserError(
        f'{self.name} takes images [n, {side}, {side}, {channels}] with n at '
        f'least 1, got {tuple(shape)}'
      )
    return images

  @property
  def takes_encoded(self) -> bool:
    """Whether it is handed encoded images, and decodes them itself."""
    return self.backend.input_spec.encoded

  @property
  def order_of_outputs(self) -> list[int] | None:
    """The class of each output, where only their order tells; None: they ascend."""
    found = self.as_returned
    if found is None or self.matched != BY_ORDER or found.is_ascending:
      return None
    return found.classes.tolist()

  def in_time(self) -> contextlib.AbstractContextManager[None]:
    """Where a batch is computed, which may take no longer than `time_limit`."""
    return self.time_limit.batch() if self.time_limit else contextlib.nullcontext()

  def describe(self) -> dict[str, Any]:
    """Returns the `model` entry of a manifest."""
    of_function: dict[str, Any] = {}
    if self.preprocess_sha256 is not None:
      of_function['preprocess_sha256'] = self.preprocess_sha256
    if self.preprocess_changes:
      of_function['preprocess_changes'] = list(self.preprocess_changes)
    return {
      'name': self.name,
      'weights': self.weights,
      'weights_sha256': self.weights_sha256,
      'parameters': self.parameters,
      'input_size': self.input_size or None,
      'preprocess': self.preprocess_name,
      'output': self.output,
      'class_map': self.class_map,
      'output_name': self.output_name,
      **({} if self.feed is None else {'feed': self.feed}),
      **({} if self.adaptation is None else {'adaptation': dict(self.adaptation)}),
      **of_function,
    }


def check_options(given: ModelOptions) -> None:
  """Checks that options can be right, before anything slow is done.

  Raises:
    UserError: names the first that cannot.
  """
  if given.preprocess is not None and not callable(given.preprocess):
    preprocessing(given.preprocess)
  feed = (given.feed or BGR).removeprefix(f'{BGR}+')
  if feed not in FEEDS:
    preprocessing(feed)
  size = given.input_size
  if size is not None and (
    not isinstance(size, numbers.Integral) or size < 1 or isinstance(size, bool)
  ):
    raise UserError(f'input_size is {size!r}, expected a number of pixels')
  if given.output is not None and str(given.output) not in OUTPUTS:
    raise errors.unknown('output', str(given.output), OUTPUTS)


def wrong_outputs(
  name: str,
  shape: Any,
  space: LabelSpace | None,
  listed: Sequence[int] | None = None,
) -> UserError:
  """Returns the error for a model that is no classifier of the classes of a space.

  Args:
    name: the model's.
    shape: of its output.
    space: the classes, None if nothing is known of them.
    listed: those of them that a dataset has; None: all.
  """
  classes, words, hint = 'classes', '', ''
  if space is not None:
    classes = str(len(space))
    words = f'the dataset has {of_space(space)}; '
    if listed is not None and len(listed) < len(space):
      classes = f'{len(listed)} or {classes}'
      words = f'the dataset has {len(listed)} of {of_space(space)}; '
    hint = numbers_hint(space, shape[-1])
  return UserError(
    f'{name} returns {tuple(shape)}, expected ({shape[0]}, {classes}): {words}'
    f'{_how_to_fit(name, space)}{hint}'
  )


def _how_to_fit(name: str, space: LabelSpace | None) -> str:
  if table.application(name) is None or space is None:
    return (
      '`class_map=`FILE, an id or name for each output in its line, tells what the '
      'outputs are; background_first and background_last are for 1001'
    )
  return (
    f'give {table.give_classes(name, len(space))}; or '
    f'{table.give_class_map(name, "FILE")}'
  )


def numbers_hint(space: LabelSpace, outputs: int | None) -> str:
  """Returns what to do where class folders are numbers of ImageNet's classes."""
  are_numbers = all(one.isdecimal() and len(one) < 5 for one in space.class_ids)
  if not are_numbers or outputs not in (1000, 1001):
    return ''
  return (
    '; `class_folders=index` or `class_folders=ilsvrc_id`, if class folders are '
    'numbers of classes of ImageNet'
  )


def of_space(space: LabelSpace) -> str:
  """Returns which classes a space has, in a few words.

  >>> of_space(LabelSpace('pets', ('cat', 'dog'), ('cat', 'dog')))
  '2 classes (pets: cat, dog)'
  """
  first = ', '.join(space.class_ids[:3]) + ', ...' * (len(space) > 3)
  return f'{len(space)} classes ({space.name}: {first})'


def preprocessing(name: str) -> Callable[[tf.Tensor], tf.Tensor]:
  """Returns a preprocessing function by name.

  Args:
    name: `caffe`, `tf` or `torch` (the modes of
      `keras.applications.imagenet_utils.preprocess_input`), `lite` (EfficientNet-
      Lite), `identity` (values stay in [0, 255]), an application's name, or what
      `Normalisation.parse` reads.

  Returns:
    A function of float32 [..., 3] in [0, 255], RGB.

  Raises:
    UserError: the name is not known.
  """
  if not isinstance(name, str):
    raise UserError(f'preprocessing is {name!r}, expected a name or a function')
  if name in table.known_models():
    module = importlib.import_module(table.known_models()[name].module)
    return module.preprocess_input
  if name in _MODES:
    of = normalisation.Normalisation.parse(_MODES[name])
    return normalisation_ops.function(dataclasses.replace(of, text=name))
  if name == 'lite':
    return preprocessing('EfficientNetLite0')
  if name == 'identity':
    return lambda x: x
  if normalisation.is_value(name):
    return normalisation_ops.function(normalisation.Normalisation.parse(name))
  known = [*PREPROCESSINGS, *normalisation.names()]
  raise errors.unknown(
    'preprocessing',
    name,
    known,
    "or an application's name, or numbers: mean=M,M,M:std=D,D,D, scale=S:offset=O",
  )


def function_name(function: Callable[..., Any]) -> str:
  """Returns `module:name` of a function, of the class of another callable.

  >>> import keras
  >>> function_name(preprocessing), function_name(keras.layers.Rescaling(1 / 255))[-9:]
  ('tfeval.models.model:preprocessing', 'Rescaling')
  """
  function = inspect.unwrap(function)
  if isinstance(function, functools.partial):
    return function_name(function.func)
  named = function if hasattr(function, '__qualname__') else type(function)
  return f'{named.__module__}:{named.__qualname__}'


def input_side(spec: InputSpec, name: str, given: int | None = None) -> int:
  """Returns the side of the input, in pixels."""
  fixed = spec.sides
  if None in fixed:
    if given is None:
      raise UserError(f'the input size of {name} cannot be known: give `input_size`')
    return int(given)
  if fixed[0] != fixed[1]:
    raise UserError(
      f'{name} takes images of {fixed[0]} x {fixed[1]}, expected a square'
    )
  if given not in (None, fixed[0]):
    raise UserError(
      f'{name} takes images of {fixed[0]} pixels, a size of {given} was '
      'given (`input_size`, `protocol` or the factory): leave it out'
    )
  return fixed[0]
