"""Models on several test sets: errors of corruptions, ranks, what is refused."""

import dataclasses

import numpy as np
import pytest

from tfeval.analysis.across import table
from tfeval.analysis.across.cells import Cell, Gap
from tfeval.analysis.across.places import Place
from tfeval.metrics.accuracy import Count
from tfeval.utils.errors import UserError

N = 20
LABELS = np.arange(N) % 5


@pytest.fixture
def on(store_run):
  """Returns a run of a model on a set, with so many hits."""

  def make(model, dataset, hits, count=N, config=None, where=None):
    labels = LABELS[:count]
    predicted = np.where(np.arange(count) < hits, labels, 7)
    about = {'name': dataset, 'config': config, 'split': 'validation'}
    name = where or f'{model}-{dataset.replace("/", "_")}-{config}'
    ids = [f'{dataset}{i}.jpg' for i in range(count)]
    return store_run(
      model,
      predicted,
      labels,
      ids=ids,
      dataset=about.items(),
      where=name,
    )

  return make


def corrupted(on, model, name, corruptions, hits):
  return [
    on(model, f'{name}:/c/{kind}/{s}', hits(kind, s), config=f'{kind}_{s}')
    for kind in corruptions
    for s in range(1, 6)
  ]


def test_mce_by_hand(on):
  from tfeval.analysis import corruption_errors

  kinds = corruption_errors.of_mce()

  def hits(kind, severity):
    return kinds.index(kind) + severity - 1

  runs = corrupted(on, 'one', 'imagenet_c', kinds, hits)
  runs.append(on('one', 'imagenet2012', 18))
  (row,) = table.across(runs).rows
  cell = row.cells['imagenet_c']
  errors = {
    kind: np.mean([1 - hits(kind, s) / N for s in range(1, 6)]) for kind in kinds
  }
  alexnet = {name: one.alexnet for name, one in corruption_errors.normalisers().items()}
  assert cell.extra['fog'] == pytest.approx(errors['fog'])
  expected = np.mean([errors[kind] / alexnet[kind] for kind in kinds])
  assert cell.extra['mCE'] == pytest.approx(expected)
  relative = [(errors[k] - 0.1) / (alexnet[k] - 0.435) for k in kinds]
  assert cell.extra['relative_mCE'] == pytest.approx(np.mean(relative))
  assert cell.value == pytest.approx(1 - np.mean(list(errors.values())))


def test_means_are_over_what_all_models_have(on):
  runs = corrupted(on, 'one', 'imagenet_c_bar', ['sparkles', 'plasma'], lambda *_: 5)
  runs += corrupted(on, 'two', 'imagenet_c_bar', ['sparkles'], lambda *_: 10)
  found = table.across(runs)
  values = {row.name: row.cells['imagenet_c_bar'].value for row in found.rows}
  assert values == {'one': pytest.approx(0.25), 'two': pytest.approx(0.5)}
  assert any('over 1 corruptions, which all models' in one for one in found.remarks)
  # Four severities are no corruption that is whole.
  (row,) = table.across(runs[:4]).rows
  cell = row.cells['imagenet_c_bar']
  assert cell.value is None
  assert cell.extra == {f'sparkles:{s}': 0.75 for s in (1, 2, 3, 4)}


def test_unlike_images_are_refused(on):
  runs = [on('one', 'imagenet_v2', 3), on('two', 'imagenet_v2', 3, count=10)]
  runs.append(on('one', 'imagenet_sketch', 4))
  with pytest.raises(UserError, match='one is of 20 images, two of 10'):
    table.across(runs)
  found = table.across(runs, allow_data=True)
  assert any(
    remark.startswith('UNLIKE IMAGES: imagenet_v2') for remark in found.remarks
  )


def test_a_run_without_the_rule_of_the_authors_is_refused(on):
  runs = [on('one', 'imagenet_a', 3), on('one', 'imagenet_v2', 3)]
  with pytest.raises(UserError, match='has no top-1 under the rule restricted'):
    table.across(runs)


def test_no_hits_are_better_than_no_run(on):
  runs = [on('none', 'imagenet_v2', 0), on('other', 'imagenet_sketch', 1)]
  runs += [on('some', 'imagenet_v2', 1)]
  found = table.across(runs, sort='imagenet_v2')
  assert [row.name for row in found.rows] == ['some', 'none', 'other']


def ranked(values, cleans):
  place = Place('set')
  rows = []
  for i, (value, clean) in enumerate(zip(values, cleans, strict=True)):
    gap = None if clean is None else Gap(0, 0, 0, Count(clean, 100, 0), 'all')
    rows.append(table.Row(str(i), {'set': Cell((), None, value, {}, gap)}))
  found = table._ranked(rows, [place])
  return [dataclasses.astuple(row.cells['set'])[5:7] for row in found]


def test_ranks_and_their_changes_by_hand():
  # Of clean images the last is best, on the set it is second.
  assert ranked([0.3, 0.5, 0.4], [80, 70, 90]) == [(3, 1), (1, -2), (2, 1)]
  # A model without a partner has a rank, and changes nobody's.
  assert ranked([0.3, 0.6, 0.4], [80, None, 90]) == [(3, 0), (1, None), (2, 0)]
  assert ranked([0.5, 0.5], [80, 70]) == [(1, 0), (1, -1)]
