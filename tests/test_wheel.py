"""The built wheel, installed and used outside of the tree."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


def files(folder):
  """What lies in a package, but for what Python makes of it."""
  return {
    str(path.relative_to(folder))
    for path in folder.rglob('*')
    if path.is_file() and '__pycache__' not in path.parts
  }


@pytest.fixture(scope='module')
def installed(tmp_path_factory):
  """The folder that the wheel is installed in; built from a copy, without network."""
  folder = tmp_path_factory.mktemp('wheel')
  shutil.copytree(ROOT / 'tfeval', folder / 'source/tfeval')
  for name in ('setup.cfg', 'pyproject.toml', 'README.md', 'LICENSE'):
    shutil.copy(ROOT / name, folder / 'source')
  pip = [sys.executable, '-m', 'pip', '--quiet', '--disable-pip-version-check']
  offline = '--no-deps', '--no-index'
  wheel = [*pip, 'wheel', *offline, '--no-build-isolation', '-w', folder / 'wheels']
  subprocess.run([*wheel, folder / 'source'], check=True)
  target = folder / 'installed'
  install = [*pip, 'install', *offline, '--target', target]
  subprocess.run([*install, *(folder / 'wheels').glob('*.whl')], check=True)
  return target


def test_the_wheel_holds_every_file_of_the_package(installed):
  found = files(installed / 'tfeval')
  assert found == files(ROOT / 'tfeval')
  assert {
    'datasets/labels/classes.tsv',
    'datasets/sample.tsv',
    'models/models.tsv',
    'preprocess/protocols.toml',
    'py.typed',
    'runs/verification/index.schema.json',
    'runs/verification/result.schema.json',
  } <= found


def test_the_wheel_is_used_outside_of_the_tree(installed, tmp_path):
  def run(*command):
    environment = {**os.environ, 'PYTHONPATH': str(installed), 'COLUMNS': '80'}
    return subprocess.check_output(command, cwd=tmp_path, env=environment, text=True)

  location = run(sys.executable, '-c', 'import tfeval; print(tfeval.__file__)')
  assert pathlib.Path(location.strip()) == installed / 'tfeval/__init__.py'
  command = installed / 'bin/tfeval'
  assert run(command, '--version').startswith('tfeval ')
  assert 'ResNet50V2' in run(command, 'models')
  assert 'opencv' in run(command, 'protocols')
