"""Every command, on a run in which every text is one that readers would obey."""

import csv
import io
import json
import pathlib
import re

import documents
import nasty
import numpy as np
import pytest

import tfeval as library
from tfeval.cli import watch
from tfeval.datasets.labels import imagenet
from tfeval.reports import predictions, results, terminal
from tfeval.reports.formats import Output
from tfeval.runs.predicted import Predictions
from tfeval.runs.run import Failure
from tfeval.runs.top_classes import ClassPrediction, ImagePredictions, PredictingModel
from tfeval.utils import printable

BAD, N = nasty.ALL, 40
LABELS = np.arange(N) % 10
FOLDER = BAD.replace('/', '')


@pytest.fixture
def runs(store_run, tmp_path, monkeypatch) -> list[str]:
  """Two run directories, in the current folder."""
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv('COLUMNS', '100')
  names = []
  for name, right in ((nasty.SURROGATE + BAD, 35), (f'-{BAD}', 5)):
    where = f'runs/{right}{FOLDER}'
    store_run(
      name,
      np.stack([(LABELS + (np.arange(N) >= right)) % 10, LABELS + 20], axis=1),
      LABELS,
      [[int(label)] for label in LABELS],
      ids=[f'{i:02}{BAD}' for i in range(N)],
      model={'weights': BAD, 'preprocess': BAD, 'class_map': BAD},
      dataset={
        'name': BAD,
        'split': BAD,
        'notes': [BAD],
        'partial': True,
        'expected': N + 1,
        'on_error': 'skip',
      },
      protocol={'name': BAD, 'spec': BAD, BAD: BAD},
      where=where,
      failed={BAD: BAD},
      preflight=[BAD],
      timing={'seconds': 2.0, 'finished': BAD, 'images_per_second': 1.0},
    )
    pathlib.Path(where, 'flags.txt').write_text(f'--model={BAD}')
    names.append(where)
  broken = pathlib.Path(f'runs/broken{FOLDER}')
  broken.mkdir()
  (broken / 'manifest.json').write_text(json.dumps({'model': {'name': f'={BAD}'}}))
  return names


def printed(tfeval, *arguments, code=0) -> str:
  """Returns what a command prints, which no terminal obeys."""
  found, out, err = tfeval(*arguments)
  assert found == code, err
  assert not nasty.unsafe(out) and not nasty.unsafe(err)
  return out


def test_score(tfeval, runs, tmp_path):
  out = printed(
    tfeval, 'score', *runs, '--show_examples=3', '--confusions=2', '--per_class=a.csv'
  )
  # Names, their rows and their remarks.
  assert out.count('top-1') == 4 and out.count('the first answers:') == 2
  assert sum('most frequent' in line for line in out.splitlines()) == 2
  content = (tmp_path / 'a.csv').read_text('utf-8')
  rows = list(csv.reader(io.StringIO(content)))
  assert {len(row) for row in rows} == {10}
  assert len(rows) == content.count('\n') == 1 + 2 * 2 * 1000
  assert {row[0] for row in rows[1:]} == {
    f"'-{printable.printable(BAD)}",
    printable.printable(nasty.SURROGATE + BAD),
  }
  assert not nasty.unsafe(content)
  found = json.loads(printed(tfeval, 'score', *runs, '--json'))
  assert found[0]['model']['name'] == nasty.SURROGATE + BAD
  assert found[0]['dataset']['failed'] == [{'id': BAD, 'reason': BAD}]


def test_compare(tfeval, runs):
  out = printed(tfeval, 'compare', *runs)
  assert len(re.findall(r'(?m)^1 - 2 ', out)) == 2
  found = json.loads(printed(tfeval, 'compare', *runs, '--json'))
  assert found['runs'][1] == {'name': f'-{BAD}', 'path': runs[1]}


def test_leaderboard(tfeval, runs):
  out = printed(tfeval, 'leaderboard', 'runs')
  assert [line.split()[0] for line in out.splitlines() if re.match(' +[12-] ', line)]
  out = printed(tfeval, 'leaderboard', 'runs', '--format=csv')
  rows = list(csv.reader(io.StringIO(out)))
  assert len(rows) == 4 == out.count('\n')
  assert len({len(row) for row in rows}) == 1
  assert rows[2][1] == f"'-{printable.printable(BAD)}"
  assert rows[1][2] == '0.875'
  out = printed(tfeval, 'leaderboard', 'runs', '--format=markdown')
  table, _, items = out.partition('\n\n')
  columns = {len(re.findall(r'(?<!\\)(?:\\\\)*\|', x)) for x in table.splitlines()}
  assert len(columns) == 1 and len(table.splitlines()) == 5
  assert all(line.startswith('- ') for line in items.splitlines())
  assert sum('FAILED' in line for line in items.splitlines()) == 1
  found = json.loads(printed(tfeval, 'leaderboard', 'runs', '--json'))
  assert found['rows'][0]['model'] == nasty.SURROGATE + BAD


def test_verify(tfeval, runs):
  out = printed(tfeval, 'verify', *runs, code=1)
  assert out.splitlines()[0] == printable.printable(runs[0])
  assert sum(not line.startswith(' ') for line in out.splitlines()) == 2
  found = json.loads(printed(tfeval, 'verify', *runs, '--json', code=1))
  assert [run['run'] for run in found] == runs


@pytest.mark.parametrize(
  'command',
  [
    ['models', BAD],
    ['models', f'--filter={BAD}'],
    ['protocols', BAD],
    ['guide', BAD],
    ['relabel', f'--scores={BAD}'],
    ['import', f'--predictions={BAD}'],
    ['cache', 'list', BAD],
    ['score', BAD],
    [BAD],
  ],
)
def test_names_that_nothing_has_are_told_in_a_line(tfeval, command):
  code, out, err = tfeval(*command)
  assert (code, out) == (2, '')
  assert err.startswith('tfeval: ') and err.count('\n') == 1
  assert not nasty.unsafe(err)


def test_what_is_shown_in_python(runs):
  run = library.load_run(runs[0])
  shown = repr(run)
  assert not nasty.unsafe(shown)
  # The path, the title, three caveats, and two metrics of two label sets.
  assert len(shown.splitlines()) == 2 + 3 + 2
  html = run._repr_html_()
  assert not nasty.unsafe(html)
  assert set(re.findall(r'</?(\w+)', html)) <= documents.CELL_TAGS


def test_models_that_failed_and_their_remarks():
  out = io.StringIO()
  results.write_table([Failure(BAD, BAD)], 0, Output(out, out))
  assert not nasty.unsafe(out.getvalue())
  assert len([x for x in out.getvalue().splitlines() if 'FAILED' in x]) == 1


def test_predictions_of_images():
  space = imagenet.label_space()
  answer = ClassPrediction(1, 3, space.class_ids[3], space.class_names[3], 0.5)
  models = [PredictingModel(BAD, BAD, 224)] * 2
  images = [ImagePredictions(BAD, [[answer]] * 2)] * 2
  out = io.StringIO()
  predictions.write_table(Predictions(models, images), Output(out, out))
  shown = out.getvalue()
  assert not nasty.unsafe(shown)
  assert shown.splitlines().count(printable.printable(BAD)) == 2
  assert sum(line.startswith('n01') for line in shown.splitlines()) == 2


def test_the_log_of_a_watcher(capsys):
  entry = {'checkpoint': BAD, 'step': 3, 'counts': {BAD: [1, 2], 'b': [0, 0]}}
  terminal.print_lines(watch._lines(entry))
  out = capsys.readouterr().out
  assert not nasty.unsafe(out)
  assert len(out.splitlines()) == 2
