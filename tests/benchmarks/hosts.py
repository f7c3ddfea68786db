"""Throughput of two hosts against one on the same cores, as a ratio.

    python tests/benchmarks/hosts.py --manual_dir=DIR --data_dir=DIR

Hosts are processes here, so two of them share the cores that one has for itself: what
is seen is what it costs to split and join. Start-up counts in the wall time, not in
the images/s of the result.
"""

import argparse
import pathlib
import tempfile
import time

import matrix


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--model', default='MobileNet:alpha=0.25')
  parser.add_argument('--batch_size', type=int, default=32)
  parser.add_argument('--rounds', type=int, default=3)
  arguments, flags = parser.parse_known_args()
  flags = [f'--model={arguments.model}', *flags]
  with tempfile.TemporaryDirectory() as name:
    for number in range(arguments.rounds):
      rates, walls, counts = [], [], []
      for hosts in (1, 2):
        start = time.monotonic()
        run = matrix.evaluate(
          flags,
          pathlib.Path(name) / f'{number}-{hosts}',
          1,
          hosts,
          arguments.batch_size,
        )
        walls.append(time.monotonic() - start)
        rates.append(run.result['timing']['images_per_second'])
        counts.append(matrix.counts(run))
      assert counts[0] == counts[1]
      print(
        f'{rates[0]:.0f} and {rates[1]:.0f} images/s, ratio '
        f'{rates[1] / rates[0]:.2f}; wall {walls[0]:.1f} and {walls[1]:.1f} s, '
        f'ratio {walls[0] / walls[1]:.2f}',
        flush=True,
      )


if __name__ == '__main__':
  main()
