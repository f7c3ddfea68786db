"""What resizing on the device costs the host and the device, and whether it is equal.

    python tests/benchmarks/device.py --photos ../shared/data/images

Host: CPU time of the whole process (all threads) per photo, of TensorFlow's own
decoder alone and of everything up to batches of canvases, in one run and with the
same threads. Rows take turns; ratios are medians over the rounds. Device: the CPU
computes both there; time is that of all its cores, for the resizing alone.
"""

import argparse
import pathlib
import statistics

import numpy as np
import tensorflow as tf
from preprocess import cpu_seconds, decode_only, is_cmyk

from tfeval.engine import self_test, strategies
from tfeval.preprocess import apply, device_canvas, device_resize, protocol

_BATCH = 32


def decoded(photos):
  """A batch has one value of each photo: copying is not decoding."""
  return (
    tf.data.Dataset.from_tensor_slices(photos)
    .repeat()
    .map(tf.autograph.experimental.do_not_convert(decode_only), num_parallel_calls=2)
    .batch(_BATCH)
  )


def canvases(photos, resolved, side, repeat=True):
  dataset = tf.data.Dataset.from_tensor_slices(photos)
  examples = (dataset.repeat() if repeat else dataset).map(
    tf.autograph.experimental.do_not_convert(
      lambda photo: device_canvas.decode(resolved, photo, side)
    ),
    num_parallel_calls=2,
  )
  return device_canvas.batch(examples, resolved, side, _BATCH)


def host_resized(photos, resolved):
  return (
    tf.data.Dataset.from_tensor_slices(photos)
    .repeat()
    .map(
      tf.autograph.experimental.do_not_convert(
        lambda photo: apply.apply(resolved, photo)
      ),
      num_parallel_calls=2,
    )
    .batch(_BATCH)
  )


def iterate(dataset):
  options = tf.data.Options()
  options.threading.private_threadpool_size = 2
  options.threading.max_intra_op_parallelism = 1
  options.autotune.enabled = False
  # They would work ahead: on the time of the row that is measured next.
  options.experimental_optimization.apply_default_optimizations = False
  return iter(dataset.with_options(options))


def print_host(photos, resolved, sides, rounds):
  rows = {
    'decoding alone': decoded(photos),
    **{f'canvas of {side}': canvases(photos, resolved, side) for side in sides},
    'resized on the host': host_resized(photos, resolved),
  }
  rows = {name: iterate(dataset) for name, dataset in rows.items()}
  count = -(-len(photos) // _BATCH)
  taken = {name: [] for name in rows}
  # The first round compiles.
  for _ in range(rounds + 1):
    for name, batches in rows.items():
      start = cpu_seconds()
      for _ in range(count):
        next(batches)
      taken[name].append(1e3 * (cpu_seconds() - start) / (count * _BATCH))
  alone = taken['decoding alone'][1:]
  print(f'{"host":22}{"CPU ms/photo":>14}{"min":>8}{"x decoding":>12}{"of min":>8}')
  for name, (_, *times) in taken.items():
    ratio = statistics.median(a / b for a, b in zip(times, alone, strict=True))
    print(
      f'{name:22}{statistics.median(times):14.2f}{min(times):8.2f}'
      f'{ratio:12.2f}{min(times) / min(alone):8.2f}'
    )


def print_device(photos, resolved, sides):
  expected = [apply.apply(resolved, photo).numpy() for photo in photos]
  ways = {
    'XLA': device_resize.compiled(),
    'no XLA': tf.function(device_resize.resize, autograph=False),
  }
  print(
    f'\n{"device (this CPU)":22}{"CPU ms/photo":>14}{"on host":>9}{"values":>14}'
    f'{"differ":>8}'
  )
  for side in sides:
    for way, resize in ways.items():
      done = on_host = differ = values = 0
      seconds = 0.0
      for batch in canvases(photos, resolved, side, repeat=False):
        inputs = device_canvas.device_inputs(batch)
        resize(inputs)  # Compiles each shape.
        start = cpu_seconds()
        got = resize(inputs).numpy()
        seconds += cpu_seconds() - start
        wanted = np.stack(expected[done : done + len(got)])
        done += len(got)
        differ += np.count_nonzero(got != wanted)
        values += got.size
        on_host += int(batch['resized_on_host'].numpy().sum())
      print(
        f'{f"canvas of {side}, {way}":22}{1e3 * seconds / done:14.2f}{on_host:9}'
        f'{values:14,}{differ:8}'
      )


def print_self_test(resolved, sides):
  print()
  for side in sides:
    start = cpu_seconds()
    found = self_test.self_test(
      strategies.make_strategy('default'), resolved, side, _BATCH
    )
    print(
      f'self-test, canvas of {side}: {found.off} of {found.values:,} values '
      f'differ, {cpu_seconds() - start:.1f} s of CPU time'
    )


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--photos', required=True, metavar='DIR', type=pathlib.Path)
  parser.add_argument('--rounds', type=int, default=9)
  parser.add_argument('--size', type=int, default=224, metavar='PIXELS')
  parser.add_argument('--canvases', default='384,512,640', metavar='A,B')
  args = parser.parse_args()
  photos = [
    path.read_bytes()
    for path in sorted(args.photos.iterdir())
    if path.suffix.lower() in ('.jpeg', '.jpg')
  ]
  # `decode_only` cannot decode CMYK.
  photos = [photo for photo in photos if not is_cmyk(photo)]
  if not photos:
    parser.error(f'no JPEG in {args.photos}')
  resolved = protocol.resolve('opencv', args.size)
  sides = [int(side) for side in args.canvases.split(',')]
  for side in sides:
    device_canvas.check_protocol(resolved, side, _BATCH, computed_on_cpu=True)
  print(f'{len(photos)} photos, size {args.size}, batches of {_BATCH}')
  print_host(photos, resolved, sides, args.rounds)
  print_device(photos, resolved, sides)
  print_self_test(resolved, sides)


if __name__ == '__main__':
  main()
