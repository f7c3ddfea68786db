"""What evaluating many checkpoints leaves behind in `tfeval watch`.

    python tests/benchmarks/watch.py [--checkpoints=100]

Prints resident memory and the functions that TensorFlow knows, after the first
checkpoints and after the last, of models by themselves (`.keras`) and of weights.
"""

import argparse
import gc
import pathlib
import tempfile

import keras
import numpy as np
import psutil
import tensorflow as tf
from tensorflow.python.eager import context

from tfeval.datasets.labels import imagenet
from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.plans import requests
from tfeval.evaluation.watch import watcher as watching
from tfeval.utils import progress

SIZE = 32
# TensorFlow's allocators have grown to their size after these.
WARM_UP = 20


def measure(folder: pathlib.Path, kind: str, checkpoints: int) -> None:
  model = build()
  training = folder / kind
  training.mkdir()
  for step in range(WARM_UP + checkpoints):
    path = training / f'{step}{kind}'
    (model.save if kind == '.keras' else model.save_weights)(path)
  model.save(folder / 'model.keras')
  request = None
  if kind != '.keras':
    (request,) = requests([str(folder / 'model.keras')], ['imagenet'])
  watcher = watching.Watcher(
    training,
    request,
    EvaluationConfig.of(
      dataset=f'folder:{folder}/images',
      preprocess='tf',
      output='logits',
      protocol='squash',
      preflight='off',
      output_dir=f'{folder}/runs{kind}',
    ),
    None,
    progress.hidden,
  )
  seen = []
  for _ in watcher.watch(watching.Schedule(timeout=0)):
    gc.collect()
    seen.append(
      (
        psutil.Process().memory_info().rss / 2**20,
        len(context.context().list_function_names()),
      )
    )
  for at in (WARM_UP, WARM_UP + checkpoints):
    memory, functions = seen[at - 1]
    print(f'{kind}: after {at} checkpoints: {memory:.0f} MiB, {functions} functions')


def build() -> keras.Model:
  inputs = keras.Input((SIZE, SIZE, 3))
  x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(8, 3)(inputs))
  return keras.Model(inputs, keras.layers.Dense(1000)(x))


if __name__ == '__main__':
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--checkpoints', type=int, default=100)
  flags = parser.parse_args()
  with tempfile.TemporaryDirectory() as directory:
    folder = pathlib.Path(directory)
    (folder / 'images').mkdir()
    for number in range(1, 11):
      noise = np.random.default_rng(number).integers(0, 256, (40, 50, 3), np.uint8)
      (folder / 'images' / imagenet.validation_name(number)).write_bytes(
        tf.io.encode_jpeg(noise).numpy()
      )
    for kind in ('.weights.h5', '.keras'):
      measure(folder, kind, flags.checkpoints)
