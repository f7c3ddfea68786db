"""How often made features get which verdict, of shifts planted and of none.

python tests/benchmarks/shift_made.py [--images=500] [--seeds=100] [--only=NAME ...]
"""

import argparse
import collections
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / 'support'))

import made_shift  # noqa: E402

from tfeval.analysis.shift import diagnosis  # noqa: E402
from tfeval.analysis.shift.measures import Options  # noqa: E402

PLANTED = {
  'none': {},
  'covariate, moved': {'moved': 0.3},
  'covariate, selected': {'selected': 1.5},
  'prior': {'priors': made_shift.SKEWED},
  'concept': {'relabelled': 0.25},
}


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('--images', type=int, default=500, help='of each side')
  parser.add_argument('--seeds', type=int, default=100)
  parser.add_argument('--only', choices=PLANTED, action='append')
  arguments = parser.parse_args()
  for name in arguments.only or PLANTED:
    kinds, start = collections.Counter(), time.process_time()
    for seed in range(arguments.seeds):
      source = made_shift.draw(arguments.images, 2 * seed)
      target = made_shift.draw(arguments.images, 2 * seed + 1, **PLANTED[name])
      options = Options(permutations=199, seed=seed)
      kinds[diagnosis.diagnose(source, target, options).verdict.kind] += 1
    seconds = (time.process_time() - start) / arguments.seeds
    found = ', '.join(f'{count} {kind}' for kind, count in kinds.most_common())
    print(f'{name}: {found}; {seconds:.1f} s of CPU each', flush=True)


if __name__ == '__main__':
  main()
