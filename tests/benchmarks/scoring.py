"""CPU time of commands that need no TensorFlow, and memory with all outputs.

Commands run as processes of their own, imports included. Targets: importing and
scoring the seven published files by one command in under 3 s of CPU time, scoring
one run of 50,000 images in under 1.5 s, as comparing and ranking all seven, and less
than 500 MB with all outputs.

  python tests/benchmarks/scoring.py
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).parents[2]
COUNT = 50_000
CONFIDENCE = (
  '--metrics=top1,top5,top10,class_balanced,ece,ece_mass,debiased_l2,auroc,aurc'
)


def measured(*arguments: str) -> tuple[float, int]:
  """Runs a command; returns its CPU seconds and its largest memory in MB."""
  process = subprocess.Popen(
    [sys.executable, '-m', 'tfeval', *arguments], stdout=subprocess.DEVNULL
  )
  _, status, usage = os.wait4(process.pid, 0)
  if status:
    sys.exit(f'tfeval {" ".join(arguments)} failed')
  return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 // 10**6


def report(name: str, runs: int, *arguments: str) -> None:
  results = [measured(*arguments) for _ in range(runs)]
  seconds = [seconds for seconds, _ in results]
  print(
    f'{name}: {statistics.median(seconds):.2f} s CPU '
    f'({min(seconds):.2f} - {max(seconds):.2f}), '
    f'{max(memory for _, memory in results)} MB',
    flush=True,
  )


def write_outputs(path: pathlib.Path, dtype: type) -> None:
  """Writes [50000, 1000] random outputs that are right at every fourth image."""
  from tfeval.datasets.labels import imagenet as labels

  rng = np.random.default_rng(0)
  truth = np.array(labels.original_validation_labels())
  header = {
    'descr': np.dtype(dtype).str,
    'fortran_order': False,
    'shape': (COUNT, 1000),
  }
  # Not as a memmap: a child's memory is counted from what its parent has.
  with open(path, 'wb') as file:
    np.lib.format.write_array_header_1_0(file, header)
    for start in range(0, COUNT, 1000):
      block = rng.normal(size=(1000, 1000))
      block[np.arange(0, 1000, 4), truth[start : start + 1000 : 4]] += 9
      file.write(block.astype(dtype).tobytes())


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument(
    '--data',
    type=pathlib.Path,
    default=ROOT.parent / 'shared/data',
    help='with predictions/ and real/real.json',
  )
  parser.add_argument('--runs', type=int, default=5)
  args = parser.parse_args()
  labels = ['--labels=original', f'--labels={args.data}/real/real.json']
  with tempfile.TemporaryDirectory() as temporary:
    out = f'--output_dir={temporary}/runs'
    report(
      'import of seven files',
      args.runs,
      'import',
      '--order=class_folder',
      *labels,
      f'--predictions={args.data}/predictions',
      out,
      '--overwrite',
    )
    one = f'{temporary}/runs/resnet50_keras_imagenet'
    report('score of one run', args.runs, 'score', one)
    report('score with another real.json', args.runs, 'score', one, *labels)
    report('score by confidence', args.runs, 'score', one, CONFIDENCE)
    report('verify of one run', args.runs, 'verify', one)
    for command in ('compare', 'leaderboard'):
      report(f'{command} of seven runs', args.runs, command, f'{temporary}/runs')
    for dtype in (np.float16, np.float32, np.float64):
      path = pathlib.Path(temporary) / 'all.npy'
      write_outputs(path, dtype)
      for option in ('--nostore_logits', '--store_logits'):
        report(
          f'import of all outputs in {dtype.__name__}, {option}',
          1,
          'import',
          f'--predictions={path}',
          '--order=file_name',
          *labels,
          option,
          f'--output_dir={temporary}/all',
          '--overwrite',
        )
      report(
        f'score of all outputs in {dtype.__name__}',
        1,
        'score',
        f'{temporary}/all',
        CONFIDENCE + ',nll,brier,temperature',
        '--labels=original',
      )


if __name__ == '__main__':
  main()
