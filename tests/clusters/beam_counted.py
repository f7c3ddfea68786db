"""A model of one's own whose loads are counted, and that may end its process once."""

import os
import pathlib
import signal
import uuid

import keras


def build():
  folder = pathlib.Path(os.environ['BEAM_LOADS'])
  dies = folder / 'dies'
  if dies.exists():
    dies.unlink()
    os.kill(os.getpid(), signal.SIGKILL)
  (folder / f'{os.getpid()}-{uuid.uuid4().hex}').touch()
  keras.utils.set_random_seed(1)
  layers = [
    keras.Input((32, 32, 3)),
    keras.layers.Rescaling(1 / 255),
    keras.layers.GlobalAveragePooling2D(),
    keras.layers.Dense(1000),
  ]
  return keras.Sequential(layers)
