"""Python code is known by what it does, wherever it is written."""

import functools
import importlib
import sys
import threading

import numpy as np
import pytest
import tensorflow as tf
from cells import cell

from tfeval.utils.code_digest import code_sha256

BASE = """
def preprocess(x, by=2):
  return helper(x) / SCALE + by
def helper(x):
  return x - MEAN
"""


def digest(source=BASE, **variables):
  known = {'SCALE': 2.0, 'MEAN': np.array([1.0, 2.0]), **variables}
  return code_sha256(cell(source, **known))


def test_the_same_code_is_the_same_wherever_it_is():
  assert digest() == digest('\n\n# Of another line.\n' + BASE) == digest(OTHER=3)


def test_whatever_it_uses_counts():
  found = [
    digest(),
    digest(BASE.replace('x - MEAN', 'x + MEAN')),
    digest(BASE.replace('by=2', 'by=3')),
    digest(SCALE=3.0),
    digest(MEAN=np.array([1.0, 2.5])),
    digest(MEAN=np.array([1, 2])),
  ]
  assert len({*found}) == len(found) and None not in found


def test_a_closure_and_arguments_count():
  def made(scale):
    return lambda x: x / scale

  assert code_sha256(made(2)) == code_sha256(made(2)) != code_sha256(made(3))
  part = functools.partial(made(2), x=1)
  assert code_sha256(part) != code_sha256(functools.partial(made(2), x=2))


def test_the_state_of_a_callable_counts():
  source = """
class Scaled:
  def __init__(self, by): self.by = by
  def __call__(self, x): return x * self.by
"""
  two, three = (cell(source, 'Scaled')(by) for by in (2, 3))
  assert code_sha256(two) == code_sha256(cell(source, 'Scaled')(2))
  assert code_sha256(two) != code_sha256(three)
  edited = cell(source.replace('x * self', 'x / self'), 'Scaled')(2)
  assert code_sha256(two) != code_sha256(edited)


def test_functions_that_call_each_other_end():
  source = """
def preprocess(n): return other(n - 1) if n else 0
def other(n): return preprocess(n - 1) + 1
"""
  assert digest(source) == digest(source) != digest(source.replace('+ 1', '+ 2'))


def test_what_only_this_process_has_is_not_known():
  lock = threading.Lock()
  assert code_sha256(lambda: lock) is None
  assert code_sha256(lambda: lock, whole=False) is not None


@pytest.mark.parametrize('kind', ['object', 'array', 'tensor'])
def test_what_a_class_or_its_objects_hold_counts(kind):
  source = """
class Config:
  def __init__(self, sign): self.sign = sign
class Scaled:
  BY = made(SIGN)
  def __call__(self, x): return x * self.BY
"""
  made = {'array': np.array, 'tensor': tf.constant}.get(kind)

  def held(sign):
    text = source.replace('made', 'Config') if made is None else source
    return code_sha256(cell(text, 'Scaled', SIGN=sign, made=made))

  assert held(1.0) == held(1.0) != held(-1.0)


def test_modules_in_packages_of_the_user_count(tmp_path, monkeypatch):
  package = tmp_path / 'some_helpers'
  package.mkdir()
  (package / '__init__.py').write_text('')
  monkeypatch.syspath_prepend(tmp_path)

  def found(code):
    for name in [one for one in sys.modules if one.startswith('some_helpers')]:
      monkeypatch.delitem(sys.modules, name)
    (package / 'part.py').write_text(code)
    source = (
      'import some_helpers.part\ndef preprocess(x): return some_helpers.part.scale(x)'
    )
    importlib.invalidate_caches()
    return code_sha256(cell(source))

  assert found('def scale(x): return x') != found('def scale(x): return -x + 1')
