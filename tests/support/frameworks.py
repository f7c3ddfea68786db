"""Marks of tests that drive a framework which neither tfeval nor `make test` needs."""

import importlib.util
from typing import Any

import pytest


def needs(*packages: str) -> list[Any]:
  """Returns the marks of tests of packages, which are skipped where these are not.

  Nothing is imported: other tests of the process do without them.
  """
  absent = [name for name in packages if importlib.util.find_spec(name) is None]
  of_torch = bool({'torch', 'torchvision', 'timm', 'transformers'} & {*packages})
  mark = pytest.mark.torch if of_torch else pytest.mark.frameworks
  reason = f'needs {", ".join(absent)}: make test-{mark.name}'
  return [mark, pytest.mark.skipif(bool(absent), reason=reason)]


def marked(*packages: str) -> Any:
  """Returns a decorator that gives a test the marks."""

  def mark(test: Any) -> Any:
    for one in needs(*packages):
      test = one(test)
    return test

  return mark
