"""What differs between two runs, in points counted by hand."""

import json

import numpy as np
import pytest

from tfeval.cli import explain

N = 100
LABELS = np.arange(N) % 10
RIGHT, WRONG = LABELS, (LABELS + 1) % 10


def explained(tfeval, *arguments):
  code, out, err = tfeval('explain', *arguments, '--json')
  assert code == 0, err
  return json.loads(out)


def test_images_labels_and_manifests(store_run, tfeval, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  first = store_run('a', np.where(np.arange(N) < 60, RIGHT, WRONG), LABELS)
  # 90 of the images, five of them with other labels, ten more answers right.
  other = LABELS[:90].copy()
  other[:5] = 999
  second = store_run(
    'b',
    np.where(np.arange(90) < 70, RIGHT[:90], WRONG[:90]),
    other,
    protocol={'spec': 'opencv:kernel=area', 'kernel': 'area'},
    model={'name': 'a', 'weights_sha256': 'f' * 64},
  )
  found = explained(tfeval, first.path, second.path)
  of = {one['what']: one for one in found['differences']}
  assert {'images', 'labels', 'weights', 'resize'} <= of.keys()
  # 60 of 100 are 60 of 90.
  assert np.isclose(of['images']['points'], 100 * (60 / 90 - 60 / 100))
  assert np.isclose(of['labels']['points'], 100 * (55 / 90 - 60 / 90))
  assert of['weights']['points'] is None and of['weights']['second'] == 'f' * 12
  assert found['images'] == 90 and found['flipped'] == 10
  total = 100 * (65 / 90 - 60 / 100)
  assert np.isclose(found['points'], total)
  known = of['images']['points'] + of['labels']['points']
  assert np.isclose(found['unexplained'], total - known)
  code, out, _ = tfeval('explain', 'a', 'b')
  assert code == 0 and max(map(len, out.splitlines())) <= 80
  assert 'unexplained' in out and '+11.11' in out


def test_a_figure_and_the_level_of_intervals(store_run, tfeval, tmp_path, monkeypatch):
  pytest.importorskip('matplotlib')
  other = np.where(np.arange(N) < 60, LABELS, 999)
  first = store_run('a', RIGHT, LABELS)
  second = store_run('b', RIGHT, other, model={'name': 'a'})
  path = tmp_path / 'points.png'
  code, _, err = tfeval('explain', first.path, second.path, f'--figure={path}')
  assert code == 0 and path.read_bytes()[:4] == b'\x89PNG' and str(path) in err
  code, out, err = tfeval('explain', first.path, second.path, '--figure=points.gif')
  assert code == 2 and not out and '.png, .pdf or .svg' in err
  seen = []
  monkeypatch.setattr(explain.output, 'print_report', lambda *args: seen.append(args))
  for flags, level in ([], 0.05), (['--level=0.1'], 0.1):
    assert tfeval('explain', first.path, second.path, *flags)[0] == 0
    assert seen.pop()[-1].level == level


def test_runs_that_are_the_same(store_run, tfeval):
  first = store_run('a', RIGHT, LABELS)
  second = store_run('b', RIGHT, LABELS, model={'name': 'a'})
  found = explained(tfeval, first.path, second.path)
  assert found['points'] == found['unexplained'] == found['flipped'] == 0


@pytest.mark.parametrize(
  'arguments, said',
  [
    ([], 'expected one of --reported, --predictions, two runs and --list, got none'),
    (['a', '--list'], 'got --list and two runs'),
    (['a'], '1 runs were given: expected two'),
    (['a', 'b'], 'a: No such file or directory: expected a run directory'),
    (['--reported=61.6', '--level=2'], '--level=2.0'),
    (['--reported=616/0', '--model=MobileNet'], 'expected hits of images'),
    (['--predictions=none.npy', '--model=MobileNet'], 'no such file'),
    (['--reported=61.6', '--axis=size=3', '--model=MobileNet'], 'value of size'),
  ],
)
def test_mistakes(tfeval, tmp_path, monkeypatch, arguments, said):
  monkeypatch.chdir(tmp_path)
  code, out, err = tfeval('explain', *arguments)
  assert code == 2 and not out and err.count('\n') == 1
  assert said in err, err


def test_published_effects(tfeval):
  code, out, _ = tfeval('explain', '--list')
  assert code == 0 and max(map(len, out.splitlines())) <= 80
  code, out, _ = tfeval('explain', '--list', '--json')
  found = json.loads(out)
  assert len(found['published']) >= 20 and all(
    one['source'] and one['axis'] for one in found['published']
  )
  for one in found['published']:
    if None not in (one['before'], one['after']):
      assert np.isclose(one['points'], one['after'] - one['before'])
