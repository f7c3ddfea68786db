"""Integer counts by replicas, hosts and batch size: all lines have to be equal.

    python tests/benchmarks/matrix.py --manual_dir=DIR --data_dir=DIR --limit=100

Each line is a real evaluation: a process for each host, logical CPU devices for
replicas. Rankings are compared with those of the first line: where the stored classes
differ in order, the log-probabilities that changed places are closer than TOLERANCE.
"""

import argparse
import itertools
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

import tfeval

REPLICAS, HOSTS, BATCH_SIZES = (1, 2, 3, 8), (1, 2, 3), (7, 32, 64)
# Of log-probabilities: batches of another size are added up in another order.
TOLERANCE = 1e-4


def evaluate(
  flags: list[str], output: pathlib.Path, replicas: int, hosts: int, batch_size: int
) -> tfeval.Run:
  """Evaluates with a process for each host, all at once."""
  command = [
    sys.executable,
    '-m',
    'tfeval',
    'evaluate',
    *flags,
    '--preflight=off',
    f'--output_dir={output}',
    f'--batch_size={batch_size}',
    f'--devices={replicas}',
    '--strategy=auto',
  ]
  each = (
    [[f'--num_hosts={hosts}', f'--host_index={index}'] for index in range(hosts)]
    if hosts > 1
    else [[]]
  )
  processes = [
    subprocess.Popen(
      [*command, *own], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    for own in each
  ]
  errors = [process.communicate()[1] for process in processes]
  if any(process.returncode for process in processes):
    raise RuntimeError('\n'.join(errors))
  (directory,) = output.iterdir()
  return tfeval.load_run(directory)


def counts(run: tfeval.Run) -> tuple[int, ...]:
  """Returns images, then hits and denominators of every metric."""
  return (
    run.result['dataset']['evaluated'],
    *itertools.chain.from_iterable(
      (metric['correct'], metric['count']) for metric in run.metrics
    ),
  )


def ranking(run: tfeval.Run) -> tuple[list[str], np.ndarray, np.ndarray]:
  """Returns ids, classes [n, 20] and their log-probabilities [n, 20], as stored."""
  table = run.to_arrow(['id', 'classes', 'log_probs'])
  return (
    table['id'].to_pylist(),
    np.array(table['classes'].to_pylist()),
    np.array(table['log_probs'].to_pylist()),
  )


def largest_swap(first, other) -> float:
  """Returns how far apart classes were that changed places, in log-probability.

  That is, the largest difference, in the first ranking, between what was at a rank and
  the class that is there in the other one; a class that was not stored counts as the
  last that was.

  Raises:
    AssertionError: the rows are not of the same images in the same order.

  >>> ranking = ['a'], np.array([[3, 1]]), np.array([[-1., -2.5]])
  >>> largest_swap(ranking, (['a'], np.array([[1, 3]]), np.array([[-1.5, -1.5]])))
  1.5
  """
  assert first[0] == other[0]
  largest = 0.0
  for classes, values, others in zip(first[1], first[2], other[1], strict=True):
    of_class = dict(zip(classes.tolist(), values.tolist(), strict=True))
    for rank in np.flatnonzero(classes != others):
      value = of_class.get(int(others[rank]), values[-1])
      largest = max(largest, abs(float(values[rank] - value)))
  return largest


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--model', default='MobileNet:alpha=0.25')
  for name, kind in (
    ('replicas', REPLICAS),
    ('hosts', HOSTS),
    ('batch_sizes', BATCH_SIZES),
  ):
    parser.add_argument(f'--{name}', type=int, nargs='+', default=kind)
  arguments, flags = parser.parse_known_args()
  flags = [f'--model={arguments.model}', *flags]
  first, wrong = None, 0
  print('replicas  hosts  batch (rounded)  images  hits of count ...')
  with tempfile.TemporaryDirectory() as name:
    for number, (replicas, hosts, batch_size) in enumerate(
      itertools.product(arguments.replicas, arguments.hosts, arguments.batch_sizes)
    ):
      run = evaluate(
        flags, pathlib.Path(name) / str(number), replicas, hosts, batch_size
      )
      compute = run.result['compute']
      assert (compute['replicas'], compute['hosts']) == (replicas, hosts)
      found, order = counts(run), ranking(run)
      first = first or (found, order)
      swap = largest_swap(first[1], order)
      same = found == first[0] and swap <= TOLERANCE
      wrong += not same
      images, *pairs = found
      print(
        f'{replicas:8d}  {hosts:5d}  {batch_size:5d} {compute["batch_size"]:9d}  '
        f'{images:6d}  '
        + ' '.join(f'{a}/{b}' for a, b in zip(pairs[::2], pairs[1::2], strict=True))
        + f'  {"equal" if same else "DIFFERS"}, classes swapped within {swap:.1e}',
        flush=True,
      )
  print(json.dumps({'lines': number + 1, 'wrong': wrong}))
  sys.exit(bool(wrong))


if __name__ == '__main__':
  main()
