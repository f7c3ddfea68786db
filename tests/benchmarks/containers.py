"""What reading containers costs beside TFDS, for the same photos.

    python tests/benchmarks/containers.py

All take turns in one process, after one round that is not counted. Shown is the CPU
time (all threads) of an image, and the median of its ratio to that of TFDS: of finding
what is there, of reading alone, and of the pipeline of an evaluation, which decodes and
resizes as well.
"""

import argparse
import pathlib
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / 'support'))
import container_writers as containers

from tfeval.datasets import open_dataset
from tfeval.datasets.labels import imagenet
from tfeval.engine import pipeline
from tfeval.preprocess import protocol

SHARED = pathlib.Path(__file__).resolve().parents[3] / 'shared'


def photos_of(archive):
  """Returns pairs of name and content of a tar file's members."""
  with tarfile.open(archive) as tar:
    return [(member.name, tar.extractfile(member).read()) for member in tar]


def write_folder(where, photos):
  where.mkdir()
  for name, content in photos:
    (where / name).write_bytes(content)


def sources(scratch, count):
  """Returns what opens the same photos, by the name of their container."""
  tool = SHARED / 'tools/make_val_tar.py'
  subprocess.run(
    [sys.executable, tool, scratch / 'manual', '--count', str(count)],
    check=True,
    stdout=subprocess.DEVNULL,
  )
  photos = photos_of(scratch / 'manual/ILSVRC2012_img_val.tar')
  labels = list(imagenet.original_validation_labels()[:count])
  write_folder(scratch / 'folder', photos)
  wnids = imagenet.label_space().class_ids
  shard = [(name.replace('.JPEG', '.jpg'), content) for name, content in photos]
  containers.write_shard(scratch / 'tar/000.tar', shard, labels)
  for name in ('snappy', 'none'):
    path = scratch / name / 'photos.parquet'
    containers.write_parquet(path, photos, labels, wnids, compression=name)
  containers.write_records(
    scratch / 'tfrecord/photos.tfrecord',
    containers.slim(photos, [label + 1 for label in labels]),
  )
  tfds = {
    'data_dir': str(scratch / 'tfds'),
    'manual_dir': str(scratch / 'manual'),
  }
  return {
    'TFDS': lambda: open_dataset('imagenet2012_real', **tfds),
    'folder': lambda: open_dataset(f'folder:{scratch}/folder'),
    'parquet, snappy': lambda: open_dataset(f'parquet:{scratch}/snappy'),
    'parquet, plain': lambda: open_dataset(f'parquet:{scratch}/none'),
    'webdataset': lambda: open_dataset(f'webdataset:{scratch}/tar'),
    'tfrecord': lambda: open_dataset(f'tfrecord:{scratch}/tfrecord'),
  }


def seconds(work):
  """Returns the CPU time of a call."""
  start = time.process_time()
  work()
  return time.process_time() - start


def to_the_end(dataset):
  """Returns what reads a `tf.data.Dataset` to its end."""
  return lambda: dataset.reduce(np.int64(0), lambda count, _: count + 1).numpy()


def reading(dataset):
  return dataset.examples().with_options(pipeline.options())


def preparing(dataset):
  resolved = protocol.resolve('opencv', 224)
  return pipeline.make_pipeline(dataset, resolved, 64)


def table(title, work, rounds, count):
  """Prints a row for each container; `work` is what to call by its name."""
  for one in work.values():
    one()
  times = {name: [] for name in work}
  for _ in range(rounds):
    for name, one in work.items():
      times[name].append(seconds(one))
  print(f'{title:<20}{"us/image":>10}{"x TFDS":>9}')
  for name, own in times.items():
    ratio = statistics.median(a / b for a, b in zip(own, times['TFDS'], strict=True))
    print(f'{name:<20}{statistics.median(own) / count * 1e6:>10.0f}{ratio:>9.3f}')


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--photos', type=int, default=300)
  parser.add_argument('--rounds', type=int, default=9)
  arguments = parser.parse_args()
  if not SHARED.is_dir():
    sys.exit(f'needs the photos in {SHARED}')
  count, rounds = arguments.photos, arguments.rounds
  with tempfile.TemporaryDirectory() as scratch:
    openers = sources(pathlib.Path(scratch), count)
    opened = {name: opener() for name, opener in openers.items()}
    table('opening', openers, rounds, count)
    for title, make, times in (
      ('reading', reading, 3 * rounds),
      ('pipeline', preparing, rounds),
    ):
      work = {name: to_the_end(make(dataset)) for name, dataset in opened.items()}
      table(title, work, times, count)


if __name__ == '__main__':
  main()
