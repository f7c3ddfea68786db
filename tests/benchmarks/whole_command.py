"""CPU and wall time of whole commands, imports included, against two peers in turns.

    KERAS_HOME=../shared/data/keras_home python tests/benchmarks/whole_command.py

The peers are what people write with cv2 and Keras, for the same model, photos and
protocol: `predict` puts all photos into one array for one `model.predict`; `stream`
reads them batch by batch on two threads. Each command is a process of its own; hits
must agree. Ratios are tfeval / peer, medians over the rounds. `--before=PYTHON` is one
more peer: the tfeval that it imports, such as that of an older commit.
"""

import argparse
import concurrent.futures
import contextlib
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

from memory import make_folder

ROOT = pathlib.Path(__file__).parents[2]
BATCH = 64
MODEL = 'MobileNet:alpha=0.25'
PEERS = ('predict', 'stream')


def peer(kind: str, folder: pathlib.Path) -> int:
  """Returns the hits of a peer; runs in a process of its own."""
  import cv2
  import keras
  import numpy as np

  cv2.setNumThreads(1)
  cv2.ipp.setUseIPP(False)
  model = keras.applications.MobileNet(alpha=0.25, classifier_activation=None)
  paths = sorted(folder.glob('*/*.JPEG'))
  wnids = (ROOT / 'tfeval/datasets/labels/classes.tsv').read_text().splitlines()[1:]
  index = {line.split('\t')[0]: number for number, line in enumerate(wnids)}
  labels = np.array([index[path.parent.name] for path in paths])

  def load(path):
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    h, w = image.shape[:2]
    h, w = h * 256 // min(h, w), w * 256 // min(h, w)
    image = cv2.resize(image, (w, h), interpolation=cv2.INTER_CUBIC)
    y, x = h // 2 - 112, w // 2 - 112
    return image[y : y + 224, x : x + 224, ::-1]

  prepare = keras.applications.mobilenet.preprocess_input
  with concurrent.futures.ThreadPoolExecutor(2) as pool:
    if kind == 'predict':
      images = prepare(np.stack(list(pool.map(load, paths))).astype(np.float32))
      scores = model.predict(images, batch_size=BATCH, verbose=0)
      return int((scores.argmax(1) == labels).sum())
    correct, waiting = 0, [pool.submit(load, path) for path in paths[: 3 * BATCH]]
    for start in range(0, len(paths), BATCH):
      images = np.stack([waiting.pop(0).result() for _ in paths[start:][:BATCH]])
      after = paths[start + 3 * BATCH :][:BATCH]
      waiting += [pool.submit(load, path) for path in after]
      scores = model.predict_on_batch(prepare(images.astype(np.float32)))
      correct += int((scores.argmax(1) == labels[start:][:BATCH]).sum())
  return correct


def timed(command: list[str]) -> tuple[float, float, str]:
  """Runs a command; returns its CPU and wall seconds and what it printed."""
  before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
  done = subprocess.run(command, capture_output=True, text=True, check=False)
  wall = time.monotonic() - started
  with contextlib.suppress(ChildProcessError):  # Those that have outlived it.
    while True:
      os.wait()
  if done.returncode:
    sys.exit(done.stderr)
  after = resource.getrusage(resource.RUSAGE_CHILDREN)
  cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
  return cpu, wall, done.stdout


def commands(args: argparse.Namespace, folder: pathlib.Path) -> dict[str, list[str]]:
  """Returns what is run in each round, by name."""
  own = ['-m', 'tfeval', 'evaluate', f'--model={MODEL}', '--preflight=off']
  own += [f'--dataset=folder:{folder}', f'--batch_size={BATCH}', '--overwrite']
  own += [f'--output_dir={folder}-runs']
  found = {'tfeval': [sys.executable, *own]}
  if args.before:
    found['before'] = [args.before, *own]
  for kind in PEERS:
    found[kind] = [sys.executable, __file__, f'--peer={kind}', f'--folder={folder}']
  return found


def hits(printed: str) -> int:
  """Returns the top-1 hits of a table of results, or of a peer's line."""
  found = re.search(r'top-1\s+([\d,]+)', printed) or re.search(r'(\d+)', printed)
  return int(found[1].replace(',', ''))


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument(
    '--photos', type=pathlib.Path, default=ROOT.parent / 'shared/data/images'
  )
  parser.add_argument('--count', type=int, default=1500)
  parser.add_argument('--rounds', type=int, default=5)
  parser.add_argument('--before')
  parser.add_argument('--peer', choices=PEERS)
  parser.add_argument('--folder', type=pathlib.Path)
  args = parser.parse_args()
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  if args.peer:
    print(peer(args.peer, args.folder))
    return
  with tempfile.TemporaryDirectory() as name:
    folder = make_folder(args.photos, args.count, pathlib.Path(name) / 'photos')
    taken: dict[str, list[tuple[float, float]]] = {}
    for number in range(args.rounds):
      found = {}
      for kind, command in commands(args, folder).items():
        *seconds, printed = timed(command)
        taken.setdefault(kind, []).append(tuple(seconds))
        found[kind] = hits(printed)
      if len(set(found.values())) > 1:
        sys.exit(f'hits differ: {found}')
      words = ', '.join(f'{kind} {rows[-1][0]:.1f} s' for kind, rows in taken.items())
      print(f'round {number + 1}: CPU {words}', flush=True)
  for kind in list(taken)[1:]:
    for what, column in (('CPU', 0), ('wall', 1)):
      pairs = zip(taken['tfeval'], taken[kind], strict=True)
      ratios = [own[column] / other[column] for own, other in pairs]
      print(
        f'{args.count} photos, {what} of tfeval / {kind}: '
        f'{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})'
      )


if __name__ == '__main__':
  main()
