"""A package outside of the tree adds a dataset, a model, and whatever else it can."""

import json
import math
import pathlib
import shutil
import subprocess
import sys

import pytest

from tfeval import datasets
from tfeval.metrics import registry
from tfeval.models import table
from tfeval.preprocess import protocol
from tfeval.reports import formats

SOURCE = pathlib.Path(__file__).parent / 'data/plugin_package'
REGISTRIES = (
  datasets.OPENERS,
  table.LOADERS,
  registry.METRICS,
  protocol.named_protocols(),
  formats.LEADERBOARD,
)


@pytest.fixture(scope='module')
def site(tmp_path_factory) -> pathlib.Path:
  """A folder that pip has installed the package in, without network."""
  folder = tmp_path_factory.mktemp('site')
  shutil.copytree(SOURCE, folder / 'source')
  subprocess.run(
    [
      *(sys.executable, '-m', 'pip', '--quiet', '--disable-pip-version-check'),
      *('install', '--no-deps', '--no-index', '--no-build-isolation'),
      *('--target', folder / 'installed', folder / 'source'),
    ],
    check=True,
  )
  return folder / 'installed'


@pytest.fixture(autouse=True)
def installed(site, monkeypatch):
  """The package beside tfeval, for one test."""
  monkeypatch.syspath_prepend(site)
  for one in REGISTRIES:
    monkeypatch.setattr(one, 'entries', dict(one.entries))
    vars(one).pop('_entry_points', None)
  yield
  for one in REGISTRIES:
    vars(one).pop('_entry_points', None)


@pytest.fixture
def run(tfeval, tmp_path) -> pathlib.Path:
  """The directory of a run of the dataset, the model and the protocol."""
  code, _, err = tfeval(
    'evaluate',
    '--dataset=flags',
    '--model=channels:sharpness=20',
    '--protocol=thumbnail',
    f'--output_dir={tmp_path}',
  )
  assert code == 0, err
  (found,) = tmp_path.iterdir()
  return found


def test_dataset_model_protocol_and_metric_are_used(run, tfeval):
  result = json.loads((run / 'result.json').read_text())
  top1 = next(m for m in result['metrics'] if m['name'] == 'top1')
  assert (top1['correct'], top1['count']) == (12, 12)
  assert result['dataset']['name'] == 'flags'
  assert result['model']['name'] == 'channels:sharpness=20'
  assert result['protocol']['spec'] == 'thumbnail'
  code, out, err = tfeval('score', run, '--metrics=top1,confidence', '--json')
  assert code == 0, err
  (result,) = json.loads(out)
  entries = {m['name']: m for m in result['metrics']}
  # The softmax of 20 and 999 zeros.
  assert entries['confidence']['value'] == pytest.approx(1 / (1 + 999 * math.exp(-20)))
  assert entries['confidence']['count'] == entries['top1']['count'] == 12


def test_report_format_is_used(run, tfeval):
  assert tfeval('leaderboard', run, '--format=names')[:2] == (
    0,
    'channels:sharpness=20\n',
  )


BROKEN = """
import dataclasses
import tensorflow as tf

def raises(config):
  raise KeyError('no\\nsuch key')

def returns(config):
  return tf.data.Dataset.range(3)

def reads(config):
  from example_plugin import flags
  def examples(start=0, stop=None):
    raise OSError('disk gone')
  return dataclasses.replace(flags.open_flags(config), examples=examples)

def leaves(config):
  raise SystemExit(3)
"""


@pytest.fixture
def broken(tmp_path, monkeypatch):
  """A package whose datasets and model do not work, installed without pip."""
  info = tmp_path / 'site/broken_plugin-1.0.dist-info'
  info.mkdir(parents=True)
  (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n')
  names = ('raises', 'returns', 'reads', 'leaves')
  points = [f'{name} = broken_plugin:{name}' for name in names]
  (info / 'entry_points.txt').write_text(
    '\n'.join(
      [
        '[tfeval.datasets]',
        *points,
        'lost = broken_plugin:lost',
        '[tfeval.models]',
        'ghost = no_such_module:build',
      ]
    )
  )
  (tmp_path / 'site/broken_plugin.py').write_text(BROKEN)
  monkeypatch.syspath_prepend(tmp_path / 'site')


@pytest.mark.parametrize(
  'name, words',
  [
    ('raises', "raised KeyError: 'no\\nsuch key'"),
    ('returns', 'returned a _RangeDataset, expected a tfeval.datasets.base.ImageData'),
    ('reads', 'raised OSError: disk gone'),
    ('leaves', 'raised SystemExit: 3'),
    ('lost', 'cannot be loaded (broken_plugin:lost): AttributeError'),
  ],
)
def test_a_dataset_that_fails_is_named(broken, tfeval, tmp_path, name, words):
  out = f'--output_dir={tmp_path}/runs'
  code, _, err = tfeval('evaluate', '--model=channels', f'--dataset={name}', out)
  (line,) = [one for one in err.splitlines() if 'strategy' not in one]
  assert code == 2 and line.startswith(f'tfeval: dataset {name} of the package broken ')
  assert words in line
  assert not (tmp_path / 'runs').exists()


def test_a_model_that_cannot_be_loaded_is_named(broken, tfeval):
  for arguments in (['models', 'ghost'], ['evaluate', '--model=ghost']):
    code, _, err = tfeval(*arguments, *['--dataset=flags'] * (len(arguments[0]) > 6))
    assert code == 2 and 'model ghost of the package broken cannot be loaded' in err


def test_model_is_listed(tfeval):
  assert 'Of other packages: channels.' in tfeval('models')[1]
  code, _, err = tfeval('models', 'channels')
  assert code == 2
  assert 'channels is of another package, no facts are known of it' in err


def test_protocol_is_listed(tfeval):
  _, listed, _ = tfeval('protocols')
  assert 'thumbnail' in listed and 'opencv' in listed


@pytest.mark.parametrize(
  'flag, words',
  [
    ('--model=chanels', "unknown model 'chanels': did you mean channels?"),
    ('--protocol=thumbnails', "unknown protocol 'thumbnails': did you mean thumbnail?"),
    ('--dataset=flag', "unknown dataset 'flag': did you mean flags?"),
  ],
)
def test_unknown_names_tell_of_them(tfeval, tmp_path, flag, words):
  arguments = ['--model=channels', '--dataset=flags', '--protocol=thumbnail', flag]
  code, _, err = tfeval('evaluate', *arguments, f'--output_dir={tmp_path}')
  assert code == 2
  assert words in err and 'Traceback' not in err
