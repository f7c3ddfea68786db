"""Whether a preprocessing makes what an input of whole numbers can take."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfeval.models.model import function_name, preprocessing
from tfeval.utils.errors import UserError


def check(
  name: str,
  preprocess: str | Callable[[tf.Tensor], tf.Tensor],
  told: Mapping[str, Any],
) -> None:
  """Checks what a preprocessing makes of all 256 values of a pixel.

  Args:
    name: the model's.
    preprocess: as `ModelOptions` has it.
    told: `whole_numbers`: the least and the largest number that its input takes;
      `dtype` and `input`.

  Raises:
    UserError: numbers that are not whole, which would be rounded (all of `unit` to 0
      and 1), or outside of these limits.
  """
  least, most = told['whole_numbers']
  channels = told['input'][-1] or 3
  grey = np.arange(256, dtype=np.float32).reshape(1, 16, 16, 1)
  function = preprocess if callable(preprocess) else preprocessing(preprocess)
  made = np.asarray(function(tf.constant(np.repeat(grey, channels, -1))), np.float64)
  if (made == np.trunc(made)).all() and least <= made.min() <= made.max() <= most:
    return
  shown = function_name(preprocess) if callable(preprocess) else preprocess
  way = 'identity' if least <= 0 and most >= 255 else f'scale=1:offset={least}'
  raise UserError(
    f'{name} takes whole numbers ({told["dtype"]}, {least} to {most}), and '
    f'`preprocess={shown}` makes numbers from {made.min():.4g} to {made.max():.4g}'
    f'{" that are not whole" * bool((made != np.trunc(made)).any())}: give what it was '
    f'exported for, such as `preprocess={way}`'
  )
