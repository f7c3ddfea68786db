"""Pages of test sets whose authors count among fewer classes, and of many runs."""

import dataclasses

import numpy as np
import pytest
import scored_runs

import tfeval
from tfeval.analysis.portrait import portray
from tfeval.api import pages, report
from tfeval.api.page_asked import Asked
from tfeval.metrics import calibration
from tfeval.reports.page import frame, render

N, CLASSES = 240, 40


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
  """Two runs of images of 40 of 1000 classes, counted among these by their authors."""
  folder = tmp_path_factory.mktemp('rules')
  labels = np.random.default_rng(0).integers(0, CLASSES, N)
  found = []
  for seed, name in enumerate('ab'):
    scores = scored_runs.random_scores(N, seed, labels, 0.5)
    run = scored_runs.store(
      folder / name, scores, labels, dataset={'name': 'imagenet_a'}, seed=seed,
      restricted=range(CLASSES),
    )  # fmt: skip
    found.append((run, scores, labels))
  return found


def restricted(scores):
  return scores[:, :CLASSES].argmax(axis=1)


def confidence(scores):
  among = scores[:, :CLASSES].astype(np.float64)
  shares = np.exp(among - among.max(axis=1, keepdims=True))
  return (shares / shares.sum(axis=1, keepdims=True)).max(axis=1)


def table(document, title):
  (found,) = [one for one in document.tables() if one.title.startswith(title)]
  return frame.of_table(found)


def test_all_of_a_page_is_of_the_authors_rule(runs):
  run, scores, labels = runs[0]
  hit = restricted(scores) == labels
  assert hit.mean() > (scores.argmax(axis=1) == labels).mean()
  page = tfeval.report(run)
  assert page.title.endswith(f'top-1 restricted {100 * hit.mean():.2f} %')
  classes = table(page, 'Per class')
  assert (classes['top1'].sum(), classes['count'].sum()) == (hit.sum(), N)
  (wrong,) = [one for one in page.tables() if one.title.startswith('Wrong by')]
  assert wrong.caption.startswith(f'{N - hit.sum()} of {N} images are wrong')
  (diagram,) = [f for f in page.figures() if f.title.startswith('Reliability')]
  ece = calibration.equal_width_bins(confidence(scores), hit, 15).ece
  assert f'{ece:.4f}' in diagram.caption
  titles = [one.title for one in [*page.tables(), *page.figures()]]
  of_rows = [title for title in titles if 'labels' in title]
  assert len(of_rows) > 4 and all('rule restricted' in title for title in of_rows)


def test_pairs_and_what_they_disagree_on_are_of_that_rule(runs):
  (one, first, labels), (other, second, _) = runs
  page = tfeval.report(one, other)
  hits = [restricted(scores) == labels for scores in (first, second)]
  (pair,) = page.to_pandas().to_dict('records')
  assert pair['only_first'] == (hits[0] & ~hits[1]).sum()
  assert pair['only_second'] == (hits[1] & ~hits[0]).sum()
  rows = table(page, 'Images that only one')
  names = one.classes.space.readable_names
  by_id = {f'{i:05d}.JPEG': i for i in range(N)}
  for row in rows.itertuples(index=False):
    i = by_id[row.id]
    assert row.first == names[restricted(first)[i]]
    assert row.second == names[restricted(second)[i]]
    assert row.right == ('a' if hits[0][i] else 'b')
    assert (row.first if row.right == 'a' else row.second) == row.label
  same = table_of_figure(page, 'The same first class under the rule restricted')
  assert same['same'].tolist() == [(restricted(first) == restricted(second)).sum()]


def table_of_figure(document, title):
  (found,) = [one for one in document.figures() if one.title.startswith(title)]
  return frame.of_table(found.table)


def test_by_top5_all_five_classes_are_told(runs):
  (one, first, _), (other, _, _) = runs
  found = tfeval.compare(one, other, metric='top5@restricted')
  rows = table(found.document(), 'Images that only one')
  by_id = {f'{i:05d}.JPEG': i for i in range(N)}
  names = one.classes.space.readable_names
  for row in rows.itertuples(index=False):
    best = np.argsort(-first[by_id[row.id], :CLASSES])[:5]
    assert row.first == ', '.join(names[i] for i in best)


def test_results_say_their_main_table_in_a_console(runs):
  found = tfeval.compare(runs[0][0], runs[1][0])
  (pair,) = found.pairs['original']
  assert f'{pair.hits.first}' in repr(found)
  assert max(map(len, repr(found).splitlines())) <= 80
  page = tfeval.report(runs[0][0])
  assert len(repr(page)) < 4000
  assert '<table' in page._repr_html_()


def test_a_leaderboard_of_many_runs(tmp_path):
  random = np.random.default_rng(0)
  labels = random.integers(0, 1000, 60)
  for number in range(11):
    scores = scored_runs.random_scores(60, number, labels, 0.3 + number / 20)
    scored_runs.store(tmp_path / f'runs/m{number}', scores, labels)
  page = report.report(tmp_path / 'runs')
  assert len(page.tables()[0].rows) == 11
  html = render.page(page)
  assert all(f'm{number}<' in html for number in range(11))
  assert 'Of the first 8 of 11 runs.' in html
  assert '11 runs are too many for a page' in html


def test_a_sweep_and_its_hardest_images_are_of_that_rule(runs):
  (one, first, labels), (other, second, _) = runs
  asked = Asked()
  page = pages.of_sweep([protocol(one, 'opencv'), protocol(other, 'squash')], asked)
  table = page.to_pandas()
  hits = [(restricted(scores) == labels).sum() for scores in (first, second)]
  assert table['correct'].tolist() == hits
  assert table['flips'].iloc[1] == (restricted(first) != restricted(second)).sum()
  (hard,) = [t for t in page.tables() if t.title.startswith('Images that most runs')]
  assert hard.title.endswith('original labels, rule restricted')
  assert page.sections[-1].last and not page.sections[0].last


def protocol(run, text):
  told = run.result.protocol.replaced(name=text, spec=text)
  return dataclasses.replace(run, result=run.result.replaced(protocol=told))


def test_a_rule_that_a_run_lacks_is_all_of_its_classes(tmp_path):
  labels = np.arange(30) % 1000
  scores = scored_runs.random_scores(30, 1, labels)
  run = scored_runs.store(tmp_path / 'm', scores, labels)
  found = portray(run, rule='restricted')
  assert found.rule == found.sets[0].rule == 'all'


def test_yes_and_no_sort_as_words_and_numbers_as_numbers(runs):
  table = tfeval.compare(runs[0][0], runs[1][0]).document().main
  at = [column.name for column in table.seen].index('significant')
  ((text, by),) = [row[at] for row in table.texts()]
  assert text in ('yes', 'no')
  assert by is None
