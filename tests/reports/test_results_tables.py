"""Tables of results: 80 columns, and names that are not broken."""

import io
import pathlib

import pytest

from tfeval.reports import results, terminal
from tfeval.runs.result_file import Result
from tfeval.runs.run import Failure, Run


def run(name: str, **dataset) -> Run:
  metrics = [
    {
      'labels': labels,
      'name': k,
      'kind': 'count',
      'correct': 34_988,
      'count': 50_000,
      'skipped': 3163,
      'value': 0.69976,
      'interval': {'low': 0.6957, 'high': 0.7038},
    }
    for labels in ('original', 'real')
    for k in ('top1', 'top5')
  ]
  metrics.append(
    {
      'labels': 'original',
      'name': 'class_balanced',
      'kind': 'value',
      'value': 0.7,
      'count': 50_000,
      'skipped': 0,
    }
  )
  content = {
    'model': {'name': name},
    'metrics': metrics,
    'protocol': {'name': 'unknown'},
    'dataset': {'name': 'd', 'split': '', 'partial': False, 'expected': 9, **dataset},
  }
  return Run(pathlib.Path(name), Result.from_json(content))


def printed(*runs: Run | Failure) -> str:
  file = io.StringIO()
  for table in results.results_tables(runs, terminal.width_of(file)):
    terminal.print_table(table, file)
  lines = file.getvalue().splitlines()
  assert max(map(len, lines)) <= 80
  return '\n'.join(line.rstrip() for line in lines)


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch):
  monkeypatch.setenv('COLUMNS', '80')


def test_names_that_fit_stand_beside_their_metrics():
  text = printed(run('ResNet50'))
  assert 'ResNet50  top-1        34,988  50,000    3,163  69.98' in text
  assert 'model and metric' not in text


def test_names_that_do_not_fit_stand_above_their_metrics():
  name = 'mobilenetV2_keras_imagenet'
  lines = printed(run(name, partial=True), run('A'), Failure('B', 'why')).splitlines()
  assert lines[0].startswith('model and metric')
  assert lines[2:4] == [name, '(partial)']
  assert lines[4].split() == [
    'top-1',
    '34,988',
    '50,000',
    '3,163',
    '69.98',
    '69.57',
    '-',
    '70.38',
  ]
  at = lines.index('A')
  assert lines[at + 1].startswith('  top-1  ')
  assert lines[lines.index('B') + 1] == '  failed'
  # The values of the other table fit beside it.
  assert any(line.startswith(f'{name}  class_balanced') for line in lines)


def test_a_name_longer_than_the_table_is_broken():
  assert 'x' * 30 in printed(run('x' * 200))


@pytest.mark.parametrize(
  'expected, said',
  [(1, 'PARTIAL: the first 1 example only'), (2, 'the first 2 examples only')],
)
def test_remarks_count_in_words(expected, said):
  (remark,) = results.remarks([run('A', partial=True, expected=expected, limit=2)])
  assert said in remark
