"""What MMD with its permutations costs: CPU of this process, and its peak of memory.

python tests/benchmarks/mmd.py [--images=2000] [--dimensions=1280] [--permutations=1000]
"""

import argparse
import resource
import time

import numpy as np

from tfeval.metrics.shift import two_sample


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('--images', type=int, default=2000, help='of each side')
  parser.add_argument('--dimensions', type=int, default=1280)
  parser.add_argument('--permutations', type=int, default=1000)
  arguments = parser.parse_args()
  random = np.random.default_rng(0)
  shape = arguments.images, arguments.dimensions
  first = random.standard_normal(shape, np.float32).astype(np.float16)
  second = random.standard_normal(shape, np.float32).astype(np.float16)
  cpu, wall = time.process_time(), time.perf_counter()
  distances = two_sample.pair_distances(first, second)
  kernel = two_sample.rbf_kernel(distances, [two_sample.median_distance(distances)])
  value, p = two_sample.mmd_test(kernel, arguments.images, arguments.permutations)
  cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
  print(f'MMD² {value:.3e}, p {p:.3f}')
  print(f'{cpu:.2f} s of CPU, {wall:.2f} s, peak {peak:.0f} MB')


if __name__ == '__main__':
  main()
