"""Loads a model by name, file or factory, with all that evaluating it needs."""

import contextlib
import functools
import importlib
import inspect
import os
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from tfeval.datasets.labels import imagenet
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.models import class_maps, feeding, table
from tfeval.models.keras import hub
from tfeval.models.keras.backend import KerasBackend
from tfeval.models.keras.files import load_file
from tfeval.models.keras.weights import find_weights, with_own, with_published
from tfeval.models.model import (
  Model,
  check_options,
  input_side,
  preprocessing,
)
from tfeval.models.options import (
  DTYPES,
  LOGITS,
  ModelOptions,
  leave_out,
  not_of_applications,
)
from tfeval.models.worker import kinds
from tfeval.models.worker import loading as worker
from tfeval.utils import arguments, errors, files, options, paths
from tfeval.utils.errors import UserError
from tfeval.utils.spec import Spec, parse

# What tfeval itself tells a constructor.
_RESERVED = {
  'weights': 'give `weights`',
  'classifier_activation': 'leave it out',
  'include_top': 'leave it out',
  'input_tensor': 'give input_shape',
}


def load_model(
  target: str | os.PathLike[str] | Spec,
  weights: str | os.PathLike[str] = 'imagenet',
  **given: Any,
) -> Model:
  """Loads a model with all that evaluating it needs: what `--model` does.

  Names and meanings are those of the flags of `tfeval evaluate`.

  Args:
    target: an application's name with constructor arguments, a path of a `.keras`
      or whole-model `.h5` file or of a SavedModel, or `module:function` with
      keyword arguments; see `models.keras.factory` for what a function may return.
    weights: `'imagenet'`, `'none'` or the path of a weights file; files and
      factories bring their own.
    **given: attributes of `ModelOptions`: what the model does not tell.

  Returns:
    The model, called as `scores = model(pixels)`. Applications are built without
    their softmax: their output is logits.

  Raises:
    UserError: one line that says what is wrong and what to do.

  >>> model = load_model('MobileNet:alpha=0.25', weights='none')
  >>> model.input_size, model.output, model.parameters
  (224, 'logits', 475544)
  >>> model(tf.zeros([2, 224, 224, 3], tf.uint8)).shape
  TensorShape([2, 1000])
  """
  expected = 'the name of a model, a path or module:function'
  arguments.of_kind('target', target, str | os.PathLike | Spec, expected)
  expected = "'imagenet', 'none' or a path"
  arguments.of_kind('weights', weights, str | os.PathLike, expected)
  if isinstance(given.get('class_map'), os.PathLike):
    given['class_map'] = os.fspath(given['class_map'])
  known = options.replace(ModelOptions(), **given)
  names = ('output', 'class_map', 'output_name', 'dtype', 'signature', 'tags')
  known = options.checked(known, (*names, 'import_module'))
  spec = target if isinstance(target, Spec) else parse(os.fspath(target))
  return load(spec, os.fspath(weights), known)


load_model.__signature__ = options.signature(load_model, ModelOptions)


def load(spec: Spec, weights: str, known: ModelOptions) -> Model:
  """Loads a model, see `load_model`.

  Args:
    spec: which.
    weights: `'imagenet'`, `'none'` or a path.
    known: what it does not tell.

  Raises:
    UserError: one line that says what is wrong and what to do.
  """
  table.check_name(spec)
  check_options(known)
  if known.class_map is not None:
    class_maps.label_map(known.class_map)
  if known.dtype not in DTYPES:
    raise errors.unknown('dtype', known.dtype, DTYPES)
  return feeding.otherwise(_loaded(spec, weights, known), known.feed)


def _loaded(spec: Spec, weights: str, known: ModelOptions) -> Model:
  if kinds.kind_of(spec) is not None:
    return worker.load(spec, weights, known)
  _check_keras()
  with _dtype_policy(known.dtype):
    if spec.target.startswith(hub.PREFIX):
      return hub.load(spec, weights, known)
    if spec.target in table.known_models():
      return _application(spec, weights, known)
    return load_file(spec, weights, known)


def _check_keras() -> None:
  """Checks how Keras is set up, in a process that is the user's own."""
  if keras.config.backend() != 'tensorflow':
    raise UserError(
      f'Keras runs on {keras.config.backend()}: set KERAS_BACKEND=tensorflow'
    )
  for name, expected in (('image_data_format', 'channels_last'), ('floatx', 'float32')):
    if (found := getattr(keras.config, name)()) != expected:
      raise UserError(
        f'Keras is set to {name} {found}, perhaps by keras.json: call '
        f'keras.config.set_{name}({expected!r}) first'
      )


@contextlib.contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
  before = keras.config.dtype_policy()
  keras.config.set_dtype_policy(name)
  try:
    yield
  finally:
    keras.config.set_dtype_policy(before)


def _application(spec: Spec, weights_name: str, known: ModelOptions) -> Model:
  for name in not_of_applications():
    if getattr(known, name) is not None:
      raise leave_out(name, spec.target)
  facts = table.known_models()[spec.target]
  module = importlib.import_module(facts.module)
  # The module of MobileNetV3 does not have it, keras.applications has no Lite.
  constructor = getattr(module, spec.target, None) or getattr(
    keras.applications, spec.target
  )
  construct = functools.partial(
    _construct, constructor, spec, **_size_arguments(spec, known.input_size)
  )
  sha256 = None
  if weights_name == 'imagenet':
    model, path = with_published(spec, construct)
    sha256 = files.sha256_of(path)
  elif weights_name == 'none':
    model = construct(weights=None)
  else:
    with paths.local_copy(find_weights(weights_name)) as path:
      model = with_own(spec, construct, path)
      sha256 = files.sha256_of(path)
  # Of another number of classes nothing is known but that.
  space: LabelSpace | None = imagenet.label_space()
  if model.output_shape[1:] != (len(imagenet.label_space()),):
    space = None
  backend = KerasBackend(model, space)
  return Model(
    name=spec.text,
    function=backend,
    preprocess=preprocessing(spec.target),
    preprocess_name=facts.preprocess,
    input_size=input_side(backend.input_spec, spec.text, known.input_size),
    output=LOGITS,
    weights=weights_name,
    weights_sha256=sha256,
    parameters=backend.parameters,
    dtype=backend.dtype,
    backend=backend,
    label_space=space,
    outputs=model.output_shape[-1],
  )


def _size_arguments(spec: Spec, size: int | None) -> dict[str, Any]:
  """Returns what builds an application for images of another size than its own."""
  given = 'input_shape' in dict(spec.options)
  if size is None and spec.target.startswith('MobileNetV3') and not given:
    # Alone among the applications it would leave its size open.
    size = table.known_models()[spec.target].input_size
    return {'input_shape': (size, size, 3)}
  if size is None:
    return {}
  if given:
    raise UserError(
      f'{spec.text}: input_shape and an input size of {size} were both '
      'given: leave one out'
    )
  if spec.target.startswith('EfficientNetLite'):
    return {'input_shape': (size, size, 3)}
  # Keras refuses another input_shape with weights='imagenet', but not this.
  return {'input_tensor': keras.Input((size, size, 3))}


def _construct(
  constructor: Callable[..., keras.Model], spec: Spec, **arguments: Any
) -> keras.Model:
  known = inspect.signature(constructor).parameters
  for option, value in spec.options:
    if option in _RESERVED:
      raise UserError(f'{spec.text}: {option} is set by tfeval: {_RESERVED[option]}')
    if option not in known:
      raise errors.unknown(f'argument of {spec.target}', option, known)
    if option == 'input_shape' and not (
      isinstance(value, list | tuple) and len(value) == 3
    ):
      raise UserError(
        f'{spec.text}: input_shape is {value!r}, expected three numbers '
        'such as [224,224,3]'
      )
  try:
    return constructor(**dict(spec.options), **arguments, classifier_activation=None)
  except UserError:
    raise
  except (
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    tf.errors.OpError,
  ) as error:
    raise UserError(f'cannot build {spec.text}: {errors.one_line(error)}') from error
