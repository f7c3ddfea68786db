"""Expected accuracies: read exactly, and missed only when they are."""

import pytest

from tfeval.runs import expectations
from tfeval.runs.result_file import Result
from tfeval.utils.errors import UserError


def result(**values):
  metrics = [
    {'labels': key.split('_')[0], 'name': key.split('_')[1], 'value': value}
    for key, value in values.items()
  ]
  return Result.from_json({'model': {'name': 'M'}, 'metrics': metrics})


@pytest.mark.parametrize(
  'text, words',
  [
    ('original/top1:0.7', 'expected LABELS/METRIC:VALUE:TOLERANCE'),
    ('original/top1', 'expected LABELS/METRIC'),
    ('top1:0.7:0.1', 'expected LABELS/METRIC'),
    ('original/top1:x:0.1', 'expected LABELS/METRIC'),
    ('original/top1:70.4:0.1', '70.4 is not in 0..1: rates are shares, not percent'),
    ('original/top1:0.7:-0.1', '-0.1 is not in 0..1'),
    ('original/top1:nan:0.1', 'nan is not in 0..1'),
    ('', 'expected LABELS/METRIC'),
  ],
)
def test_what_does_not_read_like_one(text, words):
  with pytest.raises(UserError) as caught:
    expectations.parse(text)
  assert words in str(caught.value)


@pytest.mark.parametrize(
  'text, held',
  [
    ('original/top1:0.704:0.002', True),
    ('original/top1:0.702:0.002', True),  # On the edge, which binary fractions miss.
    ('original/top1:0.706:0.002', True),
    ('original/top1:0.7019:0.002', False),
    ('original/top1:0.7061:0.002', False),
    ('original/top1:0.704:0', True),
    ('real/top5:0.9:0.05', True),
    ('real/top5:0.9:0.001', False),
  ],
)
def test_tolerance(text, held):
  results = [result(original_top1=0.704, real_top5=0.93)]
  missed = expectations.missed([expectations.parse(text)], results)
  assert (missed == []) is held
  if not held:
    assert missed[0].startswith(f'M: {text.split(":")[0]} is 0.')


def test_every_result_has_to_hold():
  wanted = [expectations.parse('original/top1:0.7:0.01')]
  results = [result(original_top1=v) for v in (0.7, 0.75, 0.6)]
  assert len(expectations.missed(wanted, results)) == 2


def test_a_metric_without_a_value_is_missed():
  wanted = [expectations.parse('original/top1:0.7:1')]
  assert 'is nothing' in expectations.missed(wanted, [result(original_top1=None)])[0]


def test_a_metric_that_is_not_there():
  with pytest.raises(UserError, match='no metric real/top1: it has original/top1'):
    expectations.missed(
      [expectations.parse('real/top1:0.7:1')], [result(original_top1=0.7)]
    )
