"""How often a planted shift gets its name, and none is called one.

    python tests/benchmarks/planted_shifts.py [--seeds=100] [--images=2000]

Features of ten classes with a known truth, see `tests/support/planted_kinds.py`.
"""

import argparse
import collections
import concurrent.futures
import functools
import pathlib
import sys
import time

from tfeval.analysis.shift import diagnosis
from tfeval.analysis.shift.measures import Options

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / 'support'))
import planted_kinds  # noqa: E402


def kind_of(seed: int, kind: str, images: int) -> str:
  source = planted_kinds.side('none', images, 2 * seed, 'source')
  target = planted_kinds.side(kind, images, 2 * seed + 1, 'target')
  found = diagnosis.diagnose(source, target, Options(permutations=499, seed=seed))
  return found.verdict.kind


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('--seeds', type=int, default=100)
  parser.add_argument('--images', type=int, default=2000, help='of each side')
  parser.add_argument('--kinds', default=','.join(planted_kinds.KINDS))
  arguments = parser.parse_args()
  with concurrent.futures.ProcessPoolExecutor(2) as pool:
    for kind in arguments.kinds.split(','):
      begun = time.perf_counter()
      one = functools.partial(kind_of, kind=kind, images=arguments.images)
      found = collections.Counter(pool.map(one, range(arguments.seeds)))
      told = ', '.join(f'{count} {name}' for name, count in found.most_common())
      seconds = (time.perf_counter() - begun) / arguments.seeds
      print(f'{kind}: {told} ({seconds:.1f} s each)', flush=True)


if __name__ == '__main__':
  main()
