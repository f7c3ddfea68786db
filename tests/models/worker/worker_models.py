"""Functions of NumPy batches, as people bring them; imported by the worker alone."""

import os
import signal
import sys
import time

import numpy as np

CLASSES = 1000
_calls = 0


def brightness(images):
  """Returns scores that depend on each image: [n, 1000]."""
  means = images.reshape(len(images), -1, 3).mean(1)
  return np.sin(means @ np.arange(3 * CLASSES, dtype=np.float32).reshape(3, CLASSES))


def scaled(images, by=1.0):
  return brightness(images) * by


scaled.tfeval = {'preprocess': 'unit', 'input_size': 32, 'output': 'logits'}


def talks(images):
  print('not a message', flush=True)
  print('{"ok": []}', flush=True)
  return brightness(images)


def named(images):
  return {'aux': images[:, 0, 0], 'scores': brightness(images)[:, None, None]}


def listed(images):
  return [brightness(images)]


def nested_lists(images):
  return brightness(images).tolist()


def a_text(images):
  return 'cat'


def small(images):
  """As a device with room for four images."""
  if len(images) > 4:
    raise MemoryError('CUDA out of memory. Tried to allocate 2 GiB')
  return brightness(images)


def is_alone(images):
  assert 'tensorflow' not in sys.modules and 'tfeval' not in sys.modules
  return brightness(images)


def raises(images):
  raise ValueError('first line\nthe last one says it')


def long(images):
  raise ValueError('\n'.join(['a' * 300, 'b' * 398, 'the reason']))


def dies_alone(images):
  """What it has started lives on, and has its files."""
  if len(images) > 2 and os.fork():
    os._exit(7)
  if len(images) > 2:
    time.sleep(20)
    os._exit(0)
  return brightness(images)


def dies_of_real_time(images):
  os.kill(os.getpid(), signal.SIGRTMIN + 2)


def dies(images):
  os.kill(os.getpid(), signal.SIGKILL)


def dies_later(images):
  global _calls
  _calls += 1
  if _calls > 2:
    os._exit(7)
  return brightness(images)


def hangs(images):
  time.sleep(60)


def of_one(images):
  return brightness(images)[0]


def writes(images):
  images[...] = 0
  return brightness(images)
