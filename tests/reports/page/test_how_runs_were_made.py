"""Every page of runs says how these were made; of many in one table."""

import numpy as np
import pytest

import tfeval
from tfeval.analysis import leaderboard
from tfeval.reports.page import about_runs, whole
from tfeval.reports.page.content import Code, Facts, Gallery, Missing, Table

N = 60
LABELS = np.arange(N) % 10


def hits(count):
  first = np.where(np.arange(N) < count, LABELS, (LABELS + 1) % 10)
  return np.stack([first, *((LABELS + 20 + i) % 1000 for i in range(4))], axis=1)


def sections_of(document, start='How '):
  found = [one for one in document.sections if one.title.startswith(start)]
  return [one for one in found if one.title != 'How to read it']


def told(section):
  """Returns what a section says of protocols, checks and manifests."""
  return (
    any(isinstance(part, Facts) and dict(part.items).keys() >= {'protocol', 'in words'}
        for part in section.parts),
    'PREFLIGHT: one is grey' in str(section.parts),
    any(isinstance(part, Code) and 'manifest' in part.title for part in section.parts),
  )  # fmt: skip


@pytest.fixture
def two(store_run):
  dataset = {'name': 'imagenet2012', 'split': 'validation'}
  return [
    store_run(
      name, hits(count), LABELS, dataset=dataset, preflight=['one is grey'],
      features=np.random.default_rng(count).normal(size=(N, 4)).astype(np.float32),
      model={'weights_sha256': 'x'}, where=f'{name}{count}',
    )
    for name, count in (('m', 40), ('m', 30))
  ]  # fmt: skip


@pytest.mark.parametrize('kind', ['explanation', 'shift', 'comparison', 'leaderboard'])
def test_of_two_runs_each_is_told(two, kind):
  made = sections_of(tfeval.report(*two, kind=kind))
  assert [told(one) for one in made] == [(True, True, True)] * 2
  assert len({one.title for one in made}) == 2


def test_of_a_sweep_one_table_tells_all(store_run):
  specs = ('opencv', 'squash', 'pil')
  runs = [
    store_run(
      'm', hits(40), LABELS, where=name, preflight=['one is grey'],
      protocol={'name': name, 'spec': name, 'hash': name}, hashes=[bytes(32)] * N,
      model={'weights_sha256': 'x'},
    )
    for name in specs
  ]  # fmt: skip
  (made,) = sections_of(tfeval.report(*runs, kind='sweep'))
  (table,) = [one for one in made.parts if isinstance(one, Table)]
  names = [column.name for column in table.columns]
  assert names == [
    *('model', 'protocol', 'images', 'checks', 'content_digest', 'run', 'repeat')
  ]
  assert {row[1] for row in table.rows} == set(specs)
  assert all('one is grey' in row[3] for row in table.rows)
  (words,) = [one for one in made.parts if isinstance(one, Facts)]
  assert 'opencv' in dict(words.items)
  assert sum(isinstance(one, Code) for one in made.parts) == 3


def test_of_more_runs_than_have_a_section_none_is_left_out(store_run):
  count = about_runs.FEW + 2
  runs = [store_run(f'm{i}', hits(30 + i), LABELS) for i in range(count)]
  (made,) = sections_of(whole.ranked(leaderboard.rank(runs), '', []))
  (table,) = [one for one in made.parts if isinstance(one, Table)]
  assert {row[0] for row in table.rows} == {f'm{i}' for i in range(count)}
  assert sum(isinstance(one, Code) for one in made.parts) == 3
  assert f'{count - 3} more' in str([p for p in made.parts if isinstance(p, Missing)])


def test_a_suite_has_hardest_images_of_each_set_or_says_why_not(store_run):
  runs = [
    store_run(
      model, hits(count), LABELS, where=f'{model}-{at}', ids=[
        f'{at}{i}.jpg' for i in range(N)
      ],
      dataset={'name': dataset, 'split': 'validation', 'config': config},
    )
    for at, (model, dataset, count, config) in enumerate((
      ('one', 'imagenet2012', 50, None),
      ('one', 'imagenet_sketch', 20, None),
      ('one', 'imagenet_c:/c/fog/3', 20, 'fog_3'),
      ('one', 'imagenet_c:/c/snow/3', 20, 'snow_3'),
    ))
  ]  # fmt: skip
  runs.append(
    store_run(
      'two', hits(45), LABELS, ids=[f'0{i}.jpg' for i in range(N)],
      dataset={'name': 'imagenet2012', 'split': 'validation'},
    )
  )  # fmt: skip
  page = tfeval.report(*runs)
  several, one, corrupted = sections_of(page, 'Hardest images of ')
  table = several.parts[0]
  missed = [column.name for column in table.columns].index('missed')
  assert [row[missed] for row in table.rows] == [2] * 10 + [1] * 5
  assert len(one.parts[0].rows) == 25
  assert one.parts[0].more == 15
  assert 'for every corruption' in corrupted.parts[0].reason
  assert not any(isinstance(part, Gallery) for part in several.parts)
  (made,) = sections_of(page)
  assert len(made.parts[0].rows) == 5
