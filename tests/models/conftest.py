"""What tests of loading share."""

import keras
import numpy as np
import pytest
from keras.src.utils import file_utils
from small_models import SIZE


@pytest.fixture(scope='module')
def images():
  return np.random.default_rng(0).uniform(0, 255, (3, SIZE, SIZE, 3)).astype('float32')


@pytest.fixture(scope='module')
def mobilenet():
  return keras.applications.MobileNet(
    alpha=0.25, weights=None, classifier_activation=None
  )


@pytest.fixture
def keras_home(tmp_path, monkeypatch):
  """An empty folder in place of ~/.keras, and no network."""
  monkeypatch.setattr(file_utils.config, 'keras_home', lambda: str(tmp_path / 'home'))
  for name in ('http_proxy', 'https_proxy'):
    monkeypatch.setenv(name, 'http://127.0.0.1:9')
  (tmp_path / 'home/models').mkdir(parents=True)
  return tmp_path / 'home/models'
