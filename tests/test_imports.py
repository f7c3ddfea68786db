"""Packages import downwards only, and scoring never waits for TensorFlow."""

import ast
import pathlib
import re
import subprocess
import sys

import pytest
from import_picture import PACKAGES, Picture

import tfeval

PICTURE = Picture.of(pathlib.Path(tfeval.__file__).resolve().parent)
HEAVY = {'tensorflow', 'keras', 'tensorflow_datasets'}
LIGHT_PACKAGES = (
  'utils',
  'metrics',
  'runs',
  'analysis',
  'reports',
  'datasets.labels',
  'api',
  'cli',
)
# TFDS reads these labels.
NOT_LIGHT = {'tfeval.datasets.labels.multilabel'}
# What commands read before TensorFlow.
LIGHT_FILES = (
  'evaluation.config',
  'evaluation.libraries',
  'evaluation.pieces.trust',
  'evaluation.trusted_values',
  'evaluation.plans',
  'evaluation.pieces.claims',
  'evaluation.pieces.cost',
  'engine.cluster',
  'engine.cache.entries',
  'engine.cache.pruning',
  'models.conversion',
  'models.table',
  'models.published',
  'models.keras.checkpoints',
  'preprocess.protocol',
  'datasets',
  'datasets.folder_content',
  'datasets.tfds_names',
  'datasets.image_files',
)
# The library logs; these print for the command line, or when the process ends.
MAY_PRINT = {
  'tfeval.__main__',
  'tfeval.cli',
  'tfeval.cli.console',
  'tfeval.reports.terminal',
  'tfeval.utils.supervision',
  'tfeval.utils.termination',
}
# What sends a text to a file or terminal, beside `print`.
SENDING = {'write', 'writelines', 'writerow', 'writerows', 'write_text', 'out'}
# Texts of result.json and of flagfiles, which the command line reads.
NO_MESSAGES = re.compile(
  '.*, which --store_logits keeps|--(partial|store_logits)|'
  '(--|.* --)(flagfile|output_dir|model|weights|dataset)='
)
LIGHT = sorted(
  {f'tfeval.{name}' for name in LIGHT_FILES}
  | {m for m in PICTURE.modules if PICTURE.package_of(m) in LIGHT_PACKAGES} - NOT_LIGHT
)


def test_the_picture_sees_imports():
  # Were it blind, the tests below could not fail.
  assert 'tensorflow' in PICTURE.imports('tfeval.engine.forward', False)
  assert HEAVY <= PICTURE.loaded_with('tfeval.evaluation.evaluate')
  assert 'tfeval.metrics.intervals' in PICTURE.loaded_with('tfeval.runs.run')
  late = 'tfeval.evaluation.evaluate'
  assert late in PICTURE.imports('tfeval.cli.evaluate', inside_functions=True)
  assert late not in PICTURE.imports('tfeval.cli.evaluate', inside_functions=False)
  assert PICTURE.arrows()['cli', 'utils']


def test_every_file_is_in_a_package_that_has_a_floor():
  assert {PICTURE.package_of(m) for m in PICTURE.modules} == {
    None,
    '__main__',
    *PACKAGES,
  }


def test_every_directory_is_a_package():
  for path in PICTURE.modules.values():
    assert (path.parent / '__init__.py').is_file()


def test_imports_point_downwards():
  assert not PICTURE.upward()


def test_no_circle_of_files():
  assert not PICTURE.circles()


@pytest.mark.parametrize('module', LIGHT)
def test_light_packages_load_no_tensorflow(module):
  assert not HEAVY & PICTURE.loaded_with(module)


def test_scoring_and_tables_load_no_tensorflow():
  code = (
    'import sys, tfeval.runs.run, tfeval.reports.results\n'
    'print(*sorted({name.partition(".")[0] for name in sys.modules}))'
  )
  loaded = subprocess.run(
    [sys.executable, '-c', code], check=True, capture_output=True, text=True
  ).stdout.split()
  assert {'tfeval', 'numpy', 'pyarrow'} <= set(loaded)
  assert not HEAVY & set(loaded)


def test_scoring_loads_no_readers_of_label_files():
  """Whoever scores by the labels of the rows does not wait for them."""
  loaded = subprocess.run(
    [sys.executable, '-c', 'import sys, tfeval.cli.score; print(*sys.modules)'],
    check=True,
    capture_output=True,
    text=True,
  ).stdout.split()
  of_files = {'arrays', 'columns', 'devkit', 'files', 'matching', 'meanings', 'tables'}
  of_folders = {'class_numbers', 'resolution'}
  for name in of_files | of_folders:
    assert f'tfeval.datasets.labels.{name}' not in loaded


def test_only_the_command_line_prints():
  def prints(path):
    return any(
      isinstance(node, ast.Name) and node.id == 'print'
      for node in ast.walk(ast.parse(path.read_text('utf-8')))
    )

  printing = {m for m, path in PICTURE.modules.items() if prints(path)}
  assert printing & {'tfeval.cli', 'tfeval.reports.terminal'}
  assert printing <= MAY_PRINT


def test_only_one_module_sends_texts_of_reports():
  """There every word of a stranger is made printable; a new report cannot forget it."""

  def sends(path):
    return {
      node.func.attr
      for node in ast.walk(ast.parse(path.read_text('utf-8')))
      if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    } & SENDING

  sending = {
    m
    for m, path in PICTURE.modules.items()
    if PICTURE.package_of(m) in ('cli', 'reports') and sends(path)
  }
  # The console passes on what TensorFlow says; streams are what is written to.
  assert sending == {
    'tfeval.cli.console',
    'tfeval.cli.streams',
    'tfeval.reports.terminal',
  }
  drawing = {
    m
    for m in PICTURE.modules
    if {'csv', 'rich'} & PICTURE.imports(m, inside_functions=True)
    and PICTURE.package_of(m) in ('cli', 'reports')
  }
  assert not drawing - {'tfeval.reports.terminal'}


def test_only_the_command_line_writes_flags():
  def flags_in(path):
    tree = ast.parse(path.read_text('utf-8'))
    documentation = {
      node.value
      for node in ast.walk(tree)
      if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return {
      node.value
      for node in ast.walk(tree)
      if isinstance(node, ast.Constant) and isinstance(node.value, str)
      if node not in documentation and re.search(r'(^|[^\w-])--[a-z]', node.value)
      if not NO_MESSAGES.fullmatch(node.value)
    }

  writing = {m for m, path in PICTURE.modules.items() if flags_in(path)}
  assert 'tfeval.cli.relabel' in writing
  assert not {m for m in writing if not f'{m}.'.startswith('tfeval.cli.')}
