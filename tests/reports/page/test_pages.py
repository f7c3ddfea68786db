"""What pages of each kind hold, against counts by hand; what is missing says why."""

import dataclasses
import re
import types

import numpy as np
import pytest

from tfeval.analysis import (
  against_base,
  comparison,
  hardest,
  leaderboard,
  mistakes,
)
from tfeval.analysis.portrait import portray
from tfeval.datasets.labels import class_groups, imagenet, sets
from tfeval.reports.page import (
  about_run,
  classes,
  counts,
  frame,
  hard_images,
  json_lines,
  of_comparison,
  of_leaderboard,
  of_run,
  of_sweep,
  render,
  whole,
)
from tfeval.reports.page.content import Code, Column, Missing, Table

N = 300


@pytest.fixture
def labels():
  return np.random.default_rng(3).integers(0, 1000, N)


@pytest.fixture
def runs(store_run, labels):
  """Three runs of first classes alone, right on about 80, 60 and 60 % of the images."""
  random = np.random.default_rng(4)
  found = []
  for name, share in (('a', 0.8), ('b', 0.6), ('c', 0.6)):
    right = random.random(N) < share
    other = (labels + 1 + random.integers(0, 998, N)) % 1000
    first = np.where(right, labels, other)
    found.append(store_run(name, first, labels))
  return found


def firsts(run):
  rows = run.to_pandas(['id', 'classes', 'label']).sort_values('id')
  return np.array(rows['classes'].tolist())[:, 0], rows['label'].to_numpy()


def table_of(document, title):
  (found,) = [one for one in document.tables() if one.title.startswith(title)]
  return frame.of_table(found)


def test_what_a_run_lacks_is_said_with_what_brings_it(runs):
  page = of_run.whole(portray(runs[0]), [])
  missing = [p for s in page.sections for p in s.parts if isinstance(p, Missing)]
  told = ' '.join(f'{one.what} {one.reason}' for one in missing)
  assert 'probabilities' in told
  assert '`store_logits`' in told
  html = render.page(
    page, lambda text: text.replace('`store_logits`', '--store_logits')
  )
  assert '--store_logits' in html
  assert '`store_logits`' not in html


def test_a_manifest_is_folded_and_its_lists_take_a_line(store_run, labels):
  run = store_run('m', labels, labels, dataset={'evaluated_classes': [*range(294)]})
  section = about_run.section(run)
  (manifest,) = [p for p in section.parts if isinstance(p, Code) and p.title]
  assert str(run.path / 'manifest.json') in manifest.title
  assert manifest.text.count('\n') < 60
  assert '"evaluated_classes": [0, 1, 2, ' in manifest.text
  assert '11, ... 282 more]' in manifest.text
  html = render.page(of_run.Document('d', [section]))
  assert re.search(r'<details><summary>The manifest.*?</summary>\s*<pre', html)


def test_a_run_is_repeated_by_the_command_that_made_it(store_run, labels):
  run = store_run('my run', labels, labels)
  assert about_run.repeated(run) is None
  path = run.path / 'flags.txt'
  path.write_text('--model=m')
  assert about_run.repeated(run) == f"tfeval evaluate --flagfile='{path}'"
  result = types.SimpleNamespace(imported={'files': []}, ensemble=None)
  imported = types.SimpleNamespace(path=run.path, result=result)
  assert about_run.repeated(imported).startswith('tfeval import --flagfile=')


def test_a_manifest_of_hostile_depth_and_length_is_cut():
  deep = []
  for _ in range(500):
    deep = [deep]
  assert '...' in json_lines.text(deep)
  many = json_lines.text({str(i): 'x' * 10_000 for i in range(10_000)})
  assert len(many) < 100_000
  assert '9,940 more' in many


def test_what_several_runs_warn_of_is_said_once(store_run, labels):
  part = {'partial': True}
  found = [
    store_run(name, labels, labels, dataset={**part, 'notes': notes})
    for name, notes in (('a', []), ('b', ['of one alone']), ('c', []))
  ]
  board = leaderboard.rank(found)
  caveats = whole.ranked(board, '', []).caveats
  assert caveats == [
    'PARTIAL: some 300 examples only: 3 runs: a, b, c',
    'b: of one alone',
  ]
  assert whole.compared(comparison.compare(found), []).caveats == caveats


def test_the_five_classes_of_hard_images_say_whose_they_are(store_run, labels):
  five = np.stack([(labels + 1 + i) % 1000 for i in range(5)], axis=1)
  found = hardest.hardest([store_run(name, five, labels) for name in ('a', 'b')], 3)
  thumbnails = dict.fromkeys(hard_images.ids_of(found, 2), b'jpeg')
  table, gallery = hard_images.section(found, thumbnails).parts
  names = imagenet.label_space().class_names
  (column,) = [i for i, c in enumerate(table.columns) if c.name == 'predictions']
  assert table.columns[column].title == 'first five of a'
  row = table.rows[0]
  label = int(labels[int(row[0][:4])])
  said = [names[(label + 1 + i) % 1000].replace('_', ' ') for i in range(5)]
  assert row[column] == ', '.join(said)
  assert gallery.caption.endswith('1 to 5 are the first classes of a.')
  assert [text for _, text in gallery.pictures[0].lines[-5:]] == said


def test_a_label_set_has_one_name_on_a_page(store_run, labels):
  real = [[int(one), int(one + 1) % 1000] for one in labels]
  run = store_run('a', labels, labels, real)
  other = store_run('b', (labels + 1) % 1000, labels, real)
  wrong = mistakes.mistakes(other, 5, labels=sets.open_labels(['real'])[0])
  found = [
    of_run.whole(portray(run), []),
    of_comparison.document(comparison.compare([run, other])),
  ]
  html = ' '.join([*map(render.page, found), hard_images.table(wrong).title])
  assert 'Wrong by ReaL labels' in html and 'Confidence by ReaL labels' in html
  assert 'ReaL labels' in html and 'ReaL top-1' in html
  assert not re.findall(r'\breal labels|labels real\b|by label_errors', html)


def test_classes_are_counted_as_by_hand(runs):
  found = table_of(of_run.whole(portray(runs[0]), []), 'Per class')
  first, label = firsts(runs[0])
  assert found['count'].sum() == N
  assert found['top1'].sum() == (first == label).sum()
  for row in found.itertuples():
    mine = label == row[3]
    assert row.count == mine.sum()
    assert row.top1 == (first == label)[mine].sum()
  assert found['top1_rate'].is_monotonic_increasing


def test_a_matrix_of_groups_adds_up_to_all_images(runs):
  portrait = portray(runs[0])
  one = portrait.sets[0]
  figure = classes.matrix(one, runs[0].classes.space, one.confusion())
  first, label = firsts(runs[0])
  names, of = class_groups.groups_of(imagenet.label_space())
  expected = {}
  for a, b in zip(of[label], of[first], strict=True):
    expected[names[a], names[b]] = expected.get((names[a], names[b]), 0) + 1
  assert {(row[0], row[1]): row[2] for row in figure.table.rows} == expected
  # A group without images is a row of zeros.
  there = {row[0] for row in figure.table.rows}
  sums = figure.plot.values.sum(axis=1)
  assert sums == pytest.approx([float(name in there) for name in figure.plot.rows])


def test_many_classes_that_are_not_imagenets_are_the_worst_and_all_others(store_run):
  labels = np.repeat(np.arange(40), 5)
  first = np.where(labels < 3, (labels + 1) % 40, labels)
  ids = [f'c{i}' for i in range(40)]
  space = {'classes': {'name': 'mine', 'ids': ids, 'names': None}}
  run = store_run('mine', first, labels, dataset=space)
  portrait = portray(run)
  one = portrait.sets[0]
  names, of, _ = classes.groups(run.classes.space, one.confusion())
  assert names[-1] == 'all others'
  assert {names[i] for i in of[:3]} == {'c0', 'c1', 'c2'}
  assert len(names) == 20


def test_groups_of_imagenet_hold_every_class_once():
  names, of = class_groups.groups_of(imagenet.label_space())
  assert len(of) == 1000
  assert set(of) == set(range(len(names)))
  space = imagenet.label_space()
  by_name = dict(zip(space.class_names, of, strict=True))
  assert names[by_name['Siberian_husky']] == 'dog or other canine'
  assert names[by_name['hen']] == 'bird'
  assert names[by_name['daisy']] == 'person, plant or fungus'


def test_pairs_are_counted_as_by_hand(runs):
  found = comparison.compare(runs, level=0.01, seed=5)
  pairs = frame.frame(of_comparison.document(found))
  assert len(pairs) == 3
  for row in pairs.itertuples():
    (one, label), (other, _) = (
      firsts(next(run for run in runs if run.path.name == name))
      for name in (row.first, row.second)
    )
    assert row.only_first == ((one == label) & (other != label)).sum()
    assert row.only_second == ((one != label) & (other == label)).sum()
    assert row.both == ((one == label) & (other == label)).sum()
    assert row.difference == pytest.approx(
      (one == label).mean() - (other == label).mean()
    )


def test_images_that_only_one_of_two_hits(runs):
  page = of_comparison.document(comparison.compare(runs[:2]))
  found = table_of(page, 'Images that only one')
  (one, label), (other, _) = map(firsts, runs[:2])
  assert len(found) == min(200, ((one == label) != (other == label)).sum())
  assert set(found['right']) <= {'a', 'b'}


def test_models_on_one_rank_are_joined_by_a_bar(runs):
  board = leaderboard.rank(runs)
  figure = of_leaderboard.ranks(board)
  ranks = [row[0] for row in figure.table.rows]
  assert ranks == [1, 2, 2]
  assert figure.plot.joined == [(1, 2)]


def test_prices_need_two_runs_that_say_them(store_run, labels):
  known = [
    store_run(name, labels, labels, model={'parameters': count})
    for name, count in (('a', 1_000_000), ('b', 4_000_000))
  ]
  figure = of_leaderboard.tradeoff(leaderboard.rank(known), 'parameters')
  assert [(point.name, point.x) for point in figure.plot.points] == [('a', 1), ('b', 4)]
  assert of_leaderboard.tradeoff(leaderboard.rank(known), 'multiply_adds') is None


def test_runs_of_one_model_under_several_protocols_are_a_sweep(store_run, labels):
  found = [
    store_run(
      'm', labels, labels, where=where, model={'weights_sha256': 'x'},
      protocol={'name': where, 'spec': where, 'hash': where}, hashes=[bytes(32)] * N,
    )
    for where in ('opencv', 'squash', 'pil')
  ]  # fmt: skip
  assert whole.kind_of(found) == 'sweep'
  assert whole.kind_of(found[:1]) == 'run'
  other = store_run('other', labels, labels, hashes=[bytes(32)] * N)
  assert whole.kind_of([*found, other]) == 'leaderboard'
  assert whole.kind_of([found[0], other]) == 'comparison'


def test_a_sweep_is_told_against_its_base(runs):
  named = {'base': runs[0], 'otherwise': runs[1]}
  effects = against_base.effects([*named.items()], 'original', 'top1')
  found = against_base.Sweep('m', effects, [], named, {name: {} for name in named})
  table = frame.frame(of_sweep.document(found))
  (one, label), (other, _) = map(firsts, runs[:2])
  assert table['correct'].tolist() == [(one == label).sum(), (other == label).sum()]
  assert table['flips'].iloc[1] == (one != other).sum()
  expected = (other == label).mean() - (one == label).mean()
  assert table['difference'].iloc[1] == pytest.approx(expected)


def test_frames_hold_values_as_they_are(runs):
  found = runs[0].to_pandas(['id'])
  assert len(found) == N
  metrics = [metric for metric in runs[0].metrics if metric.correct is not None]
  table = frame.of_table(counts.count_table([('', metrics)]))
  assert table['value'].tolist() == [metric.value for metric in metrics]
  assert table['labels'].tolist() == [metric.labels for metric in metrics]


def test_a_notebook_sees_the_tables_and_runs_nothing(runs):
  html = render.fragment(of_run.document(runs[0]))
  assert '<script' not in html
  assert re.search(r'<td >top-1</td>', html)
  assert f'{runs[0].metrics[0].correct:,}' in html


def test_without_jinja2_a_notebook_shows_text(runs, monkeypatch):
  monkeypatch.setitem(__import__('sys').modules, 'jinja2', None)
  render._made_environment.cache_clear()
  try:
    assert render.fragment(of_run.document(runs[0])) is None
    with pytest.raises(render.UserError, match=r"pip install 'tfeval\[report\]'"):
      render.page(of_run.document(runs[0]))
  finally:
    render._made_environment.cache_clear()


def test_more_rows_than_a_page_holds_are_counted():
  column = Column('n', 'n', '{:,}'.format)
  table = Table('t', [column], [(i,) for i in range(30)], more=7)
  section = dataclasses.replace(of_run.Section('s', [table]))
  html = render.page(of_run.Document('d', [section]))
  assert 'Show all 30 rows' in html
  assert '7 more rows are left out' in html


def test_a_page_of_a_thousand_classes_and_two_label_sets_is_small(store_run, labels):
  random = np.random.default_rng(5)
  labels = np.repeat(np.arange(1000), 3)
  first = np.where(random.random(3000) < 0.5, labels, random.integers(0, 1000, 3000))
  real = [[int(label)] for label in labels]
  html = render.page(of_run.whole(portray(store_run('m', first, labels, real)), []))
  assert html.count('<tr ') > 2000
  assert len(html.encode()) < 3_000_000
