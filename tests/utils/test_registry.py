"""Registries: lazy entries, other packages' entry points, unknown names."""

import sys

import pytest

from tfeval.utils.errors import UserError
from tfeval.utils.registry import Registry

GROUP = 'tfeval.tests_only'


@pytest.fixture
def plugin(tmp_path, monkeypatch):
  """Installs a package with entry points, as pip leaves one on the disk."""
  (tmp_path / 'tints.py').write_text('teal = "#008080"\nsize = 3\n')
  info = tmp_path / 'tint_pack-1.0.dist-info'
  info.mkdir()
  (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: tint-pack\n')
  (info / 'entry_points.txt').write_text(
    f'[{GROUP}]\nteal = tints:teal\nred = tints:teal\ntorn = tints:missing\n'
    'odd = tints:size\n'
  )
  monkeypatch.syspath_prepend(tmp_path)
  yield
  sys.modules.pop('tints', None)


def test_entry_is_imported_when_it_is_asked_for():
  sys.modules.pop('this', None)
  registry = Registry('poem', {'zen': 'this:s', 'none': 'no_such_module:x'})
  assert list(registry) == ['zen', 'none'] and 'this' not in sys.modules
  assert registry['zen'].startswith('Gur Mra')


def test_entry_points_of_other_packages(plugin):
  registry = Registry('tint', {'red': 1}, GROUP, lambda it: isinstance(it, str))
  assert registry['teal'] == '#008080'
  assert registry['red'] == 1  # Ours are never replaced.
  assert list(registry) == ['red', 'teal', 'odd', 'torn']
  assert 'teal' in registry and 'blue' not in registry


def test_entry_points_are_read_only_when_needed(monkeypatch):
  def fail(**_):
    raise AssertionError('read')

  monkeypatch.setattr('importlib.metadata.entry_points', fail)
  registry = Registry('tint', {'red': 1}, GROUP)
  assert registry['red'] == 1
  with pytest.raises(AssertionError, match='read'):
    list(registry)


def test_broken_entry_point_is_one_line_with_its_package(plugin):
  with pytest.raises(UserError) as error:
    Registry('tint', {}, GROUP)['torn']
  text = str(error.value)
  assert text.startswith(
    'tint torn of the package tint-pack cannot be loaded (tints:missing): '
    'AttributeError: '
  )
  assert '\n' not in text


def test_unknown_name_has_the_closest(plugin):
  with pytest.raises(UserError, match=r"unknown tint 'teel': did you mean teal\? hint"):
    Registry('tint', {'red': 1}, GROUP).get('teel', 'hint')


def test_what_is_of_another_kind_or_cannot_be_loaded(plugin, caplog):
  registry = Registry('tint', {'red': 'x:y'}, GROUP, lambda it: isinstance(it, str))
  registry.entries['red'] = 1
  with pytest.raises(UserError, match='tint odd of the package tint-pack is none: tin'):
    registry['odd']
  assert dict(registry.items()) == {'red': 1, 'teal': '#008080'}
  assert 'odd' in caplog.text and 'torn' in caplog.text
