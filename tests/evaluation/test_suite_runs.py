"""A suite in one command: models loaded once, missing sets as rows, kills."""

import json

import pytest
import standin_archives

from tfeval import cli
from tfeval.datasets import tfds_preparing
from tfeval.evaluation import resolve

MODEL = 'MobileNet:alpha=0.25'


@pytest.fixture(scope='module')
def photos(shared_data):
  return standin_archives.photos_by_wnid(shared_data)


@pytest.fixture
def sets_dir(photos, tmp_path):
  """ImageNet-A and one configuration of V2 in folders, and a damaged ImageNet-R."""
  from tfeval.datasets.labels import class_sets, imagenet

  of_a = [group[0] for group in class_sets.read('imagenet_a').wnids]
  of_r = [group[0] for group in class_sets.read('imagenet_r').wnids]
  index = imagenet.label_space().index_of_id
  wnids = list(photos)[:3]
  put(
    tmp_path / 'sets',
    {f'imagenet_a/{w}/x.jpg': photos[w] for w in of_a if w in photos}
    | {f'imagenet_v2/topimages/{index[w]}/{w}.jpeg': photos[w] for w in wnids}
    | {f'imagenet_r/{w}/x.jpg': b'damaged' for w in of_r[:2]}
    | {
      f'imagenet_c/{k}/{w}/x.JPEG': photos[w] for k in ('fog/1', 'fog/3') for w in wnids
    },
  )
  return tmp_path / 'sets'


def put(root, members):
  for name, content in members.items():
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(content)


def command(sets_dir, tmp_path, *flags):
  how = [f'--model={MODEL}', f'--output_dir={tmp_path / "runs"}', '--preflight=off']
  how += [f'--sets_dir={sets_dir}', f'--data_dir={tmp_path / "none"}', '--batch_size=8']
  return ['evaluate', *how, *flags]


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
  for name in ('https_proxy', 'HTTPS_PROXY', 'http_proxy', 'HTTP_PROXY'):
    monkeypatch.setenv(name, 'http://127.0.0.1:9')
  monkeypatch.setattr(tfds_preparing._Tries, 'count', 1)


def test_missing_sets_are_rows(sets_dir, tmp_path, capsys, monkeypatch):
  loads = []
  load = resolve.load_model
  monkeypatch.setattr(
    resolve, 'load_model', lambda *args: loads.append(args) or load(*args)
  )
  suite = tmp_path / 'suite.txt'
  suite.write_text(
    'imagenet2012_real\nimagenet_v2/topimages\nimagenet_a:limit=6\nobjectnet\n'
    'imagenet_c\nsiscore/size\n'
  )
  flags = command(sets_dir, tmp_path, f'--suite={suite}')
  assert cli.main([*flags, '--json']) == 0
  found = json.loads(capsys.readouterr().out)
  assert len(loads) == 1
  names = [one['dataset']['name'].rpartition('/')[2] for one in found]
  parts = ['topimages', 'imagenet_a', '1', '3']
  assert names[:4] == parts
  assert found[0]['dataset']['config'] == 'topimages'
  crops = [one['protocol']['crop'] for one in found[:4]]
  assert crops[0] == crops[1] != 'none' and crops[2:] == ['none', 'none']
  errors = {one['dataset']['name']: one['error'] for one in found[4:]}
  assert list(errors) == ['imagenet2012_real', 'objectnet', 'siscore/size']
  assert 'ILSVRC2012_img_val.tar' in errors['imagenet2012_real']
  assert 'get it from https://objectnet.dev and give --dataset=' in errors['objectnet']
  assert 'cannot download siscore' in errors['siscore/size']
  # Again, without --json: nothing is evaluated, each missing set has a row.
  assert cli.main(flags) == 0
  out = capsys.readouterr().out
  for name in errors:
    assert any(line.split() == [name, 'missing'] for line in out.splitlines())
    assert f'{name} is MISSING: ' in out
  assert cli.main([*flags, '--strict']) == 2
  err = capsys.readouterr().err.splitlines()[-1]
  assert err.startswith('tfeval: 3 test sets are missing: imagenet2012_real,')


def test_none_is_there(tmp_path, capsys):
  (tmp_path / 'empty').mkdir()
  suite = tmp_path / 'suite.txt'
  suite.write_text('objectnet\nimagenet_o\n')
  flags = command(tmp_path / 'empty', tmp_path, f'--suite={suite}')
  assert cli.main([*flags, '--json']) == 2
  shown = capsys.readouterr()
  assert [one['dataset']['name'] for one in json.loads(shown.out)] == [
    'objectnet',
    'imagenet_o',
  ]
  assert shown.err == 'tfeval: 2 test sets are missing: objectnet, imagenet_o\n'
  # One that is given has to be there.
  given = command(
    tmp_path / 'empty', tmp_path, f'--suite={suite}', '--dataset=objectnet'
  )
  assert cli.main(given) == 2
  assert 'ObjectNet is not built by TFDS' in capsys.readouterr().err


def test_a_damaged_set_stops_no_other(sets_dir, tmp_path, capsys):
  suite = tmp_path / 'suite.txt'
  suite.write_text('imagenet_r\nimagenet_v2/topimages\n')
  flags = command(sets_dir, tmp_path, f'--suite={suite}')
  assert cli.main([*flags, '--json']) == 2
  shown = capsys.readouterr()
  failed, complete = json.loads(shown.out)
  assert 'imagenet_r' in failed['model']['name'] and 'x.jpg' in failed['error']
  assert complete['dataset']['evaluated'] == 3
  assert '1 of 2 models failed' in shown.err.splitlines()[-1]
