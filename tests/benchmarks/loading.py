"""What building and checking a model adds to what Keras itself needs to load it.

    python tests/benchmarks/loading.py

Keras and `tfeval.load_model` take turns in one process, after one round that is not
counted: the ratios are medians over pairs, of CPU time (all threads) and of wall time.
A model whose weights are not there is left out.
"""

import argparse
import gc
import statistics
import time

import keras

import tfeval
from tfeval.models.efficientnet_lite import network
from tfeval.utils.errors import UserError

# What each is compared with: the constructor as a user of Keras calls it.
_MODELS = (
  (
    'MobileNet:alpha=0.25',
    'imagenet',
    lambda: keras.applications.MobileNet(
      alpha=0.25, weights='imagenet', classifier_activation=None
    ),
  ),
  (
    'ResNet50',
    'none',
    lambda: keras.applications.ResNet50(weights=None, classifier_activation=None),
  ),
  (
    'EfficientNetLite0',
    'imagenet',
    lambda: network.EfficientNetLite0(weights='imagenet', classifier_activation=None),
  ),
)


def measured(function):
  """Returns CPU and wall seconds of one call in a fresh session."""
  keras.backend.clear_session()
  gc.collect()
  cpu, wall = time.process_time(), time.perf_counter()
  model = function()
  seconds = time.process_time() - cpu, time.perf_counter() - wall
  del model
  return seconds


def compare(name, weights, plain, pairs):
  """Returns a row of the table: seconds of Keras, and ratios to them."""

  def ours():
    return tfeval.load_model(name, weights)

  measured(plain), measured(ours)
  times = []
  for number in range(pairs):
    # Which is first takes turns too.
    first, second = (plain, ours) if number % 2 else (ours, plain)
    one, other = measured(first), measured(second)
    times.append((one, other) if first is plain else (other, one))
  row = []
  for kind in (0, 1):
    row.append(statistics.median(keras_time[kind] for keras_time, _ in times))
    row.append(
      statistics.median(
        own_time[kind] / keras_time[kind] for keras_time, own_time in times
      )
    )
  return row


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--pairs', type=int, default=11)
  arguments = parser.parse_args()
  print(f'{"":<22}{"weights":<10}{"Keras CPU s":>12}{"x":>7}{"wall s":>9}{"x":>7}')
  for name, weights, plain in _MODELS:
    try:
      row = compare(name, weights, plain, arguments.pairs)
    except UserError as error:
      print(f'{name:<22}left out: {error}')
      continue
    cpu, cpu_ratio, wall, wall_ratio = row
    print(
      f'{name:<22}{weights:<10}{cpu:>12.3f}{cpu_ratio:>7.3f}{wall:>9.3f}'
      f'{wall_ratio:>7.3f}',
      flush=True,
    )


if __name__ == '__main__':
  main()
