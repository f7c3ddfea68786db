"""Whatever a figure draws is in its table: values and the ends of their intervals."""

import numpy as np
import pytest

from tfeval.analysis import leaderboard
from tfeval.analysis.across import table
from tfeval.analysis.explanation.candidates import Candidate, Explanation
from tfeval.reports.page import of_across, of_explanation, of_leaderboard
from tfeval.reports.plots import kinds

N = 80
LABELS = np.arange(N) % 5


def drawn(plot):
  """Returns the values and ends of intervals, which are in percent."""
  if isinstance(plot, kinds.Scatter):
    return [(one.y, one.low, one.high) for one in plot.points]
  return [(one.value, one.low, one.high) for one in plot.rows]


def check(figure):
  there = np.array(
    [100 * one for row in figure.table.rows for one in row if isinstance(one, float)]
  )
  numbers = [one for ends in drawn(figure.plot) for one in ends]
  assert numbers
  for number in numbers:
    assert np.isclose(there, number, rtol=1e-12).any(), (figure.title, number)


def hits(count):
  return np.where(np.arange(N) < count, LABELS, 7)


def test_of_a_leaderboard(store_run):
  runs = [
    store_run(name, hits(count), LABELS, model={'parameters': size})
    for name, count, size in (('a', 60, 1_000_000), ('b', 40, 2_000_000))
  ]
  figures = of_leaderboard.document(leaderboard.rank(runs)).figures()
  # Ranks, and accuracy against parameters and images per second.
  assert len(figures) == 3
  for figure in figures:
    check(figure)


def test_of_models_on_several_test_sets(store_run):
  runs = [
    store_run(
      model, hits(count), LABELS, dataset={'name': dataset, 'split': 'validation'},
      ids=[f'{dataset}{i}.jpg' for i in range(N)], where=f'{model}-{dataset}',
    )
    for model, dataset, count in (
      ('one', 'imagenet2012', 60), ('one', 'imagenet_sketch', 50),
      ('two', 'imagenet2012', 40), ('two', 'imagenet_sketch', 20),
    )
  ]  # fmt: skip
  figures = of_across.document(table.across(runs)).figures()
  assert [type(one.plot) for one in figures] == [kinds.Intervals, kinds.Scatter]
  for figure in figures:
    check(figure)
  assert [row[:4] for row in figures[0].table.rows] == [
    ('one', 'imagenet', 60, N),
    ('one', 'imagenet_sketch', 50, N),
    ('two', 'imagenet', 40, N),
    ('two', 'imagenet_sketch', 20, N),
  ]


@pytest.mark.parametrize('by_answers', [True, False])
def test_of_an_explanation(by_answers):
  known = {'agree': 70} if by_answers else {'sd': 0.02, 'p': 0.3}
  one = Candidate((('channels', 'bgr'),), 'fits', N, 0.61, **known)
  reported = None if by_answers else 61.6
  found = Explanation([one], N, N, 'opencv', 0.0, [], {}, reported=reported, level=0.01)
  figure = of_explanation.figure(found)
  check(figure)
  value = 70 / N if by_answers else 0.61
  assert figure.table.rows[0][4] == pytest.approx(value)
