"""Leaderboards as people and programs get them."""

import csv
import io
import json
import re

import numpy as np
import pytest

from tfeval.analysis import leaderboard
from tfeval.models import table
from tfeval.reports import leaderboard as report
from tfeval.reports import leaderboard_columns, terminal
from tfeval.reports.formats import Output
from tfeval.runs.run import Failure
from tfeval.utils.errors import UserError

N = 200
LABELS = np.arange(N) % 10
REAL = [[int(label)] for label in LABELS]


def answers(right: int) -> np.ndarray:
  return np.stack(
    [
      np.where(np.arange(N) < right, LABELS, (LABELS + 1) % 10),
      *((LABELS + 20 + i) % 1000 for i in range(4)),
    ],
    axis=1,
  )


@pytest.fixture
def runs(store_run):
  facts = table.known_models()['ResNet50']
  model = {
    'weights': 'imagenet',
    'input_size': facts.input_size,
    'parameters': facts.parameters,
  }
  return [
    store_run(
      'ResNet50',
      answers(150),
      LABELS,
      REAL,
      model=model,
      published={'same_protocol': False, 'metrics': []},
    ),
    store_run('VGG16', answers(149), LABELS, REAL),
    store_run(
      'a|very_long_name_that_no_table_of_80_columns_holds',
      answers(60),
      LABELS,
      REAL,
      dataset={'partial': True},
      failed={'x.JPEG': 'cut'},
    ),
    Failure('gone', 'it is not complete'),
  ]


def text(board, names=None, width=80) -> str:
  out = io.StringIO()
  chosen = leaderboard_columns.choose(board, names)
  for one in report.text_tables(board, chosen, width):
    terminal.print_table(one, out)
  return out.getvalue()


def test_the_table(runs, monkeypatch):
  monkeypatch.setenv('COLUMNS', '80')
  shown = text(leaderboard.rank(runs))
  facts = table.known_models()['ResNet50']
  assert max(map(len, shown.splitlines())) <= 80
  assert re.search(
    r'=1 +ResNet50 +75\.00 +75\.00 +=1 +0 +'
    f'{facts.published_top1:.2f} +'
    rf'\{75 - facts.published_top1:+.2f}\n',
    shown,
  )
  assert re.search(r'=1 +VGG16 +74\.50 +74\.50 +=1 +0 +- +-\n', shown)
  assert re.search(r'\n +3 +a\|very_long', shown)
  assert '(partial, 1 failed)' in ' '.join(shown.split())
  assert re.search(r'- +gone +- +- +- +- +- +- *\n +\(failed\)', shown)


@pytest.mark.parametrize('width', [20, 50, 80, 300])
def test_no_figure_is_cut(runs, monkeypatch, width):
  monkeypatch.setenv('COLUMNS', str(width))
  board = leaderboard.rank(runs)
  shown = text(board, list(leaderboard_columns.columns(board)), width)
  for figure in ('75.00', '74.50', '30.00', '100.0', 'MAdds', 'model'):
    assert figure in shown.split()
  facts = table.known_models()['ResNet50']
  assert f'{facts.parameters / 1e6:.2f}' in shown.split()
  assert f'{facts.multiply_adds / 1e9:.3f}' in shown.split()


def test_csv(runs):
  board = leaderboard.rank(runs)
  out = io.StringIO()
  names = ['model', 'original/top1', 'multiply_adds', 'images_per_second', 'difference']
  chosen = leaderboard_columns.choose(board, names)
  report.write_csv(board, chosen, Output(out, io.StringIO()))
  rows = list(csv.DictReader(io.StringIO(out.getvalue())))
  facts = table.known_models()['ResNet50']
  assert rows[0] == {
    'model': 'ResNet50',
    'original/top1': '0.75',
    'multiply_adds': str(facts.multiply_adds),
    'images_per_second': '100.0',
    'difference': f'{0.75 - facts.published_top1 / 100:.5f}',
    'state': 'complete',
  }
  assert [row['state'] for row in rows[1:]] == [
    'complete',
    'partial, 1 failed',
    'failed',
  ]
  assert rows[1]['multiply_adds'] == rows[3]['original/top1'] == ''


def test_markdown(runs):
  board = leaderboard.rank(runs)
  out = io.StringIO()
  chosen = leaderboard_columns.choose(board, ['rank', 'model', 'published'])
  report.write_markdown(board, chosen, Output(out, out))
  lines = out.getvalue().splitlines()
  assert lines[0] == '| rank | model | published % |'
  assert lines[1] == '| ---: | --- | ---: |'
  assert lines[4].startswith('| 3 | a\\|very\\_long\\_name')
  assert lines[5] == '| - | gone (failed) | - |'
  assert '- gone FAILED: it is not complete' in lines


def test_json(runs):
  content = json.loads(
    json.dumps(report.content(leaderboard.rank(runs)), allow_nan=False)
  )
  first, second, third, failed = content['rows']
  assert first['original/top1'] == 0.75 and first['ties'] == ['VGG16']
  assert second['published'] is None and second['real/change'] == 0
  assert third['state'] == 'partial, 1 failed' and third['rank'] == 3
  assert failed['failure'] == 'it is not complete' and failed['path'] is None
  assert content['tests'] == 3 and content['sort'] == 'original/top1'
  remarks = ' / '.join(content['remarks'])
  assert 'by another protocol than the run: ResNet50' in remarks
  assert 'gone FAILED: it is not complete' in remarks


def test_a_name_alone_gives_no_facts(store_run):
  """Predictions of other tools may be called ResNet50."""
  run = store_run(
    'ResNet50',
    answers(9),
    LABELS,
    model={'weights': None, 'input_size': None, 'parameters': None},
  )
  (row,) = report.content(leaderboard.rank([run]))['rows']
  assert row['multiply_adds'] is row['parameters'] is row['published'] is None


def test_no_difference_on_other_images(store_run):
  facts = table.known_models()['VGG16']
  run = store_run(
    'VGG16',
    answers(9),
    LABELS,
    model={
      'weights': 'imagenet',
      'input_size': facts.input_size,
      'parameters': facts.parameters,
    },
  )
  (row,) = report.content(leaderboard.rank([run]))['rows']
  assert row['published'] == facts.published_top1 / 100 and row['difference'] is None


def test_columns(runs):
  board = leaderboard.rank(runs[1:2])
  assert list(leaderboard_columns.choose(board, None)) == [
    'rank',
    'model',
    'original/top1',
    'real/top1',
    'real/rank',
    'real/change',
  ]
  with pytest.raises(UserError, match="unknown column 'top1': .*original/top1.*state"):
    leaderboard_columns.choose(board, ['top1'])
  with pytest.raises(UserError, match='model twice'):
    leaderboard_columns.choose(board, ['model', 'model'])


def test_titles_tell_labels_apart(runs):
  known = leaderboard_columns.columns(leaderboard.rank(runs, sort='real/top1'))
  assert known['rank'].title == 'rank'
  assert known['original/rank'].title == 'original rank'
  known = leaderboard_columns.columns(leaderboard.rank(runs))
  assert known['real/change'].title == 'ReaL change'
  assert known['real/top5'].title == 'ReaL top-5 %'


def test_ties_across_ranks_are_named(runs):
  board = leaderboard.rank(runs[:2])
  one, two = board.rows
  two.ranks['original'] = 2
  assert report.remarks(board, {})[1] == (
    'not significantly different either, though on different ranks: ResNet50 (1) and '
    'VGG16 (2)'
  )
