"""`tfeval probe` as its users and scripts see it."""

import json
import re

import numpy as np
import pytest

LABELS = np.arange(200) % 4


@pytest.fixture
def runs(store_run, tmp_path, monkeypatch):
  """Four classes in a plane; in the target it is stretched along one axis."""
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv('COLUMNS', '80')
  corners = np.array([[0, 0], [0, 4], [4, 0], [4, 4]])
  random = np.random.default_rng(0)
  for name, scale in (('clean', (1, 1)), ('fog', (0.2, 1))):
    values = (corners[LABELS] + random.normal(0, 0.7, (200, 2))) * scale
    ids = [f'{name}{i:03d}' for i in range(200)]
    store_run(name, LABELS, LABELS, ids=ids, features=values.astype(np.float16))
  store_run('plain', LABELS, LABELS)


def test_tables(runs, tfeval):
  code, out, err = tfeval('probe', 'clean', 'fog', '--align=coral', '--align=subspace')
  assert (code, err) == (0, '') and max(map(len, out.splitlines())) <= 80
  assert 'A linear probe on 2 features, fitted on the source:' in out
  assert 'source: clean;' in out and 'features (penultimate)' in out
  assert re.search(r'\nsource, held out +19\d +200 +9\d\.\d\d +9\d\.\d\d - ', out)
  assert re.search(r'\ntarget, none +\d\d+ +200 +5\d\.\d\d', out)
  assert re.search(r'\ntarget, coral +19\d +200', out)
  assert re.search(
    r'\ncoral +\d+ +\d+ +\+49\.50 +\+42\.50 to \+56\.50 +3e-30 +9e-30 +\*', out
  )
  assert 'subspace:d=2' in out and 'whose labels are for the counts alone' in out


def test_json(runs, tfeval):
  code, out, err = tfeval('probe', 'clean', 'fog', '--align=coral', '--json')
  assert code == 0, err
  found = json.loads(out)
  assert [one['align'] for one in found['tested']] == [
    'none',
    'standardised',
    'coral',
  ]
  none, _, coral = found['tested']
  against = coral['against_none']
  assert 'against_none' not in none and found['held_out']['folds'] == 5
  assert against['only_aligned'] - against['only_none'] == (
    coral['correct'] - none['correct']
  )
  assert against['both'] + against['only_none'] == none['correct']
  low, high = (against['interval'][key] for key in ('low', 'high'))
  assert low < against['points'] < high
  assert against['points'] == pytest.approx(100 * (coral['value'] - none['value']))


def test_long_names_fit_the_terminal(store_run, tfeval, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  values = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float16)
  places = [
    f'{side}/a_network_of_a_long_name:alpha=0.25+set' for side in ('one', 'two')
  ]
  for where in places:
    ids = [f'{where[:3]}{i}' for i in range(200)]
    layer = 'stage_4/block_11/expanded_convolution/activation'
    more = {'ids': ids, 'features': values, 'layer': layer, 'where': where}
    store_run('a_network_of_a_long_name', LABELS, LABELS, **more)
  code, out, err = tfeval('probe', *places, '--align=coral')
  assert (code, err) == (0, '') and max(map(len, out.splitlines())) <= 80
  assert all(where in out for where in places)


@pytest.mark.parametrize(
  'arguments, words',
  [
    (['clean'], '1 runs were given, expected two'),
    (['clean', 'gone'], 'gone'),
    (['clean', 'plain'], 'stores no features: evaluate again with --store_features'),
    (['clean', 'fog', '--align=corral'], "'corral': did you mean coral?"),
    (['clean', 'fog', '--align=subspace:d=3'], '--align=subspace:d=3: 200 and 200'),
    (['clean', 'fog', '--level=2'], '--level=2.0'),
  ],
)
def test_mistakes(runs, tfeval, arguments, words):
  code, out, err = tfeval('probe', *arguments)
  assert (code, out) == (2, '') and words in err and len(err.splitlines()) == 1
