"""Every reader of every format takes a damaged file for what it is.

`support/mutations.py` says how a format is added.
"""

import mutations
import pytest

# How many seeds are tried quickly: in 15 s of CPU time, of which imports take a half.
QUICK = {
  'mutated_tables': 40,
  'mutated_runs': 5,
  'mutated_images': 10,
  'mutated_models': 4,
  'mutated_datasets': 3,
}
ORBAX = 'mutated_orbax'


def _try(seeds: dict[str, int], capsys) -> None:
  found = mutations.try_seeds(seeds)
  with capsys.disabled():
    print()
    for name, outcomes in found.items():
      counts = ', '.join(f'{n} {what}' for what, n in sorted(outcomes.counts.items()))
      print(f'  {name}: {counts}, {outcomes.seconds:.1f} s')
  assert {name: outcomes.faults for name, outcomes in found.items()} == {
    name: [] for name in found
  }


def test_damaged_files_are_right_or_refused(capsys):
  _try(QUICK, capsys)


@pytest.mark.slow
@pytest.mark.parametrize('module', [*QUICK, ORBAX])
def test_two_thousand_damaged_files_of_each_format(module, capsys):
  if module == ORBAX:
    pytest.importorskip('orbax.checkpoint', reason='needs tfeval[orbax]')
  _try({module: 2000}, capsys)
