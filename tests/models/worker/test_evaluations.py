"""Evaluations of functions: what is resumed, replicas, what fails, what computed."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tfeval.engine import hardware
from tfeval.models import loading
from tfeval.models.backend import Backend
from tfeval.runs.run import load_run

FLAGS = (
  '--protocol=squash',
  '--batch_size=4',
  '--preflight=off',
  '--store_logits',
  '--json',
)
FED = ('--preprocess=unit', '--input_size=32', '--output=logits')
READS = """
import os
import numpy as np
WEIGHTS = np.load(os.environ['WEIGHTS'])
def predict(images):
  return images.mean((1, 2)) @ WEIGHTS
predict.tfeval = {'preprocess': 'unit', 'input_size': 32, 'output': 'logits'}
if 'VERSION' in os.environ:
  predict.tfeval['version'] = os.environ['VERSION']
"""


@pytest.fixture
def reads(tmp_path, monkeypatch, noise, tfeval):
  """Evaluates a function with weights of a seed; returns exit code, rows and words."""
  (tmp_path / 'reads.py').write_text(READS)
  monkeypatch.setenv('PYTHONPATH', str(tmp_path))
  monkeypatch.setenv('WEIGHTS', str(tmp_path / 'weights.npy'))
  output = tmp_path / 'runs'

  def evaluate(seed):
    random = np.random.default_rng(seed)
    np.save(tmp_path / 'weights.npy', random.normal(size=(3, 1000)).astype('float32'))
    code, _, err = tfeval(
      'evaluate',
      '--model=function:reads:predict',
      f'--dataset=folder:{noise}',
      f'--output_dir={output}',
      *FLAGS,
    )
    if code:
      return code, None, err
    (directory,) = output.iterdir()
    rows = load_run(directory).to_arrow(['id', 'logits']).sort_by('id')
    (directory / 'result.json').unlink()  # As where it was interrupted.
    return code, np.array(rows['logits'].to_pylist()), err

  return evaluate


def test_what_a_function_reads_may_change(reads):
  """No row of the weights of before is in a run of those of now."""
  _, first, _ = reads(1)
  code, second, err = reads(2)
  assert code == 0, err
  assert first.shape == second.shape == (10, 1000)
  assert (np.abs(first - second).max(1) > 0.1).all()
  _, again, _ = reads(1)
  np.testing.assert_array_equal(again, first)


def test_a_version_tells_that_nothing_has_changed(reads, monkeypatch):
  monkeypatch.setenv('VERSION', 'a')
  _, first, _ = reads(1)
  # Resumed: not a row is computed again, as its author says.
  _, second, _ = reads(2)
  np.testing.assert_array_equal(first, second)
  monkeypatch.setenv('VERSION', 'b')
  code, _, err = reads(2)
  assert code == 2
  assert 'model.values_sha256 is ' in err and 'overwrite' in err


def test_several_hosts_need_a_version(noise, tfeval, tmp_path):
  command = (
    'evaluate',
    '--model=function:odd_models:of_halves',
    f'--dataset=folder:{noise}',
    f'--output_dir={tmp_path}',
    '--num_hosts=2',
    '--host_index=0',
    *FED,
    *FLAGS,
  )
  code, _, err = tfeval(*command)
  assert code == 2
  assert 'it has no weights file and tells no version: several hosts could not' in err


def test_one_that_dies_is_told_in_a_line(noise, tfeval, tmp_path):
  command = (
    'evaluate',
    '--model=function:odd_models:dies',
    f'--dataset=folder:{noise}',
    f'--output_dir={tmp_path}',
    *FED,
    *FLAGS,
  )
  code, _, err = tfeval(*command)
  assert code == 2
  assert 'function:odd_models:dies' in err and 'ended with exit code 7' in err
  assert not done(tmp_path)


def test_one_that_dies_stops_no_other(noise, tmp_path):
  """In a process of its own, whose stderr is that of TensorFlow's C++ code too."""
  names = ('dies', 'of_halves', 'raises', 'no_room', 'of_doubles')
  command = [
    *(sys.executable, '-m', 'tfeval', 'evaluate'),
    *(f'--model=function:odd_models:{name}' for name in names),
    f'--dataset=folder:{noise}',
    f'--output_dir={tmp_path}',
    *FED,
    *FLAGS,
  ]
  quiet = {k: v for k, v in os.environ.items() if k != 'TF_CPP_MIN_LOG_LEVEL'}
  ended = subprocess.run(
    command, capture_output=True, text=True, timeout=300, env=quiet
  )
  assert ended.returncode == 2
  assert 'Traceback' not in ended.stderr and len(ended.stderr.splitlines()) < 12
  runs = [json.loads((one / 'result.json').read_text()) for one in done(tmp_path)]
  assert sorted(one['model']['name'] for one in runs) == [
    'function:odd_models:of_doubles',
    'function:odd_models:of_halves',
  ]
  assert all(one['dataset']['evaluated'] == 10 for one in runs)
  told = json.loads(ended.stdout)
  assert [one['model']['name'].rpartition(':')[2] for one in told] == list(names)
  for name, why in (
    ('dies', 'ended with exit code 7'),
    ('raises', 'ValueError: no more of these (odd_models.py:'),
    ('no_room', 'out of memory: no room'),
  ):
    (failed,) = [one['error'] for one in told if why in one.get('error', '')]
    assert f'function:odd_models:{name}' in failed and '\n' not in failed


def done(directory):
  return sorted(one.parent for one in directory.glob('*/result.json'))


def test_replicas_count_as_one(noise, tmp_path):
  """A process for each, since it has as many logical devices as it began with."""
  found = []
  for replicas in (1, 2, 3):
    output = tmp_path / str(replicas)
    command = [
      *(sys.executable, '-m', 'tfeval', 'evaluate'),
      '--model=function:worker_models:brightness',
      f'--dataset=folder:{noise}',
      f'--output_dir={output}',
      f'--devices={replicas}',
      *FED,
      *FLAGS,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (directory,) = output.iterdir()
    found.append(load_run(directory))
  assert [one.result['compute']['replicas'] for one in found] == [1, 2, 3]
  first, *others = found
  for one in others:
    assert one.metrics[0].correct == first.metrics[0].correct
    table, expected = (
      run.to_arrow(['id', 'classes', 'logits']).sort_by('id') for run in (one, first)
    )
    assert table['id'] == expected['id'] and table['classes'] == expected['classes']
    np.testing.assert_allclose(
      np.array(table['logits'].to_pylist()),
      np.array(expected['logits'].to_pylist()),
      atol=1e-5,
    )


def test_cpu_time_of_the_other_process_counts(noise, tfeval):
  code, out, err = tfeval(
    'benchmark',
    '--model=function:odd_models:works_hard',
    f'--dataset=folder:{noise}',
    '--protocol=squash',
    '--batch_size=4',
    '--images=48',
    '--json',
    *FED,
  )
  assert code == 0, err
  stages = {one['name']: one['cpu_ms_per_image'] for one in json.loads(out)['stages']}
  # One of 12 batches may have been computed before the others were counted.
  least = 10 * 11 / 12
  assert least <= stages['forward pass'] < 40
  assert stages['end to end'] >= least
  assert stages['preprocessing'] < least


class Told(Backend):
  """A model whose process tells what it computes on."""

  def __init__(self, told):
    self._told = told

  def hardware(self):
    return self._told

  def __call__(self, images):
    raise NotImplementedError

  def describe(self):
    return {}

  def outputs(self):
    return {}


def test_hardware_is_that_of_the_model():
  cores = len(os.sched_getaffinity(0))
  assert hardware.of(Told({})) == hardware.describe()
  assert hardware.of(Told(None)) is None
  assert hardware.of(Told({'kind': 'CPU'})) == {
    'kind': 'CPU',
    'name': hardware.cpu(),
    'cores': cores,
  }
  found = hardware.of(Told({'kind': 'GPU', 'name': 'NVIDIA H200', 'cuda': '13.0'}))
  found.pop('driver', None)  # Where there is one.
  assert found == {'kind': 'GPU', 'name': 'NVIDIA H200', 'cores': cores, 'cuda': '13.0'}


@pytest.mark.parametrize(
  ('told', 'expected'),
  [
    ({'devices': ['cpu']}, {'kind': 'CPU'}),
    ({'devices': ['CPUExecutionProvider']}, {'kind': 'CPU'}),
    ({'devices': ['CUDAExecutionProvider', 'CPUExecutionProvider']}, None),
    (
      {'devices': ['NVIDIA H200'], 'hardware': {'kind': 'GPU', 'name': 'NVIDIA H200'}},
      {'kind': 'GPU', 'name': 'NVIDIA H200'},
    ),
  ],
)
def test_what_a_process_tells_is_what_computes(told, expected):
  known = {'preprocess': 'identity', 'input_size': 32, 'output': 'logits'}
  backend = loading.load_model('function:odd_models:of_halves', **known).backend
  assert backend.hardware() is None  # It may compute anywhere.
  backend.told.update(told)
  assert backend.hardware() == expected
