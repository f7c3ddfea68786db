"""A package outside of the tree adds a dataset, a model, a protocol and a metric."""

import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import tomllib

import pytest

SOURCE = pathlib.Path(__file__).parent / 'data/plugin_package'


@pytest.fixture(scope='module')
def installed(tmp_path_factory) -> pathlib.Path:
  """A folder with the package as pip installs it: files, metadata, entry points."""
  target = tmp_path_factory.mktemp('site')
  project = tomllib.loads((SOURCE / 'pyproject.toml').read_text('utf-8'))['project']
  shutil.copytree(SOURCE / 'example_plugin', target / 'example_plugin')
  info = target / f'tfeval_example_plugin-{project["version"]}.dist-info'
  info.mkdir()
  (info / 'METADATA').write_text(
    f'Metadata-Version: 2.1\nName: {project["name"]}\nVersion: {project["version"]}\n'
  )
  lines = []
  for group, points in project['entry-points'].items():
    lines += [f'[{group}]', *(f'{name} = {value}' for name, value in points.items())]
  (info / 'entry_points.txt').write_text('\n'.join(lines) + '\n')
  return target


def tfeval(installed: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess:
  # Behind whatever path the tests themselves need.
  path = os.pathsep.join([str(installed), *filter(None, sys.path)])
  return subprocess.run(
    [sys.executable, '-m', 'tfeval', *arguments],
    env={**os.environ, 'PYTHONPATH': path},
    capture_output=True,
    text=True,
  )


@pytest.fixture(scope='module')
def run(installed, tmp_path_factory) -> pathlib.Path:
  """The directory of a run of the dataset, the model and the protocol."""
  directory = tmp_path_factory.mktemp('runs')
  done = tfeval(
    installed,
    'evaluate',
    '--dataset=flags',
    '--model=channels:sharpness=20',
    '--protocol=thumbnail',
    f'--output_dir={directory}',
  )
  assert done.returncode == 0, done.stderr
  (found,) = directory.iterdir()
  return found


def test_dataset_model_and_protocol_are_used(run):
  result = json.loads((run / 'result.json').read_text())
  top1 = next(m for m in result['metrics'] if m['name'] == 'top1')
  assert (top1['correct'], top1['count']) == (12, 12)
  assert result['dataset']['name'] == 'flags'
  assert result['model']['name'] == 'channels:sharpness=20'
  assert result['protocol']['spec'] == 'thumbnail'


def test_protocol_is_listed(installed):
  listed = tfeval(installed, 'protocols')
  assert 'thumbnail' in listed.stdout and 'opencv' in listed.stdout


def test_unknown_names_tell_of_them(installed):
  for flag, words in (
    ('--model=chanels', "unknown model 'chanels': did you mean channels?"),
    ('--protocol=thumbnails', "unknown protocol 'thumbnails': did you mean thumbnail?"),
    ('--dataset=flag', "unknown dataset 'flag': did you mean flags?"),
  ):
    arguments = ['--model=channels', '--dataset=flags', '--protocol=thumbnail', flag]
    refused = tfeval(installed, 'evaluate', *arguments)
    assert refused.returncode == 2
    assert words in refused.stderr and 'Traceback' not in refused.stderr


def test_metric_is_computed(installed, run):
  scored = tfeval(installed, 'score', str(run), '--metrics=top1,confidence', '--json')
  assert scored.returncode == 0, scored.stderr
  (result,) = json.loads(scored.stdout)
  entries = {m['name']: m for m in result['metrics']}
  # The softmax of 20 and 999 zeros.
  assert entries['confidence']['value'] == pytest.approx(1 / (1 + 999 * math.exp(-20)))
  assert entries['confidence']['count'] == entries['top1']['count'] == 12
