"""Peak memory of an evaluation, and how it grows with the number of images.

    KERAS_HOME=../shared/data/keras_home python tests/benchmarks/memory.py

Evaluates the same photos, linked again and again, in a process for each number of
images. Other flags, such as --store_logits, are those of `tfeval evaluate`.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[2]


def make_folder(photos: pathlib.Path, count: int, out: pathlib.Path) -> pathlib.Path:
  """Makes class folders with the photos, linked again and again up to `count`."""
  files = sorted(photos.glob('n*.JPEG'))
  for i in range(count):
    photo = files[i % len(files)]
    folder = out / photo.name[:9]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f'{i:06d}.JPEG').symlink_to(photo.resolve())
  return out


def peak(folder: pathlib.Path, output: str, flags: list[str]) -> int:
  """Evaluates in a process of its own; returns its peak resident set in MiB."""
  code = (
    'import resource, sys; from tfeval import cli; code = cli.main(sys.argv[1:]);'
    'print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr);'
    'sys.exit(code)'
  )
  done = subprocess.run(
    [
      sys.executable,
      '-c',
      code,
      'evaluate',
      f'--dataset=folder:{folder}',
      f'--output_dir={output}',
      '--preflight=off',
      *flags,
    ],
    check=True,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.PIPE,
    text=True,
  )
  return int(done.stderr.split()[-1]) // 1024


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument(
    '--photos', type=pathlib.Path, default=ROOT.parent / 'shared/data/images'
  )
  parser.add_argument('--model', default='MobileNet:alpha=0.25')
  parser.add_argument('--counts', type=int, nargs='+', default=[2000, 50_000])
  arguments, flags = parser.parse_known_args()
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  first = None
  for count in arguments.counts:
    with tempfile.TemporaryDirectory() as name:
      directory = pathlib.Path(name)
      folder = make_folder(arguments.photos, count, directory / 'photos')
      found = peak(
        folder, f'{directory / "runs"}', [f'--model={arguments.model}', *flags]
      )
    first = first or found
    growth = 100 * (found / first - 1)
    print(f'{count:7,d} images: peak {found:,d} MiB ({growth:+.1f} %)', flush=True)


if __name__ == '__main__':
  main()
