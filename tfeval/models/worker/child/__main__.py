"""Runs a model of another framework: a process of its own, perhaps of another Python.

Started by `tfeval.models.worker.process` as a directory, `python .../child R W
MEMORY ...`: nothing of tfeval but the package beside this file is imported, and
TensorFlow never is.
"""

import importlib
import os
import signal
import sys
import traceback

import numpy as np
from tfeval_worker import channel, common

# Modules of `tfeval_worker` by what they load.
KINDS = ('function', 'onnx', 'litert', 'torch')
_OWN = os.path.dirname(os.path.abspath(__file__)) + os.sep
_LINES = 4  # Of what an exception says, the last ones.


def main() -> None:
  signal.signal(signal.SIGINT, signal.SIG_IGN)  # The process that started it decides.
  pipe = channel.Pipe(int(sys.argv[1]), int(sys.argv[2]))
  memories = [channel.SharedMemory(int(one)) for one in sys.argv[3:]]
  os.dup2(2, 1)  # What models print is no message.
  sys.path.insert(1, os.getcwd())
  loaded = None
  while (message := pipe.receive()) is not None:
    try:
      if message['do'] == 'load':
        loaded = _load(message)
        reply = {**loaded.describe(), 'code_sha256': common.code_sha256()}
      else:
        reply = _run(loaded, message, memories[message['slot']])
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
    (name, np.asarray(common.flat(one, len(images)), np.float32))
    for name, one in loaded.run(images)
  ]
  memory.reserve(at + sum(channel.aligned(one.nbytes) for _, one in outputs))
  for name, one in outputs:
    memory.array(at, one.shape, 'float32')[...] = one
    described.append({'name': name, 'shape': list(one.shape), 'at': at})
    at += channel.aligned(one.nbytes)
  return described


def _told(error):
  """Returns what is told of an exception, for JSON."""
  words = str(error).strip() or type(error).__name__
  frames = traceback.extract_tb(error.__traceback__)
  theirs = [one for one in frames if not one.filename.startswith(_OWN)]
  where = theirs[-1] if theirs else None
  return {
    'kind': 'memory' if _is_memory(error) else type(error).__name__,
    'refused': isinstance(error, common.Refused),
    'words': ' '.join(' '.join(words.splitlines()[-_LINES:]).split()),
    'where': f'{os.path.basename(where.filename)}:{where.lineno}' if where else '',
  }


def _is_memory(error):
  text = f'{type(error).__name__} {error}'.lower()
  return isinstance(error, MemoryError) or any(
    words in text for words in ('outofmemory', 'out of memory', 'cuda_error_out_of')
  )


if __name__ == '__main__':
  main()
