"""What a process of another framework did wrong, in a line."""

import contextlib
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from tfeval.utils.errors import UserError

# Of what a model raised or its process wrote at last, in letters.
_LENGTH = 400
# Seconds that a process has to end which does not answer.
_TO_END = 2.0


class OutOfMemory(MemoryError):
  """The process has no room for a batch. TensorFlow takes it for one of its own."""


def raised(name: str, error: Mapping[str, Any]) -> Exception:
  """Returns what to raise for an exception of a model.

  Args:
    name: the model's.
    error: `kind`, `words`, `where` and `refused`, as its process tells them.
  """
  if error['kind'] == 'memory':
    return OutOfMemory(f'{name}: out of memory: {error["words"]}')
  if error['refused']:
    return UserError(f'{name}: {error["words"]}')
  where = f' ({error["where"]})' if error['where'] else ''
  return UserError(f'{name}: {error["kind"]}: {error["words"][:_LENGTH]}{where}')


def _signal_name(number: int) -> str:
  try:
    return signal.Signals(number).name
  except ValueError:  # Of real time, which have none.
    return f'signal {number}'


def ended(
  name: str, process: subprocess.Popen[bytes], said: Sequence[str]
) -> UserError:
  """Returns what to say of a process that is gone.

  Args:
    name: the model's.
    process: ended, or about to.
    said: the last lines that it wrote to stderr.
  """
  with contextlib.suppress(subprocess.TimeoutExpired):
    process.wait(_TO_END)
  code = process.returncode
  if code is None:
    why = 'does not answer'
  elif code < 0:
    why = f'was ended by {_signal_name(-code)}'
    why += ', as where memory runs out' * (-code == signal.SIGKILL)
  else:
    why = f'ended with exit code {code}'
  last = next((line for line in reversed(said) if line.strip()), '')
  python = process.args[0]
  if "No module named 'numpy'" in last:
    return UserError(
      f'model_python {python} lacks NumPy: install numpy and the framework there'
    )
  words = f': {" ".join(last.split())[:_LENGTH]}' if last else ''
  return UserError(f'the process of {name} ({python}) {why}{words}')
