"""Verdicts on margins against counting by hand, and as `compare` prints them."""

import json
import re

import numpy as np
import pytest

from tfeval.analysis import kept
from tfeval.analysis.comparison import compare
from tfeval.metrics import noninferiority
from tfeval.metrics.paired import PairedHits
from tfeval.utils.errors import UserError

N = 2000
LABELS = np.arange(N) % 10
# What both hit, only the reference, only the other; the rest is missed.
EXACT = (1500, 0, 0)
ALIKE = (1482, 18, 10)
WORSE = (1400, 100, 5)


def answers(right: np.ndarray) -> np.ndarray:
  first = np.where(right, LABELS, (LABELS + 1) % 10)
  return np.stack([first, *((LABELS + 20 + i) % 1000 for i in range(4))], axis=1)


def other(cells: tuple[int, int, int]) -> np.ndarray:
  both, _, second = cells
  position = np.arange(N)
  return answers((position < both) | ((position >= 1500) & (position < 1500 + second)))


@pytest.fixture
def runs(store_run, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv('COLUMNS', '80')
  return [
    store_run('fp32', answers(np.arange(N) < 1500), LABELS),
    *(
      store_run(name, other(cells), LABELS)
      for name, cells in (('exact', EXACT), ('alike', ALIKE), ('worse', WORSE))
    ),
  ]


@pytest.mark.parametrize(
  'text, expected',
  [
    ('1%', ['kept', 'not decided', 'not kept']),
    ('0.5pt', ['kept', 'not decided', 'not kept']),
    ('10%', ['kept', 'kept', 'kept']),
    ('.01pt', ['not decided', 'not decided', 'not kept']),
  ],
)
def test_verdicts_against_counting(runs, text, expected):
  margin = kept.parse_margin(text)
  found = compare(runs, margin=margin).verdicts('original')
  assert [one.verdict for one in found] == expected
  for one, cells in zip(found, (EXACT, ALIKE, WORSE), strict=True):
    both, first, second = cells
    assert one.hits == PairedHits(*cells, N - sum(cells), 0)
    rates = (both + first) / N, (both + second) / N
    if margin.is_relative:
      assert one.kept == pytest.approx(rates[1] / rates[0])
      worst = 1 - margin.share
    else:
      assert one.kept == pytest.approx(rates[1] - rates[0])
      worst = -margin.share
    assert one.low <= one.kept <= one.high
    # The verdict is what the bounds say.
    assert (one.verdict == kept.KEPT) == (one.low >= worst)
    assert (one.verdict == kept.NOT_KEPT) == (one.high <= worst)
    assert (one.more_images is None) == (one.verdict != kept.NOT_DECIDED)
    assert one.only_first.to_pylist() == [
      f'{i:04d}.JPEG' for i in range(both, both + first)
    ]
    assert one.only_second.to_pylist() == [
      f'{i:04d}.JPEG' for i in range(1500, 1500 + second)
    ]


def test_so_many_images_more_decide_it(runs):
  found = compare(runs, margin=kept.parse_margin('1%')).verdicts('original')[1]
  scale = (N + found.more_images) / N
  cells = [round(scale * cell) for cell in (*ALIKE, N - sum(ALIKE))]
  more = found.margin.score(PairedHits(*cells, 0))
  # As a median: of 1.645 + 0.842 standard deviations.
  assert more.z > noninferiority.critical(0.95)


def test_compare_prints_verdicts(runs, tfeval):
  code, out, err = tfeval('compare', *(run.path for run in runs), '--margin=1%')
  assert (code, err) == (0, '')
  assert 'top-1, at least 99 % of the first:' in out
  assert re.search(r'\n1 - 2 +0 +0 +100\.00 +[\d.]+ +[\d.]+ +kept +-\n', out)
  assert re.search(r'\n1 - 3 +18 +10 +99\.47 +[\d.]+ +[\d.]+ +not decided +[\d,]+', out)
  assert re.search(r'\n1 - 4 +100 +5 +93\.67 +[\d.]+ +[\d.]+ +not kept +-\n', out)
  words = ' '.join(out.split())
  assert 'not decided by top-1, 1 - 3: 18 hit by 1 alone: 1482.JPEG, 1483' in words
  assert '10 hit by 3 alone: 1500.JPEG, 1501.JPEG' in words
  assert max(map(len, out.splitlines())) <= 80


def test_compare_prints_verdicts_as_json(runs, tfeval):
  paths = [run.path for run in runs]
  code, out, err = tfeval('compare', *paths, '--margin=0.5pt', '--level=0.1', '--json')
  assert (code, err) == (0, '')
  _, found, worse = json.loads(out)['comparisons'][0]['kept']
  assert (found['first'], found['second']) == ('fp32', 'alike')
  assert found['margin'] == {'text': '0.5pt', 'kind': 'difference', 'share': 0.005}
  low, high = noninferiority.difference_bounds(PairedHits(*ALIKE, 490, 0), 0.9)
  assert found['bounds'] == {'method': 'Tango', 'level': 0.9, 'low': low, 'high': high}
  assert found['kept'] == -8 / N and found['verdict'] == 'not decided'
  assert found['more_images'] == found['images_needed'] - N
  assert found['disagreeing']['only_second'] == [f'{i}.JPEG' for i in range(1500, 1510)]
  assert worse['verdict'] == 'not kept' and worse['disagreeing'] is None
  _, out, _ = tfeval('compare', *paths, '--json')
  assert 'kept' not in json.loads(out)['comparisons'][0]


def test_expectations(runs, tfeval):
  exact, alike, worse = (run.path for run in runs[1:])
  reference, expect = runs[0].path, '--expect=original/top1:kept:1%'
  assert tfeval('compare', reference, exact, expect)[0] == 0
  code, out, err = tfeval('compare', reference, alike, expect)
  assert code == 1 and 'McNemar' in out
  assert re.fullmatch(
    r'tfeval: alike: original/top1 is 99\.47 % \(at least 98\.\d\d\) of that of fp32, '
    r'not decided within 1%: [\d,]+ more images would decide it in 4 of 5 tries\n',
    err,
  )
  code, _, err = tfeval('compare', reference, exact, worse, expect, '--json')
  assert code == 1
  assert re.fullmatch(
    r'tfeval: worse: original/top1 is 93\.67 % \(at least 92\.\d\d\) of that of fp32, '
    r'not kept within 1%\n',
    err,
  )


@pytest.mark.parametrize(
  'flag, message',
  [
    ('--margin=1', '--margin=1: expected 1% of'),
    ('--margin=0%', '--margin=0%: expected 1% of'),
    ('--margin=100pt', '--margin=100pt: expected 1% of'),
    ('--margin=-1%', '--margin=-1%: expected 1% of'),
    ('--margin=nan%', '--margin=nan%: expected 1% of'),
    ('--expect=original/top1:0.7:0.1', 'expected LABELS/METRIC:kept:MARGIN'),
    ('--expect=original/top1:kept:1', '--expect=original/top1:kept:1: expected 1% of'),
    ('--expect=original/nll:kept:1%', "unknown metric in --expect 'nll'"),
    ('--expect=mine/top1:kept:1%', 'did you mean original/top1'),
    ('--expect=original/top1@restricted:kept:1%', 'did you mean original/top1'),
  ],
)
def test_refusals(runs, tfeval, flag, message):
  code, out, err = tfeval('compare', runs[0].path, runs[1].path, flag)
  assert (code, out) == (2, '')
  assert message in err and err.count('\n') == 1


def test_kept_is_not_for_single_runs(runs, tfeval):
  code, _, err = tfeval('score', runs[0].path, '--expect=original/top1:kept:1%')
  assert code == 2 and 'kept is for tfeval compare' in err


def test_of_a_model_without_hits():
  found = kept.parse_margin('1%')
  assert found.bounds(PairedHits(0, 0, 0, 10, 0), 0.95) == (0, np.inf)
  with pytest.raises(UserError, match='expected 1% of'):
    kept.parse_margin('١%')


def test_subsets_have_verdicts_of_their_own(runs, tfeval, tmp_path):
  ids = [f'{i:04d}.JPEG' for i in range(1400, N)]
  (tmp_path / 'ids').write_text('\n'.join(ids))
  paths = runs[0].path, runs[2].path
  asked = ['compare', *paths, '--keep=ids', '--margin=50%']
  code, out, _ = tfeval(
    *asked, '--json', '--expect=original@subset/top1:kept:50%', '--common'
  )
  assert code == 0
  whole, subset = (one['kept'][0] for one in json.loads(out)['comparisons'])
  cells = ('both', 'only_first', 'only_second', 'neither', 'skipped')
  assert [whole[cell] for cell in cells] == [1482, 18, 10, 490, 0]
  assert [subset[cell] for cell in cells] == [82, 18, 10, 490, 0]
  assert subset['kept'] == 92 / 100
  code, out, _ = tfeval(*asked)
  assert code == 0 and 'top-1 subset, at least 50 % of the first:' in out
