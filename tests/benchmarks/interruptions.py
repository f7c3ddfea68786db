"""Kills evaluations at random moments and compares what they end with.

    python tests/benchmarks/interruptions.py --kills=20

A whole run first; then the same command is killed (SIGKILL) again and again, every
third time inside the writing of a part or of its index, until it ends by itself; its
files are compared byte for byte, timing aside. Random weights on random images.
"""

import argparse
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / 'support'))
from evaluations import content, ended, kill_until_it_ends, make_inputs, start  # noqa: E402


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--kills', type=int, default=20)
  parser.add_argument('--images', type=int, default=2000)
  parser.add_argument('--seed', type=int, default=0)
  arguments = parser.parse_args()
  with tempfile.TemporaryDirectory() as name:
    directory = pathlib.Path(name)
    command = [
      *make_inputs(directory, arguments.images),
      '--rows_per_part=24',
      '--batch_size=8',
    ]
    code, err = ended(start([*command, f'--output_dir={directory / "whole"}']))
    if code:
      raise RuntimeError(err)
    how = kill_until_it_ends(
      [*command, f'--output_dir={directory / "killed"}'],
      directory / 'killed',
      arguments.kills,
      arguments.seed,
    )
    same = content(directory / 'killed') == content(directory / 'whole')
    print(f'{len(how)} kills: {"the same bytes" if same else "OTHER BYTES"}')
    sys.exit(not same)


if __name__ == '__main__':
  main()
