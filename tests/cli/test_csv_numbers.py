"""CSV of every command: decimals of ten digits, and nothing for what is not known."""

import csv
import io
import re

import pytest

# 7 of 300: 0.023333333333333334 as JSON has it.
IMAGES, HITS = 300, 7
FILES = {
  'export': ('--to=csv', '--output=a.csv'),
  'leaderboard': ('--format=csv',),
  'mistakes': ('--count=5', '--output=a.csv'),
  'score': ('--per_class=a.csv',),
}
RATES = {'export': 'value', 'leaderboard': 'original/top1', 'score': 'top1_rate'}


@pytest.fixture
def run(store_run, monkeypatch, tmp_path):
  monkeypatch.chdir(tmp_path)
  labels = [0] * IMAGES
  predicted = [[0 if at < HITS else 9, 1, 2, 3, 4] for at in range(IMAGES)]
  return store_run('net', predicted, labels, where='runs/net').path


@pytest.mark.parametrize('command', FILES)
def test_numbers_of_csv_are_decimals_of_ten_digits(tfeval, run, tmp_path, command):
  code, out, err = tfeval(command, run, *FILES[command])
  assert code == 0, err
  path = tmp_path / 'a.csv'
  text = path.read_text() if path.exists() else out
  rows = list(csv.DictReader(io.StringIO(text)))
  assert rows and all(None not in row for row in rows)
  for row in rows:
    for name, cell in row.items():
      assert cell.lower() not in ('nan', 'none', 'null'), name
      assert not re.fullmatch(r'-?[\d.]+[eE][+-]?\d+', cell), (name, cell)
      if re.fullmatch(r'-?\d+\.\d+', cell):
        assert len(cell.replace('.', '').strip('-0')) <= 10, (name, cell)
  if command in RATES:
    assert rows[0][RATES[command]] == '0.02333333333'
    assert round(float(rows[0][RATES[command]]) * IMAGES) == HITS
  if command == 'score':
    assert rows[1]['count'] == '0' and rows[1]['top1_rate'] == ''
