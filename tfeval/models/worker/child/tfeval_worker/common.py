"""What the modules for each framework share."""

import hashlib
import importlib
import importlib.util
import os
import platform
import sys

import numpy as np


class Refused(Exception):
  """What the user can mend, in a line."""


def listed(names, none='none'):
  """Returns names in a line: the first ten, and how many more there are.

  As `tfeval.utils.errors.listed`, which this process cannot import.
  """
  names = list(map(str, names))
  told = ', '.join(names[:10]) or none
  more = len(names) - 10
  return f'{told}, ... and {more:,} more' if more > 0 else told


def library(name, extra):
  """Imports a framework.

  Raises:
    Refused: it is not there.
  """
  try:
    return importlib.import_module(name)
  except ImportError as error:
    raise Refused(
      f'{name} is not in the Python that runs the model, {sys.executable} ({error}): '
      f'pip install "tfeval[{extra}]", or give `model_python`, that of an environment '
      'which has it'
    ) from error


def user_function(target):
  """Returns what `module:function` names, imported here alone.

  Raises:
    Refused: it cannot be imported, or is not there.
  """
  module_name, _, name = target.partition(':')
  try:
    module = importlib.import_module(module_name)
  except (Exception, SystemExit) as error:
    raise Refused(
      f'cannot import {module_name} (from {os.getcwd()} and PYTHONPATH): '
      f'{type(error).__name__}: {error}'
    ) from error
  found = module
  for part in name.split('.'):
    found = getattr(found, part, None)
  if not callable(found):
    public = [one for one in vars(module) if not one.startswith('_')]
    raise Refused(f'{module_name} has no function {name}: it has {listed(public)}')
  return found


def code_sha256():
  """Returns the hash of the files of all modules here that are the user's own.

  Installed packages are known by their versions.
  """
  own, sha256 = os.path.dirname(os.path.abspath(__file__)), hashlib.sha256()
  library = os.path.dirname(os.__file__)
  for name, module in sorted(sys.modules.items()):
    file = getattr(module, '__file__', None)
    if not file or name == '__main__' or not file.endswith('.py'):
      continue
    path = os.path.abspath(file)
    if os.path.dirname(path) == own or path.startswith(library + os.sep):
      continue
    if 'site-packages' in path or 'dist-packages' in path:
      continue
    if not os.path.isfile(path):  # Made in memory, as torch._classes is.
      continue
    with open(path, 'rb') as source:
      sha256.update(name.encode() + hashlib.sha256(source.read()).digest())
  return sha256.hexdigest()


def only(message, known=()):
  """Returns the options of a model.

  Raises:
    Refused: there is another one than these.
  """
  unknown = [key for key in message['options'] if key not in known]
  if unknown:
    raise Refused(f'it has no option {unknown[0]}: known: {listed(known)}')
  return message['options']


def threads(options):
  """Returns how many threads a model is to take, None where nothing is asked for.

  Raises:
    Refused: it is no such number.
  """
  given = options.get('threads')
  if given is not None and (type(given) is not int or given < 1):
    raise Refused(f'threads={given}: expected a number from 1 on')
  return given


def activation(made, name, passed, activations):
  """Returns the activation that an output of a graph ends in, None where in none.

  Args:
    made: (operator, its first input) by the names of what operators make.
    name: of the output.
    passed: operators that change no order of scores: what is before them counts.
    activations: what is returned, by operators.
  """
  for _ in made:  # However a file is made, it has an end.
    operator, given = made.get(name, (None, None))
    if operator not in passed:
      return activations.get(operator)
    name = given
  return None


def versions(**libraries):
  return {
    'python_of_model': platform.python_version(),
    'numpy_of_model': np.__version__,
  } | {
    name: str(getattr(module, '__version__', 'unknown'))
    for name, module in libraries.items()
  }


def named(outputs, names=()):
  """Returns outputs as (name, array): of one, several in a list, or by name.

  A list of lists of numbers is one.
  """
  if isinstance(outputs, dict) or hasattr(outputs, 'items'):
    return [(str(key), one) for key, one in outputs.items() if one is not None]
  if isinstance(outputs, (list, tuple)) and any(hasattr(o, 'shape') for o in outputs):
    if len(names) != len(outputs):
      names = [str(i) for i in range(len(outputs))]
    return list(zip(names, outputs, strict=False))
  return [(names[0] if len(names) == 1 else 'output', outputs)]


def flat(array, count):
  """Returns [n, C] of [n, 1, 1, C] and [n, C, 1, 1], and of [C] where n is 1.

  Raises:
    Refused: it is not of n images.
  """
  try:
    value, array = array, np.asarray(array)
  except ValueError as error:
    raise Refused(f'the model returns rows of unlike lengths: {error}') from error
  if not array.ndim:
    raise Refused(
      f'the model returns a {type(value).__name__} for {count} images: expected '
      f'scores, [{count}, classes]'
    )
  if count == 1 and array.ndim == 1:  # Squeezed.
    array = array[None]
  if array.ndim < 2 or array.shape[0] != count:
    raise Refused(f'the model returns {array.shape} for {count} images')
  if array.ndim > 2 and array.size == count * max(array.shape[1:]):
    return array.reshape(count, -1)
  return array


def real(name, array):
  """Returns an output as float32; True and False are 1 and 0.

  Raises:
    Refused: it holds something else than real numbers.
  """
  # Not by the kind: bfloat16, as JAX has it, is none of NumPy's own.
  if not np.can_cast(array.dtype, np.float32, 'same_kind'):
    raise Refused(f'its output {name!r} is of {array.dtype}: expected real numbers')
  return np.asarray(array, np.float32)
