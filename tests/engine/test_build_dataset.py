"""tfeval.build_dataset: the evaluator's images, each once, in batches of one shape."""

import json
import os
import subprocess
import sys

import in_memory
import numpy as np
import pytest
import tensorflow as tf
import two_workers
from in_memory import SIZE, build

import tfeval
from tfeval import datasets
from tfeval.datasets.labels import imagenet
from tfeval.engine import batches as reading
from tfeval.preprocess import protocol
from tfeval.utils.errors import UserError


@pytest.fixture(scope='module')
def real(tmp_path_factory):
  """ReaL labels: of image n, from 1, the classes below n % 4."""
  path = tmp_path_factory.mktemp('real') / 'real.json'
  path.write_text(json.dumps([list(range((i + 1) % 4)) for i in range(50_000)]))
  return path


def read(dataset):
  """Returns all batches, joined."""
  batches = [{key: value.numpy() for key, value in batch.items()} for batch in dataset]
  return {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}


def test_element_spec_and_padding(noise, real):
  dataset = build(noise, real_labels=real)
  assert {
    key: (spec.dtype.name, tuple(spec.shape))
    for key, spec in dataset.element_spec.items()
  } == {
    'id': ('string', (4,)),
    'position': ('int64', (4,)),
    'label': ('int64', (4,)),
    'pixels': ('uint8', (4, SIZE, SIZE, 3)),
    'mask': ('bool', (4,)),
    'real_labels': ('bool', (4, 1000)),
  }
  assert len(dataset) == 3
  found = read(dataset)
  assert found['mask'].tolist() == [True] * 10 + [False] * 2
  assert found['position'].tolist() == [*range(10), -1, -1]
  assert found['label'][10:].tolist() == [-1, -1] and set(found['id'][10:]) == {b''}
  assert not found['pixels'][10:].any() and not found['real_labels'][10:].any()
  assert 'real_labels' not in build(noise).element_spec


def test_it_is_what_the_evaluator_reads(noise, real):
  found = read(build(noise, real_labels=real, protocol='opencv'))
  batches = list(
    reading.read_batches(
      datasets.open_dataset(f'folder:{noise}', real_labels=str(real)),
      protocol.resolve('opencv', SIZE),
      3,
    )
  )
  np.testing.assert_array_equal(
    found['pixels'][:10], np.concatenate([b.pixels for b in batches])
  )
  assert [name.decode() for name in found['id'][:10]] == sum(
    (b.ids for b in batches), []
  )
  assert found['label'][:10].tolist() == [
    label for b in batches for label in b.labels.tolist()
  ]
  sets = [np.flatnonzero(row).tolist() for row in found['real_labels'][:10]]
  assert sets == [sorted(one) for b in batches for one in b.real_labels]
  assert sets == [
    list(range(imagenet.validation_number(name.decode()) % 4))
    for name in found['id'][:10]
  ]


def test_it_is_deterministic_and_takes_the_protocol(noise):
  dataset = build(noise, protocol='slim')
  assert dataset.element_spec['pixels'].dtype == tf.float32
  first, again = read(dataset), read(dataset)
  for key, value in first.items():
    np.testing.assert_array_equal(value, again[key])
  assert (
    build(noise, protocol='opencv:size=48', input_size=None)
    .element_spec['pixels']
    .shape[1]
    == 48
  )


@pytest.mark.parametrize('hosts, replicas', [(2, 2), (3, 3), (3, 6), (4, 4), (2, 8)])
def test_shares_are_the_dataset_once_in_as_many_steps(noise, hosts, replicas):
  steps, positions = set(), []
  for index in range(hosts):
    share = build(
      noise,
      batch_size=replicas,
      input_context=tf.distribute.InputContext(hosts, index, replicas),
    )
    steps.add(len(share))
    found = read(share)
    assert found['label'].shape[0] == len(share)  # Batches of one replica: one image.
    positions += found['position'][found['mask']].tolist()
  assert sorted(positions) == list(range(10))
  assert len(steps) == 1


def test_a_strategy_gets_every_image_once(noise):
  strategy = tf.distribute.MirroredStrategy(['CPU:0'])
  whole = read(build(noise))
  for dataset in (
    build(noise, strategy=strategy),
    strategy.experimental_distribute_dataset(build(noise)),
    strategy.distribute_datasets_from_function(
      lambda context: build(noise, input_context=context)
    ),
  ):
    found = read(dataset)
    for key, value in whole.items():
      np.testing.assert_array_equal(found[key], value)


def test_autosharding_is_off(noise):
  assert (
    build(noise).options().experimental_distribute.auto_shard_policy
    == tf.data.experimental.AutoShardPolicy.OFF
  )


REPLICAS = """
import sys
import numpy as np
import tensorflow as tf
cpu, = tf.config.list_physical_devices('CPU')
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 3)
sys.path.insert(0, sys.argv[2])
from in_memory import build
strategy = tf.distribute.MirroredStrategy([f'CPU:{i}' for i in range(3)])
for dataset in (build(sys.argv[1], batch_size=6, strategy=strategy),
                strategy.experimental_distribute_dataset(
                    build(sys.argv[1], batch_size=6))):
  seen, shapes = [], set()
  for batch in dataset:
    for position, pixels in zip(strategy.experimental_local_results(batch['position']),
                                strategy.experimental_local_results(batch['pixels'])):
      seen += position.numpy().tolist()
      shapes.add(pixels.shape[0])
  print(sorted(seen), shapes)
"""


@pytest.mark.slow
def test_three_replicas(noise):
  done = subprocess.run(
    [sys.executable, '-c', REPLICAS, noise, os.path.dirname(in_memory.__file__)],
    capture_output=True,
    text=True,
    timeout=200,
  )
  line = f'{[-1, -1, *range(10)]} {{2}}\n'
  assert done.stdout == 2 * line, done.stderr[-2000:]


WORKER = """
import sys
import tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()
sys.path.insert(0, sys.argv[2])
from in_memory import build

@tf.function
def total(iterator):
  batch = next(iterator)
  ones = strategy.run(lambda mask: tf.reduce_sum(tf.cast(mask, tf.int32)),
                      (batch['mask'],))
  return batch['position'], strategy.reduce('SUM', ones, axis=None)

# Three batches of 4: one host has one of them, the other two, and both take two steps.
iterator = iter(build(sys.argv[1], strategy=strategy, batch_size=8))
seen = []
for _ in range(2):
  positions, images = total(iterator)
  seen.append((strategy.experimental_local_results(positions)[0].numpy().tolist(),
               int(images)))
print(seen)
"""


@pytest.mark.slow
def test_two_workers_take_as_many_steps(noise):
  first, second = two_workers.run(WORKER, noise, os.path.dirname(in_memory.__file__))
  assert first == '[([0, 1, 2, 3], 8), ([-1, -1, -1, -1], 2)]\n'
  assert second == '[([4, 5, 6, 7], 8), ([8, 9, -1, -1], 2)]\n'


def test_tfds_with_real_labels_of_its_own_and_of_a_file(standin_dir, tmp_path_factory):
  where = {
    'manual_dir': standin_dir,
    'data_dir': tmp_path_factory.mktemp('tfds'),
    'input_size': SIZE,
    'limit': 7,
    'batch_size': 3,
  }
  own = read(tfeval.build_dataset('imagenet2012_real', **where))
  file = read(
    tfeval.build_dataset(
      'imagenet2012_real', **where, real_labels=standin_dir / 'real.json'
    )
  )
  truth = json.loads((standin_dir / 'real.json').read_text())
  assert own['mask'].sum() == 7
  for name, hot in zip(own['id'][:7], own['real_labels'][:7], strict=True):
    number = imagenet.validation_number(name.decode())
    assert np.flatnonzero(hot).tolist() == sorted(set(truth[number - 1]))
  for key, value in own.items():
    np.testing.assert_array_equal(value, file[key])


@pytest.mark.parametrize(
  'arguments, words',
  [
    ({'batch_size': 0}, 'batch_size is 0, expected a positive integer'),
    (
      {'batch_size': 3, 'input_context': tf.distribute.InputContext(1, 0, 2)},
      'multiple of 2 replicas',
    ),
    (
      {
        'input_context': tf.distribute.InputContext(1, 0, 2),
        'strategy': tf.distribute.get_strategy(),
      },
      'both given',
    ),
    ({'protocol': 'openvc'}, 'opencv'),
    ({'data_dir': 3}, 'data_dir is 3, expected a path'),
    ({'limit': -1}, 'limit is -1, expected a positive integer'),
    ({'limit': '5'}, "limit is '5', expected a positive integer"),
    ({'input_size': 0}, 'input_size is 0, expected a positive integer'),
    ({'real_labels': 'no.json'}, 'no.json'),
  ],
)
def test_bad_input_is_one_line(noise, arguments, words):
  with pytest.raises(UserError, match=words) as caught:
    build(noise, **arguments)
  assert '\n' not in str(caught.value)


def test_an_image_that_is_none_is_an_error(tmp_path):
  (tmp_path / imagenet.validation_name(1)).write_bytes(b'no image')
  with pytest.raises(tf.errors.InvalidArgumentError):
    read(build(tmp_path))
