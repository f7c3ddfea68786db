"""What functions tell of themselves and return: right, or refused in a line."""

import pathlib

import numpy as np
import odd_models
import pytest

from tfeval.models import loading
from tfeval.utils.errors import UserError

HERE = pathlib.Path(__file__).parent
KNOWN = {'preprocess': 'identity', 'input_size': 32, 'output': 'logits'}


def load(name, **known):
  return loading.load_model(f'function:odd_models:{name}', **known)


def test_a_number_of_numpy_is_a_number():
  model = load('of_numpy')
  assert type(model.input_size) is int
  assert (model.input_size, model.preprocess_name, model.output) == (
    32,
    'unit',
    'logits',
  )


@pytest.mark.parametrize(
  ('name', 'words'),
  [
    ('size_of_text', "input_size is '32', expected a number of pixels"),
    ('size_of_zero', 'input_size is 0, expected a number of pixels'),
    ('size_of_truth', 'input_size is True, expected a number of pixels'),
    ('size_of_half', 'input_size is 32.5, expected a number of pixels'),
    ('unknown_output', "unknown output 'softmax': known: logits, probabilities, sigm"),
    ('unknown_preprocess', "unknown preprocessing 'imagenot': did you mean imagenet"),
    ('preprocess_of_number', 'preprocessing is 5, expected a name'),
    ('typo', r"the unknown key 'preproces': did you mean preprocess\?"),
    ('version_of_number', 'version is 3, expected a text'),
    ('version_of_nothing', "version is '', expected a text"),
    ('an_object', "neither text nor number: ufunc <ufunc 'square'>"),
    ('an_array', r'neither text nor number: ndarray \[32 32\]'),
    ('bytes_of_it', "neither text nor number: bytes b'logits'"),
    ('odd_key', 'neither text nor number: keys must be str'),
    ('itself', 'neither text nor number: Circular reference'),
    ('no_dict', 'odd_models:no_dict.tfeval is no dict of what it is fed'),
  ],
)
def test_what_is_told_wrongly_is_refused(name, words):
  with pytest.raises(UserError, match=words) as caught:
    load(name)
  assert '\n' not in str(caught.value)
  assert f'function:odd_models:{name}' in str(caught.value)


@pytest.mark.parametrize(
  ('name', 'dtype'),
  [
    ('complex_', 'complex64'),
    ('objects', 'object'),
    ('texts', '<U1'),
    ('dates', r'datetime64\[s\]'),
  ],
)
def test_what_is_no_number_is_refused(name, dtype):
  words = f"{name}: its output 'output' is of {dtype}: expected real numbers"
  with pytest.raises(UserError, match=words):
    load(name, **KNOWN)


@pytest.mark.parametrize(
  'name', ['of_truths', 'of_whole_numbers', 'of_halves', 'of_doubles']
)
def test_other_numbers_are_numbers(name, pixels):
  expected = getattr(odd_models, name)(pixels.astype(np.float32))
  found = load(name, **KNOWN)(pixels).numpy()
  assert found.dtype == np.float32 and expected.dtype != np.float32
  np.testing.assert_array_equal(found, expected.astype(np.float32))


def test_no_room_for_the_first_images():
  with pytest.raises(
    UserError,
    match='no_room: out of memory: no room: there is no room for two images of 32 x 32'
    ': give a smaller `input_size`',
  ):
    load('no_room', **KNOWN)


def test_no_room_for_the_model(tmp_path, monkeypatch):
  monkeypatch.setenv('PYTHONPATH', str(tmp_path))
  (tmp_path / 'large.py').write_text('raise MemoryError("of 2 TB")')
  with pytest.raises(UserError, match='cannot import large .*: MemoryError: of 2 TB'):
    loading.load_model('function:large:predict', **KNOWN)
  (tmp_path / 'late.py').write_text(
    'def __getattr__(name):\n  raise MemoryError("of 2 TB")\n'
  )
  with pytest.raises(UserError, match='late:predict: out of memory: of 2 TB: it does'):
    loading.load_model('function:late:predict', **KNOWN)


def test_code_that_the_first_call_imports_is_part_of_it(tmp_path, monkeypatch):
  monkeypatch.setenv('PYTHONPATH', f'{HERE}:{tmp_path}')

  def of(by):
    (tmp_path / 'own_late.py').write_text(f'BY = {by}\n')
    return load('imports_late').backend.fingerprint()

  assert of(1) == of(1) != of(22)


def test_a_function_has_no_fingerprint_but_that_of_its_version(tmp_path, monkeypatch):
  monkeypatch.setenv('PYTHONPATH', f'{HERE}:{tmp_path}')
  assert load('of_numpy').backend.fingerprint() is None

  def of(version):
    (tmp_path / 'versioned.py').write_text(
      'import os, odd_models\n'
      'def predict(images): return odd_models.scores(images)\n'
      'predict.tfeval = {**odd_models.FED, "version": os.environ["VERSION"]}\n'
    )
    monkeypatch.setenv('VERSION', version)
    return loading.load_model('function:versioned:predict').backend.fingerprint()

  assert of('1') == of('1') != of('2')
  assert of('1') is not None
