"""What a report says, and how far a sample knows an accuracy."""

import numpy as np
import pytest
from scipy import stats

from tfeval.analysis.explanation import report
from tfeval.utils.errors import UserError


@pytest.mark.parametrize(
  'text, value, half',
  [
    ('61.6', 0.616, 5e-4),
    ('62', 0.62, 5e-3),
    ('0.5%', 0.005, 5e-4),
    ('0.036%', 0.00036, 5e-6),
    ('100', 1.0, 5e-3),
    ('30,800/50_000', 0.616, 0.0),
  ],
)
def test_reports(text, value, half):
  found = report.parse(text)
  assert np.isclose(found.value, value) and np.isclose(found.half, half)


@pytest.mark.parametrize(
  'text',
  [
    '',
    'x',
    '101',
    '-1',
    '0.616',
    '0.6',
    '1.0',
    '3/2',
    '1/0',
    '1/',
    '/',
    '1e2',
    '61.6 %',
    '٣',
  ],
)
def test_what_is_no_report(text):
  with pytest.raises(UserError, match='reported'):
    report.parse(text)


def test_an_accuracy_of_a_sample_against_the_hypergeometric():
  """Of hits drawn without replacement, the mean is off as the law says."""
  total, right, n = 5000, 3100, 400
  law = stats.hypergeom(total, right, n)
  hits = np.zeros(n)
  hits[: round(law.mean())] = 1
  found = report.of_sample(hits, total)
  assert np.isclose(found.value, right / total)
  assert np.isclose(found.sd, law.std() / n, rtol=0.01)
  assert report.of_sample(np.ones(total), total).sd == 0.0


@pytest.mark.parametrize('broken', [0.1, 0.6])
def test_samples_of_a_base_and_a_difference(broken):
  """The error is as large as it is over samples that are drawn again and again."""
  rng = np.random.default_rng(0)
  total, n, m = 3000, 1000, 250
  base = (rng.random(total) < 0.6).astype(float)
  # Hits are lost, some others are won: the difference goes with the base.
  cell = np.where(rng.random(total) < broken, rng.random(total) < 0.2, base)
  errors, told = [], []
  for _ in range(1000):
    drawn = rng.permutation(total)[:n]
    few = drawn[:m]
    found = report.of_two_samples(base[drawn], base[few], cell[few], total)
    errors.append(found.value - cell.mean())
    told.append(found.sd)
  assert np.isclose(np.std(errors), np.mean(told), rtol=0.08)


def test_a_difference_on_all_of_the_sample_is_a_sample():
  rng = np.random.default_rng(0)
  base, cell = (rng.random((2, 500)) < [[0.9], [0.2]]).astype(float)
  found = report.of_two_samples(base, base, cell, 2000)
  assert found == report.of_sample(cell, 2000)


def test_what_is_unlikely_at_a_level():
  """A report of the pipeline itself is called unlikely as often as the level says."""
  rng = np.random.default_rng(1)
  total, n = 50_000, 1000
  seen = []
  for _ in range(400):
    everyone = rng.random(total) < 0.7
    found = report.of_sample(everyone[:n] * 1.0, total)
    given = report.parse(f'{100 * everyone.mean():.2f}')
    seen.append(report.fit(given, found, total, 1.0).p)
  assert np.mean(np.array(seen) < 0.05) < 0.08
  assert stats.kstest(seen, 'uniform').pvalue > 1e-4


def test_a_report_of_other_images_is_a_sample_too():
  estimate = report.Estimate(0.7, 0.0)
  same = report.fit(report.parse('68.0'), estimate, 10_000, 1.0)
  others = report.fit(report.parse('68.0', 1000), estimate, 10_000, 1.0)
  assert same.p < 1e-6 < 0.05 < others.p


def test_two_departures_at_once():
  base, first = report.Estimate(0.7, 0.01), report.Estimate(0.6, 0.01)
  nothing = report.both_at_once(base, first, base)
  assert np.isclose(nothing.value, 0.6)
  both = report.both_at_once(base, first, first)
  assert 0.45 < both.value < 0.5 and both.sd > 0.04
