"""Numbers and answers of somebody's scripts, a known mistake in each, explained.

    KERAS_HOME=../shared/data/keras_home python tests/benchmarks/planted_causes.py
        [--only=NAME,...] [--ipp] [--tfeval='python -m tfeval']

The scripts are OpenCV's, Pillow's, TensorFlow's and Keras' own functions; nothing of
tfeval is imported. Of each mistake `tfeval explain` is given the answers, and then the
accuracy alone. Prints what was planted, what is found first, and whether the accuracy
leaves the truth among what is not unlikely.
"""

import argparse
import json
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable

import cv2
import keras
import numpy as np
import tensorflow as tf
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / 'shared/data'
SIZE = 224
BATCH = 32
MODEL = 'MobileNet:alpha=0.25'
# Images of the first classes once more, mirrored: so classes have unlike many.
TWICE = 60


# What somebody's script does, step by step.


def read(path: pathlib.Path) -> np.ndarray:
  return cv2.imread(str(path))[..., ::-1]


def crop(image: np.ndarray, size: int = SIZE) -> np.ndarray:
  y, x = (side // 2 - size // 2 for side in image.shape[:2])
  return image[y : y + size, x : x + size]


def by_cv2(kernel: int = cv2.INTER_CUBIC, short: int = 256, size: int = SIZE):
  def pixels(path):
    image = read(path)
    height, width = image.shape[:2]
    least = min(height, width)
    sides = width * short // least, height * short // least
    return crop(cv2.resize(image, sides, interpolation=kernel), size)

  return pixels


def squashed(kernel: int = cv2.INTER_CUBIC):
  return lambda path: cv2.resize(read(path), (SIZE, SIZE), interpolation=kernel)


def by_pillow(kernel):
  """Resize and CenterCrop of torchvision."""

  def pixels(path):
    image = Image.open(path).convert('RGB')
    width, height = image.size
    if width <= height:
      image = image.resize((256, int(256 * height / width)), kernel)
    else:
      image = image.resize((int(256 * width / height), 256), kernel)
    left, top = (round((side - SIZE) / 2.0) for side in image.size)
    return np.asarray(image.crop((left, top, left + SIZE, top + SIZE)))

  return pixels


def load_img(path):
  return np.asarray(keras.utils.load_img(path, target_size=(SIZE, SIZE)))


def of_dataset(path):
  """What `image_dataset_from_directory` does."""
  image = tf.io.decode_jpeg(tf.io.read_file(str(path)), channels=3)
  return tf.image.resize(image, (SIZE, SIZE)).numpy()


def by_tf(path):
  image = tf.io.decode_jpeg(
    tf.io.read_file(str(path)), channels=3, dct_method='INTEGER_ACCURATE'
  )
  height, width = image.shape[:2]
  least = min(height, width)
  sides = height * 256 // least, width * 256 // least
  return crop(tf.image.resize(image, sides, antialias=True).numpy())


def bgr(pixels):
  return lambda path: pixels(path)[..., ::-1]


def right(x):
  return x / 127.5 - 1


def torch(x):
  return (x / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]


def caffe(x):
  return x[..., ::-1] - [103.939, 116.779, 123.68]


Answers = Callable[[], np.ndarray]


class Somebody:
  """Photos, a model, and what scripts say of them.

  Attributes:
    paths: of the photos, by file name.
    labels: their classes.
  """

  def __init__(self, folder: pathlib.Path):
    self.paths = sorted(folder.glob('*/*.JPEG'), key=lambda path: path.name)
    wnids = sorted(
      line.split('\t')[1]
      for line in (SHARED / 'class_names.tsv').read_text().splitlines()[1:]
    )
    self.labels = np.array([wnids.index(path.parent.name) for path in self.paths])
    self.model = keras.applications.MobileNet(alpha=0.25)
    keras.mixed_precision.set_global_policy('mixed_float16')
    self.half = keras.applications.MobileNet(alpha=0.25)
    keras.mixed_precision.set_global_policy('float32')
    self._known: np.ndarray | None = None

  def scores(self, pixels=None, normalise=right, model=None, size=None) -> np.ndarray:
    """Returns float32 [n, 1000]."""
    pixels = pixels or by_cv2()
    images = (normalise(pixels(path).astype(np.float32)) for path in self.paths)
    return (model or self.model).predict(np.stack(list(images)), BATCH, verbose=0)

  @property
  def plain(self) -> np.ndarray:
    if self._known is None:
      self._known = self.scores()
    return self._known


def accuracy(predicted, labels) -> str:
  return f'{int((predicted == labels).sum())}/{len(labels)}'


def planted(one: Somebody) -> dict[str, tuple[list[dict], np.ndarray | None, str]]:
  """Returns by name what is true, what answers are saved, and what is reported.

  Of what is true there may be several: ways to say the same.
  """
  names = (SHARED / 'class_names.tsv').read_text().splitlines()
  found = {}

  def add(name, truth, scores):
    truth = truth if isinstance(truth, list) else [truth]
    best = scores.argmax(1)
    found[name] = truth, best, accuracy(best, one.labels)

  add('nothing', {}, one.plain)
  kernels = {'nearest': cv2.INTER_NEAREST, 'bilinear': cv2.INTER_LINEAR}
  kernels['area'] = cv2.INTER_AREA
  for name, kernel in kernels.items():
    add(name, {'resize': f'opencv-{name}'}, one.scores(by_cv2(kernel)))
  add('Pillow', {'recipe': 'torchvision'}, one.scores(by_pillow(Image.BILINEAR)))
  add('timm', {'recipe': 'timm'}, one.scores(by_pillow(Image.BICUBIC)))
  # TensorFlow applies no orientation of EXIF.
  turned = {'exif': 'false', 'resize': 'tf-bilinear-antialias'}
  add('antialias', turned, one.scores(by_tf))
  add('load_img', {'recipe': 'keras-load_img'}, one.scores(load_img))
  add('dataset', {'recipe': 'keras-dataset'}, one.scores(of_dataset))
  add('squash', {'aspect': 'squash'}, one.scores(squashed()))
  add('no crop', {'crop_fraction': '1.0'}, one.scores(by_cv2(short=SIZE)))
  add('BGR', {'channels': 'bgr'}, one.scores(bgr(by_cv2())))
  for name, feed in {
    'none': lambda x: x,
    'twice': lambda x: right(right(x)),
    'unit': lambda x: x / 255,
    'torch': torch,
    'caffe': caffe,
    'no-mean': lambda x: x / 127.5,
  }.items():
    add(f'scaled: {name}', {'normalisation': name}, one.scores(normalise=feed))
  add('float16', {'dtype': 'float16'}, one.scores(model=one.half))
  add(
    'squash, BGR',
    {'aspect': 'squash', 'channels': 'bgr'},
    one.scores(bgr(squashed())),
  )
  add(
    'nearest, no mean',
    {'resize': 'opencv-nearest', 'normalisation': 'no-mean'},
    one.scores(by_cv2(cv2.INTER_NEAREST), lambda x: x / 127.5),
  )
  add(
    'BGR, unit',
    {'channels': 'bgr', 'normalisation': 'unit'},
    one.scores(bgr(by_cv2()), lambda x: x / 255),
  )

  best, labels, n = one.plain.argmax(1), one.labels, len(one.labels)

  def order(name, truth, answers, of_labels):
    found[name] = (
      [{'class_order': truth}],
      answers,
      accuracy(answers, of_labels),
    )

  # Numbered otherwise than the labels that they are held against.
  order('off by one', 'one_too_high', best + 1, labels)
  rows = [line.split('\t') for line in names[1:]]
  by_text = np.argsort(np.argsort([str(i) for i in range(1000)]))
  order('text order', 'text', by_text[best], labels)
  ranks = np.argsort(np.argsort([row[2] for row in rows], kind='stable'))
  order('by name', 'name', ranks[best], labels)
  with_background = np.concatenate([np.zeros((n, 1), np.float32), one.plain], 1)
  shifted = [{'class_order': 'one_too_high'}]
  reported = accuracy(with_background.argmax(1), labels)
  found['1001 outputs'] = shifted, with_background, reported
  whole = n // BATCH * BATCH
  found['last batch lost'] = (
    [{'batches': f'last_lost:{BATCH}'}],
    best[:whole],
    accuracy(best[:whole], labels[:whole]),
  )
  padded = np.concatenate([best, np.repeat(best[-1:], whole + BATCH - n)])
  hits = int((best == labels).sum())
  found['padding counted'] = (
    [{'batches': f'last_padded:{BATCH}'}],
    padded,
    f'{hits}/{whole + BATCH}',
  )
  ascending = one.plain.argsort(1)[:, -5:]
  found['ascending columns'] = (
    [{'columns': 'ascending'}],
    ascending,
    accuracy(ascending[:, 0], labels),
  )
  unsorted = np.argpartition(one.plain, -5, axis=1)[:, -5:]
  found['unsorted columns'] = (
    # NumPy leaves the best one last, or not: both say the same of such rows.
    [{'columns': one} for one in ('argpartition', 'unsorted', 'ascending')],
    unsorted,
    accuracy(unsorted[:, 0], labels),
  )
  # Of numbers alone: the answers are the same.
  classes = np.unique(labels)
  mean = np.mean([np.mean(best[labels == one_] == one_) for one_ in classes])
  found['mean of classes'] = [{'mean': 'classes'}], None, f'{100 * mean:.2f}'
  half = one.plain.astype(np.float16)
  ties = half[np.arange(n), labels] >= half.max(1)
  found['ties are hits'] = [{'ties': 'hits'}], None, f'{int(ties.sum())}/{n}'
  real = real_labels(one)
  of_real = [
    best[i] in real[path.name] for i, path in enumerate(one.paths) if real[path.name]
  ]
  found['other labels'] = (
    [{'labels': 'real'}],
    None,
    f'{100 * np.mean(of_real):.2f}',
  )
  return found


def real_labels(one: Somebody) -> dict[str, list[int]]:
  """Returns made labels: every fifth has the second class too, every ninth none."""
  second = one.plain.argsort(1)[:, -2]
  return {
    path.name: []
    if i % 9 == 0
    else [int(one.labels[i]), *([int(second[i])] if i % 5 == 0 else [])]
    for i, path in enumerate(one.paths)
  }


def make_photos(folder: pathlib.Path) -> None:
  """Copies photos, named as validation images of their classes: these have labels."""
  ids = dict(
    line.split('\t')[:2]
    for line in (SHARED / 'devkit/ilsvrc_ids.tsv').read_text().splitlines()[1:]
  )
  truth = SHARED / 'devkit/ILSVRC2012_validation_ground_truth.txt'
  numbers: dict[str, list[int]] = {}
  for number, ilsvrc_id in enumerate(truth.read_text().split(), 1):
    numbers.setdefault(ids[ilsvrc_id], []).append(number)
  for i, path in enumerate(sorted((SHARED / 'images').glob('n*.JPEG'))):
    wnid = path.name[:9]
    (folder / wnid).mkdir(parents=True)
    first, second, *_ = (
      folder / wnid / f'ILSVRC2012_val_{number:08}.JPEG' for number in numbers[wnid]
    )
    shutil.copy(path, first)
    if i < TWICE:
      cv2.imwrite(str(second), cv2.imread(str(path))[:, ::-1])


def explained(command: list[str], *flags: str) -> dict:
  ran = subprocess.run(
    [*command, 'explain', *flags, '--json'], capture_output=True, text=True, check=False
  )
  if ran.returncode:
    return {'error': ran.stderr.strip().splitlines()[-1]}
  return json.loads(ran.stdout)


def text(departures: dict) -> str:
  return ', '.join(f'{axis}={value}' for axis, value in departures.items()) or '-'


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--only', help='names of mistakes, with commas')
  parser.add_argument('--ipp', action='store_true', help="OpenCV's IPP on")
  parser.add_argument('--tfeval', default=f'{sys.executable} -m tfeval')
  args = parser.parse_args()
  cv2.ipp.setUseIPP(args.ipp)
  command = shlex.split(args.tfeval)
  with tempfile.TemporaryDirectory() as name:
    base = pathlib.Path(name)
    make_photos(base / 'photos')
    one = Somebody(base / 'photos')
    listed: list[list[int]] = [[] for _ in range(50_000)]
    for name_, labels in real_labels(one).items():
      listed[int(name_[-13:-5]) - 1] = labels
    (base / 'real.json').write_text(json.dumps(listed))
    mistakes = planted(one)
    if args.only:
      mistakes = {key: mistakes[key] for key in args.only.split(',')}
    common = [
      f'--model={MODEL}',
      f'--dataset=folder:{base / "photos"}',
      f'--real_labels={base / "real.json"}',
      f'--output_dir={base / "runs"}',
    ]
    totals = {'first': [], 'likely': []}
    print(f'{"planted":<20}{"found first":<44}{"agree":>9}  by number')
    for key, (truth, answers, reported) in mistakes.items():
      row = f'{key:<20}'
      if answers is None:
        row += f'{"(answers are the same)":<44}{"":>9}'
      else:
        path = base / 'theirs.npy'
        np.save(path, answers)
        found = explained(command, *common, f'--predictions={path}')
        first = (found.get('candidates') or [{}])[0]
        departures = first.get('departures')
        alike = [departures, *first.get('alike', [])]
        good = any(each in truth for each in alike)
        totals['first'].append(good)
        what = found['error'] if 'error' in found else text(departures)
        row += f'{what:<44}{first.get("agree")}/{first.get("of")}'
        row += '' if good else '  NOT WHAT WAS PLANTED'
      found = explained(command, *common, f'--reported={reported}')
      likely = [
        each['departures']
        for each in found.get('candidates', [])
        if each['state'] != 'unlikely'
      ]
      inside = any(each in likely for each in truth)
      totals['likely'].append(inside)
      row += f'  {reported}: {"among" if inside else "NOT AMONG"} {len(likely)}'
      print(row, found.get('error', ''), flush=True)
  for key, of in totals.items():
    print(f'{key}: {sum(of)} of {len(of)}')


if __name__ == '__main__':
  main()
