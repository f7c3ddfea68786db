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
