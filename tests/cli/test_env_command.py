"""`tfeval env`: what a report of a fault needs, and no secret."""

import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
import sys

import numpy as np

import tfeval
from tfeval.utils import machine


def run(*arguments, **environ):
  return subprocess.run(
    [sys.executable, '-m', 'tfeval', 'env', *arguments],
    capture_output=True,
    text=True,
    check=True,
    env={**os.environ, **environ},
  )


def test_it_says_what_a_report_needs(tmp_path):
  (tmp_path / 'keras/models').mkdir(parents=True)
  (tmp_path / 'keras/models/a.h5').write_bytes(b'x' * 1000)
  (tmp_path / 'keras/b').write_bytes(b'x' * 500)
  found = json.loads(
    run(
      '--json',
      KERAS_HOME=str(tmp_path / 'keras'),
      TFDS_DATA_DIR=str(tmp_path / 'none'),
      AWS_SECRET_ACCESS_KEY='hunter2',
      https_proxy='http://me:hunter2@proxy:3128',
      TF_CONFIG='{"cluster": "hunter2"}',
      PYTHONPATH=f'{os.environ.get("PYTHONPATH", "")}:http://me:hunter2@host/x',
    ).stdout
  )
  assert found['tfeval']['version'] == tfeval.__version__
  assert found['python']['version'] == platform.python_version()
  assert found['packages']['numpy'] == np.__version__
  assert found['packages']['keras'] == importlib.metadata.version('keras')
  assert found['system']['may_use'] == len(os.sched_getaffinity(0))
  assert found['devices']['kind'] in ('CPU', 'GPU', 'TPU')
  assert 'CPU:0' in [one['name'] for one in found['devices']['seen']]
  cache = found['caches']['keras']
  assert (cache['files'], cache['bytes'], cache['whole']) == (2, 1500, True)
  assert found['caches']['tfds']['exists'] is False
  assert found['variables']['KERAS_HOME'] == str(tmp_path / 'keras')
  assert found['variables']['https_proxy'] == found['variables']['TF_CONFIG'] == 'set'
  assert 'hunter2' not in json.dumps(found)


def test_without_tensorflow_it_says_why_and_all_the_rest(tmp_path):
  (tmp_path / 'tensorflow').mkdir()
  (tmp_path / 'tensorflow/__init__.py').write_text(
    'raise ImportError("libcuda is of another year")'
  )
  package = pathlib.Path(tfeval.__file__).parents[1]
  done = run(PYTHONPATH=f'{tmp_path}:{package}')
  lines = done.stdout.splitlines()
  assert '  error  TensorFlow cannot be used: libcuda is of another year' in lines
  assert 'caches:' in lines and any('keras ' in line for line in lines)
  assert not done.stderr


def test_a_folder_is_counted_up_to_a_bound(tmp_path, monkeypatch):
  monkeypatch.setattr(machine, '_MOST_FILES', 3)
  for number in range(5):
    (tmp_path / f'{number}').write_bytes(b'12')
  (tmp_path / 'link').symlink_to('/proc')
  found = machine.size_of(tmp_path)
  assert (found['files'], found['whole']) == (3, False)


def test_of_a_package_that_is_not_installed_no_extras_are_told():
  assert machine.extras('no-such-package') == {}
