"""Loads a model by name, file or factory, with all that evaluating it needs."""

import contextlib
import functools
import importlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from tfeval import errors, files
from tfeval import spec as spec_lib
from tfeval.errors import UserError
from tfeval.models import foreign, heads, table, weights
from tfeval.models.model import (
  LOGITS,
  Hints,
  Model,
  compute_dtype,
  input_side,
  preprocessing,
)

# What tfeval itself tells a constructor.
_RESERVED = {'weights': 'give --weights', 'classifier_activation': 'leave it out',
             'include_top': 'leave it out', 'input_tensor': 'give input_shape'}


def load(spec: spec_lib.Spec, weights_name: str = 'imagenet',
         hints: Hints | None = None) -> Model:
  """Loads a model.

  Args:
    spec: an application's name with constructor arguments, a path of a `.keras`
      or whole-model `.h5` file or of a SavedModel, or `module:function` with
      keyword arguments.
    weights_name: `'imagenet'`, `'none'` or the path of a weights file; files and
      factories bring their own.
    hints: what cannot be known otherwise.

  Returns:
    The model. Applications are built without their softmax: their output is
    logits.

  Raises:
    UserError: one line that says what is wrong and what to do.
  """
  hints = hints or Hints()
  table.check_name(spec)
  if hints.class_map is not None:
    heads.class_indices(hints.class_map)
  if keras.config.backend() != 'tensorflow':
    raise UserError(f'Keras runs on {keras.config.backend()}: set '
                    'KERAS_BACKEND=tensorflow')
  with _dtype_policy(hints.dtype):
    if spec.target in table.known_models():
      return _application(spec, weights_name, hints)
    return foreign.load(spec, weights_name, hints)


@contextlib.contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
  before = keras.config.dtype_policy()
  keras.config.set_dtype_policy(name)
  try:
    yield
  finally:
    keras.config.set_dtype_policy(before)


def _application(spec: spec_lib.Spec, weights_name: str, hints: Hints) -> Model:
  for flag in ('preprocess', 'output', 'class_map', 'output_name'):
    if getattr(hints, flag) is not None:
      raise UserError(f'--{flag} is known for {spec.target}: leave it out')
  facts = table.known_models()[spec.target]
  module = importlib.import_module(facts.module)
  # The module of MobileNetV3 does not have it, keras.applications has no Lite.
  constructor = getattr(module, spec.target, None) or getattr(
      keras.applications, spec.target)
  construct = functools.partial(_construct, constructor, spec,
                                **_size_arguments(spec, hints.input_size))
  if weights_name == 'imagenet':
    model, path = weights.with_published(spec, construct)
  elif weights_name == 'none':
    model, path = construct(weights=None), None
  else:
    path = weights.find(weights_name)
    model = weights.with_own(spec, construct, path)
  return Model(
      name=spec.text, function=lambda x: model(x, training=False),
      preprocess=preprocessing(spec.target), preprocess_name=facts.preprocess,
      input_size=input_side(model, spec.text, hints.input_size), output=LOGITS,
      weights=weights_name, weights_sha256=files.sha256_of(path) if path else None,
      parameters=model.count_params(), dtype=compute_dtype(model), keras_model=model)


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
    raise UserError(f'{spec.text}: input_shape and an input size of {size} were both '
                    'given: leave one out')
  if spec.target.startswith('EfficientNetLite'):
    return {'input_shape': (size, size, 3)}
  # Keras refuses another input_shape with weights='imagenet', but not this.
  return {'input_tensor': keras.Input((size, size, 3))}


def _construct(constructor: Callable[..., keras.Model], spec: spec_lib.Spec,
               **arguments: Any) -> keras.Model:
  for option, _ in spec.options:
    if option in _RESERVED:
      raise UserError(f'{spec.text}: {option} is set by tfeval: {_RESERVED[option]}')
  try:
    return constructor(**dict(spec.options), **arguments, classifier_activation=None)
  except UserError:
    raise
  except (TypeError, ValueError, AttributeError, ArithmeticError, tf.errors.OpError
          ) as error:
    raise UserError(f'cannot build {spec.text}: {errors.one_line(error)}') from error
