"""EfficientNet-Lite0 in PyTorch: the worker against PyTorch's own loop, in turns.

    python tests/benchmarks/torch_loader.py --model_python=PYTHON [--count=600]
        [--rounds=3]

The peer is what people write: a DataLoader with a process for each core, cv2, and the
model, in the Python that has PyTorch. Both are whole commands, run for `count` and for
three times as many photos: the difference is without imports and first steps. Prints
milliseconds an image, CPU of all processes and wall, and ratios tfeval / peer. Hits
must agree.
"""

import argparse
import ctypes
import os
import pathlib
import statistics
import sys
import tempfile

from memory import make_folder
from whole_command import ROOT, hits, timed

# Of Linux' prctl: processes whose parent has ended are this one's, so their CPU counts.
SET_CHILD_SUBREAPER = 36
SUPPORT = ROOT / 'tests' / 'support'
BATCH, SIZE = 64, 224


def peer(folder: pathlib.Path) -> int:
  """Returns the hits of a plain loop; runs in a process of its own."""
  import cv2
  import numpy as np
  import torch
  from torch_references import build_lite

  cv2.setNumThreads(1)
  paths = sorted(folder.glob('*/*.JPEG'))
  wnids = (ROOT / 'tfeval/datasets/labels/classes.tsv').read_text().splitlines()[1:]
  index = {line.split('\t')[0]: number for number, line in enumerate(wnids)}

  class Photos(torch.utils.data.Dataset):
    def __len__(self):
      return len(paths)

    def __getitem__(self, number):
      image = cv2.imread(str(paths[number]))
      h, w = image.shape[:2]
      h, w = h * 256 // min(h, w), w * 256 // min(h, w)
      image = cv2.resize(image, (w, h), interpolation=cv2.INTER_CUBIC)
      y, x = (h - SIZE) // 2, (w - SIZE) // 2
      image = image[y : y + SIZE, x : x + SIZE, ::-1].astype(np.float32)
      image = (image - np.float32(127)) / np.float32(128)
      label = index[paths[number].parent.name]
      return torch.from_numpy(image.transpose(2, 0, 1).copy()), label

  loader = torch.utils.data.DataLoader(
    Photos(), batch_size=BATCH, num_workers=len(os.sched_getaffinity(0))
  )
  model, correct = build_lite(0), 0
  with torch.inference_mode():
    for images, labels in loader:
      correct += int((model(images).argmax(1) == labels).sum())
  return correct


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument(
    '--photos', type=pathlib.Path, default=ROOT.parent / 'shared/data/images'
  )
  parser.add_argument('--model_python', default=sys.executable)
  parser.add_argument('--count', type=int, default=600)
  parser.add_argument('--rounds', type=int, default=3)
  parser.add_argument('--options', default='', help=':NAME=VALUE of the model')
  parser.add_argument('--peer', type=pathlib.Path)
  args = parser.parse_args()
  if args.peer:
    print('top-1', peer(args.peer))
    return
  ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)
  os.environ |= {'TF_CPP_MIN_LOG_LEVEL': '3', 'PYTHONPATH': str(SUPPORT)}
  with tempfile.TemporaryDirectory() as name:
    base = pathlib.Path(name)
    sizes = (args.count, 3 * args.count)
    folders = [make_folder(args.photos, n, base / str(n)) for n in sizes]
    rows = [measured(args, folders) for _ in range(args.rounds)]
  for column, what in enumerate(('CPU', 'wall')):
    ratios = [own[column] / other[column] for own, other in rows]
    print(f'{what} of tfeval / peer: {statistics.median(ratios):.2f} {ratios}')


def measured(args, folders) -> list[list[float]]:
  """Returns CPU and wall milliseconds an image of tfeval and of its peer."""
  taken, found = {}, {}
  for folder in folders:
    for kind, command in commands(args, folder).items():
      *seconds, printed = timed(command)
      taken.setdefault(kind, []).append(seconds)
      found.setdefault(folder, []).append(hits(printed))
  if any(len(set(one)) > 1 for one in found.values()):
    sys.exit(f'hits differ: {found}')
  each = 1000 / (2 * args.count)
  row = [
    [(b - a) * each for a, b in zip(few, many, strict=True)]
    for few, many in taken.values()
  ]
  print('CPU and wall ms an image, tfeval, peer:', row, flush=True)
  return row


def commands(args, folder) -> dict[str, list[str]]:
  """Returns what is run, by name."""
  own = [sys.executable, '-m', 'tfeval', 'evaluate', '--overwrite', '--preflight=off']
  own += [f'--model=torch:torch_references:lite_model:number=0{args.options}']
  own += [f'--model_python={args.model_python}', f'--dataset=folder:{folder}']
  own += [f'--batch_size={BATCH}', f'--output_dir={folder}-runs']
  return {'tfeval': own, 'peer': [args.model_python, __file__, f'--peer={folder}']}


if __name__ == '__main__':
  main()
