"""Models that are no application: files, SavedModels and what factories return."""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Callable

import keras
import tensorflow as tf

from tfeval.models import (
  binary,
  class_maps,
  heads,
  normalisation,
  table,
  whole_numbers,
)
from tfeval.models.backend import Backend
from tfeval.models.graph_digest import GraphDigest
from tfeval.models.keras import (
  activations,
  averages,
  factory,
  input_forms,
  legacy_files,
  own_code,
  preprocess_function,
  saved_model,
  size_budget,
  trust,
  uncompiled,
  weights,
)
from tfeval.models.keras.backend import KerasBackend, symbolic_inputs
from tfeval.models.keras.legacy import backend_of
from tfeval.models.keras.preprocessor import preprocessor_of, with_preprocessor
from tfeval.models.keras.versions import both
from tfeval.models.model import (
  Model,
  function_name,
  input_side,
  preprocessing,
)
from tfeval.models.options import AVERAGES, PREPROCESSINGS, PROBABILITIES, ModelOptions
from tfeval.preprocess.protocol import BY_MODEL
from tfeval.utils import budgets, errors, files, paths
from tfeval.utils.errors import UserError
from tfeval.utils.spec import Spec
from tfeval.utils.time_limit import TimeLimit


def load_file(spec: Spec, weights_name: str, known: ModelOptions) -> Model:
  """Loads a model file or calls a factory.

  Args:
    spec: a path, or `module:function` with keyword arguments.
    weights_name: path of a weights file; `'averages'` of those it brings; `'imagenet'`
      and `'none'` leave the model the weights it brings.
    known: what cannot be known of it.

  Raises:
    UserError: one line that says what is wrong and what to do.
  """
  limit = None
  if _is_file(spec) and not known.trust_model:
    limit = TimeLimit(spec.text, known.batch_timeout)
  with limit.batch(counts=False) if limit else contextlib.nullcontext():
    backend, source, sha256, known = _bring(spec, known)
    known = with_preprocessor(backend.model, spec.text, known)
    if not backend.input_spec.encoded:
      _preprocess(spec.text, known)  # Before anything runs.
    if backend.model is not None and not backend.outputs():
      _first_image(
        _function(backend, spec.text, known),
        spec.text,
        input_size_of(backend, spec.text, known),
        known,
      )
    if weights_name == AVERAGES:
      source, sha256 = _with_averages(backend, spec, source, sha256)
    elif weights_name not in ('imagenet', 'none'):
      with paths.local_copy(weights.find_weights(weights_name)) as path:
        weights.load(backend.model, path, spec.text)
        sha256 = files.sha256_of(path)
      source = weights_name
  model = described(backend, spec.text, known, source, sha256)
  return dataclasses.replace(model, time_limit=limit)


def _with_averages(
  backend: Backend, spec: Spec, source: str, sha256: str | None
) -> tuple[str, str]:
  """Gives a model its averages; returns where these came from, and their hash."""
  if not spec.target.endswith('.keras') or sha256 is None:
    raise UserError(f'{spec.text}: `weights={AVERAGES}` is of .keras files alone')
  with paths.local_copy(paths.path(spec.target)) as path:
    averages.load(backend.model, path, spec.text)
  return f'{source} {AVERAGES}', files.digest_of_pairs([(AVERAGES, sha256)])


def described(
  backend: Backend, name: str, known: ModelOptions, source: str, sha256: str | None
) -> Model:
  """Returns a model that is there with all that evaluating it needs.

  Args:
    backend: of a model that has its weights.
    name: the model's.
    known: what cannot be known of it.
    source, sha256: where its weights came from, and the hash of that file, if any.

  Raises:
    UserError: one line that says what is wrong and what to do.
  """
  known = with_preprocessor(backend.model, name, known)
  encoded = backend.input_spec.encoded
  preprocess = _as_they_are(name, known) if encoded else _preprocess(name, known)
  input_forms.check_one(symbolic_inputs(backend.model), name)
  input_size = 0 if encoded else input_size_of(backend, name, known)
  shown, does = _told_preprocess(preprocess, backend, name, known, input_size)
  function = _function(backend, name, known)
  chosen = heads.chosen(backend, name, known.output_name)
  shape = None if chosen is None else heads.flat_shape(chosen.shape)
  if shape is not None:
    class_maps.check_shape(shape, name, known.class_map)
  ends_in = activations.of(chosen) or heads.activation(backend, known.output_name)
  output = activations.output_kind(ends_in, name, known.output)
  outputs = None if shape is None else shape[-1]
  is_single = outputs == 1
  if is_single:
    function, output = binary.two_classes(function, name, output), binary.KIND[output]
    outputs = 2
  space = None
  if known.class_map is not None:
    space = class_maps.label_map(known.class_map).classes
    outputs = len(space)
    function = class_maps.mapped(
      function, name, known.class_map, output == PROBABILITIES
    )
  return Model(
    name=name,
    function=function,
    preprocess=preprocess,
    preprocess_name=shown,
    input_size=input_size,
    output=output,
    class_map=class_maps.identity(known.class_map),
    output_name=known.output_name,
    weights=source,
    weights_sha256=sha256,
    parameters=backend.parameters,
    dtype=backend.dtype,
    backend=backend,
    label_space=space,
    outputs=outputs,
    preprocess_sha256=does.sha256,
    preprocess_changes=does.changing,
    is_single=is_single,
    channels=backend.input_spec.channels or 3,
  )


def _told_preprocess(
  preprocess: Callable[[tf.Tensor], tf.Tensor],
  backend: Backend,
  name: str,
  known: ModelOptions,
  side: int,
) -> tuple[str, GraphDigest]:
  """Returns what a preprocessing is called, and of a function what it does.

  Raises:
    UserError: it does not make what the model takes.
  """
  if backend.input_spec.encoded:
    return BY_MODEL, GraphDigest(None, ())
  shown, does = known.preprocess, GraphDigest(None, ())
  if callable(shown):
    shown = function_name(shown)
    does = preprocess_function.check(preprocess, shown, name, side)
  whole_numbers.check(name, preprocess, shown, backend.input_spec, side)
  return shown, does


def _as_they_are(name: str, known: ModelOptions) -> Callable[[tf.Tensor], tf.Tensor]:
  """Returns what is done to encoded images, which is nothing.

  Raises:
    UserError: something is asked for.
  """
  for option in ('preprocess', 'input_size'):
    given = getattr(known, option)
    if given is not None and given != 'identity':
      size = ' (or the size of `protocol`)' if option == 'input_size' else ''
      raise UserError(
        f'{name} takes encoded images, {BY_MODEL} and resized there: leave '
        f'`{option}={given}`{size} out'
      )
  return tf.identity


def input_size_of(backend: Backend, name: str, known: ModelOptions) -> int:
  """Returns the side of what is preprocessed for a model, in pixels.

  Raises:
    UserError: it cannot be known, or is not that of the model.
  """
  if known.input_size is not None and preprocessor_of(backend.model) is not None:
    return int(known.input_size)  # It may resize.
  return input_side(backend.input_spec, name, known.input_size)


def check_options_of(model: keras.Model, name: str, known: ModelOptions) -> None:
  """Checks what can be checked of a model that is not built.

  Raises:
    UserError: the options lack something.
  """
  _preprocess(name, with_preprocessor(model, name, known))
  if known.output is None and not isinstance(model, both('Sequential')):
    activations.output_kind(None, name, None)


def _is_file(spec: Spec) -> bool:
  """Whether a model is a file or a folder, be it there or not, and no factory."""
  is_path = paths.is_url(spec.target) or os.path.exists(spec.target)
  return is_path or not (':' in spec.target or spec.target in table.LOADERS)


def _bring(
  spec: Spec, known: ModelOptions
) -> tuple[Backend, str, str | None, ModelOptions]:
  """Returns the model, where it came from, its hash, and what is known of it.

  A path has a hash; of a factory the second is `'model'`, the third None.
  """
  if not _is_file(spec):
    saved_model.check_options(spec.text, known, is_one=False)
    with own_code.available(own_code.import_modules(known.import_module)):
      model, known = factory.call(spec, known)
    return backend_of(model), 'model', None, known
  if not os.path.isdir(spec.target):  # A SavedModel may take encoded images.
    _preprocess(spec.text, known)  # Before a large file is read.
  if spec.options:
    raise UserError(f'{spec.text}: a model file takes no options')
  if known.dtype != 'float32':
    raise UserError(
      f'{spec.text}: a model file computes in what it was saved with: '
      f'leave out `dtype={known.dtype}`'
    )
  source = paths.path(spec.target)
  if not source.exists():
    raise UserError(f'model file {source} does not exist')
  saved_model.check_options(spec.text, known, source.is_dir())
  with paths.local_copy(source) as path:
    return _from_file(path, known), spec.target, _sha256(path, known), known


def _function(
  backend: Backend, name: str, known: ModelOptions
) -> Callable[[tf.Tensor], tf.Tensor]:
  """Returns what the classifier's output is computed by."""
  return heads.select(
    backend,
    name,
    known.output_name,
    tuple(backend.outputs()),
  )


def _preprocess(name: str, known: ModelOptions) -> Callable[[tf.Tensor], tf.Tensor]:
  if callable(known.preprocess):
    return known.preprocess
  if known.preprocess is not None:
    return preprocessing(known.preprocess)
  raise UserError(
    f'how images are preprocessed for {name} cannot be known: '
    f'give `preprocess={"|".join((*PREPROCESSINGS, *normalisation.names()))}`, numbers '
    "(mean=M,M,M:std=D,D,D) or an application's name; a factory may return it beside "
    'its model'
  )


def _sha256(path: pathlib.Path, known: ModelOptions) -> str:
  """Returns the hash of a file, or of all names and files of a SavedModel.

  And of which part of it is evaluated, where that is not the usual one.
  """
  if path.is_dir():
    contents = [
      (os.fspath(p.relative_to(path)), files.sha256_of(p))
      for p in path.rglob('*')
      if p.is_file()
    ]
    return files.digest_of_pairs([*contents, *saved_model.chosen(known)])
  return files.sha256_of(path)


def _from_file(path: pathlib.Path, known: ModelOptions) -> Backend:
  trusted, own = known.trust_model, own_code.import_modules(known.import_module)
  if path.is_dir():
    if not (path / 'saved_model.pb').is_file():
      raise UserError(
        f'{path} is a folder without saved_model.pb: expected a '
        'SavedModel, a .keras or a .h5 file'
      )
    if not trusted:
      trust.check_saved_model(path)
    return saved_model.load(path, known)
  bounded: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
  most = budgets.DECODED
  if not trusted:
    most += trust.check_keras_file(path, own)
    bounded = size_budget.bounded_variables(path, most)
  try:
    with (
      uncompiled.loading(),
      bounded,
      weights.none_missing(),
      own_code.available(own),
    ):
      model = keras.saving.load_model(path, compile=False, safe_mode=not trusted)
  except UserError:
    raise
  except Exception as error:  # What a strange file makes Keras raise is open.
    if legacy_files.version(path) is not None:
      config = trust.read_config(path)
      return backend_of(legacy_files.load(path, config, own, trusted, most, error))
    if (missing := own_code.missing(path, error)) is not None:
      raise missing from error
    raise UserError(f'cannot load {path}: {errors.one_line(error)}') from error
  return KerasBackend(model)


def _first_image(
  function: Callable[[tf.Tensor], tf.Tensor], name: str, size: int, known: ModelOptions
) -> None:
  """Runs a model that tells nothing of its outputs, and so makes its weights."""
  try:
    outputs = function(tf.zeros((1, size, size, 3)))
    shape = outputs.shape
  except UserError:
    raise
  except Exception as error:  # The user's own code may raise anything.
    raise UserError(
      f'{name} cannot run on images of {size} x {size}: {errors.one_line(error)}'
    ) from error
  class_maps.check_shape(shape, name, known.class_map)
