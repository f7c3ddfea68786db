"""Counts top-1, top-5 and ReaL hits without tfeval: cv2, model.predict and loops.

Of tfeval it uses the network of EfficientNet-Lite, which Keras lacks, and nothing else.

Reads `ILSVRC2012_img_val.tar`, the development kit and `real.json` as they come
from their publishers, and prints a JSON list to hold against the `metrics` of
`tfeval evaluate --model=MODEL --dataset=imagenet2012_real --json`.

  python tests/benchmarks/independent_count.py MANUAL_DIR --model=EfficientNetLite0
"""

import argparse
import io
import json
import pathlib
import tarfile

import cv2
import keras
import numpy as np
import scipy.io

from tfeval.models.efficientnet_lite import network


def lite_input(pixels):
  return (pixels - 127) / 128


# What builds the model, the size of its input, and what its input is.
MODELS = {
  'MobileNet:alpha=0.25': (
    lambda: keras.applications.MobileNet(alpha=0.25),
    224,
    lambda pixels: pixels / 127.5 - 1,
  ),
  'EfficientNetLite0': (network.EfficientNetLite0, 224, lite_input),
  'EfficientNetLite1': (network.EfficientNetLite1, 240, lite_input),
  'EfficientNetLite2': (network.EfficientNetLite2, 260, lite_input),
}


def ground_truth(directory: pathlib.Path) -> list[int]:
  """Class indices by validation number, from the development kit."""
  kit = tarfile.open(directory / 'ILSVRC2012_devkit_t12.tar.gz')
  read = lambda end: next(  # noqa: E731
    kit.extractfile(m).read() for m in kit.getmembers() if m.name.endswith(end)
  )
  synsets = scipy.io.loadmat(io.BytesIO(read('meta.mat')), squeeze_me=True)['synsets']
  wnid_of = {
    int(s['ILSVRC2012_ID']): str(s['WNID'])
    for s in synsets
    if int(s['num_children']) == 0
  }
  order = sorted(wnid_of.values())
  return [
    order.index(wnid_of[int(line)])
    for line in read('validation_ground_truth.txt').split()
  ]


def preprocess(encoded: bytes, size: int) -> np.ndarray:
  image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
  h, w = image.shape[:2]
  side = int(size / 0.875)
  h, w = h * side // min(h, w), w * side // min(h, w)
  image = cv2.resize(image, (w, h), interpolation=cv2.INTER_CUBIC)
  y, x = h // 2 - size // 2, w // 2 - size // 2
  return image[y : y + size, x : x + size, ::-1]


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('manual_dir', type=pathlib.Path)
  parser.add_argument('--model', choices=MODELS, default='MobileNet:alpha=0.25')
  args = parser.parse_args()
  if hasattr(cv2, 'ipp'):
    cv2.ipp.setUseIPP(False)
  truth = ground_truth(args.manual_dir)
  real = json.loads((args.manual_dir / 'real.json').read_text())
  build, size, to_input = MODELS[args.model]
  hits = {key: 0 for key in ('top1', 'top5', 'real1', 'real5')}
  images, names = [], []
  with tarfile.open(args.manual_dir / 'ILSVRC2012_img_val.tar') as tar:
    for member in tar:
      names.append(member.name)
      images.append(preprocess(tar.extractfile(member).read(), size))
  inputs = to_input(np.stack(images).astype(np.float32))
  with_real = 0
  for name, scores in zip(names, build().predict(inputs, verbose=0), strict=True):
    number = int(name[len('ILSVRC2012_val_') :][:8])
    five = sorted(range(1000), key=lambda c: (-scores[c], c))[:5]
    label, labels = truth[number - 1], real[number - 1]
    hits['top1'] += five[0] == label
    hits['top5'] += label in five
    with_real += bool(labels)
    hits['real1'] += five[0] in labels
    hits['real5'] += any(c in labels for c in five)
  n = len(names)
  print(
    json.dumps(
      [
        {'name': 'top1', 'labels': 'original', 'correct': hits['top1'], 'count': n},
        {'name': 'top5', 'labels': 'original', 'correct': hits['top5'], 'count': n},
        {
          'name': 'top1',
          'labels': 'real',
          'correct': hits['real1'],
          'count': with_real,
        },
        {
          'name': 'top5',
          'labels': 'real',
          'correct': hits['real5'],
          'count': with_real,
        },
      ],
      indent=1,
    )
  )


if __name__ == '__main__':
  main()
