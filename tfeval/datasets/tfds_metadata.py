"""What a prepared TFDS dataset says of itself, which anybody may have written.

TFDS imports whatever module `features.json` names for the class of a feature, and
believes what else it finds. Here only classes are made that are there already, and
whatever goes wrong is told in one line.
"""

import contextlib
import os
import pathlib
from collections.abc import Iterable, Iterator

import tensorflow as tf
import tensorflow_datasets as tfds

from tfeval.utils import errors, untrusted
from tfeval.utils.errors import UserError

_Feature = tfds.features.FeatureConnector


@contextlib.contextmanager
def only_known_features() -> Iterator[None]:
  """Where TFDS makes features of classes that are there, and imports none.

  Raises:
    UserError: another one is asked for; names it.
  """
  original = _Feature.__dict__['cls_from_name']

  def known(cls, name: str) -> type[_Feature]:
    if name not in cls._registered_features:
      raise UserError(
        f'its features.json names the class {str(name)[:80]!r}, which is none of TFDS: '
        'import the module that has it before, or prepare the dataset with a feature '
        'of TFDS'
      )
    return original.__get__(None, cls)(name)

  _Feature.cls_from_name = classmethod(known)
  try:
    yield
  finally:
    _Feature.cls_from_name = original


@contextlib.contextmanager
def told(name: str, where: object) -> Iterator[None]:
  """Where all that a dataset's damaged description raises becomes one line.

  Args:
    name: the dataset's.
    where: its directory.

  Raises:
    UserError: something was raised; says what.
  """
  try:
    yield
  except UserError:
    raise
  except Exception as error:  # TFDS and what it imports raise many types.
    raise UserError(
      f'dataset {name} in {where} is damaged or of another TFDS: '
      f'{errors.one_line(error)}: prepare it again in another `data_dir`'
    ) from error


def check_files(paths: Iterable[str], directory: str) -> None:
  """Checks that files of records are the dataset's, and no pipes or devices.

  Args:
    paths: of files, as the dataset's description names them.
    directory: that it lies in.

  Raises:
    UserError: one is elsewhere, or, where it is local, no file.
  """
  root = os.path.normpath(directory)
  for path in paths:
    # Links are the user's own; names are of whoever wrote the description.
    if not os.path.normpath(path).startswith(root + os.sep):
      raise UserError(
        f'its dataset_info.json names {path[:200]} as a file of its own, which is not '
        f'in {directory}: prepare it again in another `data_dir`'
      )
    if '://' not in path:
      with contextlib.suppress(OSError):  # Of what is missing TensorFlow tells.
        untrusted.check_file(pathlib.Path(path))


def check_tensor(
  name: str, key: str, feature: _Feature, shape: tuple, dtype: tf.DType
) -> None:
  """Checks that a feature is read as a tensor of a shape and dtype.

  Raises:
    UserError: it is read as something else.
  """
  info = feature.get_tensor_info()
  if isinstance(info, tfds.features.TensorInfo):
    if info.shape == shape and tf.as_dtype(info.dtype) == dtype:
      return
  raise UserError(
    f'{name} has {key} as {str(info)[:80]}, expected {dtype.name} {list(shape)}'
  )
