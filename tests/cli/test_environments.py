"""An environment that was made for something else: right, or one line, no traceback."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

MODEL = 'MobileNet:alpha=0.25'
WEIGHTS = 'mobilenet_2_5_224_tf.h5'
# Whose libraries look for a home: nothing may be said of these.
NOISE = ('matplotlib', 'Traceback', 'Permission', 'Errno')


@pytest.fixture(scope='module')
def keras_home(shared_data, tmp_path_factory):
  home = tmp_path_factory.mktemp('of_keras')
  (home / 'models').mkdir()
  shutil.copyfile(
    shared_data / 'keras_home/models' / WEIGHTS, home / 'models' / WEIGHTS
  )
  return home


def command(folder, *arguments, before=(), **variables):
  environ = {**os.environ, **variables}
  return subprocess.run(
    [*before, sys.executable, '-m', 'tfeval', *map(str, arguments)],
    cwd=folder,
    capture_output=True,
    text=True,
    timeout=300,
    check=False,
    env={name: value for name, value in environ.items() if value is not None},
  )


def evaluate(folder, photos, *more, model=MODEL, **given):
  return command(
    folder,
    'evaluate',
    f'--model={model}',
    f'--dataset=folder:{photos}',
    f'--output_dir={folder}/runs',
    '--json',
    *more,
    **given,
  )


def hits(ended):
  assert ended.returncode == 0, ended.stderr
  assert not any(word in ended.stderr for word in NOISE), ended.stderr
  return [metric['correct'] for metric in json.loads(ended.stdout)[0]['metrics']]


@pytest.fixture(scope='module')
def right(keras_home, photos, tmp_path_factory):
  """The counts where the environment asks for nothing else."""
  folder = tmp_path_factory.mktemp('right')
  found = hits(evaluate(folder, photos, KERAS_HOME=str(keras_home)))
  assert found[0] > 4  # Of twelve: the weights were there.
  return found


def set_up(home, content):
  (home / 'keras.json').write_text(
    content if isinstance(content, str) else json.dumps(content)
  )


@pytest.fixture
def own_home(keras_home, tmp_path):
  home = tmp_path / 'of_keras'
  shutil.copytree(keras_home, home, ignore=shutil.ignore_patterns('keras.json'))
  return home


def test_the_backend_and_the_settings_of_another_project(
  own_home, photos, tmp_path, right
):
  other = {'backend': 'jax', 'floatx': 'float16', 'image_data_format': 'channels_first'}
  set_up(own_home, other | {'epsilon': 0.5, 'nnx_enabled': True})
  of_torch = {'KERAS_BACKEND': 'torch', 'KERAS_NNX_ENABLED': '1'}
  ascii_alone = {'PYTHONUTF8': '0', 'PYTHONCOERCECLOCALE': '0', 'LC_ALL': 'C'}
  ended = evaluate(
    tmp_path, photos, KERAS_HOME=str(own_home), **of_torch, **ascii_alone
  )
  assert hits(ended) == right
  said = [line for line in ended.stderr.splitlines() if 'keras.json' in line]
  assert (
    len(said) == 1 and 'floatx float16, image_data_format channels_first' in said[0]
  )


@pytest.mark.parametrize(
  'content',
  ['[]', pytest.param('{"floatx": "float63"}', marks=pytest.mark.slow)],
)
def test_a_keras_json_that_keras_refuses(own_home, photos, tmp_path, content):
  set_up(own_home, content)
  ended = evaluate(tmp_path, photos, KERAS_HOME=str(own_home))
  assert ended.returncode == 2
  (line,) = ended.stderr.splitlines()
  assert f'{own_home}/keras.json' in line and 'move the file away' in line


@pytest.fixture
def read_only(tmp_path):
  """Returns what a command begins with that cannot write into a folder."""
  if os.geteuid():
    return lambda folder: folder.chmod(0o555) or ()
  # Root is asked for no permission, only file systems say no.
  script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
  begin = ['unshare', '--mount', 'sh', '-c', script]
  (tmp_path / 'tried').mkdir()
  tried = [*begin, str(tmp_path / 'tried'), 'touch', str(tmp_path / 'tried' / 'it')]
  if not shutil.which('unshare') or b'Read-only' not in (
    subprocess.run(tried, capture_output=True, check=False).stderr
  ):
    pytest.skip('needs a user other than root, or root who may mount')
  return lambda folder: [*begin, str(folder)]


@pytest.mark.parametrize('which', ['HOME', 'KERAS_HOME'])
def test_weights_of_a_home_that_is_read_only(
  own_home, photos, tmp_path, right, read_only, which
):
  variables = {'HOME': str(own_home), 'KERAS_HOME': str(own_home)}
  if which == 'HOME':
    home = tmp_path / 'home'
    home.mkdir()
    own_home = own_home.rename(home / '.keras')
    variables = {'HOME': str(home), 'KERAS_HOME': None}
  ended = evaluate(
    tmp_path, photos, before=read_only(pathlib.Path(variables['HOME'])), **variables
  )
  assert hits(ended) == right
  assert 'Downloading' not in ended.stderr
  assert {path.name for path in own_home.iterdir()} == {'models'}


def test_a_damaged_file_in_a_read_only_home_is_not_used(monkeypatch, tmp_path):
  from tfeval.models.keras import weights

  (tmp_path / 'models').mkdir()
  (tmp_path / 'models' / 'some.h5').write_bytes(b'damaged')
  monkeypatch.setattr(weights.file_utils.config, 'keras_home', lambda: str(tmp_path))
  monkeypatch.setattr(weights.os, 'access', lambda *_: False)
  found = weights._in_read_only_home
  assert found('some.h5', file_hash='0' * 32) is None
  assert found('some.h5') == str(tmp_path / 'models' / 'some.h5')
  assert found('other.h5') is None
  monkeypatch.setattr(weights.os, 'access', lambda *_: True)
  assert found('some.h5') is None  # Keras looks by itself.


def tf_config(index):
  hosts = ['10.9.9.1:2222', '10.9.9.2:2222', '10.9.9.3:2222']
  return json.dumps(
    {'cluster': {'worker': hosts}, 'task': {'type': 'worker', 'index': index}}
  )


def test_a_cluster_that_is_left_over(keras_home, photos, tmp_path):
  ended = evaluate(
    tmp_path,
    photos,
    '--batch_size=2',
    '--host_timeout=1',
    KERAS_HOME=str(keras_home),
    TF_CONFIG=tf_config(0),
  )
  assert ended.returncode == 2
  lines = [line for line in ended.stderr.splitlines() if line.startswith('tfeval: ')]
  first, last = lines[0], lines[-1]
  assert 'TF_CONFIG names 3 hosts: this is host 0' in first
  assert '10.9.9.2:2222, 10.9.9.3:2222' in first
  assert 'waits for theirs' in first and 'unset TF_CONFIG' in first
  assert 'unset it to evaluate here alone' in last


@pytest.mark.parametrize('flag', ['--overwrite', '--batch_size=auto'])
def test_what_several_hosts_refuse_names_the_variable(
  tfeval, monkeypatch, photos, flag
):
  monkeypatch.setenv('TF_CONFIG', tf_config(1))
  given = f'--model={MODEL}', f'--dataset=folder:{photos}', flag
  code, _, error = tfeval('evaluate', *given)
  assert code == 2
  assert 'TF_CONFIG names 3 hosts: unset it' in error


def test_without_a_network_one_line_says_which_file_to_get(
  keras_home, photos, tmp_path
):
  # An address that nobody answers at, as where there is no network.
  ended = evaluate(
    tmp_path,
    photos,
    model='MobileNet:alpha=0.5',
    KERAS_HOME=str(keras_home),
    https_proxy='http://127.0.0.1:9',
    HTTPS_PROXY='http://127.0.0.1:9',
  )
  assert ended.returncode == 2
  line = ended.stderr.splitlines()[-1]
  assert 'mobilenet_5_0_224_tf.h5 and put it into' in line
  assert 'Traceback' not in ended.stderr
