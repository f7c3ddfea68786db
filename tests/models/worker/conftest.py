"""What the worker imports for tests lies beside them."""

import pathlib

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def importable(monkeypatch):
  monkeypatch.setenv('PYTHONPATH', str(pathlib.Path(__file__).parent))


@pytest.fixture(scope='session')
def pixels():
  """Noise: uint8 [6, 32, 32, 3]."""
  return np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3)).astype(np.uint8)
