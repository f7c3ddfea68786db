"""A suite in one command: models loaded once, missing sets as rows, kills."""

import itertools
import json
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
import standin_archives

from tfeval import cli
from tfeval.datasets import tfds_preparing
from tfeval.datasets.labels import class_sets, imagenet
from tfeval.evaluation import resolve
from tfeval.runs.run import load_run

MODEL = 'MobileNet:alpha=0.25'
KINDS = ('fog/1', 'fog/3', 'frost/2')
FOLDERS = ('imagenet_o', 'imagenet_c')


@pytest.fixture(scope='module')
def photos(shared_data):
  return standin_archives.photos_by_wnid(shared_data)


def cropped(encoded):
  """A photo of the size that files of ImageNet-C have."""
  image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
  return cv2.imencode('.jpg', cv2.resize(image, (224, 224)))[1].tobytes()


@pytest.fixture
def sets_dir(photos, tmp_path):
  """ImageNet-A and one configuration of V2 in folders, and a damaged ImageNet-R."""
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
      f'imagenet_c/{k}/{w}/x.JPEG': cropped(photos[w])
      for k in ('fog/1', 'fog/3')
      for w in wnids
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
  # A name stands above what is wide.
  rows = [line.split() for line in out.splitlines()]
  words = [a + b for a, b in itertools.pairwise(rows)]
  for name in errors:
    assert [name, 'missing'] in words
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


@pytest.mark.slow
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


def started(flags):
  return subprocess.Popen(
    [sys.executable, '-m', 'tfeval', *flags],
    text=True,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
  )


def killed_after(flags, output, results):
  """Starts a command, and kills it when so many runs are complete."""
  process = started(flags)
  while process.poll() is None and len([*output.glob('*/result.json')]) < results:
    time.sleep(0.01)
  process.kill()
  process.communicate(timeout=60)
  return process.returncode


def rows_of(output):
  return {
    path.name: sorted(load_run(path).to_arrow().to_pylist(), key=lambda row: row['id'])
    for path in output.iterdir()
  }


@pytest.mark.slow
def test_a_suite_that_is_killed_twice(photos, shared_data, tmp_path):
  """Seven sets of TFDS, four in folders, and one that is missing."""
  counts = standin_archives.seed_all(tmp_path / 'tfds', shared_data, 8)
  wnids = list(photos)[:8]
  of_o = [group[0] for group in class_sets.read('imagenet_o').wnids]
  put(
    tmp_path / 'sets',
    {f'imagenet_o/{w}/x.jpg': photos[w] for w in of_o if w in photos}
    | {
      f'imagenet_c/{kind}/{w}/x.JPEG': cropped(photos[w])
      for kind in KINDS
      for w in wnids
    },
  )
  (tmp_path / 'suite.txt').write_text('\n'.join([*counts, 'objectnet', *FOLDERS]))
  how = [f'--model={MODEL}', f'--suite={tmp_path}/suite.txt', '--preflight=off']
  how += [f'--sets_dir={tmp_path}/sets', f'--data_dir={tmp_path}/tfds']
  how += ['--batch_size=2', '--rows_per_part=2', '--json']
  flags = {
    name: ['evaluate', *how, f'--output_dir={tmp_path / name}']
    for name in ('whole', 'killed')
  }
  for results in (2, 7):
    code = killed_after(flags['killed'], tmp_path / 'killed', results)
    assert code == -signal.SIGKILL
  outputs = {}
  for name, one in flags.items():
    process = started(one)
    outputs[name], err = process.communicate(timeout=300)
    assert process.returncode == 0, err
  *results, missing = json.loads(outputs['killed'])
  assert len(results) == len(counts) + 4 and missing['dataset']['name'] == 'objectnet'
  assert rows_of(tmp_path / 'killed') == rows_of(tmp_path / 'whole')
  of_whole = [one['metrics'] for one in json.loads(outputs['whole'])[:-1]]
  assert [one['metrics'] for one in results] == of_whole


def test_a_damaged_set_is_a_failure_and_a_missing_one_is_not(tmp_path, tfeval):
  from tfeval.datasets.labels import imagenet

  wnid = imagenet.label_space().class_ids[0]  # A tench, which ImageNet-A lacks.
  (tmp_path / 'sets/imagenet_a' / wnid).mkdir(parents=True)
  (tmp_path / 'sets/imagenet_a' / wnid / 'a.jpg').write_bytes(b'\xff\xd8\xff')
  (tmp_path / 'suite.txt').write_text('imagenet_a # there\nobjectnet\n')
  code, out, err = tfeval(
    'evaluate',
    '--model=MobileNet:alpha=0.25',
    f'--suite={tmp_path}/suite.txt',
    f'--sets_dir={tmp_path}/sets',
    f'--output_dir={tmp_path}/runs',
  )
  assert code == 2
  said = ' '.join((out + err).split())
  assert 'imagenet_a FAILED' in said.replace(f':{tmp_path}/sets/imagenet_a', '')
  assert 'objectnet is MISSING' in said
