"""Mistakes as people and programs get them: tables, files, sheets."""

import csv
import io
import json
import math

import nasty
import numpy as np
import pyarrow.parquet as pq
import pytest
import scored_runs

from tfeval.analysis.mistakes import mistakes
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.reports import contact_sheet, mistake_sheet
from tfeval.utils import printable, row_files
from tfeval.utils.errors import UserError

N = 60
LABELS = np.arange(N) % 12
REAL = [[] if i % 9 == 0 else [int(i % 12), int((i + 1) % 12)] for i in range(N)]
SCORES = scored_runs.random_scores(N, 1, LABELS, right=0.4)
OTHER = scored_runs.random_scores(N, 2, LABELS, right=0.4)
# Sure of what is right by ReaL labels alone.
SCORES[np.arange(1, N, 5), (LABELS[1::5] + 1) % 12] += 15


@pytest.fixture
def runs(tmp_path, monkeypatch):
  monkeypatch.setenv('COLUMNS', '80')
  monkeypatch.chdir(tmp_path)
  scored_runs.store(tmp_path / 'runs/one', SCORES, LABELS, REAL)
  scored_runs.store(tmp_path / 'runs/two', OTHER, LABELS, REAL, seed=3)
  return tmp_path / 'runs'


def wrong():
  return int((SCORES.argmax(axis=1) != LABELS).sum())


def test_the_table_fits_and_says_what_score_says(tfeval, runs):
  code, out, err = tfeval('mistakes', 'runs/one', '--count=5')
  assert (code, err) == (0, '')
  assert max(map(len, out.splitlines())) <= 80
  assert f'  {wrong()} of {N} images are wrong by their original labels' in out
  scored = json.loads(tfeval('score', 'runs/one', '--json')[1])[0]['metrics'][0]
  assert scored['count'] - scored['correct'] == wrong()
  assert out.count('.JPEG') == 5 and '(right)' in out
  code, out, _ = tfeval('mistakes', 'runs/one', '--count=5', '--other=runs/two')
  assert max(map(len, out.splitlines())) <= 80
  assert 'only the first is right' in out
  code, out, _ = tfeval('mistakes', 'runs/one', 'runs/two', '--count=5')
  assert max(map(len, out.splitlines())) <= 80
  assert '2/2' in out and 'every run is wrong' in out


@pytest.mark.parametrize('flags', [[], ['--by=loss'], ['--other=runs/two']])
def test_files_hold_what_json_prints(tfeval, runs, flags):
  printed = json.loads(
    tfeval('mistakes', 'runs/one', '--count=all', '--json', *flags)[1]
  )
  for name in ('a.csv', 'a.parquet', 'a.json', 'a.jsonl'):
    code, out, err = tfeval(
      'mistakes', 'runs/one', '--count=all', f'--output={name}', *flags
    )
    assert code == 0, err
    code, _, err = tfeval('mistakes', 'runs/one', f'--output={name}', *flags)
    assert code == 2 and 'is there already' in err and '--overwrite' in err
  images = printed['images']
  assert len(images) == printed['found'] > 10
  with open('a.json') as file:
    assert json.load(file) == images
  with open('a.jsonl') as file:
    assert [json.loads(line) for line in file] == images
  table = pq.read_table('a.parquet').to_pylist()
  with open('a.csv') as file:
    rows = list(csv.DictReader(file))
  assert len(table) == len(rows) == len(images)
  for rank, (image, typed, text) in enumerate(zip(images, table, rows, strict=True), 1):
    assert typed['rank'] == int(text['rank']) == rank
    assert typed['id'] == text['id'] == image['id']
    assert typed['label'] == int(text['label']) == image['label']['class']
    assert typed['real'] == [one['class'] for one in image['real']]
    assert text['real'] == ' '.join(map(str, typed['real']))
    for place, one in enumerate(image['predictions'], 1):
      assert typed[f'class_{place}'] == one['class']
      assert typed[f'probability_{place}'] == one['probability']
      assert 'e' not in text[f'probability_{place}']
      assert text[f'probability_{place}'] == printable.csv_cell(one['probability'])
    if flags == ['--by=loss']:
      assert typed['loss'] == image['loss']
      assert text['loss'] == printable.csv_cell(image['loss'])
    if 'other' in image:
      assert typed['other_class'] == image['other']['class']
      assert text['other_is_right'] == str(image['other_is_right']).lower()


def test_many_that_a_file_holds_are_only_summed_up(tfeval, runs):
  shown = tfeval('mistakes', 'runs/one', '--count=50', '--output=a.csv')[1]
  assert '.JPEG' in shown
  # 60 labels, of which more than 50 are not wrong: other labels make them so.
  (runs.parent / 'all_wrong.csv').write_text(
    'id,label\n' + ''.join(f'{i:05d}.JPEG,999\n' for i in range(N))
  )
  flags = ['--labels=all_wrong.csv', '--count=all']
  shown = tfeval('mistakes', 'runs/one', *flags, '--output=b.csv')[1]
  assert '60 of 60 images are wrong by their all_wrong labels' in shown
  assert '.JPEG' not in shown
  code, _, err = tfeval('mistakes', 'runs/one', *flags)
  assert code == 2 and '--output or --json' in err


def test_mistakes_of_users_are_told_in_a_line(tfeval, runs):
  for arguments, words in (
    ([], 'no run was given'),
    (['runs/none'], 'runs/none'),
    (['runs/one', '--of_class=zzzzz'], 'unknown --of_class'),
    (['runs/one', '--output=a.txt'], '.csv, .parquet, .json or .jsonl'),
    (['runs/one', '--output=no/a.csv'], 'does not exist'),
    (['runs/one', 'runs/two', '--by=loss'], '--by is for the mistakes of one run'),
    (['runs/one', '--labels=real', '--labels=original'], 'by one label set'),
    (['runs/one', '--by=disagreement'], 'needs --other'),
    (['runs/one', '--class_rule=restricted'], 'restricted'),
    (['runs/one', '--figure=a.png', '--count=2000'], 'inches long'),
  ):
    code, out, err = tfeval('mistakes', *arguments)
    assert (code, out) == (2, ''), arguments
    assert words in err and err.count('\n') == 1, err
  assert not list(runs.parent.glob('*.csv'))


def test_hostile_names_are_shown_and_not_obeyed(tfeval, tmp_path, monkeypatch):
  monkeypatch.setenv('COLUMNS', '80')
  monkeypatch.chdir(tmp_path)
  names = tuple(f'{i}{name}' for i, name in enumerate(nasty.NAMES))
  space = LabelSpace('nasty', names, names)
  labels = np.arange(40) % len(names)
  scores = np.random.default_rng(0).normal(size=(40, len(names))).astype(np.float32)
  ids = [f'{nasty.ALL}{i}' for i in range(40)]
  scored_runs.store(tmp_path / 'run', scores, labels, space=space, ids=ids)
  for flags in ([], ['--json'], ['--output=a.csv', '--count=all', '--json']):
    code, out, err = tfeval('mistakes', 'run', *flags)
    assert code == 0, err
    assert not nasty.unsafe(out) and not nasty.unsafe(err)
  content = (tmp_path / 'a.csv').read_text()
  assert not nasty.unsafe(content)
  rows = list(csv.reader(io.StringIO(content)))
  assert len({len(row) for row in rows}) == 1
  assert rows[1][1].startswith("'=") and printable.printable(nasty.ALL) in rows[1][1]
  run = scored_runs.run.load_run(tmp_path / 'run')
  found = mistakes(run, 10)
  pictures = {one.id: nasty.ALL for one in found}
  mistake_sheet.draw(tmp_path / 'a.svg', found, pictures)
  assert not nasty.unsafe((tmp_path / 'a.svg').read_text())


def test_a_file_that_cannot_be_finished_leaves_nothing(tmp_path):
  path = tmp_path / 'a.csv'

  def rows():
    yield {'a': 1}
    raise UserError('no')

  with pytest.raises(UserError, match='no'):
    with row_files.writing(path, row_files.pa.schema([('a', 'int32')]), 'output') as to:
      to(rows())
  assert not list(tmp_path.iterdir())


def test_infinite_and_unknown_numbers_have_a_form_in_each_format(tmp_path):
  schema = row_files.pa.schema([('a', 'float64')])
  rows = [{'a': math.inf}, {'a': None}, {'a': 1e-9}]
  for kind in row_files.FORMATS:
    with row_files.writing(tmp_path / f'a{kind}', schema, 'output') as write:
      write(rows)
  assert (tmp_path / 'a.csv').read_text() == 'a\ninf\n""\n0.000000001\n'
  assert pq.read_table(tmp_path / 'a.parquet')['a'].to_pylist() == [
    math.inf,
    None,
    1e-9,
  ]
  assert json.loads((tmp_path / 'a.json').read_text()) == [
    {'a': None},
    {'a': None},
    {'a': 1e-9},
  ]


def test_lines_under_a_picture_fit_whatever_the_script():
  for text in ('a' * 200, '猫' * 200, 'a word and another one that is longer', ''):
    lines = contact_sheet._broken(contact_sheet.Line(text))
    assert len(lines) <= 2
    assert all(sum(map(contact_sheet._width, one.text)) <= 26 for one in lines)
  assert lines == []


def test_a_sheet_has_a_tile_for_each_image_and_the_reason_of_missing_ones(tfeval, runs):
  found = mistakes(scored_runs.run.load_run(runs / 'one'), 6)
  pixels = np.full((40, 60, 3), 255, np.uint8)
  pixels[..., 1] = 0
  ids = [one.id for one in found]
  pictures = {one: pixels for one in ids[:5]} | {ids[5]: 'it is gone'}
  mistake_sheet.draw(runs / 'a.png', found, pictures)
  import matplotlib.image

  drawn = matplotlib.image.imread(runs / 'a.png')[..., :3]
  magenta = (drawn == [1, 0, 1]).all(axis=2)
  # Five pictures in the first row, each 60 to 40, and none in the second.
  columns = np.flatnonzero(np.diff(magenta.any(axis=0).astype(int)) == 1)
  rows = np.flatnonzero(np.diff(magenta.any(axis=1).astype(int)) == 1)
  assert len(columns) == 5 and len(rows) == 1
