"""Whether a preprocessing makes what an input of whole numbers can take."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tfeval.models.model import function_name, preprocessing
from tfeval.utils.errors import UserError


def check(
  name: str,
  preprocess: str | Callable[[tf.Tensor], tf.Tensor],
  dtype: str,
  limits: Sequence[int],
  channels: int | None = 3,
  side: int = 16,
) -> None:
  """Checks what a preprocessing makes of all 256 values of a pixel.

  Args:
    name: the model's.
    preprocess: as `ModelOptions` has it.
    dtype: of its input.
    limits: the least and the largest number that it takes.
    channels: of an image; None: any number.
    side: of an image, in pixels, at least 16.

  Raises:
    UserError: numbers that are not whole, which would be rounded (all of `unit` to 0
      and 1), or outside of these limits.
  """
  least, most = limits
  grey = np.resize(np.arange(256, dtype=np.float32), (1, side, side, 1))
  function = preprocess if callable(preprocess) else preprocessing(preprocess)
  images = tf.constant(np.repeat(grey, channels or 3, -1))
  made = np.asarray(function(images), np.float64)
  if (made == np.trunc(made)).all() and least <= made.min() <= made.max() <= most:
    return
  shown = function_name(preprocess) if callable(preprocess) else preprocess
  way = 'identity' if least <= 0 and most >= 255 else f'scale=1:offset={least}'
  raise UserError(
    f'{name} takes whole numbers ({dtype}, {least} to {most}), and '
    f'`preprocess={shown}` makes numbers from {made.min():.4g} to {made.max():.4g}'
    f'{" that are not whole" * bool((made != np.trunc(made)).any())}: give what it was '
    f'exported for, such as `preprocess={way}`'
  )
