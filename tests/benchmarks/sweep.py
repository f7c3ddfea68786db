"""CPU time of a sweep against as many separate commands, imports included.

    KERAS_HOME=../shared/data/keras_home python tests/benchmarks/sweep.py [--count=294]
        [--model=MobileNet:alpha=0.25]

Prints seconds of CPU of both, and the ratio; hits of each cell must agree.
"""

import argparse
import json
import pathlib
import sys
import tempfile

from memory import make_folder
from whole_command import ROOT, timed

# 24 cells with the base, and what `evaluate` is told for each.
CELLS = {
  **{
    f'resize=opencv-{k}': [f'--protocol=opencv:kernel={k}'] for k in ('area', 'nearest')
  },
  'resize=opencv-bilinear': ['--protocol=opencv:kernel=bilinear'],
  'resize=pillow-cubic': ['--protocol=opencv:library=pillow'],
  'resize=pillow-bilinear': ['--protocol=opencv:library=pillow,kernel=bilinear'],
  'resize=pillow-nearest': ['--protocol=opencv:library=pillow,kernel=nearest'],
  **{
    f'resize=tf-{k}': [f'--protocol=opencv:library=tensorflow,kernel={k},rounding=none']
    for k in ('cubic', 'bilinear', 'nearest')
  },
  **{
    f'resize=tf-{k}-antialias': [
      f'--protocol=opencv:library=tensorflow,kernel={k},antialias=true,rounding=none'
    ]
    for k in ('cubic', 'bilinear')
  },
  'aspect=squash': ['--protocol=opencv:resize=squash,crop=none'],
  'aspect=squash-crop': ['--protocol=opencv:resize=squash'],
  **{
    f'crop_fraction={f}': [f'--protocol=opencv:crop_fraction={f}']
    for f in ('0.9', '0.95', '1.0')
  },
  'decode=fast': ['--protocol=opencv:decode=fast'],
  'exif=false': ['--protocol=opencv:exif=false'],
  'channels=bgr': ['--feed=bgr'],
  **{
    f'normalisation={name}': [f'--feed={feed}']
    for name, feed in (('none', 'identity'), ('twice', 'twice'), ('unit', 'unit'))
  },
  'size=0.857': ['--input_size=192'],
}


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument(
    '--photos', type=pathlib.Path, default=ROOT.parent / 'shared/data/images'
  )
  parser.add_argument('--count', type=int, default=294)
  parser.add_argument('--model', default='MobileNet:alpha=0.25')
  args = parser.parse_args()
  with tempfile.TemporaryDirectory() as name:
    base = pathlib.Path(name)
    folder = make_folder(args.photos, args.count, base / 'photos')
    common = [f'--model={args.model}', f'--dataset=folder:{folder}', '--json']
    tfeval = [sys.executable, '-m', 'tfeval']
    axes = [f'--axis={cell}' for cell in CELLS]
    cpu, wall, printed = timed(
      [*tfeval, 'sweep', *common, *axes, f'--output_dir={base / "swept"}']
    )
    cells = {one['cell']: one['correct'] for one in json.loads(printed)['cells']}
    print(
      f'sweep of {len(cells)} cells: CPU {cpu:.1f} s, wall {wall:.1f} s', flush=True
    )
    alone = 0.0
    for cell, flags in {'base': [], **CELLS}.items():
      out = f'--output_dir={base / "alone" / cell}'
      seconds, _, printed = timed(
        [*tfeval, 'evaluate', *common, '--preflight=off', out, *flags]
      )
      alone += seconds
      (result,) = json.loads(printed)
      if result['metrics'][0]['correct'] != cells[cell]:
        sys.exit(f'{cell}: hits differ')
  print(f'separate commands: CPU {alone:.1f} s; sweep / these: {cpu / alone:.2f}')


if __name__ == '__main__':
  main()
