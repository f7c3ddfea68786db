"""What factories of PyTorch tell of their modules: right, or refused in a line."""

import os

import frameworks
import numpy as np
import pytest

from tfeval.models import loading
from tfeval.utils.errors import UserError

# An environment that has it may stand elsewhere.
PYTHON = os.environ.get('TFEVAL_TORCH_PYTHON')
pytestmark = pytest.mark.torch if PYTHON else frameworks.needs('torch')


def load(name):
  return loading.load_model(f'torch:own_modules:{name}', model_python=PYTHON)


def test_it_is_fed_what_it_says():
  model = load('of_numpy')
  assert (model.input_size, model.preprocess_name) == (32, 'unit')
  pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
  means = (pixels / 255).mean((1, 2)).sum(1, keepdims=True)
  expected = np.repeat(means * 0.5 + 0.25, 1000, 1)
  np.testing.assert_allclose(model(pixels), expected, atol=1e-5)
  assert model.backend.hardware()['kind'] in ('CPU', 'GPU')


@pytest.mark.parametrize(
  ('name', 'words'),
  [
    ('typo', r"unknown key 'preproces': did you mean preprocess\?"),
    ('unknown_output', "unknown output 'softmax': known: logits"),
    ('complex_', "output 'output' is of complex64: expected real numbers"),
    ('no_room', 'out of memory: CUDA out of memory. Tried to .*: it does not fit'),
  ],
)
def test_what_is_wrong_is_told_in_a_line(name, words):
  with pytest.raises(UserError, match=words) as caught:
    load(name)
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize('name', ['of_environment', 'versioned'])
def test_what_a_factory_reads_makes_another_model(name, monkeypatch):
  def fingerprint(by):
    monkeypatch.setenv('BY', by)
    return load(name).backend.fingerprint()

  assert fingerprint('1') == fingerprint('1') != fingerprint('2')


def test_a_module_by_its_name_and_the_softmax_at_its_end():
  assert load('softmax').output == 'probabilities'
  with pytest.raises(UserError, match='ends in a softmax'):
    loading.load_model(
      'torch:own_modules:softmax', model_python=PYTHON, output='logits'
    )
