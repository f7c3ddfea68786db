"""Five models on one reading of the images against five runs: time and counts.

    python tests/benchmarks/together.py --manual_dir=DIR --data_dir=DIR

MobileNet(alpha=0.25) with its published weights and four small networks of the same
input, as commands in processes of their own. CPU time is that of the processes,
start-up included; how often an image is read is counted in a run apart.
"""

import argparse
import collections
import contextlib
import dataclasses
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import matrix

import tfeval

# Known of applications, and refused where there is nothing else.
OF_FILES = ['--preprocess=identity', '--output=logits']


def make_models(directory: pathlib.Path) -> list[str]:
  """Saves four small networks; returns their paths."""
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  import keras

  paths = []
  for seed in range(4):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
      [
        keras.Input((224, 224, 3)),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(16, 7, strides=4, activation='relu'),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(1000),
      ]
    )
    paths.append(str(directory / f'small{seed}.keras'))
    model.save(paths[-1])
  return paths


def evaluate(
  models: list[str], output: pathlib.Path, flags: list[str]
) -> tuple[float, float]:
  """Returns the wall and CPU seconds of one command."""
  if models[-1].endswith('.keras'):
    flags = [*flags, *OF_FILES]
  before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
  done = subprocess.run(
    [
      sys.executable,
      '-m',
      'tfeval',
      'evaluate',
      *(f'--model={m}' for m in models),
      f'--output_dir={output}',
      *flags,
    ],
    stdout=subprocess.DEVNULL,
    stderr=subprocess.PIPE,
    text=True,
  )
  if done.returncode:
    raise RuntimeError(done.stderr)
  after = resource.getrusage(resource.RUSAGE_CHILDREN)
  return time.monotonic() - start, (
    after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
  )


def count_readings(
  models: list[str], output: str, flags: list[str]
) -> collections.Counter:
  """Evaluates in this process; returns how often images were read, by their ids."""
  import tensorflow as tf

  from tfeval import cli, datasets

  counts, original = collections.Counter(), datasets.open_dataset

  def count(name):
    counts[name.numpy()] += 1
    return name

  def counted(example):
    name = tf.ensure_shape(tf.py_function(count, [example['id']], tf.string), [])
    return {**example, 'id': name}

  def open_dataset(*args, **kwargs):
    found = original(*args, **kwargs)
    return dataclasses.replace(
      found, examples=lambda *which: found.examples(*which).map(counted)
    )

  datasets.open_dataset = open_dataset
  with contextlib.redirect_stdout(sys.stderr):
    if cli.main(
      ['evaluate', *(f'--model={m}' for m in models), f'--output_dir={output}', *flags]
    ):
      raise RuntimeError('see above')
  return counts


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--model', default='MobileNet:alpha=0.25')
  arguments, flags = parser.parse_known_args()
  flags += ['--preflight=off', '--max_loaded_models=5']
  with tempfile.TemporaryDirectory() as name:
    directory = pathlib.Path(name)
    models = [arguments.model, *make_models(directory)]
    single = [evaluate([model], directory / 'single', flags) for model in models]
    wall, cpu = evaluate(models, directory / 'together', flags)
    walls, cpus = map(sum, zip(*single, strict=True))
    print(
      f'five commands: {walls:.1f} s, {cpus:.1f} s of CPU; one: {wall:.1f} s, '
      f'{cpu:.1f} s of CPU; ratios {walls / wall:.2f} and {cpus / cpu:.2f}'
    )
    for run in sorted((directory / 'single').iterdir()):
      other = tfeval.load_run(directory / 'together' / run.name)
      counts = matrix.counts(tfeval.load_run(run))
      assert counts == matrix.counts(other)
      parts = [p.read_bytes() for p in sorted(run.glob('predictions/part-*'))]
      same = parts == [
        p.read_bytes() for p in sorted(other.path.glob('predictions/part-*'))
      ]
      print(f'{run.name}: {counts}, the same rows: {same}')
    readings = count_readings(models, f'{directory / "counted"}', [*flags, *OF_FILES])
    print(f'{len(readings)} images, each read {sorted(set(readings.values()))} times')


if __name__ == '__main__':
  main()
