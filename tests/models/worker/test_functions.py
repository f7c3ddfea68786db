"""Any function in a process of its own: the same scores, and every way to fail."""

import os
import pathlib
import subprocess
import sys
import time
from concurrent import futures

import numpy as np
import pytest
import tensorflow as tf
import worker_models

from tfeval.models import loading
from tfeval.models.worker import process
from tfeval.utils.errors import UserError

HERE = pathlib.Path(__file__).parent
KNOWN = {'preprocess': 'identity', 'input_size': 32, 'output': 'logits'}


def load(name, **known):
  return loading.load_model(f'function:worker_models:{name}', **{**KNOWN, **known})


@pytest.mark.parametrize(
  'name', ['brightness', 'talks', 'listed', 'nested_lists', 'is_alone', 'writes']
)
def test_scores_are_those_of_the_function(name, pixels):
  model = load(name)
  images = pixels.astype(np.float32) * (0 if name == 'writes' else 1)
  expected = worker_models.brightness(images)
  np.testing.assert_array_equal(model(pixels), expected)
  traced = tf.function(model)
  np.testing.assert_array_equal(traced(pixels), expected)
  np.testing.assert_array_equal(traced(pixels[:2]), expected[:2])


def test_calls_at_once_get_their_own_answers(pixels):
  model = load('brightness')
  batches = [(pixels[: 1 + i % 6] // (1 + i)).astype(np.float32) for i in range(24)]
  with futures.ThreadPoolExecutor(2 * process.SLOTS) as threads:
    answers = list(threads.map(tf.function(model), batches))
  for images, found in zip(batches, answers, strict=True):
    np.testing.assert_array_equal(found, worker_models.brightness(images))


@pytest.mark.parametrize('name', ['common', 'channel', 'of_torch'])
def test_modules_of_the_user_may_be_called_as_ours(name, pixels, tmp_path, monkeypatch):
  (tmp_path / f'{name}.py').write_text((HERE / 'worker_models.py').read_text())
  (tmp_path / 'mine.py').write_text(f'from {name} import brightness\n')
  monkeypatch.setenv('PYTHONPATH', str(tmp_path))
  expected = worker_models.brightness(pixels.astype(np.float32))
  for module in (name, 'mine'):
    model = loading.load_model(f'function:{module}:brightness', **KNOWN)
    np.testing.assert_array_equal(model(pixels), expected)


def test_it_says_what_it_is_fed(pixels):
  model = loading.load_model('function:worker_models:scaled:by=2.0')
  assert (model.preprocess_name, model.input_size, model.output) == (
    'unit',
    32,
    'logits',
  )
  images = pixels / np.float32(255)
  np.testing.assert_array_equal(model(pixels), worker_models.scaled(images, by=2.0))
  with pytest.raises(UserError, match='says preprocess=unit, and tf was given'):
    loading.load_model('function:worker_models:scaled', preprocess='tf')


def test_one_of_several_outputs(pixels):
  with pytest.raises(UserError, match='has the outputs aux, scores: give `output_name'):
    load('named')
  images = pixels.astype(np.float32)
  scores = load('named', output_name='scores')(pixels)
  np.testing.assert_array_equal(scores, worker_models.brightness(images))


def test_memory_that_is_too_small_is_known_as_such(pixels):
  model = load('small')
  assert model(pixels[:4]).shape == (4, 1000)
  with pytest.raises(tf.errors.ResourceExhaustedError, match='out of memory'):
    tf.function(model)(pixels)


def test_what_it_has_started_does_not_hide_its_end(pixels):
  model, started = load('dies_alone'), time.monotonic()
  with pytest.raises(UserError, match='ended with exit code 7'):
    model.backend(pixels.astype(np.float32))
  assert time.monotonic() - started < 10


@pytest.mark.parametrize(
  ('name', 'words'),
  [
    ('raises', r'ValueError: first line the last one says it \(worker_models.py:\d+\)'),
    ('dies', 'was ended by SIGKILL, as where memory runs out'),
    ('dies_of_real_time', r'was ended by signal \d+'),
    ('a_text', r'returns a str for 2 images: expected scores, \[2, classes\]'),
    ('long', r'ValueError: the reason'),
    ('of_one', r'the model returns \(1000,\) for 2 images'),
    ('nothing', 'worker_models has no function nothing: it has '),
  ],
)
def test_what_it_does_wrong_is_told_in_a_line(name, words):
  with pytest.raises(UserError, match=words) as caught:
    load(name)
  assert '\n' not in str(caught.value)


def test_one_that_dies_in_the_middle(pixels):
  model = load('dies_later')
  assert model(pixels).shape == (6, 1000)
  with pytest.raises(Exception, match='ended with exit code 7') as caught:
    model(pixels)
  assert 'dies_later' in str(caught.value)


def test_one_that_hangs_is_ended():
  started = time.monotonic()
  with pytest.raises(UserError, match='more than 2 s: `batch_timeout=SECONDS`'):
    load('hangs', batch_timeout=2)
  assert time.monotonic() - started < 30


@pytest.mark.parametrize(
  ('python', 'words'),
  [
    ('/no/such/python', 'model_python /no/such/python cannot be started: No such file'),
    (os.devnull, 'cannot be started: Permission denied'),
  ],
)
def test_a_python_that_is_none(python, words):
  with pytest.raises(UserError, match=words) as caught:
    load('brightness', model_python=python)
  assert '\n' not in str(caught.value)


def test_a_python_without_numpy(tmp_path):
  subprocess.run([sys.executable, '-m', 'venv', '--without-pip', tmp_path], check=True)
  with pytest.raises(UserError, match='lacks NumPy: install numpy'):
    load('brightness', model_python=str(tmp_path / 'bin/python'))


def test_the_process_ends_with_its_model():
  model = load('brightness')
  child = model.backend._process._process
  assert child.poll() is None
  del model
  child.wait(10)
  assert child.returncode == 0


def test_what_comes_back_is_a_copy(pixels):
  backend = load('brightness').backend
  first = backend._process.run(pixels[:3].astype(np.float32))['output']
  kept = first.copy()
  backend._process.run(np.zeros((3, 32, 32, 3), np.float32))
  np.testing.assert_array_equal(first, kept)


def test_batches_may_grow(pixels):
  backend = load('brightness').backend
  for count in (1, 6, 64, 3):
    images = np.resize(pixels, (count, 32, 32, 3)).astype(np.float32)
    found = backend._process.run(images)['output']
    np.testing.assert_array_equal(found, worker_models.brightness(images))


def test_an_evaluation_counts_as_numpy_does(tfeval, noise, tmp_path):
  code, out, err = tfeval(
    'evaluate',
    '--model=function:worker_models:small',
    f'--dataset=folder:{noise}',
    '--preprocess=unit',
    '--input_size=32',
    '--protocol=squash',
    '--output=logits',
    '--batch_size=8',
    '--preflight=warn',
    '--store_logits',
    f'--output_dir={tmp_path}',
    '--json',
  )
  assert code == 0, err
  assert 'does not fit into memory with steps of 8 images: it goes on with 4' in err
  from tfeval.runs.run import load_run

  (directory,) = tmp_path.iterdir()
  rows = load_run(directory).to_arrow(['id', 'logits'])
  batches = _squashed(noise)
  assert len(rows) == len(batches)
  for name, logits in zip(
    rows['id'].to_pylist(), rows['logits'].to_pylist(), strict=True
  ):
    image = batches[name] / np.float32(255)
    np.testing.assert_allclose(
      logits, worker_models.brightness(image[None])[0], atol=1e-5
    )


def _squashed(folder):
  """Returns what protocol `squash` makes of each photo, by Pillow."""
  from PIL import Image

  return {
    path.name: np.asarray(
      Image.open(path).convert('RGB').resize((32, 32), Image.Resampling.NEAREST),
      np.float32,
    )
    for path in folder.iterdir()
  }


def test_nothing_of_tfeval_is_imported_there():
  source = pathlib.Path(process.__file__).parent / 'child'
  for path in source.glob('*.py'):
    assert 'tfeval.' not in path.read_text().replace('`tfeval.', '').replace(
      'tfeval[', ''
    ), path


def test_code_of_the_users_is_part_of_what_a_model_is(tmp_path, monkeypatch):
  monkeypatch.setenv('PYTHONPATH', f'{HERE}{os.pathsep}{tmp_path}')
  (tmp_path / 'own_model.py').write_text(
    'import own_part, worker_models\n'
    'def predict(images): return worker_models.brightness(images) * own_part.BY\n'
  )

  def fingerprint(by):
    (tmp_path / 'own_part.py').write_text(f'BY = {by}\n')
    backend = loading.load_model('function:own_model:predict', **KNOWN).backend
    return backend.fingerprint(), backend.architecture_sha256()

  assert fingerprint(1) == fingerprint(1) != fingerprint(22)


def test_a_signature_is_of_saved_models(tmp_path):
  with pytest.raises(UserError, match='`signature` is of SavedModels'):
    load('brightness', signature='other')
