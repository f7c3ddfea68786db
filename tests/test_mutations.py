"""Every reader of every format takes a damaged file for what it is.

`support/mutations.py` says how a format is added.
"""

import mutations
import pytest

# How many seeds are tried quickly; those of models take a tenth of a second each.
MODULES = {'mutated_tables': 40, 'mutated_models': 4, 'mutated_images': 20}


def _try(module: str, seeds: int, capsys) -> None:
  found = mutations.try_seeds(module, seeds)
  with capsys.disabled():
    print()
    for name, outcomes in found.items():
      counts = ', '.join(f'{n} {what}' for what, n in sorted(outcomes.counts.items()))
      print(f'  {name}: {counts}, {outcomes.seconds:.1f} s')
  assert {name: outcomes.faults for name, outcomes in found.items()} == {
    name: [] for name in found
  }
  for outcomes in found.values():
    assert sum(outcomes.counts.values()) == seeds


@pytest.mark.parametrize(('module', 'seeds'), MODULES.items())
def test_damaged_files_are_right_or_refused(module, seeds, capsys):
  _try(module, seeds, capsys)


@pytest.mark.slow
@pytest.mark.parametrize('module', MODULES)
def test_two_thousand_damaged_files_of_each_format(module, capsys):
  _try(module, 2000, capsys)
