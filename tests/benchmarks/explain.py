"""Time of `tfeval explain` against one evaluation of the same photos.

    KERAS_HOME=../shared/data/keras_home python tests/benchmarks/explain.py
        [--count=2000] [--model=MobileNet:alpha=0.25]

Answers are those of an evaluation that squashes, and of one that squashes and exchanges
channels; the number is that of the first. Prints seconds of CPU and wall time of each,
and their ratios to an evaluation.
"""

import argparse
import json
import pathlib
import sys
import tempfile

import numpy as np
from memory import make_folder
from whole_command import ROOT, timed

SQUASHED = '--protocol=opencv:resize=squash,crop=none'


def answers(run: str, path: pathlib.Path) -> None:
  """Writes the classes that a run stores, by file name."""
  from tfeval.runs.run import load_run

  table = load_run(run).sorted_rows()
  np.save(path, [one[0] for one in table['classes'].to_pylist()])


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument(
    '--photos', type=pathlib.Path, default=ROOT.parent / 'shared/data/images'
  )
  parser.add_argument('--count', type=int, default=2000)
  parser.add_argument('--model', default='MobileNet:alpha=0.25')
  args = parser.parse_args()
  with tempfile.TemporaryDirectory() as name:
    base = pathlib.Path(name)
    folder = make_folder(args.photos, args.count, base / 'photos')
    common = [f'--model={args.model}', f'--dataset=folder:{folder}', '--json']
    tfeval = [sys.executable, '-m', 'tfeval']
    out = f'--output_dir={base / "runs"}'
    one_cpu, one_wall, _ = timed([*tfeval, 'evaluate', *common, out])
    print(f'evaluate: CPU {one_cpu:.1f} s, wall {one_wall:.1f} s', flush=True)
    given = {}
    for title, flags in {
      'squash': [SQUASHED],
      'squash, BGR': [SQUASHED, '--feed=bgr'],
    }.items():
      where = base / title
      plain = ['--preflight=off', f'--output_dir={where}']
      _, _, printed = timed([*tfeval, 'evaluate', *common, *plain, *flags])
      (directory,) = where.iterdir()
      path = base / f'{title}.npy'
      answers(str(directory), path)
      given[f'answers: {title}'] = f'--predictions={path}'
      top1 = json.loads(printed)[0]['metrics'][0]
      given[f'number: {title}'] = f'--reported={top1["correct"]}/{top1["count"]}'
    for title, flag in given.items():
      new = f'--output_dir={base / "explained" / title}'
      cpu, wall, printed = timed([*tfeval, 'explain', *common, new, flag])
      first = json.loads(printed)['candidates'][0]
      ratios = f'{cpu / one_cpu:.1f} and {wall / one_wall:.1f} evaluations'
      found = f'{first["departures"]} {first["state"]}'
      print(
        f'{title}: CPU {cpu:.1f} s, wall {wall:.1f} s, {ratios}; {found}', flush=True
      )


if __name__ == '__main__':
  main()
