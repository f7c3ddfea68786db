"""Weights files: found, loaded whole, and known by their content."""

import contextlib
import hashlib
import os
import pathlib
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import keras
from keras.src.utils import file_utils

from tfeval.models.efficientnet_lite import weights
from tfeval.models.keras import size_budget, weights_file
from tfeval.utils import errors, paths
from tfeval.utils.errors import Lasting, UserError
from tfeval.utils.spec import Spec

Construct = Callable[..., keras.Model]
# Keras 3 gives these an extra Rescaling when weights == 'imagenet' and only then,
# so the same file given as a path would be fed differently normalised images.
_NORMALISED_BY_WEIGHTS_ARGUMENT = re.compile(r'EfficientNetB[0-7]')
_OFFLINE_CHOICE = '`model=EfficientNetLite0` works offline'


class _NotPublished(Exception):
  """A file is not of the model that weights='imagenet' builds."""


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


def with_published(
  spec: Spec, construct: Construct
) -> tuple[keras.Model, pathlib.Path]:
  """Builds an application with the weights that its authors publish.

  Args:
    spec: the application.
    construct: builds it, given `weights`.

  Returns:
    The model, and the path of the file that was loaded.

  Raises:
    UserError: the file is not there and cannot be downloaded, or is damaged.
  """
  if spec.target.startswith('EfficientNetLite'):
    return construct(weights='imagenet'), weights.find_weights(spec.target)
  loaded: list[pathlib.Path] = []
  verified = False

  def record(original, fname, origin, **keywords):
    try:
      path = _in_read_only_home(fname, **keywords)
      path = path or original(fname, origin, **keywords)
    except Exception as error:  # Keras raises bare Exception when offline.
      raise UserError(
        f'the weights {fname} of {spec.text} cannot be downloaded: get {origin} '
        f'and put it into {_weights_cache()}; {_OFFLINE_CHOICE}'
      ) from error
    nonlocal verified
    verified = bool(keywords.get('file_hash') or keywords.get('md5_hash'))
    loaded.append(pathlib.Path(path))
    return path

  with _keras_downloads(record):
    try:
      model = construct(weights='imagenet')
    except OSError as error:
      where = f' {loaded[-1]}' if loaded else ''
      raise UserError(
        f'the weights{where} of {spec.text} are truncated or not '
        'HDF5: delete the file and download it again'
      ) from error
    except (UserError, KeyError) as error:
      said = errors.one_line(error.__cause__ or error)
      if loaded:
        path = loaded[-1]
        remedy = (
          'they are for images of another size: leave the size out'
          if verified
          else 'delete the file and download it again'
        )
        raise UserError(
          f'the weights {path}, {weights_file.described(path)}, do not '
          f'fit {spec.text}: {remedy} ({said})'
        ) from error
      if isinstance(error.__cause__, ValueError) and 'weights' in said:
        raise UserError(
          f'no published weights for {spec.text} ({said.rstrip(".")}): tfeval models '
          f'`filter={spec.target}` lists those that there are, `weights=none` builds '
          'without, `input_size` feeds images of another size'
        ) from error
      raise
  return model, loaded[-1]


def _weights_cache() -> pathlib.Path:
  # Keras reads KERAS_HOME once, when it is imported.
  return pathlib.Path(file_utils.config.keras_home()).expanduser() / 'models'


def _in_read_only_home(
  file_name: str,
  cache_subdir: str = 'models',
  file_hash: str | None = None,
  md5_hash: str | None = None,
  **_: Any,
) -> str | None:
  """Returns a file of a home that Keras cannot write to, and so does not look into.

  None: there is none, or it is not what is published.
  """
  path = _weights_cache() / file_name
  if cache_subdir != 'models' or os.access(_weights_cache().parent, os.W_OK):
    return None
  expected = file_hash or md5_hash
  is_right = path.is_file() and (
    expected is None or file_utils.validate_file(path, expected)
  )
  return os.fspath(path) if is_right else None


def with_own(spec: Spec, construct: Construct, path: pathlib.Path) -> keras.Model:
  """Builds an application with the weights of a file.

  Args:
    spec: the application.
    construct: builds it, given `weights`.
    path: a `.h5` or `.weights.h5` file, of `find`.

  Raises:
    UserError: the file is damaged or does not fit the model.
  """
  if _NORMALISED_BY_WEIGHTS_ARGUMENT.fullmatch(spec.target):
    # Keras loads it without a word of ours.
    if h5py.is_hdf5(path):
      size_budget.check_hdf5(path)

    def only_if_published(original, fname, origin, file_hash=None, **keywords):
      md5 = hashlib.md5(path.read_bytes()).hexdigest()
      if file_hash != md5 and not _has_second_rescaling(path):
        raise _NotPublished
      return os.fspath(path)

    with _keras_downloads(only_if_published), contextlib.suppress(_NotPublished):
      return construct(weights='imagenet')
  if spec.target.startswith('EfficientNetLite'):
    return construct(weights=os.fspath(path))
  model = construct(weights=None)
  load(model, path, spec.text)
  return model


def check_same_normalisation(spec: Spec) -> None:
  """Refuses applications whose values do not tell how images are normalised.

  Raises:
    UserError: it is one.
  """
  if _NORMALISED_BY_WEIGHTS_ARGUMENT.fullmatch(spec.target):
    raise UserError(
      f"{spec.text} normalises otherwise where training began with weights='imagenet'"
      ', which its checkpoints do not tell: give `model=module:function` that builds '
      'it as it was trained'
    )


def _has_second_rescaling(path: pathlib.Path) -> bool:
  """Whether a file was saved from a model built with weights='imagenet'.

  Both layouts list layers without weights too.
  """
  try:
    with h5py.File(path, 'r') as file:
      names = [
        n.decode() if isinstance(n, bytes) else str(n)
        for n in (
          file['layers'] if 'layers' in file else file.attrs.get('layer_names', ())
        )
      ]
  except OSError:
    return False  # Loading says what is wrong with it.
  return sum(name.startswith('rescaling') for name in names) > 1


@contextlib.contextmanager
def none_missing() -> Iterator[None]:
  """Refuses weights of which Keras only warns that some layers stay random.

  Where it raises, its warnings (one for each layer) are not shown.
  """
  with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter('always')
    yield
  for warning in caught:
    if 'freshly-initialized' in str(warning.message):
      raise ValueError(str(warning.message))
    warnings.warn_explicit(
      warning.message, warning.category, warning.filename, warning.lineno
    )


def find_weights(name: str) -> paths.Path:
  """Returns the path of a weights file.

  Raises:
    UserError: there is no such file.
  """
  path = paths.path(name)
  if not path.is_file():
    state = 'is a folder' if path.is_dir() else 'does not exist'
    raise UserError(
      f'weights file {name} {state}: `weights` is imagenet, none or the path of a file'
    )
  return path


def load(model: keras.Model, path: pathlib.Path, model_name: str) -> None:
  """Loads a weights file into a model.

  Raises:
    UserError: the file is damaged, misnamed, or does not fit the model.
  """
  if not isinstance(model, keras.Model):
    raise UserError(f'{model_name} brings its weights: leave `weights` out')
  if not h5py.is_hdf5(path):
    raise UserError(
      f'weights {path} are not HDF5 but {weights_file.described(path)}: '
      'expected .h5 or .weights.h5 as Keras saves them'
    )
  size_budget.check_hdf5(path)
  try:
    # Keras tells its HDF5 layouts apart by the name alone.
    legacy = weights_file.is_legacy(path)
    readable = path.suffix in ('.h5', '.hdf5') and (
      legacy != path.name.endswith('.weights.h5')
    )
    if readable:
      with none_missing():
        model.load_weights(path)
  except (OSError, RuntimeError) as error:
    raise UserError(
      f'weights {path} are truncated or damaged: copy them again'
    ) from error
  except UserError:
    raise
  except Exception as error:  # What strange values make Keras raise is open.
    raise Lasting(
      f'weights {path}, {weights_file.described(path)}, do not fit {model_name} with '
      f'1000 classes, {model.count_params():,} values (other classes, width or '
      f'model?): {errors.one_line(error)}'
    ) from error
  if not readable:
    wanted = 'NAME.h5' if legacy else 'NAME.weights.h5'
    raise Lasting(f'weights {path} have the layout of {wanted}: rename the file')
