"""Times `tfeval` against the straightforward way to evaluate, in one run.

The peer is what an engineer would write: cv2 on two threads, feeding a compiled
forward pass, both at the same time. Both evaluate MobileNet(alpha=0.25) on the
same JPEG files, with the same protocol; the hits must agree.

  KERAS_HOME=../shared/data/keras_home python tests/benchmarks/end_to_end.py
"""

import argparse
import concurrent.futures
import os
import pathlib
import statistics
import sys
import tempfile
import time

from memory import make_folder

ROOT = pathlib.Path(__file__).parents[2]
BATCH = 64
MODEL = 'MobileNet:alpha=0.25'


def run_tfeval(folder: pathlib.Path, out: str) -> int:
  import contextlib

  from tfeval.evaluation import evaluate, plans
  from tfeval.evaluation.config import EvaluationConfig

  config = EvaluationConfig.of(
    dataset=f'folder:{folder}',
    batch_size=BATCH,
    output_dir=out,
    preflight='off',
    overwrite=True,
  )
  (run,) = evaluate.evaluate(
    plans.make_plans(plans.requests([MODEL], ['imagenet']), [config]),
    lambda name, total: contextlib.nullcontext(lambda *_: None),
  )
  return run.metrics[0]['correct']


def run_peer(folder: pathlib.Path) -> int:
  import cv2
  import keras
  import numpy as np
  import tensorflow as tf

  cv2.setNumThreads(1)  # two workers of one thread each are the two threads
  cv2.ipp.setUseIPP(False)
  model = keras.applications.MobileNet(alpha=0.25, classifier_activation=None)
  wnids = (ROOT / 'tfeval/datasets/labels/classes.tsv').read_text().splitlines()[1:]
  index = {line.split('\t')[0]: i for i, line in enumerate(wnids)}

  @tf.function
  def step(images):
    x = keras.applications.mobilenet.preprocess_input(tf.cast(images, tf.float32))
    return model(x, training=False)

  def load(path):
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    h, w = image.shape[:2]
    h, w = h * 256 // min(h, w), w * 256 // min(h, w)
    image = cv2.resize(image, (w, h), interpolation=cv2.INTER_CUBIC)
    y, x = h // 2 - 112, w // 2 - 112
    return image[y : y + 224, x : x + 224, ::-1]

  paths = sorted(folder.glob('*/*.JPEG'))
  correct = 0
  with concurrent.futures.ThreadPoolExecutor(2) as pool:
    ahead = [pool.submit(load, p) for p in paths[: 3 * BATCH]]
    for start in range(0, len(paths), BATCH):
      group = paths[start : start + BATCH]
      images = [ahead.pop(0).result() for _ in group]
      ahead += [
        pool.submit(load, p) for p in paths[start + 3 * BATCH : start + 4 * BATCH]
      ]
      images += [np.zeros_like(images[0])] * (BATCH - len(images))
      scores = step(np.stack(images)).numpy()[: len(group)]
      labels = [index[p.parent.name] for p in group]
      correct += int((scores.argmax(1) == labels).sum())
  return correct


def timed(function, *args) -> tuple[float, float, int]:
  wall, cpu = time.perf_counter(), time.process_time()
  result = function(*args)
  return time.perf_counter() - wall, time.process_time() - cpu, result


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument(
    '--photos', type=pathlib.Path, default=ROOT.parent / 'shared/data/images'
  )
  parser.add_argument('--count', type=int, default=2000)
  parser.add_argument('--runs', type=int, default=3)
  args = parser.parse_args()
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  import cv2  # noqa: F401
  import keras
  import tensorflow as tf

  from tfeval.evaluation import evaluate as evaluation  # noqa: F401

  keras.applications.MobileNet(alpha=0.25)
  tf.config.list_logical_devices()  # What starts once is on nobody's account.
  with tempfile.TemporaryDirectory() as temporary:
    out = pathlib.Path(temporary)
    folder = make_folder(args.photos, args.count, out / 'small')
    rows = {'tfeval': [], 'peer': []}
    for run in range(args.runs + 1):
      ours = timed(run_tfeval, folder, f'{out}/runs')
      peer = timed(run_peer, folder)
      if ours[2] != peer[2]:
        sys.exit(f'hits differ: tfeval {ours[2]}, peer {peer[2]}')
      if run:
        rows['tfeval'].append(ours)
        rows['peer'].append(peer)
      else:
        print(
          f'first pair, tracing and compiling included: tfeval '
          f'{ours[0]:.1f} s, peer {peer[0]:.1f} s, ratio {peer[0] / ours[0]:.2f}'
        )
    print(f'{args.count} photos, batch {BATCH}, {MODEL}, {ours[2]} top-1 hits in both')
    for name, values in rows.items():
      wall = statistics.median(v[0] for v in values)
      cpu = statistics.median(v[1] for v in values)
      print(
        f'{name:>7}: {args.count / wall:6.0f} images/s, '
        f'{1000 * cpu / args.count:5.2f} CPU ms per image'
      )
    ratios = [p[0] / t[0] for p, t in zip(rows['peer'], rows['tfeval'], strict=True)]
    print(
      'speed of tfeval / peer, pair by pair: '
      + ', '.join(f'{r:.2f}' for r in ratios)
      + f'; median {statistics.median(ratios):.2f}'
    )


if __name__ == '__main__':
  main()
