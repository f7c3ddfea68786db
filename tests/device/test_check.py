"""The check of devices runs where there is none."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent


@pytest.mark.slow
def test_all_of_it_runs_on_a_cpu(shared_data):
  command = ['sh', str(HERE / 'check.sh'), f'--photos={shared_data / "images"}']
  command += ['--flip_count=12', '--count=16', '--batch_size=4']
  command += ['--speed_model=MobileNetV2']
  done = subprocess.run(
    command,
    env={**os.environ, 'PYTHON': sys.executable},
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  flips = dict(re.findall(r'^  (\S.*?)  +(\d+) of 12 flip', done.stdout, re.MULTILINE))
  exact = ('float32', 'ranked on the device', 'resized on the device', 'XLA')
  assert {name: flips[name] for name in exact} == dict.fromkeys(exact, '0')
  assert 'bfloat16' in flips
  assert 'TF32                   not run: ' in done.stdout or 'TF32' in flips
  assert re.search(r'self-test: 0 of [\d,]+ values differ', done.stdout)
  assert re.search(r'whole command \d+ images/s', done.stdout)
  assert re.search(r'\d+ % of the smaller limit is reached', done.stdout)
