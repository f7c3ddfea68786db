"""What `tfeval shift` tells of corrupted photos, and how far its guesses are off.

python tests/benchmarks/shift_photos.py [--model=MobileNet:alpha=0.25] [--folder=DIR]

Corruptions are those of TFDS, applied to crops of 224 pixels and stored as PNG; the
source are the same crops unchanged. Needs opencv-python, scikit-image and SciPy, as
TFDS does.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import cv2
import numpy as np

SHARED = pathlib.Path(__file__).resolve().parents[3] / 'shared/data'
CORRUPTIONS = (
  ('gaussian_noise', 3),
  ('contrast', 4),
  ('fog', 3),
  ('jpeg_compression', 5),
  ('defocus_blur', 3),
  ('brightness', 5),
)
SIZE = 224


def crop(path):
  """-> uint8 [224, 224, 3], RGB: the shorter side at 256, and the centre of it."""
  image = cv2.imread(str(path))[..., ::-1]
  height, width = image.shape[:2]
  scale = 256 / min(height, width)
  size = round(width * scale), round(height * scale)
  image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
  top, left = (image.shape[0] - SIZE) // 2, (image.shape[1] - SIZE) // 2
  return np.ascontiguousarray(image[top : top + SIZE, left : left + SIZE])


def write(folder, crops, corrupt=None):
  folder.mkdir()
  np.random.seed(1)
  for name, image in crops.items():
    changed = image if corrupt is None else corrupt(image)
    pixels = np.clip(changed, 0, 255).astype(np.uint8)
    cv2.imwrite(str(folder / f'{name}.png'), pixels[..., ::-1])


def tfeval(*arguments):
  done = subprocess.run(
    [sys.executable, '-m', 'tfeval', *map(str, arguments)],
    capture_output=True,
    text=True,
    check=False,
  )
  if done.returncode:
    sys.exit(done.stderr)
  return done.stdout


def evaluate(model, folder, runs):
  tfeval(
    'evaluate',
    f'--model={model}',
    f'--dataset=folder:{folder}',
    f'--name={folder.name}',
    f'--output_dir={runs}',
    '--store_features',
    '--store_logits',
    '--preflight=warn',
  )
  return runs / folder.name


def main():
  from tensorflow_datasets.image_classification import corruptions

  parser = argparse.ArgumentParser()
  parser.add_argument('--model', default='MobileNet:alpha=0.25')
  parser.add_argument('--folder', type=pathlib.Path, default=SHARED / 'images')
  arguments = parser.parse_args()
  paths = sorted(arguments.folder.glob('*.JPEG'))
  crops = {path.stem: crop(path) for path in paths}
  print(f'{len(crops)} photos, {arguments.model}')
  columns = 'hits', 'MMD²', 'Fréchet', 'C2ST', 'AC', 'DoC', 'ATC-MC', 'ATC-NE'
  print(f'{"":20}', *(f'{one:>8}' for one in columns), ' verdict')
  with tempfile.TemporaryDirectory() as directory:
    root = pathlib.Path(directory)
    write(root / 'clean', crops)
    clean = evaluate(arguments.model, root / 'clean', root / 'runs')
    for name, severity in (('clean', 0), *CORRUPTIONS):
      target = clean
      if name != 'clean':
        folder, corrupt = root / f'{name}{severity}', getattr(corruptions, name)
        write(folder, crops, lambda image, c=corrupt, s=severity: c(image, s))
        target = evaluate(arguments.model, folder, root / 'runs')
      show(name, severity, clean, target)


def show(name, severity, source, target):
  hits = json.loads((target / 'result.json').read_text())['metrics'][0]
  found = json.loads(tfeval('shift', source, target, '--json', '--noimages'))
  by_name = {one['name']: one['value'] for one in found['measures']}
  guesses = {
    one['name']: one['value'] for one in found['guessed_without_labels']['guesses']
  }
  values = (
    hits['value'],
    by_name['MMD²'],
    by_name['Fréchet distance'],
    by_name['C2ST accuracy'],
    *(guesses[one] for one in ('average confidence', 'DoC', 'ATC-MC', 'ATC-NE')),
  )
  texts = (f'{one:8.3f}' if abs(one) < 10 else f'{one:8.1f}' for one in values)
  print(f'{name:16} {severity:3}', *texts, '', found['verdict']['kind'], flush=True)


if __name__ == '__main__':
  main()
