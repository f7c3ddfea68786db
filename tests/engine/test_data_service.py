"""tf.data service: real dispatchers and workers, and the same bits as without."""

import contextlib
import dataclasses
import json
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import tensorflow as tf
from evaluations import content, make_inputs, wait_for_parts

from tfeval import cli
from tfeval.datasets import open_dataset
from tfeval.engine import data_service, deadline, pipeline
from tfeval.engine.options import service_address
from tfeval.preprocess import protocol
from tfeval.utils.errors import UserError

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / 'configs/tf_data_service.py'
# Of the quickest to be traced.
PROTOCOL = protocol.resolve('slim', 32)
SERVICE = tf.data.experimental.service


@pytest.fixture(scope='module')
def address():
  """Of a service with two workers in this process."""
  dispatcher = SERVICE.DispatchServer()
  found = dispatcher.target.partition('://')[2]
  workers = [
    SERVICE.WorkerServer(SERVICE.WorkerConfig(dispatcher_address=found))
    for _ in range(2)
  ]
  yield found
  for server in (*workers, dispatcher):
    server._stop()


def local(dataset, skip_errors, positions):
  batches = pipeline.make_pipeline(dataset, PROTOCOL, 4, skip_errors, positions)
  return list(pipeline.by_position(batches, 4))


def remote(address, dataset, skip_errors, positions):
  return list(
    data_service.in_order(
      data_service.batches(address, dataset, PROTOCOL, 4, skip_errors, positions),
      positions[::4],
    )
  )


def assert_same(batches, others):
  assert len(batches) == len(others) > 0
  for one, other in zip(batches, others, strict=True):
    assert one.keys() == other.keys()
    for key in one:
      np.testing.assert_array_equal(one[key], other[key])


def test_the_same_bits(noise, address):
  dataset = open_dataset(f'folder:{noise}')
  assert_same(
    remote(address, dataset, False, range(4, 10)), local(dataset, False, range(4, 10))
  )


@pytest.mark.slow
def test_the_same_bits_where_xla_compiles(photos, address, monkeypatch):
  monkeypatch.setattr(f'{__name__}.PROTOCOL', protocol.resolve('opencv', 224))
  plain = open_dataset(f'folder:{photos}')
  compiled = dataclasses.replace(plain, num_examples=pipeline.WORTH_COMPILING)
  assert_same(
    remote(address, compiled, False, range(12)), local(plain, False, range(12))
  )


def test_broken_images(noise, address, tmp_path):
  shutil.copytree(noise, tmp_path / 'broken')
  for path in sorted((tmp_path / 'broken').iterdir())[2:8]:
    path.write_bytes(b'')  # All of the second batch, too.
  dataset = open_dataset(f'folder:{tmp_path / "broken"}')
  batches = remote(address, dataset, True, range(10))
  assert_same(batches, local(dataset, True, range(10)))
  assert [batch['position'].numpy().tolist() for batch in batches] == [[0, 1], [8, 9]]
  with pytest.raises(
    UserError, match='ILSVRC2012_val_00000003.JPEG is not a readable image: it is empty'
  ):
    remote(address, dataset, False, range(10))


def test_files_that_workers_do_not_see(noise, address, tmp_path):
  shutil.copytree(noise, tmp_path / 'gone')
  dataset = open_dataset(f'folder:{tmp_path / "gone"}')
  shutil.rmtree(tmp_path / 'gone')
  with pytest.raises(
    UserError, match='No such file.* have to read folder:.* under the same path'
  ):
    remote(address, dataset, True, range(10))


def test_tfds(standin_dir, address, tmp_path):
  dataset = open_dataset(
    'imagenet2012', manual_dir=str(standin_dir), limit=10, data_dir=str(tmp_path)
  )
  assert_same(
    remote(address, dataset, False, range(10)), local(dataset, False, range(10))
  )


def test_overtaken_batches_come_in_order():
  rng = np.random.default_rng(0)
  starts = range(0, 100, 4)
  arriving = [(int(s), s if s % 3 else None) for s in rng.permutation(starts)]
  assert list(data_service.in_order(arriving, starts)) == [s for s in starts if s % 3]


@pytest.mark.parametrize(
  'text',
  [
    '',
    'localhost',
    'localhost:',
    ':5050',
    'localhost:0',
    'localhost:65536',
    'grpc://localhost:5050',
    'a b:1',
    '::1:5050',
    '[::1]',
    'localhost:5050/',
  ],
)
def test_malformed_addresses(tfeval, text):
  code, out, err = tfeval('evaluate', '--model=ResNet50', f'--tf_data_service={text}')
  assert (code, out) == (2, '')
  assert err.splitlines()[-1].startswith(
    f'tfeval: --tf_data_service={text} is no address: give HOST:PORT'
  )


def test_addresses():
  assert service_address('decoder-0.local:5050') == ('decoder-0.local', 5050)
  assert service_address('[fe80::1]:1') == ('fe80::1', 1)


def test_nothing_answers():
  with socket.create_server(('localhost', 0)) as taken:
    port = taken.getsockname()[1]
  with pytest.raises(UserError, match=f'nothing answers at .*localhost:{port}` '):
    data_service.check_service(f'localhost:{port}')


def test_no_worker(monkeypatch):
  monkeypatch.setattr(data_service, 'ANSWER_SECONDS', 1)
  dispatcher = SERVICE.DispatchServer()
  with pytest.raises(UserError, match=r'no worker .* \(no answer within 1 s\): start'):
    data_service.check_service(dispatcher.target.partition('://')[2])


def test_batches_that_never_come(noise, monkeypatch):
  monkeypatch.setattr(data_service, 'BATCH_SECONDS', 1)
  dispatcher = SERVICE.DispatchServer()
  with pytest.raises(
    UserError, match='3 batches did not come .* run the same command again to go on'
  ):
    remote(
      dispatcher.target.partition('://')[2],
      open_dataset(f'folder:{noise}'),
      False,
      range(10),
    )


def test_a_deadline():
  with pytest.raises(TimeoutError, match='no answer within 0.1 s'):
    deadline.within(0.1, lambda: time.sleep(2))
  with pytest.raises(ZeroDivisionError):
    deadline.within(9, lambda: 1 / 0)


# The script that starts a service.


@contextlib.contextmanager
def servers(workers):
  """Starts a dispatcher and workers; yields its address and their processes."""
  started = []

  def launch(*arguments):
    started.append(
      subprocess.Popen(
        [sys.executable, SCRIPT, *arguments], text=True, stdout=subprocess.PIPE
      )
    )
    return started[-1]

  try:
    port = launch('dispatcher', '--port=0').stdout.readline().split()[-1]
    address = f'localhost:{port}'
    for _ in range(workers):
      launch('worker', f'--dispatcher={address}')
    for process in started[1:]:
      assert process.stdout.readline() == f'worker of {address}\n'
    yield address, started
  finally:
    for process in started:
      process.kill()
      process.communicate()


def script(*arguments):
  done = subprocess.run(
    [sys.executable, SCRIPT, *arguments],
    capture_output=True,
    text=True,
    check=False,
    timeout=60,
  )
  return done.returncode, done.stdout, done.stderr.splitlines()[-1]


def test_what_the_script_refuses():
  with socket.create_server(('', 0)) as taken:
    port = taken.getsockname()[1]
    for command in (['dispatcher'], ['worker', '--dispatcher=localhost:9']):
      assert script(*command, f'--port={port}') == (
        2,
        '',
        f'tf_data_service: port {port} cannot be used (Address already in '
        'use): give another --port',
      )
  assert script('worker', f'--dispatcher=localhost:{port}') == (
    2,
    '',
    f'tf_data_service: no dispatcher at localhost:{port} (Connection '
    'refused): start it first',
  )
  assert 'no port: give 0 to 65535' in script('dispatcher', '--port=65536')[2]
  assert 'no HOST:PORT' in script('worker', '--dispatcher=5050')[2]


@pytest.fixture(scope='module')
def inputs(tmp_path_factory):
  return [
    *make_inputs(tmp_path_factory.mktemp('inputs'), 50),
    '--batch_size=4',
    '--rows_per_part=8',
  ]


@pytest.mark.slow
def test_an_evaluation_during_which_a_worker_is_killed(inputs, tmp_path, monkeypatch):
  monkeypatch.setattr(data_service, 'BATCH_SECONDS', 20)
  assert cli.main([*inputs, f'--output_dir={tmp_path / "local"}']) == 0
  with servers(workers=2) as (address, (dispatcher, first, second)):
    remote = tmp_path / 'remote'

    def kill():
      wait_for_parts(remote, 1, first)
      first.kill()

    threading.Thread(target=kill).start()
    assert (
      cli.main([*inputs, f'--output_dir={remote}', f'--tf_data_service={address}']) == 0
    )
    assert first.wait(30) == -signal.SIGKILL
    for one, stop in ((second, signal.SIGTERM), (dispatcher, signal.SIGINT)):
      one.send_signal(stop)
      assert one.wait(30) == 0
  assert content(remote) == content(tmp_path / 'local')


@pytest.mark.slow
def test_hosts_share_a_service(inputs, address, tmp_path):
  for name, more in (('local', []), ('remote', [f'--tf_data_service={address}'])):
    for index in (1, 0):
      assert (
        cli.main(
          [
            *inputs,
            f'--output_dir={tmp_path / name}',
            '--num_hosts=2',
            f'--host_index={index}',
            *more,
          ]
        )
        == 0
      )
  assert content(tmp_path / 'remote') == content(tmp_path / 'local')
  assert 'tf_data_service' not in json.dumps(content(tmp_path / 'remote'), default=str)
