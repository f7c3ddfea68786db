"""Models that are no application: files, SavedModels and factories of the user."""

import importlib
import os
import pathlib
import sys
from typing import Any

import keras
import tensorflow as tf

from tfeval import errors, files, labels
from tfeval import spec as spec_lib
from tfeval.errors import UserError
from tfeval.models import heads, trust, weights
from tfeval.models.model import (
    LOGITS,
    PROBABILITIES,
    Hints,
    Model,
    compute_dtype,
    input_side,
    preprocessing,
)


def load(spec: spec_lib.Spec, weights_name: str, hints: Hints) -> Model:
  """Loads a model file or calls a factory.

  Args:
    spec: a path, or `module:function` with keyword arguments.
    weights_name: path of a weights file; `'imagenet'` and `'none'` leave the model
      the weights it brings.
    hints: what cannot be known of it.

  Raises:
    UserError: one line that says what is wrong and what to do.
  """
  if hints.preprocess is None:
    raise UserError(f'how images are preprocessed for {spec.text} cannot be known: '
                    'give --preprocess=caffe|tf|torch|lite|identity or the name of '
                    'an application')
  preprocess = preprocessing(hints.preprocess)
  model, source = _model_and_source(spec, hints.trust, hints.dtype)
  if weights_name not in ('imagenet', 'none'):
    path = weights.find(weights_name)
    weights.load(model, path, spec.text)
    source = weights_name
  is_keras = isinstance(model, keras.Model)
  input_size = input_side(model, spec.text, hints.input_size)
  if is_keras and not model.built:
    _build(model, spec.text, input_size)
  output = hints.output or _output_kind(model, spec.text, hints.output_name)
  function = heads.select(
      (lambda x: model(x, training=False)) if is_keras else model, spec.text,
      hints.output_name, tuple(getattr(model, 'output_names', None) or ()))
  if hints.class_map is not None:
    function = heads.mapped(function, spec.text, hints.class_map,
                            output == PROBABILITIES)
  return Model(
      name=spec.text,
      function=function,
      preprocess=preprocess, preprocess_name=hints.preprocess,
      input_size=input_size,
      output=output, class_map=heads.identity(hints.class_map),
      output_name=hints.output_name,
      weights=source,
      weights_sha256=_sha256(pathlib.Path(source)),
      parameters=model.count_params() if is_keras else model.parameters,
      dtype=compute_dtype(model) if is_keras else model.dtype,
      keras_model=model if is_keras else None)


def _model_and_source(spec: spec_lib.Spec, trusted: bool, dtype: str):
  """Returns the model, and the path it came from or `'model'`: what it brings."""
  if ':' in spec.target:
    return _from_factory(spec), 'model'
  if spec.options:
    raise UserError(f'{spec.text}: a model file takes no options')
  if dtype != 'float32':
    raise UserError(f'{spec.text}: a model file computes in what it was saved with: '
                    f'leave out --dtype={dtype}')
  return _from_file(pathlib.Path(spec.target), trusted), spec.target


def _sha256(path: pathlib.Path) -> str | None:
  """Returns the hash of a file, or of all names and files of a SavedModel."""
  if path.is_dir():
    return labels.digest((os.fspath(p.relative_to(path)), files.sha256_of(p))
                         for p in path.rglob('*') if p.is_file())
  return files.sha256_of(path) if path.is_file() else None


def _from_file(path: pathlib.Path, trusted: bool):
  if path.is_dir():
    if not (path / 'saved_model.pb').is_file():
      raise UserError(f'{path} is a folder without saved_model.pb: expected a '
                      'SavedModel, a .keras or a .h5 file')
    if not trusted:
      trust.check_saved_model(path)
    return _saved_model(path)
  if not trusted:
    trust.check_keras_file(path)
  try:
    with weights.none_missing():
      return keras.saving.load_model(path, compile=False, safe_mode=not trusted)
  except Exception as error:  # What a strange file makes Keras raise is open.
    raise UserError(f'cannot load {path}: {errors.one_line(error)}') from error


def _saved_model(path: pathlib.Path):
  try:
    loaded = tf.saved_model.load(os.fspath(path))
    signature = loaded.signatures['serving_default']
  except Exception as error:  # What a strange file makes TensorFlow raise is open.
    raise UserError(f'cannot load the SavedModel {path}, or it has no signature '
                    f'serving_default: {errors.one_line(error)}') from error
  inputs = signature.structured_input_signature[1]
  if len(inputs) != 1:
    raise UserError(f'{path} has the inputs {", ".join(sorted(inputs))}: expected one')
  (input_name, input_spec), = inputs.items()

  def function(x):
    return signature(**{input_name: tf.cast(x, input_spec.dtype)})

  # A signature keeps no reference to the variables that it reads.
  function.loaded = loaded
  shape = input_spec.shape
  function.input_shape = None if shape.rank is None else tuple(shape)
  function.dtype = input_spec.dtype.name
  function.parameters = sum(int(tf.size(v)) for v in signature.variables)
  return function


def _from_factory(spec: spec_lib.Spec) -> keras.Model:
  module_name, _, function_name = spec.target.partition(':')
  # As `python -m` does, and an installed command does not.
  if os.getcwd() not in sys.path:
    sys.path.insert(0, os.getcwd())
  try:
    module = importlib.import_module(module_name)
  except Exception as error:  # The user's own code may raise anything.
    raise UserError(f'cannot import {module_name} for {spec.text}: '
                    f'{errors.one_line(error)}') from error
  factory = getattr(module, function_name, None)
  if not callable(factory):
    raise UserError(f'{module_name} has no function {function_name!r}')
  try:
    model = factory(**dict(spec.options))
  except Exception as error:  # The user's own code may raise anything.
    raise UserError(f'{spec.target} raised {type(error).__name__}: '
                    f'{errors.one_line(error)}') from error
  if not isinstance(model, keras.Model):
    raise UserError(f'{spec.target} returned {type(model).__name__}, expected a '
                    'keras.Model')
  return model


def _build(model: keras.Model, name: str, size: int) -> None:
  """Makes the weights of a model that makes them when it sees its first image."""
  try:
    model(tf.zeros((1, size, size, 3)), training=False)
  except Exception as error:  # The user's own code may raise anything.
    raise UserError(f'{name} cannot run on images of {size} x {size}: '
                    f'{errors.one_line(error)}') from error


def _output_kind(model: Any, name: str, output_name: str | None) -> str:
  # Not `layers[-1]`: operations such as `keras.ops.softmax` are no layers, and a
  # subclass may call its layers in any order.
  outputs = getattr(model, 'outputs', None) or []
  if output_name is not None and output_name in getattr(model, 'output_names', ()):
    outputs = [outputs[model.output_names.index(output_name)]]
  last = outputs[0]._keras_history.operation if len(outputs) == 1 else None
  activation = getattr(last, 'activation', None)
  if activation is keras.activations.softmax or isinstance(last, keras.layers.Softmax):
    return PROBABILITIES
  if activation is keras.activations.linear:
    return LOGITS
  raise UserError(f'whether {name} returns logits or probabilities cannot be known: '
                  'give --output=logits or --output=probabilities')
