"""What EvaluateCallback adds to evaluating, and whether calls leave anything behind.

    python tests/benchmarks/callback.py --photos=DIR [--images=640] [--pairs=5]
        [--calls=200]

Prints, for a fit of MobileNet(alpha=0.25) with random weights that evaluates a folder
of photos after each epoch:

- CPU seconds of a call of the callback after the first, over those of the evaluation in
  it (`Evaluator.evaluate`), and over `model.evaluate` of the same images, read by
  `tfeval.build_dataset`, after it; the median of the ratios;
- over many calls with a small model and few images: resident memory, traced steps and
  functions that TensorFlow knows, after 40 calls and after the last.
"""

import argparse
import gc
import pathlib
import statistics
import tempfile
import time

import keras
import numpy as np
import psutil
import tensorflow as tf
from memory import make_folder
from tensorflow.python.eager import context

import tfeval
from tfeval.datasets.labels import imagenet
from tfeval.keras import EvaluateCallback

SIZE = 32
# TensorFlow's allocators have grown to their size after these.
WARM_UP = 40


class Paired(EvaluateCallback):
  """Times its calls, the evaluation in each, and `model.evaluate`."""

  def __init__(self, *arguments, **keywords):
    super().__init__(*arguments, **keywords)
    self.seconds = []

  def on_epoch_end(self, epoch, logs=None):
    evaluate, direct = self._evaluator.evaluate, []

    def timed(output_dir=None):
      before = time.process_time()
      run = evaluate(output_dir)
      direct.append(time.process_time() - before)
      return run

    self._evaluator.evaluate = timed
    call = cpu_seconds(lambda: super(Paired, self).on_epoch_end(epoch, logs))
    self._evaluator.evaluate = evaluate
    keras_evaluate = cpu_seconds(lambda: self.model.evaluate(self.data, verbose=0))
    self.seconds.append((call, *direct, keras_evaluate))


def cpu_seconds(function) -> float:
  gc.collect()
  before = time.process_time()
  function()
  return time.process_time() - before


def compare(photos: pathlib.Path, images: int, pairs: int) -> None:
  model = keras.applications.MobileNet(alpha=0.25, weights=None)
  model.compile(
    'sgd',
    'sparse_categorical_crossentropy',
    weighted_metrics=['accuracy', keras.metrics.SparseTopKCategoricalAccuracy(5)],
  )
  with tempfile.TemporaryDirectory() as directory:
    make_folder(photos, images, pathlib.Path(directory))
    folder = f'folder:{directory}'
    found = Paired(folder, preprocess='tf')
    found.data = tfeval.build_dataset(
      folder, preprocess='tf', label_mode='int', num_classes=1000
    )
    fit(model, 224, pairs + 1, found)
  calls, direct, bare = zip(*found.seconds[1:], strict=True)
  print(
    f'a call: {statistics.median(calls):.2f} CPU s, the first {found.seconds[0][0]:.2f}'
  )
  for name, others in (('evaluating directly', direct), ('model.evaluate', bare)):
    ratios = [call / other for call, other in zip(calls, others, strict=True)]
    print(
      f'over {name}: {statistics.median(ratios) - 1:+.1%}, of '
      f'{", ".join(f"{ratio - 1:+.1%}" for ratio in sorted(ratios))}'
    )


class Watched(EvaluateCallback):
  """Notes what is in memory after each call."""

  def __init__(self, *arguments, **keywords):
    super().__init__(*arguments, **keywords)
    self.seen = []

  def on_epoch_end(self, epoch, logs=None):
    super().on_epoch_end(epoch, logs)
    gc.collect()
    self.seen.append(
      (
        psutil.Process().memory_info().rss / 2**20,
        self._evaluator._forward._step._call.experimental_get_tracing_count(),
        len(context.context().list_function_names()),
      )
    )


def many(calls: int) -> None:
  inputs = keras.Input((SIZE, SIZE, 3))
  x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(8, 3)(inputs))
  model = keras.Model(inputs, keras.layers.Dense(1000)(x))
  model.compile('sgd', keras.losses.SparseCategoricalCrossentropy(from_logits=True))
  with tempfile.TemporaryDirectory() as folder:
    for number in range(1, 11):
      noise = np.random.default_rng(number).integers(0, 256, (40, 50, 3), np.uint8)
      (pathlib.Path(folder) / imagenet.validation_name(number)).write_bytes(
        tf.io.encode_jpeg(noise).numpy()
      )
    found = Watched(f'folder:{folder}', preprocess='tf', output_dir=f'{folder}/runs')
    fit(model, SIZE, calls, found)
  for at in (WARM_UP, calls):
    memory, traces, functions = found.seen[at - 1]
    print(
      f'after {at} calls: {memory:.0f} MiB, {traces} traces of the step, '
      f'{functions} functions'
    )


def fit(model, size, epochs, callback) -> None:
  model.fit(
    np.zeros((4, size, size, 3)),
    np.zeros(4),
    epochs=epochs,
    verbose=0,
    callbacks=[callback],
  )


if __name__ == '__main__':
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--photos', type=pathlib.Path, required=True)
  parser.add_argument('--images', type=int, default=640)
  parser.add_argument('--pairs', type=int, default=5)
  parser.add_argument('--calls', type=int, default=200)
  flags = parser.parse_args()
  many(flags.calls)
  compare(flags.photos, flags.images, flags.pairs)
