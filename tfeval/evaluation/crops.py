"""The pixels that models see, as files that people can look at."""

import contextlib
import os
import pathlib
from collections.abc import Sequence

import tensorflow as tf

from tfeval.runs.top_classes import PredictingModel
from tfeval.utils import files, spec
from tfeval.utils.errors import UserError


class Crops:
  """Writes what a protocol makes of images, before any normalisation, as PNG.

  DIR/MODEL/IMAGE.png, with the folders that images lie in below the one that all have
  in common; of several crops (`tta`) DIR/MODEL/IMAGE.1.png and so on. Pixels of 8 bits
  are written as they are; those of protocols that keep fractions are rounded.
  """

  def __init__(self, directory: pathlib.Path, paths: Sequence[pathlib.Path]):
    """Looks at which images there are.

    Args:
      directory: where to.
      paths: of all images.
    """
    self._directory = directory
    self._written: list[pathlib.Path] = []
    parents = [os.path.dirname(os.path.abspath(path)) for path in paths]
    self._root = os.path.commonpath(parents)

  def write(self, model: PredictingModel, path: pathlib.Path, pixels: tf.Tensor) -> str:
    """Writes the pixels of an image and returns the path of the file.

    Args:
      model: which one sees them.
      path: of the image.
      pixels: [side, side, channels], or [crops, side, side, channels], in 0..255.

    Returns:
      Of several crops that of the first.

    Raises:
      UserError: there are no pixels, as where the model decodes images itself, or the
        file cannot be written.
    """
    if pixels.shape.rank not in (3, 4):
      raise UserError(
        f'{model.name} is handed encoded images and decodes them itself: leave `crops` '
        'out'
      )
    inside = os.path.relpath(os.path.abspath(path), self._root)
    folder = spec.Spec(model.name, model.name).directory_name()
    several = pixels.shape.rank == 4
    written = [
      self._write_one(
        self._directory / folder / f'{inside}{f".{number}" * several}.png', one
      )
      for number, one in enumerate(tf.unstack(pixels) if several else [pixels], 1)
    ]
    return written[0]

  def _write_one(self, path: pathlib.Path, pixels: tf.Tensor) -> str:
    if pixels.dtype != tf.uint8:
      pixels = tf.cast(tf.clip_by_value(tf.round(pixels), 0, 255), tf.uint8)
    try:
      path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
      raise files.cannot_write(path, error, '`crops`') from error
    self._written.append(path)
    files.write_atomically(path, tf.io.encode_png(pixels).numpy(), '`crops`')
    return str(path)

  def discard(self) -> None:
    """Removes what was written, and folders that are empty then."""
    for path in self._written:
      path.unlink(missing_ok=True)
    for folder in sorted({path.parent for path in self._written}, reverse=True):
      while folder != self._directory.parent:
        with contextlib.suppress(OSError):
          folder.rmdir()
        folder = folder.parent
