"""Whether a preprocessing makes what an input of whole numbers can take."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfeval.models.backend import InputSpec
from tfeval.utils.errors import UserError

# Which have a pixel of each of the 256 values.
_LEAST_SIDE = 16


def check(
  name: str,
  preprocess: Callable[[tf.Tensor], tf.Tensor],
  shown: str,
  spec: InputSpec,
  side: int,
) -> None:
  """Checks what a preprocessing makes of all 256 values of a pixel.

  Args:
    name: the model's.
    preprocess: of float32 [n, side, side, channels] in [0, 255].
    shown: what it is called.
    spec: of the model's input; one that takes no whole numbers takes anything.
    side: of an image, in pixels.

  Raises:
    UserError: numbers that are not whole, which would be rounded (all of `unit` to 0
      and 1), or outside of the limits of the dtype.
  """
  dtype = tf.as_dtype(spec.dtype)
  if spec.encoded or not dtype.is_integer:
    return
  least, most, side = dtype.min, dtype.max, max(side, _LEAST_SIDE)
  grey = np.resize(np.arange(256, dtype=np.float32), (1, side, side, 1))
  images = tf.constant(np.repeat(grey, spec.channels or 3, -1))
  made = np.asarray(preprocess(images), np.float64)
  is_whole = (made == np.trunc(made)).all()
  if is_whole and least <= made.min() <= made.max() <= most:
    return
  way = 'identity' if least <= 0 and most >= 255 else f'scale=1:offset={least}'
  raise UserError(
    f'{name} takes whole numbers ({spec.dtype}, {least} to {most}), and '
    f'`preprocess={shown}` makes numbers from {made.min():.4g} to {made.max():.4g}'
    f'{" that are not whole" * (not is_whole)}: give what it was exported for, such as '
    f'`preprocess={way}`'
  )
