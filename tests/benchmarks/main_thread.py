"""CPU time of the main thread for an image, at the margin, with a near-free model.

    python tests/benchmarks/main_thread.py

The thread that feeds devices may do nothing else: whatever it computes, they wait for.
Runs of two lengths are evaluated in turns; their difference leaves out what each run
costs once, such as tracing. The model sees 16 pixels of
an image.
"""

import argparse
import contextlib
import os
import pathlib
import statistics
import sys
import tempfile
import time

from memory import make_folder

ROOT = pathlib.Path(__file__).parents[2]
MODEL = """
import keras

def model():
  keras.utils.set_random_seed(0)
  inputs = keras.Input((224, 224, 3))
  corner = keras.layers.Cropping2D(((0, 220), (0, 220)))(inputs)
  outputs = keras.layers.Dense(1000)(keras.layers.Flatten()(corner))
  return keras.Model(inputs, outputs)
"""


def evaluate(folder: pathlib.Path, out: pathlib.Path, batch_size: int) -> float:
  """Returns the seconds of CPU time that this thread spent on an evaluation."""
  from tfeval.evaluation import evaluate, plans
  from tfeval.evaluation.config import EvaluationConfig

  started = time.thread_time()
  config = EvaluationConfig.of(
    dataset=f'folder:{folder}',
    batch_size=batch_size,
    output_dir=str(out),
    preflight='off',
    preprocess='identity',
    input_size=224,
    output='logits',
    trust_model=True,
    overwrite=True,
  )
  evaluate.evaluate(
    plans.make_plans(plans.requests(['near_free:model'], ['none']), [config]),
    lambda name, total: contextlib.nullcontext(lambda *_: None),
  )
  return time.thread_time() - started


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument(
    '--photos', type=pathlib.Path, default=ROOT.parent / 'shared/data/images'
  )
  parser.add_argument('--counts', type=int, nargs=2, default=(640, 3200))
  parser.add_argument('--batch_size', type=int, default=64)
  parser.add_argument('--runs', type=int, default=3)
  args = parser.parse_args()
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  few, many = sorted(args.counts)
  with tempfile.TemporaryDirectory() as temporary:
    out = pathlib.Path(temporary)
    (out / 'near_free.py').write_text(MODEL)
    sys.path.insert(0, temporary)
    folders = [
      make_folder(args.photos, count, out / str(count)) for count in (few, many)
    ]
    evaluate(folders[0], out / 'runs', args.batch_size)  # Tracing and compiling.
    found = []
    for _ in range(args.runs):
      short, long = (evaluate(one, out / 'runs', args.batch_size) for one in folders)
      found.append(1000 * (long - short) / (many - few))
      print(f'  {few} images {short:.2f} s, {many} images {long:.2f} s', flush=True)
  print(
    f'{statistics.median(found):.4f} ms of CPU time of the main thread an image '
    f'({", ".join(f"{one:.4f}" for one in found)}), batch {args.batch_size}'
  )


if __name__ == '__main__':
  main()
