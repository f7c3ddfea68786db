"""What handing batches to a process of another framework costs.

    python tests/benchmarks/worker.py [--size=224] [--batch=64] [--rounds=20]
        [--onnx=FILE]

Prints wall and CPU milliseconds an image, of both processes, for a function that looks
at nothing; with `--onnx` those of the model, against the same session in this process.
"""

import argparse
import os
import pathlib
import statistics
import time

import numpy as np
import psutil
import tensorflow as tf

from tfeval.models import loading

HERE = pathlib.Path(__file__).parent


def nothing(images):
  """The model: imported by the worker."""
  return np.zeros((len(images), 1000), np.float32)


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--size', type=int, default=224)
  parser.add_argument('--batch', type=int, default=64)
  parser.add_argument('--rounds', type=int, default=20)
  parser.add_argument('--onnx')
  flags = parser.parse_args()
  os.environ['PYTHONPATH'] = str(HERE)
  shape = (flags.batch, flags.size, flags.size, 3)
  images = tf.constant(np.random.default_rng(0).random(shape, np.float32))
  known = {'preprocess': 'identity', 'output': 'logits', 'input_size': flags.size}
  model = loading.load_model('function:worker:nothing', **known)
  step = tf.function(model.function)
  told('hand-over', model, lambda: step(images), flags)
  if flags.onnx:
    compare(flags, images, known)


def told(name, model, call, flags) -> None:
  """Prints medians over the rounds."""
  processes = [psutil.Process()]
  if model is not None:
    processes.append(psutil.Process(model.backend._process._process.pid))
  call()
  walls, cpus = [], []
  for _ in range(flags.rounds):
    before, started = cpu(processes), time.perf_counter()
    call()
    walls.append(time.perf_counter() - started)
    cpus.append(cpu(processes) - before)
  each = 1000 / flags.batch
  print(
    f'{name}: {statistics.median(walls) * each:.3f} ms wall, '
    f'{statistics.median(cpus) * each:.3f} ms CPU an image'
  )


def cpu(processes) -> float:
  return sum(sum(one.cpu_times()[:2]) for one in processes)


def compare(flags, images, known) -> None:
  import onnxruntime

  model = loading.load_model(flags.onnx, **known)
  step = tf.function(model.function)
  session = onnxruntime.InferenceSession(flags.onnx, providers=['CPUExecutionProvider'])
  (given,) = session.get_inputs()
  batch = np.ascontiguousarray(images.numpy().transpose(0, 3, 1, 2))
  for _ in range(3):
    told('onnxruntime', None, lambda: session.run(None, {given.name: batch}), flags)
    told('the worker', model, lambda: step(images), flags)


if __name__ == '__main__':
  main()
