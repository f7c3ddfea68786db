"""What happens to a training where the disk is full: it goes on."""

import errno
import logging
import math
from collections.abc import Iterable

import tensorflow as tf

from tfeval.utils import errors
from tfeval.utils.errors import NotWritten

_LOG = logging.getLogger('tfeval')
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
# What may be raised where something cannot be written, and by event files.
ERRORS = (NotWritten, OSError)
OF_EVENTS = (*ERRORS, tf.errors.OpError)


def tell(error: Exception, lost: str) -> None:
  """Tells in a line what is lost.

  Args:
    error: one of `OF_EVENTS`.
    lost: what, at which step, and what becomes of it.

  Raises:
    Exception: the error, if it is another one.
  """
  if isinstance(error, OSError) and error.errno not in _FULL:
    raise error
  _LOG.warning(f'{lost}: {errors.one_line(error)}')


def lost_values(error: Exception, names: Iterable[str], step: int) -> dict[str, float]:
  """Returns NaN for each name, where an evaluation could not be stored anywhere.

  What monitors them takes NaN for no improvement; file names that have one can be made.

  Raises:
    Exception: the error, if it is another one.
  """
  found = dict.fromkeys(names, math.nan)
  tell(error, f'{", ".join(found)} of step {step} are lost, the training goes on')
  return found
