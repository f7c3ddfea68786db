"""`tfeval relabel` as its users see it."""

import csv
import json
import os
import re

import numpy as np
import pytest
import scipy.special

from tfeval import cli
from tfeval.datasets.labels import imagenet
from tfeval.runs import predictions, result_file
from tfeval.runs import run as run_lib

INFO = np.array(
  [
    ['ILSVRC2012_val_00000001.JPEG', '65'],
    ['ILSVRC2012_val_00000001.JPEG', '7'],
    ['ILSVRC2012_val_00000002.JPEG', '9'],
    ['ILSVRC2012_val_00000002.JPEG', '970'],
  ]
)


@pytest.fixture
def files(tmp_path, monkeypatch):
  """A folder with small files in the published form, and a run."""
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv('COLUMNS', '80')
  right = np.array([1, 0, 0, 1])
  np.savez('scores.npz', tensor=np.array([0.9, 0.2, 0.1, 0.7]), info=INFO)

  def votes(*rows):
    return np.eye(3)[np.array(rows)]

  np.savez('golden.npz', tensor=votes(2 * right), info=INFO, ids=np.array([1]))
  answers = votes(2 * right, [2, 0, 1, 2], [1, 2, 0, 2])
  for name in ('raters', 'raters_golden'):
    np.savez(f'{name}.npz', tensor=answers, info=INFO, ids=np.array([4, 5, 6]))
  scores = np.zeros((2, 1000), np.float32)
  scores[0, [65, 7]], scores[1, [3, 970]] = (9, 8), (9, 8)
  writer = predictions.Writer(tmp_path / 'run/predictions', False)
  writer.write(
    predictions.make_rows(
      [imagenet.validation_name(n) for n in (1, 2)],
      [b'x' * 32] * 2,
      np.array([65, 970]),
      None,
      scores,
      'logits',
      False,
    )
  )
  writer.flush()
  run = run_lib.Run(tmp_path / 'run', {})
  run_lib.finish(
    tmp_path / 'run',
    {
      'schema_version': result_file.SCHEMA_VERSION,
      'model': {'name': 'tiny'},
      'dataset': {'name': 'd', 'split': '', 'partial': True, 'expected': 2},
      'protocol': {'name': 'identity'},
    },
    run_lib.summarize(run.parts(run_lib.SUMMARY_COLUMNS)),
    {},
    {},
  )
  return tmp_path


@pytest.fixture
def relabel(capsys):
  def run(*arguments):
    capsys.readouterr()
    return cli.main(['relabel', *map(str, arguments)]), *capsys.readouterr()

  return run


ALL = (
  '--scores=scores.npz',
  '--raters=raters.npz',
  '--golden=golden.npz',
  '--raters_golden=raters_golden.npz',
)


def test_published_labels(relabel, shared_data, tmp_path):
  path = tmp_path / 'real.json'
  code, out, err = relabel(
    f'--scores={shared_data / "real/scores.npz"}', '--threshold=0.8', f'--output={path}'
  )
  assert (code, err) == (0, f'tfeval: written: output in {path}\n')
  assert '3,163 images have none' in out
  expected = json.loads((shared_data / 'real/real.json').read_text())
  assert json.loads(path.read_text()) == [sorted(one) for one in expected]
  assert os.listdir(tmp_path) == ['real.json']


def test_everything(relabel, files):
  code, out, err = relabel(
    'run',
    *ALL,
    '--aggregate=golden',
    '--output=a.json',
    '--curve=a.csv',
    '--figure=a.svg',
    '--json',
  )
  written = 'tfeval: written: output in a.json, curve in a.csv, figure in a.svg\n'
  assert (code, err) == (0, written)
  report = json.loads(out)
  assert [row['name'] for row in report['scored']] == ['scores', 'golden']
  # .7 is not above 0.8.
  assert report['scored'][0]['with_golden'] == [3, 4]
  assert len(imagenet.load_real_labels('a.json')) == 50_000
  rows = list(csv.DictReader((files / 'a.csv').open()))
  series = {
    name: [
      (int(r['correct']), int(r['proposed']), int(r['positives']))
      for r in rows
      if r['series'] == name
    ]
    for name in {row['series'] for row in rows}
  }
  assert series['scores'] == [(1, 1, 2), (2, 2, 2), (2, 3, 2), (2, 4, 2)]
  assert series['tiny, top-1'] == [(1, 2, 2)]
  # 36 of its 40 classes are tied.
  assert series['tiny'] == [(1, 2, 2), (2, 4, 2), (2, 40, 2)]
  # Probabilities of scores, log-probabilities of runs, nothing of a single answer.
  thresholds = {
    name: [float(r['threshold']) for r in rows if r['series'] == name]
    for name in series
  }
  assert thresholds['scores'] == pytest.approx([0.9, 0.7, 0.2, 0.1])
  right = scipy.special.log_softmax([9, 8, *[0] * 998])
  assert thresholds['tiny'] == pytest.approx(right[:3].tolist(), abs=1e-6)
  assert set(thresholds['tiny, top-1'] + thresholds['original labels']) == {1}
  assert b'<svg' in (files / 'a.svg').read_bytes()
  for flag in ('--curve=a.csv', '--figure=a.svg'):
    before = (files / flag.partition('=')[2]).read_bytes()
    code, out, err = relabel('run', *ALL, '--aggregate=golden', flag)
    assert (code, out) == (2, '') and f'{flag} is there already' in err, err
    assert '--overwrite' in err
    assert (files / flag.partition('=')[2]).read_bytes() == before
  code, out, err = relabel('run', *ALL, '--curve=a.csv', '--overwrite')
  assert (code, err) == (0, 'tfeval: written: curve in a.csv\n')
  assert 'as golden' in out
  assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(
  ('arguments', 'words'),
  [
    ('', 'neither --scores nor --raters'),
    ('--scores=nowhere.npz', 'cannot read nowhere.npz'),
    ('--scores=golden.npz', 'tensor is float64'),
    ('--scores=scores.npz --threshold=1.5', 'threshold=1.5'),
    ('--scores=scores.npz --threshold=-1', 'threshold=-1'),
    ('--scores=scores.npz --threshold=nan', 'threshold=nan'),
    ('--scores=scores.npz --aggregate=golden', '--aggregate needs --raters'),
    ('--raters=raters.npz --aggregate=golden', 'needs --golden'),
    ('--raters=raters.npz --output=a.json', '--output without --scores'),
    ('--raters=raters.npz', '--raters needs --golden'),
    ('--raters=raters.npz --raters_golden=a.npz', '--raters_golden needs'),
    ('--scores=scores.npz --curve=a.csv', 'need --golden'),
    ('run --scores=scores.npz', 'runs are for --curve'),
    (
      'nowhere --scores=scores.npz --golden=golden.npz --curve=a.csv',
      'a run directory',
    ),
    ('--scores=scores.npz --golden=golden.npz --figure=a.gif', '.png, .pdf or .svg'),
    ('--scores=scores.npz --output=scores.npz', 'is given twice'),
    (
      '--scores=scores.npz --output=no/a.json',
      'the folder no does not exist',
    ),
  ],
)
def test_mistakes(relabel, files, arguments, words):
  before = sorted(os.listdir(files))
  code, out, err = relabel(*arguments.split())
  assert (code, out) == (2, '')
  assert re.fullmatch(r'tfeval: [^\n]+\n', err), err
  assert words in err
  assert sorted(os.listdir(files)) == before
