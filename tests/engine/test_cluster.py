"""Which hosts there are, and which images each evaluates."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfeval.engine.cluster import Cluster
from tfeval.evaluation.config import EvaluationConfig, find_cluster
from tfeval.utils.errors import UserError


@given(st.integers(0, 500), st.integers(1, 70), st.integers(1, 9))
def test_shares_are_all_images_once_in_even_batches(images, batch_size, count):
  shares = [Cluster(count, index).shard(images, batch_size) for index in range(count)]
  assert [i for share in shares for i in share] == list(range(images))
  batches = [-(-len(share) // batch_size) for share in shares]
  assert max(batches) - min(batches) <= 1
  assert all(share.start % batch_size == 0 for share in shares if share)


def tf_config(index=1, kind='worker', **cluster):
  return json.dumps(
    {
      'cluster': cluster or {'worker': ['a:1', 'b:2', 'c:3']},
      'task': {'type': kind, 'index': index},
    }
  )


def found(environ=None, **arguments):
  return find_cluster(
    EvaluationConfig.of(**arguments), {} if environ is None else {'TF_CONFIG': environ}
  )


def test_no_hosts_are_one():
  assert found() == Cluster(1, 0)
  # For somebody else: one device was asked for.
  assert found(tf_config(), strategy='default') == Cluster(1, 0)


@pytest.mark.parametrize('strategy', ['auto', 'multi_worker'])
def test_hosts_of_tf_config(strategy):
  assert found(tf_config(), strategy=strategy) == Cluster(3, 1, ('a:1', 'b:2', 'c:3'))
  chief = {'chief': ['x:1'], 'worker': ['a:1', 'b:2']}
  assert found(tf_config(0, 'chief', **chief), strategy=strategy).index == 0
  assert found(tf_config(1, 'worker', **chief), strategy=strategy) == Cluster(
    3, 2, ('x:1', 'a:1', 'b:2')
  )


def test_hosts_of_flags_come_first():
  assert found(tf_config(), num_hosts=2, host_index=0) == Cluster(2, 0)
  assert found(num_hosts=2, host_index=1, strategy='mirrored') == Cluster(2, 1)


@pytest.mark.parametrize(
  'text, words',
  [
    ('', 'set TF_CONFIG'),
    ('{', 'it is not JSON'),
    ('[]', 'cluster is None, expected an object'),
    ('{"cluster": {"worker": ["a:1"]}}', 'task is None, expected an object'),
    (tf_config(worker='a:1'), 'cluster.worker is a:1, expected a list of HOST:PORT'),
    (tf_config(worker=['a', 'b']), 'expected a list of HOST:PORT'),
    (tf_config(worker=['a:1', 'a:1']), 'one address twice'),
    (tf_config(chief=['a:1', 'b:1']), 'two chiefs'),
    (tf_config(worker=[]), 'has none'),
    (tf_config(index=3), 'task.index is 3, and there are 3 of type worker'),
    (tf_config(index='1'), "task.index is '1'"),
    (tf_config(index=True), 'task.index is True'),
    (tf_config(kind=['worker']), "task.type is ['worker'], expected chief or worker"),
    (tf_config(kind='ps'), "task.type is 'ps', expected chief or worker"),
  ],
)
def test_a_malformed_tf_config(text, words):
  with pytest.raises(UserError, match='TF_CONFIG') as caught:
    found(text, strategy='multi_worker')
  assert words in str(caught.value) and '\n' not in str(caught.value)


@pytest.mark.parametrize(
  'arguments, words',
  [
    ({'num_hosts': 2}, 'go together'),
    ({'host_index': 0}, 'go together'),
    ({'num_hosts': 2, 'host_index': 2}, '`host_index=2` is not one of `num_hosts=2'),
    ({'num_hosts': 2, 'host_index': 1, 'overwrite': True}, 'delete the run directory'),
    ({'strategy': 'multi_worker'}, 'knows no hosts'),
  ],
)
def test_contradictions(arguments, words):
  with pytest.raises(UserError, match=words):
    found(**arguments)


def test_both_tf_config_and_flags():
  with pytest.raises(UserError, match='give one'):
    found(tf_config(), num_hosts=2, host_index=1, strategy='multi_worker')
