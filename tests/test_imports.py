"""Imports point one way, and scoring never waits for TensorFlow."""

import ast
import functools
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

import tfeval

ROOT = pathlib.Path(tfeval.__file__).resolve().parent
HEAVY = {'tensorflow', 'keras', 'tensorflow_datasets'}
LIGHT_FILES = ('run.py', 'labels.py', 'settings.py', 'spec.py',
               'files.py', 'errors.py', 'answers.py', 'image_files.py', 'columns.py',
               'label_files.py', 'label_sets.py', 'summary.py', 'rated.py',
               'relabel.py', 'set_order.py', 'collectors.py', 'scoring.py',
               'display.py', 'verification.py', 'published.py', 'alignment.py',
               'comparison.py', 'flips.py', 'leaderboard.py', 'run_folder.py',
               'result_file.py', 'scored_rows.py', 'schemas.py', 'differences.py',
               'row_checks.py', 'result_checks.py', 'resume.py', 'hosts.py',
               'joining.py', 'termination.py', 'checkpoints.py', 'watched.py',
               'models/table.py', 'preprocess/protocol.py', 'cli/protocols.py',
               'cli/cache.py')
LIGHT_FOLDERS = ('metrics', 'reports', 'importing', 'predictions', 'image_cache')


def module_name(path: pathlib.Path) -> str:
  parts = ('tfeval', *path.relative_to(ROOT).with_suffix('').parts)
  return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


MODULES = {module_name(path): path for path in sorted(ROOT.rglob('*.py'))}
LIGHT = sorted(
    [module_name(ROOT / file) for file in LIGHT_FILES]
    + [module_name(file) for folder in LIGHT_FOLDERS
       for file in (ROOT / folder).rglob('*.py')])


def nodes(tree: ast.AST, inside_functions: bool) -> Iterator[ast.AST]:
  for child in ast.iter_child_nodes(tree):
    if inside_functions or not isinstance(
        child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
      yield child
      yield from nodes(child, inside_functions)


@functools.cache
def imports(module: str, inside_functions: bool) -> frozenset[str]:
  """Full names that a module imports, the packages above them included."""
  path, found = MODULES[module], set()
  package = module if path.name == '__init__.py' else module.rpartition('.')[0]
  for node in nodes(ast.parse(path.read_text('utf-8')), inside_functions):
    if isinstance(node, ast.Import):
      found.update(alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      base = node.module or ''
      if node.level:
        above = package.split('.')[:len(package.split('.')) - node.level + 1]
        base = '.'.join([*above, base] if base else above)
      found.update({base}, (f'{base}.{alias.name}' for alias in node.names))
  return frozenset(
      '.'.join(name.split('.')[:n]) for name in [module, *found]
      for n in range(1, name.count('.') + 2)) - {module}


@functools.cache
def loaded_with(module: str) -> frozenset[str]:
  """Everything that importing a module of tfeval imports, directly or not."""
  found, pending = set(), [module]
  while pending:
    name = pending.pop()
    if name not in found:
      found.add(name)
      pending += imports(name, inside_functions=False) if name in MODULES else ()
  return frozenset(found)


def test_the_analysis_sees_imports():
  # Were it blind, the tests below could not fail.
  assert 'tensorflow' in imports('tfeval.place', inside_functions=False)
  assert HEAVY <= loaded_with('tfeval.evaluation')
  assert 'tfeval.metrics.statistics' in loaded_with('tfeval.run')
  inside = imports('tfeval.cli.evaluate', inside_functions=True)
  assert 'tfeval.evaluation' in inside
  assert 'tfeval.evaluation' not in imports('tfeval.cli.evaluate',
                                            inside_functions=False)


@pytest.mark.parametrize('module', sorted(MODULES))
def test_only_the_command_line_imports_the_command_line(module):
  if not module.startswith('tfeval.cli') and module != 'tfeval.__main__':
    assert 'tfeval.cli' not in imports(module, inside_functions=True)


@pytest.mark.parametrize('module', LIGHT)
def test_no_tensorflow_right_of_the_store(module):
  for name in imports(module, inside_functions=True):
    assert name not in HEAVY
    assert not HEAVY & loaded_with(name), f'{module} imports {name}'


def test_scoring_and_tables_load_no_tensorflow():
  code = ('import sys, tfeval.run, tfeval.reports.tables\n'
          'print(*sorted({name.partition(".")[0] for name in sys.modules}))')
  loaded = subprocess.run([sys.executable, '-c', code], check=True,
                          capture_output=True, text=True).stdout.split()
  assert {'tfeval', 'numpy', 'pyarrow'} <= set(loaded)
  assert not HEAVY & set(loaded)
