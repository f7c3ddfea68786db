"""Prints how corruptions differ from TFDS', and what they cost beside these.

For each of the 19 at each severity, over some photos: the largest and the mean
difference in levels to what TFDS makes of the same draws (`tests/support/corrupted.py`;
noises draw otherwise: p of a Kolmogorov-Smirnov test on grey instead), and milliseconds
of CPU an image, on one core. ImageMagick, which TFDS calls for motion_blur and snow, is
a loop of ours there: their times say nothing.

  python tests/benchmarks/corruptions.py ../shared/data/images [--picture=FILE.png]
"""

import argparse
import pathlib
import sys
import time

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / 'support'))
import corrupted
import references
import scipy.stats

from tfeval.preprocess import corruption_table, corruptions
from tfeval.preprocess.corruption_table import Corruption

# Images that both sides are timed over.
_TIMED = 5


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('photos', type=pathlib.Path)
  parser.add_argument('--count', type=int, default=2)
  parser.add_argument('--picture', type=pathlib.Path)
  options = parser.parse_args()
  tf.config.threading.set_intra_op_parallelism_threads(1)
  tf.config.threading.set_inter_op_parallelism_threads(1)
  paths = sorted(options.photos.glob('*.JPEG'))[:: 294 // options.count]
  images = {
    path.name: references.pil(path.read_bytes(), 224, Image.BILINEAR) for path in paths
  }
  kinds = [
    kind for kind in corruption_table.kinds().values() if kind.group != 'geometry'
  ]
  if not corrupted.frost_files():
    print('frost is left out: imagecorruptions is not installed')
    kinds = [kind for kind in kinds if not kind.textures]
  print('corruption           severity  largest    mean  KS p    ms  TFDS  ratio')
  for kind in kinds:
    for severity in range(1, len(kind.parameters) + 1):
      _print_row(Corruption(kind.name, severity), images)
  if options.picture:
    _draw(options.picture, kinds, images)


def _print_row(of, images):
  function = _compiled(of)
  found = [function(image, name) for name, image in images.items()]
  expected = [corrupted.by_tfds(image, of, name) for name, image in images.items()]
  off = np.abs(np.array(found, int) - expected)
  difference = f'{off.max():8d} {off.mean():7.4f}      '
  if of.name.endswith('noise'):
    grey = np.full((224, 224, 3), 128, np.uint8)
    pair = function(grey, 'grey'), corrupted.by_tfds(grey, of, 'grey')
    p = scipy.stats.ks_2samp(*(one.ravel() for one in pair)).pvalue
    difference = f'{"":16} {p:5.2f}'
  image, name = next(iter(images.values())), next(iter(images))
  ours = _milliseconds(lambda: function(image, name))
  theirs = _milliseconds(lambda: corrupted.by_tfds(image, of, name))
  print(
    f'{of.name:20} {of.severity:8d} {difference} {ours:5.1f} {theirs:5.1f} '
    f'{ours / theirs:6.2f}',
    flush=True,
  )


def _compiled(of):
  function = tf.function(
    lambda image, name: corruptions.corrupt(image, name, of, 0), autograph=False
  ).get_concrete_function(
    tf.TensorSpec([224, 224, 3], tf.uint8), tf.TensorSpec([], tf.string)
  )
  return lambda image, name: function(tf.constant(image), tf.constant(name)).numpy()


def _milliseconds(function):
  function()
  start = time.process_time()
  for _ in range(_TIMED):
    function()
  return 1000 * (time.process_time() - start) / _TIMED


def _draw(path, kinds, images):
  """Writes a picture: each at severity 3, ours and TFDS' below."""
  name, image = list(images.items())[-1]
  across, down = 7, -(-(len(kinds) + 1) // 7)
  canvas = Image.new('RGB', (across * 228, down * 2 * 240), 'white')
  draw = ImageDraw.Draw(canvas)
  cells = [('clean', image, image)] + [
    (
      kind.name,
      _compiled(Corruption(kind.name, 3))(image, name),
      corrupted.by_tfds(image, Corruption(kind.name, 3), name),
    )
    for kind in kinds
  ]
  for i, (title, ours, theirs) in enumerate(cells):
    x, y = i % across * 228, i // across * 480
    for label, one in ((title, ours), ('TFDS', theirs)):
      draw.text((x + 2, y), label, fill='black')
      canvas.paste(Image.fromarray(one), (x, y + 12))
      y += 238
  canvas.save(path)
  print(f'the picture is in {path}')


if __name__ == '__main__':
  main()
