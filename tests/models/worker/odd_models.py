"""Functions that say wrong things of themselves, or return what is no score."""

import collections
import ctypes
import os
import sys
import time

import numpy as np

CLASSES = 1000


def scores(images):
  return images.mean((1, 2)) @ np.ones((3, CLASSES), np.float32)


def _saying(**told):
  def function(images):
    return scores(images)

  function.tfeval = told
  return function


FED = {'preprocess': 'unit', 'input_size': 32, 'output': 'logits'}
of_numpy = _saying(**FED | {'input_size': np.int64(32)})
size_of_text = _saying(**FED | {'input_size': '32'})
size_of_zero = _saying(**FED | {'input_size': 0})
size_of_truth = _saying(**FED | {'input_size': True})
size_of_half = _saying(**FED | {'input_size': np.float32(32.5)})
unknown_output = _saying(**FED | {'output': 'softmax'})
unknown_preprocess = _saying(**FED | {'preprocess': 'imagenot'})
preprocess_of_number = _saying(**FED | {'preprocess': 5})
typo = _saying(preproces='unit', input_size=32, output='logits')
version_of_nothing = _saying(**FED | {'version': ''})
version_of_number = _saying(**FED | {'version': 3})
an_object = _saying(**FED | {'preprocess': np.square})
an_array = _saying(**FED | {'input_size': np.array([32, 32])})
bytes_of_it = _saying(**FED | {'output': b'logits'})
odd_key = _saying(**FED)
odd_key.tfeval[3, 4] = 5
itself = _saying(**FED)
itself.tfeval['preprocess'] = itself.tfeval
no_dict = _saying()
no_dict.tfeval = 'unit'


def complex_(images):
  return scores(images) * 1j


def objects(images):
  return np.full((len(images), CLASSES), None)


def texts(images):
  return np.full((len(images), CLASSES), 'a')


def dates(images):
  return np.zeros((len(images), CLASSES), 'M8[s]')


def of_truths(images):
  return scores(images) > 128


def of_whole_numbers(images):
  return np.rint(scores(images)).astype(np.int64)


def of_halves(images):
  return scores(images).astype(np.float16)


def of_doubles(images):
  return scores(images).astype(np.float64)


def no_room(images):
  raise MemoryError('no room')


def holds_the_interpreter(images):
  """Hangs in native code that lets no other thread of Python run."""
  if len(images) > 2:
    ctypes.PyDLL(None).sleep(60)
  return scores(images)


def hangs(images):
  if len(images) > 2:
    time.sleep(60)
  return scores(images)


def takes_a_second(images):
  if len(images) > 2:
    time.sleep(1)
  return scores(images)


def garbles(images):
  if len(images) > 2:
    os.write(int(sys.argv[3]), b'no message\n')
  return scores(images)


def works_hard(images):
  """Takes 10 ms of CPU time an image."""
  started = time.process_time()
  while time.process_time() - started < 0.01 * len(images):
    pass
  return scores(images)


def dies(images):
  """At its third batch: the first is what tells its shape."""
  _calls['dies'] += 1
  if _calls['dies'] > 2:
    os._exit(7)
  return scores(images)


def raises(images):
  _calls['raises'] += 1
  if _calls['raises'] > 2:
    raise ValueError('no more of these')
  return scores(images)


_calls = collections.Counter()


def imports_late(images):
  import own_late

  return scores(images) * own_late.BY


imports_late.tfeval = {**FED, 'version': '1'}
