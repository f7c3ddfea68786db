"""What each protocol costs, and whether it equals its own library, in one run.

    python tests/benchmarks/preprocess.py --photos ../shared/data/images

CPU time of the whole process (all threads) per photo, which is steadier than
wall time on a machine that others use, and images per second of wall time. The
rows take turns; each figure is the median over the rounds.
"""

import argparse
import itertools
import pathlib
import resource
import statistics
import sys
import time

import cv2
import numpy as np
import tensorflow as tf

from tfeval.preprocess import apply, protocol

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / 'support'))
import images  # noqa: E402
import references  # noqa: E402

_BATCH = 32


def decode_only(data):
  image = tf.io.decode_jpeg(data, channels=3, dct_method='INTEGER_ACCURATE')
  return image[0, 0]


def cpu_seconds():
  usage = resource.getrusage(resource.RUSAGE_SELF)
  return usage.ru_utime + usage.ru_stime


class Loop:
  """A library over all photos in Python."""

  def __init__(self, function, photos, size, threads=1):
    self._function = function
    self._photos = photos
    self._size = size
    self._threads = threads

  def run(self):
    """Returns CPU seconds, wall seconds and the photos they were spent on."""
    cv2.setNumThreads(self._threads)
    cpu, wall = cpu_seconds(), time.perf_counter()
    for photo in self._photos:
      self._function(photo, self._size)
    return cpu_seconds() - cpu, time.perf_counter() - wall, len(self._photos)


class Pipeline:
  """A function in Dataset.map, two calls at once, in batches."""

  def __init__(self, function, photos):
    traced = tf.autograph.experimental.do_not_convert(function)
    dataset = tf.data.Dataset.from_tensor_slices(photos).repeat()
    dataset = dataset.map(traced, num_parallel_calls=2).batch(_BATCH)
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


def print_costs(photos, names, size, rounds):
  """Prints what the protocols take, each above its own library."""
  jpegs = [photo for photo in photos if photo[:3] == b'\xff\xd8\xff']
  rows = {
    'cv2, 2 threads': Loop(references.opencv, photos, size, threads=2),
    'PIL': Loop(references.pil, photos, size),
    'decode only, tf.data': Pipeline(decode_only, jpegs),
  }
  for name in names:
    resolved = protocol.resolve(name, size)
    rows[f'{name}, tf.data'] = Pipeline(
      lambda data, resolved=resolved: apply.apply(resolved, data), photos
    )
    rows[f'{name}, its library'] = Loop(references.REFERENCES[name], photos, size)
  # The first round compiles; it is shown, not counted.
  first = {name: row.run()[0] for name, row in rows.items()}
  taken = {name: [] for name in rows}
  for _ in range(rounds):
    for name, row in rows.items():
      taken[name].append(row.run())
  print(f'{"":26}{"CPU ms/photo":>14}{"min":>8}{"images/s":>10}{"first, CPU s":>14}')
  for name, runs in taken.items():
    cpu = [1e3 * cpu / count for cpu, _, count in runs]
    rate = statistics.median(count / wall for _, wall, count in runs)
    print(
      f'{name:26}{statistics.median(cpu):14.2f}{min(cpu):8.2f}{rate:10.0f}'
      f'{first[name]:14.1f}'
    )


def edge_cases():
  """Returns encoded images, of odd sizes, contents and kinds, and thin ones."""
  sizes = [
    (2, 2),
    (2, 3),
    (3, 2),
    (10, 300),
    (300, 10),
    (60, 900),
    (1500, 40),
    (223, 224),
    (256, 256),
    (257, 391),
    (1200, 1800),
  ]
  noise = np.random.default_rng(0)
  edges = np.indices((300, 400)).sum(0)[..., None] // 5 % 2 * np.full(3, 255, np.uint8)
  pictures = [images.scene(*size) for size in sizes] + [
    noise.integers(0, 256, (300, 400, 3), np.uint8),
    edges.astype(np.uint8),
  ]
  made = [
    images.encode(picture, kind)
    for picture, kind in itertools.product(pictures, ('JPEG', 'PNG'))
  ]
  photo = images.scene(301, 403)
  made += [
    images.encode(photo, subsampling=subsampling, **options)
    for subsampling in ('4:4:4', '4:2:2', '4:2:0')
    for options in ({}, {'progressive': True}, {'restart_marker_blocks': 3})
  ]
  made += [images.encode(images.scene(301, 403, 1)), images.arithmetic_jpeg()]
  made += [images.deep_png(color_type) for color_type in (2, 4, 6)]
  made += [
    images.palette_png(depth, transparent)
    for depth in (1, 2, 4, 8)
    for transparent in (False, True)
  ]
  for value in range(1, 9):
    block = images.tiff('<', images.orientation(value))
    made.append(images.with_exif(images.BASE, block))
    made.append(images.png(photo, 403, 2, 8, images.chunk(b'eXIf', block)))
  made += [
    images.with_exif(images.BASE, block) for block in images.BROKEN_EXIF.values()
  ]
  # Of one pixel, seven eighths are none: efficientnet's own code fails as well.
  thin = [
    images.encode(images.scene(*size), 'PNG') for size in ((1, 1), (1, 40), (40, 1))
  ]
  return made, thin


def is_cmyk(photo):
  return (
    photo[:3] == b'\xff\xd8\xff' and tf.io.extract_jpeg_shape(photo)[2].numpy() == 4
  )


def print_parity(encoded, names, size, also=None):
  """Prints how far each protocol is from its library.

  Args:
    encoded: list of encoded images.
    names: of protocols.
    size: of the result, in pixels.
    also: more images, not for efficientnet.
  """
  print(f'{"":14}{"values":>14}{"differ":>12}{"share":>12}{"largest":>12}')
  for name in names:
    resolved = protocol.resolve(name, size)
    function = tf.function(
      lambda data, resolved=resolved: apply.apply(resolved, data),
      autograph=False,
      input_signature=[tf.TensorSpec([], tf.string)],
    )
    values = differ = largest = 0
    for data in encoded + (also if also and name != 'efficientnet' else []):
      expected = references.REFERENCES[name](data, size)
      gap = np.abs(function(data).numpy().astype(np.float64) - expected)
      values += gap.size
      differ += np.count_nonzero(gap)
      largest = max(largest, gap.max())
    print(f'{name:14}{values:14,}{differ:12,}{differ / values:12.2e}{largest:12.2g}')


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--photos', required=True, metavar='DIR', type=pathlib.Path)
  parser.add_argument('--rounds', type=int, default=5)
  parser.add_argument(
    '--protocols',
    metavar='A,B',
    help='all if not given',
    default=','.join(set(protocol.named_protocols()) - {'given', 'encoded'}),
  )
  parser.add_argument('--size', type=int, default=224, metavar='PIXELS')
  args = parser.parse_args()
  photos = [
    path.read_bytes()
    for path in sorted(args.photos.iterdir())
    if path.suffix.lower() in ('.jpeg', '.jpg', '.png')
  ]
  if not photos:
    parser.error(f'no JPEG or PNG in {args.photos}')
  names = args.protocols.split(',')
  if unknown := [name for name in names if name not in references.REFERENCES]:
    parser.error(f'no protocol {unknown[0]}: {", ".join(references.REFERENCES)}')
  print(f'{len(photos)} photos, size {args.size}')
  print_costs(photos, names, args.size, args.rounds)
  rgb = [photo for photo in photos if not is_cmyk(photo)]
  print(
    f'\n{len(rgb)} photos, without {len(photos) - len(rgb)} in CMYK, '
    "against each protocol's library"
  )
  print_parity(rgb, names, args.size)
  made, thin = edge_cases()
  print(f'\n{len(made) + len(thin)} edge cases')
  print_parity(made, names, args.size, also=thin)


if __name__ == '__main__':
  main()
