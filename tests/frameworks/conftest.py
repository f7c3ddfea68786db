"""Fixtures of tests of other frameworks."""

import importlib
import pathlib

import pytest

from tfeval.models.worker import child as program


@pytest.fixture
def child(monkeypatch):
  """Imports a module of the program that workers run, in this process."""
  monkeypatch.syspath_prepend(str(pathlib.Path(program.__file__).parent))
  return lambda name: importlib.import_module(f'tfeval_worker.{name}')
