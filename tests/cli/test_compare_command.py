"""`tfeval compare` and `tfeval leaderboard` as their users and scripts see them."""

import csv
import io
import json
import re
import subprocess
import sys

import numpy as np
import pytest

from tfeval.metrics.paired import images_needed

N = 100
LABELS = np.arange(N) % 10


def answers(right: int) -> np.ndarray:
  return np.stack(
    [
      np.where(np.arange(N) < right, LABELS, (LABELS + 1) % 10),
      *((LABELS + 20 + i) % 1000 for i in range(4)),
    ],
    axis=1,
  )


@pytest.fixture
def runs(store_run, tmp_path, monkeypatch):
  """Three runs of which the first two cannot be told apart, and an incomplete one."""
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv('COLUMNS', '80')
  for name, right in (('good', 80), ('alike', 79), ('poor', 30)):
    store_run(name, answers(right), LABELS, where=f'runs/{name}')
  store_run('fewer', answers(80)[:90], LABELS[:90], where='others/fewer')
  store_run('gone', answers(80), LABELS, where='failed/gone')
  store_run('fine', answers(80), LABELS, where='failed/fine')
  (tmp_path / 'failed/gone/result.json').unlink()
  (tmp_path / 'ids').write_text('0000.JPEG\n0079.JPEG\n')
  (tmp_path / 'empty').mkdir()


def test_compare_prints_tables(runs, tfeval):
  code, out, err = tfeval('compare', 'runs/good', 'runs/alike', 'runs/poor')
  assert (code, err) == (0, '')
  assert re.search(r'\n1 +good +80 +100 +80\.00', out)
  # 50 of 50 different answers: 2 / 2 ** 50; of three pairs: times three.
  assert re.search(
    r'\n1 - 3 +50 +0 +\+50\.00 +\+40\.00 to \+60\.00 +2e-15 +5e-15 '
    r'+\* +',
    out,
  )
  # ((1.960 * 0.1 + 0.8416 * (0.01 - 0.0001) ** 0.5) / 0.01) ** 2 = 782.5 images.
  assert re.search(
    r'\n1 - 2 +1 +0 +\+1\.00 +0\.00 to \+3\.00 +1\.000 +1\.000 +783', out
  )
  assert re.search(r'\n2 +99\.0 +100\.0 +51\.0', out)
  assert 'image contents were not compared' in out
  assert max(map(len, out.splitlines())) <= 80


def test_compare_prints_json(runs, tfeval):
  code, out, err = tfeval(
    'compare', 'runs', '--json', '--seed=3', '--level=0.1', '--keep=ids'
  )
  assert (code, err) == (0, '')
  found = json.loads(out)
  # A folder's runs are sorted.
  assert [run['name'] for run in found['runs']] == ['alike', 'good', 'poor']
  assert found['images'] == 100 and found['level'] == 0.1
  assert found['agreement'] == [[100, 99, 51], [99, 100, 50], [51, 50, 100]]
  whole, subset = found['comparisons']
  assert (whole['labels'], subset['labels']) == ('original', 'original@subset')
  pair = whole['pairs'][1]
  assert (pair['first'], pair['second']) == ('alike', 'poor')
  assert (pair['both'], pair['only_first'], pair['only_second'], pair['neither']) == (
    30,
    49,
    0,
    21,
  )
  assert pair['significant'] and pair['p'] == 2 / 2**49
  assert pair['interval']['level'] == 0.9 and pair['interval']['seed'] == 3
  assert (
    pair['images_needed'] == images_needed(0.49, 0, alpha=0.1) != images_needed(0.49, 0)
  )
  pair = subset['pairs'][0]
  assert (
    pair['both'],
    pair['only_first'],
    pair['only_second'],
    pair['neither'],
    pair['skipped'],
  ) == (1, 0, 1, 0, 0)


def test_compare_on_common_images(runs, tfeval):
  code, out, _ = tfeval('compare', 'runs/good', 'others', '--common')
  assert code == 0
  assert 'COMMON: only the 90 images that all runs have; left out: 10 of good' in out


def test_leaderboard_prints_a_table(runs, tfeval):
  code, out, err = tfeval('leaderboard', 'runs', 'failed')
  assert (code, err) == (0, '')
  assert re.search(
    r'\n +=1 +fine +80\.00.*\n +=1 +good +80\.00.*\n +=1 +alike +79\.00'
    r'.*\n +4 +poor +30\.00.*\n +- +gone +- *\n +\(failed\)',
    out,
  )
  assert 'gone FAILED: run failed/gone is not complete' in ' '.join(out.split())
  assert "Holm's correction for 6 pairs" in ' '.join(out.split())


def test_leaderboard_formats(runs, tfeval):
  _, out, err = tfeval('leaderboard', 'runs', '--format=csv', '--columns=model,rank')
  assert list(csv.reader(io.StringIO(out))) == [
    ['model', 'rank', 'state'],
    ['good', '1', 'complete'],
    ['alike', '1', 'complete'],
    ['poor', '3', 'complete'],
  ]
  assert 'rank: by top-1' in err
  _, out, err = tfeval('leaderboard', 'runs', '--format=markdown')
  assert out.startswith('| rank | model | top-1 % |\n') and '\n\n- rank: by' in out
  for flag in ('--json', '--format=json'):
    code, out, err = tfeval('leaderboard', 'runs', flag, '--sort=original/top5')
    assert (code, err) == (0, '')
    assert json.loads(out)['sort'] == 'original/top5'


def test_leaderboard_of_different_data(runs, tfeval):
  code, out, err = tfeval('leaderboard', 'runs', 'others')
  assert (code, out) == (2, '')
  assert re.fullmatch(
    r'tfeval: runs of 2 different kinds of data [^\n]+ 10 of 100 ids '
    r'[^\n]+ label digest \w{8}[^\n]+ --allow=data\n',
    err,
  )
  code, out, _ = tfeval('leaderboard', 'runs', 'others', '--allow=data,protocol')
  assert code == 0
  assert re.search(r'\n +1 +fewer +88\.89 +90 *\n +2 +good +80\.00 +100', out)
  assert 'significance is not computed' in ' '.join(out.split())


@pytest.mark.parametrize(
  'arguments, said',
  [
    ('compare', 'no runs were given'),
    ('compare runs/good', '1 run was given'),
    ('compare runs/good runs/good', 'runs/good was given twice'),
    ('compare runs runs/good', 'runs/good was given twice'),
    ('compare runs nowhere', 'cannot read nowhere: No such file'),
    ('compare runs empty', 'empty is no run directory and holds none'),
    ('compare runs ids', 'cannot read ids: Not a directory'),
    ('compare failed', 'failed/gone is not complete'),
    ('compare runs others', '10 of 100 ids of alike are not in fewer: 0090.JPEG, 0091'),
    ('compare runs --labels=real', 'stores no ReaL labels'),
    ('compare runs --metric=top2', '--metric=top2: expected top1 or top5'),
    ('compare runs --level=0', '--level=0.0: expected'),
    ('compare runs --level=nan', '--level=nan: expected'),
    ('compare runs --seed=-1', 'seed'),
    ('leaderboard', 'no runs were given'),
    ('leaderboard failed/gone', 'none of 1 runs can be ranked'),
    ('leaderboard runs --sort=top1', "unknown --sort 'top1'"),
    ('leaderboard runs --columns=modle', "unknown column 'modle'"),
    ('leaderboard runs --allow=dat', "unknown --allow 'dat': did you mean data?"),
    ('leaderboard runs --json --format=csv', 'leave one out'),
  ],
)
def test_mistakes_are_told_in_one_line(runs, tfeval, arguments, said):
  code, out, err = tfeval(*arguments.split())
  assert (code, out) == (2, '')
  assert re.fullmatch(r'tfeval: [^\n]+\n', err)
  assert said in err


def test_neither_loads_tensorflow_nor_scipy(runs):
  code = (
    'import sys\nfrom tfeval import cli\n'
    'for command in ("compare", "leaderboard"):\n'
    '  assert cli.main([command, "runs"]) == 0\n'
    'assert not {"tensorflow", "keras", "tensorflow_datasets", "scipy"} '
    '& {*sys.modules}'
  )
  subprocess.run([sys.executable, '-c', code], check=True, stdout=subprocess.DEVNULL)
