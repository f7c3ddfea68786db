"""Loads a model by name, file or factory, with all that evaluating it needs."""

import contextlib
import dataclasses
import hashlib
import importlib
import os
import pathlib
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import keras
import tensorflow as tf
from keras.src.utils import file_utils

from tfeval import errors, files
from tfeval import spec as spec_lib
from tfeval.errors import UserError
from tfeval.models import table, trust

LOGITS, PROBABILITIES = OUTPUTS = ('logits', 'probabilities')
# Keras 3 gives these an extra Rescaling when weights == 'imagenet' and only then,
# so the same file given as a path would be fed differently normalised images.
_NORMALISED_BY_WEIGHTS_ARGUMENT = re.compile(r'EfficientNetB[0-7]')
# What tfeval itself tells a constructor.
_RESERVED = {'weights': 'give --weights', 'classifier_activation': 'leave it out',
             'include_top': 'leave it out', 'input_tensor': 'give input_shape'}
_OFFLINE_CHOICE = '--model=EfficientNetLite0 works offline'


@dataclasses.dataclass(frozen=True)
class Model:
  """A model and what it wants to be fed.

  Attributes:
    name: as it was asked for, such as `MobileNet:alpha=0.25`.
    function: float32 [batch, size, size, 3], preprocessed -> [batch, 1000].
    preprocess: float32 [batch, size, size, 3] in [0, 255] -> what `function` takes.
    preprocess_name: what `preprocess` is called.
    input_size: side of the input in pixels.
    output: `'logits'` or `'probabilities'`.
    weights: `'imagenet'`, `'none'` or a path.
    weights_sha256: of the file that was loaded; None where there was no file.
    parameters: how many weights it has.
  """

  name: str
  function: Callable[[tf.Tensor], tf.Tensor]
  preprocess: Callable[[tf.Tensor], tf.Tensor]
  preprocess_name: str
  input_size: int
  output: str
  weights: str
  weights_sha256: str | None
  parameters: int

  def describe(self) -> dict[str, Any]:
    """Returns the `model` entry of a manifest."""
    return {
        'name': self.name,
        'weights': self.weights,
        'weights_sha256': self.weights_sha256,
        'parameters': self.parameters,
        'input_size': self.input_size,
        'preprocess': self.preprocess_name,
        'output': self.output,
    }


@dataclasses.dataclass(frozen=True)
class Hints:
  """What cannot be known of a model that is not a Keras application.

  Attributes:
    preprocess: a name that `preprocessing` knows, or None.
    input_size: side of the input in pixels, or None.
    output: `'logits'` or `'probabilities'`, or None.
    trust: whether files that can run code of their author may be loaded.
  """

  preprocess: str | None = None
  input_size: int | None = None
  output: str | None = None
  trust: bool = False


def load(spec: spec_lib.Spec, weights: str = 'imagenet',
         hints: Hints = Hints()) -> Model:
  """Loads a model.

  Args:
    spec: an application's name with constructor arguments, a path of a `.keras`
      or whole-model `.h5` file or of a SavedModel, or `module:function` with
      keyword arguments.
    weights: `'imagenet'`, `'none'` or the path of a weights file; files and
      factories bring their own.
    hints: what cannot be known otherwise.

  Returns:
    The model. Applications are built without their softmax: their output is
    logits.

  Raises:
    UserError: one line that says what is wrong and what to do.
  """
  table.check_name(spec)
  if keras.config.backend() != 'tensorflow':
    raise UserError(f'Keras runs on {keras.config.backend()}: set '
                    'KERAS_BACKEND=tensorflow')
  if spec.target in table.known_models():
    return _application(spec, weights, hints)
  if hints.preprocess is None:
    raise UserError(f'how images are preprocessed for {spec.text} cannot be known: '
                    'give --preprocess=caffe|tf|torch|lite|identity or the name of '
                    'an application')
  preprocessing(hints.preprocess)
  if ':' in spec.target:
    model, source = _from_factory(spec), 'none'
  else:
    if spec.options:
      raise UserError(f'{spec.text}: a model file takes no options')
    model, source = _from_file(pathlib.Path(spec.target), hints.trust), spec.target
  if weights not in ('imagenet', 'none'):
    _load_weights(model, weights, spec.text)
    source = weights
  return _foreign(spec, model, source, hints)


def preprocessing(name: str) -> Callable[[tf.Tensor], tf.Tensor]:
  """Returns a preprocessing function by name.

  Args:
    name: `caffe`, `tf` or `torch` (the modes of
      `keras.applications.imagenet_utils.preprocess_input`), `lite` (EfficientNet-
      Lite), `identity` (values stay in [0, 255]), or an application's name.

  Returns:
    A function of float32 [..., 3] in [0, 255], RGB.

  Raises:
    UserError: the name is not known.
  """
  if name in table.known_models():
    module = importlib.import_module(table.known_models()[name].module)
    return module.preprocess_input
  if name in ('caffe', 'tf', 'torch'):
    return lambda x: keras.applications.imagenet_utils.preprocess_input(x, mode=name)
  if name == 'lite':
    return preprocessing('EfficientNetLite0')
  if name == 'identity':
    return lambda x: x
  raise errors.unknown('preprocessing', name,
                       ['caffe', 'tf', 'torch', 'lite', 'identity'],
                       "or an application's name")


def _application(spec: spec_lib.Spec, weights: str, hints: Hints) -> Model:
  for flag in ('preprocess', 'input_size', 'output'):
    if getattr(hints, flag) is not None:
      raise UserError(f'--{flag} is known for {spec.target}: leave it out')
  facts = table.known_models()[spec.target]
  constructor = getattr(importlib.import_module(facts.module), spec.target)
  if weights == 'imagenet':
    model, path = _with_published_weights(constructor, spec)
  elif weights == 'none':
    model, path = _construct(constructor, spec, weights=None), None
  else:
    path = _weights_file(weights)
    model = _with_own_weights(constructor, spec, path)
  return Model(
      name=spec.text, function=lambda x: model(x, training=False),
      preprocess=preprocessing(spec.target), preprocess_name=facts.preprocess,
      input_size=_square(model, spec.text), output=LOGITS, weights=weights,
      weights_sha256=files.sha256_of(path) if path else None,
      parameters=model.count_params())


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


class _NotPublished(Exception):
  """A file is not the one that Keras publishes for the model."""


@contextlib.contextmanager
def _keras_downloads(replacement: Callable[..., str]) -> Iterator[None]:
  """Lets `replacement(original, file name, url, **keywords)` find weight files.

  Keras does not tell which file it loaded, and a bare Exception is all that a
  failed download gives. Its applications call `file_utils.get_file`.
  """
  original = file_utils.get_file

  def get_file(fname=None, origin=None, **keywords):
    return replacement(original, fname, origin, **keywords)

  file_utils.get_file = get_file
  try:
    yield
  finally:
    file_utils.get_file = original


def _with_published_weights(constructor, spec: spec_lib.Spec):
  """Returns the model and the path of the file that was loaded."""
  if spec.target.startswith('EfficientNetLite'):
    module = importlib.import_module(table.known_models()[spec.target].module)
    return (_construct(constructor, spec, weights='imagenet'), module.weights_path())
  loaded: list[pathlib.Path] = []

  def record(original, fname, origin, **keywords):
    try:
      path = original(fname, origin, **keywords)
    except Exception as error:  # Keras raises bare Exception when offline.
      raise UserError(
          f'the weights {fname} of {spec.text} cannot be downloaded: get {origin} '
          f'and put it into {_weights_cache()}; {_OFFLINE_CHOICE}') from error
    loaded.append(pathlib.Path(path))
    return path

  with _keras_downloads(record):
    try:
      model = _construct(constructor, spec, weights='imagenet')
    except OSError as error:
      where = f' {loaded[-1]}' if loaded else ''
      raise UserError(f'the weights{where} of {spec.text} are truncated or not '
                      'HDF5: delete the file and download it again') from error
  return model, loaded[-1]


def _weights_cache() -> pathlib.Path:
  # Keras reads KERAS_HOME once, when it is imported.
  return pathlib.Path(file_utils.config.keras_home()) / 'models'


def _with_own_weights(constructor, spec: spec_lib.Spec,
                      path: pathlib.Path) -> keras.Model:
  if _NORMALISED_BY_WEIGHTS_ARGUMENT.fullmatch(spec.target):
    def only_if_published(original, fname, origin, file_hash=None, **keywords):
      if file_hash != hashlib.md5(path.read_bytes()).hexdigest():
        raise _NotPublished
      return os.fspath(path)

    with _keras_downloads(only_if_published), contextlib.suppress(_NotPublished):
      return _construct(constructor, spec, weights='imagenet')
  if spec.target.startswith('EfficientNetLite'):
    return _construct(constructor, spec, weights=os.fspath(path))
  model = _construct(constructor, spec, weights=None)
  _load_weights(model, os.fspath(path), spec.text)
  return model


@contextlib.contextmanager
def _whole_weights() -> Iterator[None]:
  """Refuses weights of which Keras only warns that some layers stay random.

  Where it raises, its warnings (one for each layer) are not shown.
  """
  with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter('always')
    yield
  for warning in caught:
    if 'freshly-initialized' in str(warning.message):
      raise ValueError(str(warning.message))
    warnings.warn_explicit(warning.message, warning.category, warning.filename,
                           warning.lineno)


def _weights_file(name: str) -> pathlib.Path:
  path = pathlib.Path(name).expanduser()
  if not path.is_file():
    state = 'is a folder' if path.is_dir() else 'does not exist'
    raise UserError(f'weights file {name} {state}: --weights is imagenet, none or '
                    'the path of a file')
  return path


def _load_weights(model: keras.Model, name: str, model_name: str) -> None:
  path = _weights_file(name)
  if not isinstance(model, keras.Model):
    raise UserError(f'{model_name} brings its weights: leave --weights out')
  if not h5py.is_hdf5(path):
    raise UserError(f'weights {path} are not HDF5 (empty, truncated or another '
                    'format): expected .h5 or .weights.h5 as Keras saves them')
  try:
    # Keras tells its two HDF5 layouts apart by the name alone.
    with h5py.File(path, 'r') as file:
      legacy = 'layer_names' in file.attrs or 'model_weights' in file
    misnamed = legacy == path.name.endswith('.weights.h5')
    if not misnamed:
      with _whole_weights():
        model.load_weights(path)
  except OSError as error:
    raise UserError(f'weights {path} are truncated or damaged: copy them again'
                    ) from error
  except (ValueError, KeyError) as error:
    raise UserError(f'weights {path} do not fit {model_name} with 1000 classes '
                    f'(other classes, width or model?): {errors.one_line(error)}'
                    ) from error
  if misnamed:
    wanted = 'NAME.h5' if legacy else 'NAME.weights.h5'
    raise UserError(f'weights {path} have the layout of {wanted}: rename the file')


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
    with _whole_weights():
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
  if len(inputs) != 1 or len(signature.structured_outputs) != 1:
    raise UserError(f'{path} has inputs {sorted(inputs)} and outputs '
                    f'{sorted(signature.structured_outputs)}: expected one of each')
  (input_name, input_spec), = inputs.items()
  output_name, = signature.structured_outputs

  def function(x):
    return signature(**{input_name: tf.cast(x, input_spec.dtype)})[output_name]

  # A signature keeps no reference to the variables that it reads.
  function.loaded = loaded
  shape = input_spec.shape
  function.input_shape = None if shape.rank is None else tuple(shape)
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


def _foreign(spec: spec_lib.Spec, model: Any, source: str, hints: Hints) -> Model:
  path = pathlib.Path(source)
  is_keras = isinstance(model, keras.Model)
  input_size = _square(model, spec.text, hints.input_size)
  if is_keras and not model.built:
    _build(model, spec.text, input_size)
  return Model(
      name=spec.text,
      function=(lambda x: model(x, training=False)) if is_keras else model,
      preprocess=preprocessing(hints.preprocess), preprocess_name=hints.preprocess,
      input_size=input_size,
      output=hints.output or _output_kind(model, spec.text),
      weights=source,
      weights_sha256=files.sha256_of(path) if path.is_file() else None,
      parameters=model.count_params() if is_keras else model.parameters)


def _build(model: keras.Model, name: str, size: int) -> None:
  """Makes the weights of a model that makes them when it sees its first image."""
  try:
    model(tf.zeros((1, size, size, 3)), training=False)
  except Exception as error:  # The user's own code may raise anything.
    raise UserError(f'{name} cannot run on images of {size} x {size}: '
                    f'{errors.one_line(error)}') from error


def _square(model: Any, name: str, given: int | None = None) -> int:
  """Returns the side of the input, in pixels."""
  shape = getattr(model, 'input_shape', None)
  fixed = shape[1:3] if isinstance(shape, tuple) and len(shape) == 4 else (None, None)
  if None in fixed:
    if given is None:
      raise UserError(f'the input size of {name} cannot be known: give --input_size')
    return given
  if fixed[0] != fixed[1]:
    raise UserError(f'{name} takes images of {fixed[0]} x {fixed[1]}, expected a '
                    'square')
  if given not in (None, fixed[0]):
    raise UserError(f'{name} takes images of {fixed[0]} pixels, --input_size={given} '
                    'was given: leave it out')
  return fixed[0]


def _output_kind(model: Any, name: str) -> str:
  # Not `layers[-1]`: operations such as `keras.ops.softmax` are no layers, and a
  # subclass may call its layers in any order.
  outputs = getattr(model, 'outputs', None) or []
  last = outputs[0]._keras_history.operation if len(outputs) == 1 else None
  activation = getattr(last, 'activation', None)
  if activation is keras.activations.softmax or isinstance(last, keras.layers.Softmax):
    return PROBABILITIES
  if activation is keras.activations.linear:
    return LOGITS
  raise UserError(f'whether {name} returns logits or probabilities cannot be known: '
                  'give --output=logits or --output=probabilities')
