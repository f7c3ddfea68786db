"""Evaluations to interrupt: their inputs, their processes, the files they end with."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

# A process that ends inside the so-manieth writing of a file, before it is in place.
DIES_WRITING = """
import os, signal, sys
from tfeval import cli
left, fsync = int(sys.argv[1]), os.fsync
def die(descriptor):
  global left
  left -= 1
  if left < 0:
    os.kill(os.getpid(), signal.SIGKILL)
  fsync(descriptor)
os.fsync = die
sys.exit(cli.main(sys.argv[2:]))
"""


def make_inputs(directory: pathlib.Path, images: int) -> list[str]:
  """Makes a model and images; returns the flags that evaluate them."""
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
  import keras
  import numpy as np
  import tensorflow as tf

  from tfeval.datasets.labels import imagenet

  keras.utils.set_random_seed(1)
  model = keras.Sequential(
    [
      keras.Input((32, 32, 3)),
      keras.layers.Rescaling(1 / 255),
      keras.layers.Conv2D(8, 3, strides=2, activation='relu'),
      keras.layers.GlobalAveragePooling2D(),
      keras.layers.Dense(1000),
    ]
  )
  model.save(directory / 'small.keras')
  folder = directory / 'images'
  folder.mkdir()
  random_pixels = np.random.default_rng(0)
  for number in range(1, images + 1):
    pixels = random_pixels.integers(0, 256, (40, 50, 3), np.uint8)
    (folder / imagenet.validation_name(number)).write_bytes(
      tf.io.encode_jpeg(pixels).numpy()
    )
  return [
    'evaluate',
    f'--model={directory / "small.keras"}',
    '--name=small.keras',
    '--preprocess=identity',
    '--output=logits',
    f'--dataset=folder:{folder}',
    '--preflight=off',
    '--protocol=slim:rounding=nearest',  # It is quick to be traced.
  ]


def start(
  arguments: list[str], dies_writing: int | None = None, **environment: str
) -> subprocess.Popen:
  """Starts a command in a process of its own."""
  own = (
    ['-m', 'tfeval']
    if dies_writing is None
    else ['-c', DIES_WRITING, str(dies_writing)]
  )
  return subprocess.Popen(
    [sys.executable, *own, *arguments],
    text=True,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    env={**os.environ, **environment},
  )


def ended(process: subprocess.Popen) -> tuple[int, str]:
  """Waits for a process; returns its exit code and stderr."""
  _, err = process.communicate(timeout=300)
  return process.returncode, err


def content(output: pathlib.Path) -> dict[str, object]:
  """Returns the files of the run in a directory, timing aside."""
  (directory,) = output.iterdir()
  return run_content(directory)


def run_content(directory: pathlib.Path) -> dict[str, object]:
  """Returns the files of a run, timing aside."""
  found = {
    str(path.relative_to(directory)): path.read_bytes()
    for path in directory.rglob('*')
    if path.is_file()
  }
  result = json.loads(found['result.json'])
  del result['timing']
  found['result.json'] = result
  return found


def wait_for_parts(output: pathlib.Path, count: int, process: subprocess.Popen) -> None:
  """Waits until so many parts are there, or the process has ended."""
  while process.poll() is None and len([*output.rglob('part-*.parquet')]) < count:
    time.sleep(0.01)


def kill_until_it_ends(
  command: list[str], output: pathlib.Path, kills: int, seed: int = 0
) -> list[str]:
  """Kills a command at random moments, then lets it end.

  Returns:
    How each process was ended.
  """
  rng, how = random.Random(seed), []
  for kill in range(kills):
    writing = rng.randrange(8) if kill % 3 == 0 else None
    process = start(command, writing)
    if writing is None:
      # At any time of a start, or of a later part.
      if rng.random() < 0.3:
        time.sleep(rng.uniform(0, 8))
      else:
        there = len([*output.rglob('part-*.parquet')])
        wait_for_parts(output, there + rng.randint(1, 2), process)
        time.sleep(rng.uniform(0, 0.05))
      if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    code, _ = ended(process)
    parts = len([*output.rglob('part-*.parquet')])
    where = 'a random moment' if writing is None else f'write {writing}'
    how.append(f'exit {code} at {where}, {parts} parts')
    print(how[-1], flush=True)
    if code == 0:
      break
  code, err = ended(start(command))
  if code:
    raise RuntimeError(err)
  return how


def without_compute(found):
  """Leaves out how many hosts there were."""
  found = dict(found)
  manifest = json.loads(found['manifest.json'])
  found['result.json'] = dict(found['result.json'])
  for one in (manifest, found['result.json']):
    one['compute'] = {
      key: value for key, value in one['compute'].items() if key != 'hosts'
    }
  found['manifest.json'] = manifest
  return found
