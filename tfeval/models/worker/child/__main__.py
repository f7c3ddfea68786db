"""Runs a model of another framework: a process of its own, perhaps of another Python.

Started by `tfeval.models.worker.process` as a directory, `python .../child LIFE R W
MEMORY ...`: nothing of tfeval but the package beside this file is imported, and
TensorFlow never is.
"""

import importlib
import json
import os
import signal
import sys
import time
import traceback

import numpy as np
from tfeval_worker import channel, common, life

# Modules of `tfeval_worker` by what they load.
KINDS = ('function', 'onnx', 'litert', 'torch')
_OWN = os.path.dirname(os.path.abspath(__file__)) + os.sep
# Of what an exception says, the last lines, and no more letters than these.
_LINES, _SHOWN, _LONGEST = 4, 400, 4000


def main() -> None:
  signal.signal(signal.SIGINT, signal.SIG_IGN)  # The process that started it decides.
  life.ends_with(int(sys.argv[1]))
  pipe = channel.Pipe(int(sys.argv[2]), int(sys.argv[3]))
  memories = [channel.SharedMemory(int(one)) for one in sys.argv[4:]]
  os.dup2(2, 1)  # What models print is no message.
  sys.path.insert(1, os.getcwd())
  loaded = None
  while (message := pipe.receive()) is not None:
    try:
      if message['do'] == 'load':
        loaded = _load(message)
        reply = _for_json(loaded.describe())
      elif message['do'] == 'code':
        reply = common.code_sha256()
      else:
        outputs = _run(loaded, message, memories[message['slot']])
        reply = {'outputs': outputs, 'cpu_seconds': time.process_time()}
    except BaseException as error:  # The model may be anyone's.
      pipe.send({'error': _told(error)})
      if isinstance(error, SystemExit):
        return
      continue
    pipe.send({'ok': reply})


def _load(message):
  if message['kind'] not in KINDS:
    raise common.Refused(f'unknown kind of model {message["kind"]!r}')
  return importlib.import_module('tfeval_worker.of_' + message['kind']).load(message)


def _run(loaded, message, memory):
  """Computes a batch; puts the outputs, float32, behind it."""
  images = memory.array(0, message['shape'], message['dtype'])
  at, described = channel.aligned(images.nbytes), []
  outputs = [
    (name, common.real(name, common.flat(one, len(images))))
    for name, one in loaded.run(images)
  ]
  memory.reserve(at + sum(channel.aligned(one.nbytes) for _, one in outputs))
  for name, one in outputs:
    memory.array(at, one.shape, 'float32')[...] = one
    described.append({'name': name, 'shape': list(one.shape), 'at': at})
    at += channel.aligned(one.nbytes)
  return described


def _for_json(told):
  """Returns what a model tells of itself as JSON has it.

  Raises:
    Refused: it cannot.
  """

  def number(value):
    if isinstance(value, np.generic):
      return value.item()
    raise TypeError(f'{type(value).__name__} {str(value)[:80]}')

  try:
    return json.loads(json.dumps(told, default=number))
  except (TypeError, ValueError, RecursionError) as error:
    raise common.Refused(
      f'it tells of itself what is neither text nor number: {error}'
    ) from error


def _told(error):
  """Returns what is told of an exception, for JSON."""
  words = str(error).strip() or type(error).__name__
  frames = traceback.extract_tb(error.__traceback__)
  theirs = [one for one in frames if not one.filename.startswith(_OWN)]
  where = theirs[-1] if theirs else None
  return {
    'kind': 'memory' if _is_memory(error) else type(error).__name__,
    'refused': isinstance(error, common.Refused),
    'words': _reason(words),
    'where': f'{os.path.basename(where.filename)}:{where.lineno}' if where else '',
  }


def _reason(words):
  """Returns the last lines of what an exception says, the end if they are long."""
  lines = [' '.join(one.split()) for one in words.splitlines() if one.strip()]
  found = ''
  for line in reversed(lines[-_LINES:]):
    longer = f'{line} {found}'.strip()
    if found and len(longer) > _SHOWN:
      break
    found = longer
  return found[:_LONGEST]


def _is_memory(error):
  text = f'{type(error).__name__} {error}'.lower()
  return isinstance(error, MemoryError) or any(
    words in text for words in ('outofmemory', 'out of memory', 'cuda_error_out_of')
  )


if __name__ == '__main__':
  main()
