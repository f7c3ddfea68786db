"""What a run costs without a cache, when it fills one, and from it.

    KERAS_HOME=../shared/data/keras_home python tests/benchmarks/cache.py \\
        --photos=DIR

MobileNet(alpha=0.25), each run of all images in a process of its own; the input alone
beside it, twice in one process of which the second pass is counted: tracing and
compiling are paid by then. CPU time is that of all threads. Rows are compared.
"""

import argparse
import hashlib
import itertools
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

from memory import make_folder

MODEL = 'MobileNet:alpha=0.25'
_BATCH = 64


def evaluate(arguments, output, cache):
  """Returns CPU seconds of one evaluation, its images, and the digest of its rows."""
  before = resource.getrusage(resource.RUSAGE_CHILDREN)
  subprocess.run(
    [
      sys.executable,
      '-m',
      'tfeval',
      'evaluate',
      f'--model={MODEL}',
      f'--dataset={arguments.dataset}',
      f'--output_dir={output}',
      '--preflight=off',
      f'--protocol={arguments.protocol}',
      f'--batch_size={_BATCH}',
      *([f'--data_dir={arguments.data_dir}'] if arguments.data_dir else []),
      *([f'--cache_dir={cache}'] if cache else []),
    ],
    check=True,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
  )
  after = resource.getrusage(resource.RUSAGE_CHILDREN)
  sha256 = hashlib.sha256()
  for part in sorted(output.rglob('part-*.parquet')):
    sha256.update(part.read_bytes())
  cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
  result = json.loads(next(output.rglob('result.json')).read_text())
  return cpu, result['dataset']['evaluated'], sha256.hexdigest()


def read_twice(arguments, cache_dir):
  """Returns CPU and wall seconds of the second pass over the input alone."""
  from tfeval import datasets
  from tfeval.engine import batches as reading
  from tfeval.engine.cache import reader as cached
  from tfeval.engine.cache import writer
  from tfeval.preprocess import protocol as protocol_lib

  dataset = datasets.open_dataset(arguments.dataset, data_dir=arguments.data_dir)
  protocol = protocol_lib.resolve(arguments.protocol, 224)
  what = (dataset, protocol, _BATCH, False, range(dataset.num_examples))
  for _ in range(2):
    cpu, wall = time.process_time(), time.perf_counter()
    batches = (
      cached.read(writer.Cache(str(cache_dir)), *what)
      if cache_dir
      else reading.read_batches(*what)
    )
    for _ in batches:
      pass
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
  return cpu, wall, dataset.num_examples


def in_own_process(arguments, cache):
  done = subprocess.run(
    [
      sys.executable,
      __file__,
      *sys.argv[1:],
      f'--dataset={arguments.dataset}',
      f'--input_of={cache or ""}',
    ],
    check=True,
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    text=True,
  )
  return json.loads(done.stdout)


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--dataset', help='what to evaluate instead of --photos')
  parser.add_argument('--data_dir')
  parser.add_argument('--photos', type=pathlib.Path, help='folder of nWNID_*.JPEG')
  parser.add_argument(
    '--images', type=int, default=2000, help='the photos again and again up to so many'
  )
  parser.add_argument('--protocol', default='opencv')
  parser.add_argument('--rounds', type=int, default=3)
  parser.add_argument('--input_of', help=argparse.SUPPRESS)
  arguments = parser.parse_args()
  if arguments.input_of is not None:
    print(json.dumps(read_twice(arguments, arguments.input_of)))
    return
  with tempfile.TemporaryDirectory() as name:
    root, numbers, digests = pathlib.Path(name), itertools.count(), set()
    if arguments.dataset is None:
      folder = make_folder(arguments.photos, arguments.images, root / 'images')
      arguments.dataset = f'folder:{folder}'
    print(f'{"CPU ms per image":<28}{"without":>10}{"filling":>10}{"from it":>10}')
    for _ in range(arguments.rounds):
      cache, row = root / f'cache{next(numbers)}', []
      for where in (None, cache, cache):
        cpu, images, digest = evaluate(arguments, root / f'{next(numbers)}', where)
        digests.add(digest)
        row.append(1000 * cpu / images)
      print(f'{"whole process":<28}' + ''.join(f'{value:>10.2f}' for value in row))
      without = in_own_process(arguments, None)
      cached = in_own_process(arguments, cache)
      print(
        f'{"input alone, warm":<28}{1000 * without[0] / images:>10.2f}{"":>10}'
        f'{1000 * cached[0] / images:>10.2f}',
        flush=True,
      )
    size = sum(path.stat().st_size for path in cache.rglob('*.tfrecord'))
    print(
      f'{images} images, {size / images:,.0f} bytes each in the cache; rows: '
      f'{"the same bytes" if len(digests) == 1 else "OTHER BYTES"}'
    )
    sys.exit(len(digests) != 1)


if __name__ == '__main__':
  main()
