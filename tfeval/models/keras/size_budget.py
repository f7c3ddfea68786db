"""What a model file unpacks to, looked up before anything of it is unpacked.

What Keras writes is as large as its values. A file of a stranger can declare, in a few
kilobytes, values that no memory holds, or name other files to be read.
"""

import contextlib
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import keras

from tfeval.utils import budgets, errors, untrusted
from tfeval.utils.errors import UserError
from tfeval.utils.numpy_files import BROKEN_ARCHIVE

# What `model.save('x.keras')` writes (keras/src/saving/saving_lib.py).
WEIGHTS_MEMBER = 'model.weights.h5'
_MEMBERS = frozenset({'config.json', 'metadata.json', WEIGHTS_MEMBER})
# Address space of the process that walks a file, of which libraries take a half, and
# its CPU time.
_MEMORY, _SECONDS = 1 << 30, 60
_PROGRAM = pathlib.Path(__file__).with_name('hdf5_check.py')


def check_hdf5(path: pathlib.Path, member: str = '') -> int:
  """Checks that an HDF5 file is as large as it says, and that it is all in it.

  Args:
    path: of the file, or of the archive that it is in.
    member: its name in the archive.

  Returns:
    How many bytes its arrays have.

  Raises:
    UserError: it is damaged, unpacks to far more than it stores, links to other files,
      or is packed by a filter that is not HDF5's own.
  """
  untrusted.check_file(path)
  limits = {
    'ratio': budgets.UNPACKED_RATIO,
    'more': budgets.DECODED,
    'objects': budgets.OBJECTS,
    'memory': _MEMORY + (budgets.decoded(os.path.getsize(path)) if member else 0),
    'seconds': _SECONDS,
  }
  # `-P`: modules beside the program are none of its.
  command = [sys.executable, '-P', str(_PROGRAM), os.fspath(path), member]
  try:
    walked = subprocess.run(
      [*command, json.dumps(limits)],
      stdin=subprocess.DEVNULL,
      capture_output=True,
      timeout=5 * _SECONDS,
      check=False,
    )
    answer = json.loads(walked.stdout or '{}')
  except (OSError, subprocess.TimeoutExpired, ValueError) as error:
    raise UserError(f'{path} cannot be checked: {errors.one_line(error)}') from error
  if 'unpacked' in answer:
    return answer['unpacked']
  if 'found' in answer:
    raise UserError(f'{path}: {answer["found"]}')
  why = answer.get('damaged', 'it ended the process that read it, or took too long')
  raise UserError(f'{path} is truncated or damaged HDF5: copy it again: {why}')


def check_archive(path: pathlib.Path) -> int:
  """Checks that a `.keras` file holds what Keras writes, as large as it says.

  Returns:
    How many bytes its weights have.

  Raises:
    UserError: it holds more, or unpacks to far more than it stores.
  """
  untrusted.check_file(path)
  try:
    with zipfile.ZipFile(path) as archive:
      further = sorted({info.filename for info in archive.infolist()} - _MEMBERS)
      if further:
        raise UserError(
          f'{path} holds {further[0][:80]}, expected {", ".join(sorted(_MEMBERS))}: '
          'give `trust_model` if you trust whoever made the file'
        )
      info = archive.getinfo(WEIGHTS_MEMBER)
      most = budgets.UNPACKED_RATIO * info.compress_size + budgets.DECODED
      if info.file_size > most:
        raise UserError(
          f'{path}: {WEIGHTS_MEMBER} unpacks to {info.file_size:,} bytes, expected at '
          f'most {most:,}'
        )
    return check_hdf5(path, WEIGHTS_MEMBER)
  except UserError:
    raise
  except (OSError, KeyError, ValueError, *BROKEN_ARCHIVE) as error:
    raise UserError(
      f'{path} is not a whole Keras model file: expected what '
      'model.save("x.keras") writes'
    ) from error


class _TooManyVariables(Exception):
  """Ends the making of a model."""


def bounded_variables(
  path: pathlib.Path, most: int
) -> contextlib.AbstractContextManager[None]:
  """Where Keras may make so many bytes of variables in this thread, and no more.

  Keras makes a model before it reads its weights, however large.

  Raises:
    UserError: the model of a file would have more.
  """
  return bounded_calls(
    path,
    most,
    keras.src.backend.Variable,
    '_initialize_with_initializer',
    lambda variable, _: math.prod(variable._shape) * _bytes_of(variable._dtype),
  )


@contextlib.contextmanager
def bounded_calls(
  path: pathlib.Path,
  most: int,
  owner: Any,
  name: str,
  size_of: Callable[..., int],
) -> Iterator[None]:
  """Where calls of a function in this thread may make so many bytes, and no more.

  Args:
    path: of the file that asks for them.
    most: bytes.
    owner, name: where the function is found.
    size_of: takes what the function does, and returns bytes.

  Raises:
    UserError: they would make more.
  """
  original = getattr(owner, name)
  thread, made = threading.get_ident(), 0

  def counted(*arguments, **keywords):
    nonlocal made
    if threading.get_ident() == thread:
      made += size_of(*arguments, **keywords)
      if made > most:
        raise _TooManyVariables
    return original(*arguments, **keywords)

  setattr(owner, name, counted)
  try:
    yield
  except Exception as error:
    if made > most:
      # Keras makes an error of its own of any.
      raise UserError(
        f'{path}: its model has more than {most:,} bytes of variables, which its '
        'weights do not fill'
      ) from error
    raise
  finally:
    setattr(owner, name, original)


def _bytes_of(dtype: str) -> int:
  """Returns the size of a value of a Keras dtype, such as `float8_e4m3fn` or `bool`."""
  bits = re.search(r'\d+', dtype)
  return max(1, int(bits[0]) // 8) if bits else 1
