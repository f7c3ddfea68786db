"""Runs in slices against counting by hand, SciPy and statsmodels."""

import json

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from tfeval.analysis import attributes, slices
from tfeval.datasets.labels.group_files import GroupTable
from tfeval.utils.errors import UserError

N = 240
RANDOM = np.random.default_rng(0)
IDS = [f'{i:04d}.JPEG' for i in range(N)]
LABELS = RANDOM.integers(0, 5, N)
KIND = RANDOM.choice(['cat', 'dog', 'eel', ''], N)
DARK = RANDOM.choice(['0', '1'], N)
BRIGHTNESS = np.round(RANDOM.normal(100, 30, N), 3)


def answers(right) -> np.ndarray:
  return np.where(RANDOM.random(N) < right, LABELS, (LABELS + 1) % 5)


FIRST, SECOND = answers(0.8), answers(np.where(KIND == 'cat', 1.0, 0.4))


def table(**columns) -> GroupTable:
  return GroupTable(
    pa.array(IDS), {name: pa.array(list(map(str, v))) for name, v in columns.items()}
  )


def made(table: GroupTable, name: str) -> attributes.Attribute:
  return next(one for one in attributes.of_table(table)[0] if one.name == name)


def test_columns_are_factors_categories_or_quarters():
  found, remarks = attributes.of_table(
    table(kind=KIND, dark=DARK, brightness=BRIGHTNESS, angle=RANDOM.integers(0, 18, N),
          note=IDS, label=np.arange(N) // 2)
  )  # fmt: skip
  assert [len(one.slices) for one in found] == [3, 1, 4, 18, 120]
  assert [one.is_factor for one in found] == [False, True, False, False, False]
  assert 'column note is left out' in remarks[0]
  angle = next(one for one in found if one.name == 'angle')
  assert list(angle.slices) == sorted(angle.slices, key=int)


def test_quarters_are_those_of_numpy():
  found = made(table(brightness=[*BRIGHTNESS[:-1], 'nan']), 'brightness')
  known = BRIGHTNESS[:-1]
  edges = np.quantile(known, [0, 0.25, 0.5, 0.75, 1])
  for i in range(4):
    inside = known[found.codes[:-1] == i]
    low = -np.inf if i == 0 else edges[i]
    assert ((inside > low) & (inside <= edges[i + 1])).all()
    assert found.slices[i] == f'{inside.min():.4g} to {inside.max():.4g}'
  assert found.codes[-1] == -1


def test_quarters_of_equal_numbers_are_fewer():
  found = made(table(x=[0] * 200 + list(range(1, 41))), 'x')
  assert sum(found.codes == 0) == 200 and len(found.slices) == 2


def report(store_run, groups, *predicted, **options):
  runs = [store_run(f'm{i}', one, LABELS, seed=i) for i, one in enumerate(predicted)]
  return slices.report(runs, 'groups.csv', groups, **options)


def test_slices_are_those_of_a_loop(store_run):
  found = report(store_run, table(kind=KIND, dark=DARK), FIRST).sliced[0]
  p = []
  for (name, text), one in zip(found.slices, found.found[0], strict=True):
    column, value = (KIND, text) if name == 'kind' else (DARK, '1')
    inside, rest = [], []
    for i in range(N):
      if column[i]:
        (inside if column[i] == value else rest).append(FIRST[i] == LABELS[i])
    assert (one.correct, one.count) == (sum(inside), len(inside))
    cells = [[sum(x), len(x) - sum(x)] for x in (inside, rest)]
    assert one.p == pytest.approx(stats.fisher_exact(cells).pvalue)
    p.append(one.p)
  holm = multipletests(p, method='holm')[1]
  assert [one.p_holm for one in found.found[0]] == pytest.approx(list(holm))
  rates = [one.rate for one in found.found[0]]
  assert rates == sorted(rates) and len(rates) == 4
  assert found.all[0].count == N  # Of each it is known whether it is dark.


def test_a_slice_reverses_the_order_of_two_runs(store_run):
  found = report(store_run, table(kind=KIND), FIRST, SECOND).sliced[0]
  p, reverses = [], []
  for _, text in found.slices:
    inside = text == KIND
    one, other = (run[inside] == LABELS[inside] for run in (SECOND, FIRST))
    cells = [[0, sum(one & ~other)], [sum(~one & other), 0]]
    p.append(mcnemar(cells, exact=True).pvalue)
    reverses.append(one.mean() > other.mean())
  assert reverses == [text == 'cat' for _, text in found.slices]
  (reversal,) = found.reversed
  assert (reversal.worse, reversal.better) == (1, 0)
  assert found.slices[reversal.slice] == ('kind', 'cat')
  holm = multipletests(p, method='holm')[1]
  assert reversal.p_holm == pytest.approx(holm[reversal.slice])
  assert not found.simpson


def test_simpson_is_seen_of_runs_of_other_images(store_run):
  # Kidney stones (Charig et al., BMJ 1986): 81 of 87 and 192 of 263 by open surgery,
  # 234 of 270 and 55 of 80 otherwise.
  def stored(name, small, large):
    hits = [(small, 1), (large, 1)]
    predicted = np.concatenate(
      [np.r_[np.ones(right, int), np.zeros(n - right, int)] for (right, n), _ in hits]
    )
    names = [f'{name}/small{i}' for i in range(small[1])]
    names += [f'{name}/large{i}' for i in range(large[1])]
    return store_run(name, predicted, np.ones(len(predicted), int), ids=names)

  runs = [stored('a', (81, 87), (192, 263)), stored('b', (234, 270), (55, 80))]
  ids = [one for run in runs for one in run.to_arrow(['id'])['id'].to_pylist()]
  size = ['small' if 'small' in one else 'large' for one in ids]
  groups = GroupTable(pa.array(ids), {'size': pa.array(size)})
  found = slices.report(runs, 'x', groups).sliced[0]
  assert found.simpson == [(0, 1, 'size')]
  table_ = [[81, 87 - 81], [234, 270 - 234]]
  small = next(one for one in found.reversed if found.slices[one.slice][1] == 'small')
  assert small.p_holm == pytest.approx(min(1, 2 * stats.fisher_exact(table_).pvalue))


def test_columns_of_stored_rows(store_run):
  real = [[0]] * 100 + [[0, 1]] * 100 + [[]] * 40
  names = [f'{"left" if i % 2 else "right"}/{i}.jpg' for i in range(N)]
  run = store_run('a', FIRST, LABELS, real, ids=names)
  by_label = slices.report([run], 'label', slices.groups_by('label', [run]))
  for (_, text), one in zip(
    by_label.sliced[0].slices, by_label.sliced[0].found[0], strict=True
  ):
    label = int(text.rpartition('(')[2][:-1])
    assert one.count == sum(LABELS == label)
    assert one.correct == sum((LABELS == label) & (FIRST == label))
  by_folder = slices.report([run], 'folder', slices.groups_by('folder', [run]))
  assert {text for _, text in by_folder.sliced[0].slices} == {'left', 'right'}
  counts = slices.report([run], 'real_labels', slices.groups_by('real_labels', [run]))
  pairs = zip(counts.sliced[0].slices, counts.sliced[0].found[0], strict=True)
  found = {text: one.count for (_, text), one in pairs}
  assert found == {'1 label': 100, '2 labels': 100, '0 labels': 40}
  with pytest.raises(UserError, match='do not say it'):
    slices.groups_by('folder', [store_run('b', FIRST, LABELS)])


def test_images_that_a_file_does_not_name(store_run):
  groups = GroupTable(pa.array(IDS[:100]), {'kind': pa.array(KIND[:100].tolist())})
  found = report(store_run, groups, FIRST)
  assert found.sliced[0].all[0].count == sum(KIND[:100] != '')
  without = 140 + sum(KIND[:100] == '')
  assert f'says nothing of {without} of 240 images of m0' in found.remarks[0]
  with pytest.raises(UserError, match='names none of the images'):
    other = GroupTable(pa.array(['x']), {'kind': pa.array(['a'])})
    report(store_run, other, FIRST)


def test_the_command(store_run, tmp_path, tfeval):
  runs = [str(store_run(f'm{i}', one, LABELS).path) for i, one in
          enumerate((FIRST, SECOND))]  # fmt: skip
  lines = [f'{i},{k},{d}' for i, k, d in zip(IDS, KIND, DARK, strict=True)]
  path = tmp_path / 'groups.csv'
  path.write_text('\n'.join(['file_name,kind,dark', *lines]))
  code, out, err = tfeval('score', *runs, f'--by={path}')
  assert code == 0, err
  assert 'ORDER REVERSED: top-1' in out and 'kind cat' in out
  assert max(map(len, out.splitlines())) <= 80
  code, out, _ = tfeval('score', runs[0], f'--by={path}:kind', '--json')
  found = json.loads(out)
  assert code == 0 and len(found['sliced'][0]['slices']) == 3
  code, out, _ = tfeval('score', runs[0], f'--by={path}', '--slices=1')
  assert code == 0 and '3 better slices are not shown: --slices=0 shows all' in out
  for flags, what in (
    ([f'--by={path}', '--confusions=3'], '--by and --confusions'),
    ([f'--by={path}', '--metrics=ece'], '--metrics=ece counts no images'),
    ([f'--by={path}:x'], 'has no column x: kind, dark'),
    (['--by=nothing'], '--by=nothing is no file, and none of label'),
  ):
    code, _, err = tfeval('score', runs[0], *flags)
    assert code == 2 and what in err and err.count('\n') == 1
