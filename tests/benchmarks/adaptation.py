"""What adapting costs on clean photos and gains on corrupted ones.

    KERAS_HOME=../shared/data/keras_home python tests/benchmarks/adaptation.py
        [--model=EfficientNetLite0] [--count=294] [--methods bn] [--corruptions clean]

Crops of 224 pixels, corrupted by the functions that made ImageNet-C in TFDS, kept as
PNG. Prints top-1 plainly and the points of each method with their paired interval.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import cv2
import numpy as np
from whole_command import ROOT

_SIDE = 224
METHODS = ('bn', 'bn:n=49,N=16', 'bn:n=49,N=0', 'tent:batch=49')
CORRUPTIONS = ('clean', 'contrast:4', 'gaussian_noise:3', 'defocus_blur:3', 'fog:3')
CORRUPTIONS += ('brightness:5', 'jpeg_compression:5')


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument(
    '--photos', type=pathlib.Path, default=ROOT.parent / 'shared/data/images'
  )
  parser.add_argument('--count', type=int, default=294)
  parser.add_argument('--model', default='EfficientNetLite0')
  parser.add_argument('--methods', nargs='*', default=METHODS)
  parser.add_argument('--corruptions', nargs='*', default=CORRUPTIONS)
  given = parser.parse_args()
  photos = sorted(given.photos.glob('n*.JPEG'))[: given.count]
  with tempfile.TemporaryDirectory() as directory:
    for corruption in given.corruptions:
      folder = pathlib.Path(directory) / corruption.replace(':', '')
      write_crops(photos, corruption, folder)
      cells = [
        evaluated(given.model, folder, method, pathlib.Path(directory) / 'runs')
        for method in given.methods
      ]
      plain = cells[0]['plain_correct'] / cells[0]['count']
      print(f'{corruption}: plain {100 * plain:.2f} %', flush=True)
      for method, cell in zip(given.methods, cells, strict=True):
        gained = f'{cell["points"]:+.2f} ({cell["low"]:+.2f} to {cell["high"]:+.2f})'
        print(f'  {method}: {gained} points, p {cell["p"]:.2g}', flush=True)


def write_crops(photos, corruption: str, folder: pathlib.Path) -> None:
  """Writes the crops of the default protocol, by class, corrupted."""
  from tensorflow_datasets.image_classification import corruptions

  name, _, severity = corruption.partition(':')
  cv2.ipp.setUseIPP(False)
  np.random.seed(1)  # Of the noise.
  for photo in photos:
    image = cv2.imread(str(photo))
    height, width = image.shape[:2]
    short = min(height, width)
    image = cv2.resize(
      image,
      (width * 256 // short, height * 256 // short),
      interpolation=cv2.INTER_CUBIC,
    )
    y, x = (side // 2 - _SIDE // 2 for side in image.shape[:2])
    crop = image[y : y + _SIDE, x : x + _SIDE, ::-1].copy()
    if severity:
      crop = getattr(corruptions, name)(crop, int(severity))
    crop = np.clip(np.round(crop), 0, 255).astype(np.uint8)
    of_class = folder / photo.name.partition('_')[0]
    of_class.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(of_class / f'{photo.stem}.png'), crop[..., ::-1].copy())


def evaluated(model: str, folder: pathlib.Path, method: str, runs: pathlib.Path):
  """Returns the adapted run against the plain one."""
  command = [sys.executable, '-m', 'tfeval', 'evaluate', f'--model={model}']
  command += [f'--dataset=folder:{folder}', '--protocol=opencv:crop_fraction=1.0']
  command += [f'--adapt={method}', '--preflight=off', '--json', f'--output_dir={runs}']
  done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
  if done.returncode:
    sys.exit(done.stderr)
  return json.loads(done.stdout)[-1]['against_plain']


if __name__ == '__main__':
  main()
