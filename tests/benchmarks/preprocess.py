"""What preprocessing costs, and whether it equals cv2, in one run.

    python tests/benchmarks/preprocess.py --photos ../shared/data/images

CPU time of the whole process (all threads) per photo, which is steadier than
wall time on a machine that others use, and images per second of wall time. The
rows take turns; each figure is the median over the rounds.
"""

import argparse
import io
import pathlib
import resource
import statistics
import time

import cv2
import numpy as np
import tensorflow as tf
from PIL import Image

from tfeval.preprocess import opencv

_RESIZE_SIDE, _CROP_SIZE = 256, 224
_BATCH = 32


def with_cv2(data, resize_side=_RESIZE_SIDE, crop_size=_CROP_SIZE):
  """The reference: uint8 [crop_size, crop_size, 3], RGB."""
  image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
  height, width = image.shape[:2]
  new_h = height * resize_side // min(height, width)
  new_w = width * resize_side // min(height, width)
  image = cv2.resize(image, (new_w, new_h), interpolation=cv2.INTER_CUBIC)
  y0, x0 = new_h // 2 - crop_size // 2, new_w // 2 - crop_size // 2
  return image[y0:y0 + crop_size, x0:x0 + crop_size, ::-1]


def with_pil(data):
  """Bicubic in Pillow: another kernel, for comparison of the cost only."""
  image = Image.open(io.BytesIO(data)).convert('RGB')
  short = min(image.size)
  image = image.resize(
      tuple(side * _RESIZE_SIDE // short for side in image.size), Image.BICUBIC)
  x0, y0 = (side // 2 - _CROP_SIZE // 2 for side in image.size)
  return np.asarray(image.crop((x0, y0, x0 + _CROP_SIZE, y0 + _CROP_SIZE)))


def decode_only(data):
  image = tf.io.decode_jpeg(data, channels=3, dct_method='INTEGER_ACCURATE')
  return image[0, 0]


def decode_resize_crop(data):
  return opencv.decode_resize_crop(data, _RESIZE_SIDE, _CROP_SIZE)


def cpu_seconds():
  usage = resource.getrusage(resource.RUSAGE_SELF)
  return usage.ru_utime + usage.ru_stime


class Loop:
  """A function over all photos in Python."""

  def __init__(self, function, photos, threads=None):
    self._function = function
    self._photos = photos
    self._threads = threads

  def run(self):
    """Returns CPU seconds, wall seconds and the photos they were spent on."""
    if self._threads:
      cv2.setNumThreads(self._threads)
    cpu, wall = cpu_seconds(), time.perf_counter()
    for photo in self._photos:
      self._function(photo)
    return cpu_seconds() - cpu, time.perf_counter() - wall, len(self._photos)


class Pipeline:
  """A function in Dataset.map, two calls at once, in batches."""

  def __init__(self, function, photos):
    dataset = tf.data.Dataset.from_tensor_slices(photos).repeat()
    dataset = dataset.map(function, num_parallel_calls=2).batch(_BATCH)
    options = tf.data.Options()
    options.threading.private_threadpool_size = 2
    options.threading.max_intra_op_parallelism = 1
    # Prefetching, or map and batch in one, works ahead: on the time of the row
    # that is measured next.
    options.experimental_optimization.apply_default_optimizations = False
    self._batches = iter(dataset.with_options(options))
    self._count = max(1, len(photos) // _BATCH)

  def run(self):
    """Returns CPU seconds, wall seconds and the photos they were spent on."""
    cpu, wall = cpu_seconds(), time.perf_counter()
    for _ in range(self._count):
      next(self._batches)
    return cpu_seconds() - cpu, time.perf_counter() - wall, self._count * _BATCH


def print_costs(photos, rounds):
  jpegs = [photo for photo in photos if photo[:3] == b'\xff\xd8\xff']
  rows = {
      'cv2, 2 threads': Loop(with_cv2, photos, threads=2),
      'cv2, 1 thread': Loop(with_cv2, photos, threads=1),
      'Pillow, bicubic': Loop(with_pil, photos),
      'tf.data, decode only': Pipeline(decode_only, jpegs),
      'tf.data, tfeval': Pipeline(decode_resize_crop, photos),
  }
  # The first round compiles; it is shown, not counted.
  first = {name: row.run()[0] for name, row in rows.items()}
  taken = {name: [] for name in rows}
  for _ in range(rounds):
    for name, row in rows.items():
      taken[name].append(row.run())
  print(f'{"":22}{"CPU ms/photo":>14}{"min":>8}{"images/s":>10}{"first, CPU s":>14}')
  for name, runs in taken.items():
    cpu = [1e3 * cpu / count for cpu, _, count in runs]
    rate = statistics.median(count / wall for _, wall, count in runs)
    print(f'{name:22}{statistics.median(cpu):14.2f}{min(cpu):8.2f}{rate:10.0f}'
          f'{first[name]:14.1f}')


def print_parity(photos):
  print(f'{"":12}{"values":>14}{"differ":>10}{"largest":>10}')
  for resize_side, crop_size in ((256, 224), (341, 299), (378, 331)):
    dataset = tf.data.Dataset.from_tensor_slices(photos).map(
        lambda data, sizes=(resize_side, crop_size):
        opencv.decode_resize_crop(data, *sizes), num_parallel_calls=2)
    values = differ = largest = 0
    for crop, photo in zip(dataset.as_numpy_iterator(), photos, strict=True):
      expected = with_cv2(photo, resize_side, crop_size)
      gap = np.abs(crop.astype(int) - expected)
      values += gap.size
      differ += np.count_nonzero(gap)
      largest = max(largest, gap.max())
    print(f'{resize_side} -> {crop_size:4}{values:14,}{differ:10,}{largest:10}')


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--photos', required=True, metavar='DIR', type=pathlib.Path)
  parser.add_argument('--rounds', type=int, default=5)
  args = parser.parse_args()
  photos = [path.read_bytes() for path in sorted(args.photos.iterdir())
            if path.suffix.lower() in ('.jpeg', '.jpg', '.png')]
  if not photos:
    parser.error(f'no JPEG or PNG in {args.photos}')
  cv2.ipp.setUseIPP(False)
  print(f'{len(photos)} photos, resize {_RESIZE_SIDE}, crop {_CROP_SIZE}')
  print_costs(photos, args.rounds)
  print('\nagainst cv2, IPP off')
  print_parity(photos)


if __name__ == '__main__':
  main()
