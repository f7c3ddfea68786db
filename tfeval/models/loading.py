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
from tfeval.models import class_maps, table
from tfeval.models.keras import files as foreign
from tfeval.models.keras import weights as weights_lib
from tfeval.models.keras.backend import KerasBackend
from tfeval.models.model import (
  Model,
  check_options,
  input_side,
  preprocessing,
  wrong_outputs,
)
from tfeval.models.options import DTYPES, LOGITS, ModelOptions
from tfeval.utils import errors, files, paths
from tfeval.utils import spec as spec_lib
from tfeval.utils.errors import UserError

# What tfeval itself tells a constructor.
_RESERVED = {
  'weights': 'give `weights`',
  'classifier_activation': 'leave it out',
  'include_top': 'leave it out',
  'input_tensor': 'give input_shape',
}


def load_model(
  target: str | os.PathLike[str] | spec_lib.Spec,
  weights: str | os.PathLike[str] = 'imagenet',
  *,
  preprocess: str | Callable[[tf.Tensor], tf.Tensor] | None = None,
  input_size: int | None = None,
  output: str | None = None,
  class_map: str | None = None,
  output_name: str | None = None,
  dtype: str = DTYPES[0],
  trust_model: bool = False,
) -> Model:
  """Loads a model with all that evaluating it needs: what `--model` does.

  Names and meanings are those of the flags of `tfeval evaluate`.

  Args:
    target: an application's name with constructor arguments, a path of a `.keras`
      or whole-model `.h5` file or of a SavedModel, or `module:function` with
      keyword arguments; see `models.factory` for what a function may return.
    weights: `'imagenet'`, `'none'` or the path of a weights file; files and
      factories bring their own.
    preprocess: for models that are no applications: `caffe`, `tf`, `torch`, `lite`,
      `identity`, an application's name, or a function of float32 [n, size, size, 3]
      in [0, 255].
    input_size: side of the input in pixels, where the model does not tell, or
      another than an application's own.
    output: `'logits'` or `'probabilities'`, where the model does not tell.
    class_map: order of the outputs, see `models.class_maps.label_map`; None for the
      sorted wnids.
    output_name: which of several outputs is the classifier's.
    dtype: a Keras dtype policy, of `config.DTYPES`.
    trust_model: whether files that can run code of their author may be loaded.

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
  spec = (
    target if isinstance(target, spec_lib.Spec) else spec_lib.parse(os.fspath(target))
  )
  hints = ModelOptions(
    preprocess, input_size, output, class_map, output_name, dtype, trust_model
  )
  table.check_name(spec)
  check_options(hints)
  if class_map is not None:
    class_maps.label_map(class_map)
  if dtype not in DTYPES:
    raise errors.unknown('dtype', dtype, DTYPES)
  if keras.config.backend() != 'tensorflow':
    raise UserError(
      f'Keras runs on {keras.config.backend()}: set KERAS_BACKEND=tensorflow'
    )
  with _dtype_policy(dtype):
    if spec.target in table.known_models():
      return _application(spec, os.fspath(weights), hints)
    return foreign.load(spec, os.fspath(weights), hints)


@contextlib.contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
  before = keras.config.dtype_policy()
  keras.config.set_dtype_policy(name)
  try:
    yield
  finally:
    keras.config.set_dtype_policy(before)


def _application(spec: spec_lib.Spec, weights_name: str, hints: ModelOptions) -> Model:
  for flag in ('preprocess', 'output', 'class_map', 'output_name'):
    if getattr(hints, flag) is not None:
      raise UserError(f'`{flag}` is known for {spec.target}: leave it out')
  facts = table.known_models()[spec.target]
  module = importlib.import_module(facts.module)
  # The module of MobileNetV3 does not have it, keras.applications has no Lite.
  constructor = getattr(module, spec.target, None) or getattr(
    keras.applications, spec.target
  )
  construct = functools.partial(
    _construct, constructor, spec, **_size_arguments(spec, hints.input_size)
  )
  sha256 = None
  if weights_name == 'imagenet':
    model, path = weights_lib.with_published(spec, construct)
    sha256 = files.sha256_of(path)
  elif weights_name == 'none':
    model = construct(weights=None)
  else:
    with paths.local_copy(weights_lib.find(weights_name)) as path:
      model = weights_lib.with_own(spec, construct, path)
      sha256 = files.sha256_of(path)
  backend = KerasBackend(model, imagenet.label_space())
  if model.output_shape[1:] != (len(backend.output_space),):
    raise wrong_outputs(spec.text, model.output_shape, backend.output_space)
  return Model(
    name=spec.text,
    function=backend,
    preprocess=preprocessing(spec.target),
    preprocess_name=facts.preprocess,
    input_size=input_side(backend.input_spec, spec.text, hints.input_size),
    output=LOGITS,
    weights=weights_name,
    weights_sha256=sha256,
    parameters=backend.parameters,
    dtype=backend.dtype,
    backend=backend,
  )


def _size_arguments(spec: spec_lib.Spec, size: int | None) -> dict[str, Any]:
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
  constructor: Callable[..., keras.Model], spec: spec_lib.Spec, **arguments: Any
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
