"""README.md and the guides are right about flags and files; `tfeval guide`."""

import ast
import io
import re

import documents
import pytest
from documents import BUILD_NOTES, GUIDES, README

from tfeval import cli
from tfeval.cli import command_flags
from tfeval.reports import terminal
from tfeval.utils import budgets

DOCUMENTS = [README, *GUIDES]
TOPICS = [path.stem for path in GUIDES]


def by_name(path):
  return path.stem


@pytest.mark.parametrize('path', DOCUMENTS, ids=by_name)
def test_commands_have_the_flags_that_are_shown(path):
  for name, *arguments in documents.commands(path):
    given = [
      argument for argument in arguments if not argument.startswith('--flagfile')
    ]
    # An unknown command, an unknown flag or a wrong value raises.
    command_flags.parse(cli.command_module(name), name, given)
    assert name in cli.COMMANDS


def test_flags_in_texts_exist():
  known = {'flagfile', 'help', 'helpfull'}
  for name in cli.COMMANDS:
    flags, _ = command_flags.parse(cli.command_module(name), name, [])
    known |= set(flags)
  for path in DOCUMENTS:
    named = re.findall(r'(?<![\w-])--([a-z]\w*)', documents.prose(path))
    assert set(named) <= known, path.name


def test_every_command_is_in_the_table_of_the_readme():
  rows = re.findall(r'^\| `(\w+)` \|', README.read_text('utf-8'), re.MULTILINE)
  assert sorted(rows) == sorted(cli.COMMANDS)


@pytest.mark.parametrize('path', [*DOCUMENTS, BUILD_NOTES], ids=by_name)
def test_links_lead_somewhere(path):
  for target, anchor in documents.links(path):
    assert target.exists()
    assert not anchor or anchor in documents.anchors(target)


def test_readme_is_short_and_links_every_guide():
  assert len(README.read_text('utf-8').splitlines()) <= 200
  assert set(GUIDES) <= {target for target, _ in documents.links(README)}


@pytest.mark.parametrize('path', GUIDES, ids=by_name)
def test_a_guide_fits_a_terminal(path):
  title, empty, summary, after, *_ = path.read_text('utf-8').splitlines()
  assert title.startswith('# ') and not empty and not after
  assert 20 < len(summary) <= 60
  # Else the last words of a line of code would stand below it.
  for _, code in documents.blocks(path):
    assert max(map(len, code.splitlines())) <= 78


def test_topics_are_listed(tfeval):
  code, out, err = tfeval('guide')
  assert code == 0 and not err
  assert [line.split()[0] for line in out.splitlines()[2:-2]] == TOPICS


def test_a_guide_is_printed_as_it_is(tfeval):
  for path in GUIDES:
    code, out, err = tfeval('guide', path.stem)
    assert (code, out, err) == (0, path.read_text('utf-8'), '')


@pytest.mark.parametrize('path', GUIDES, ids=by_name)
def test_a_guide_in_a_terminal(path, monkeypatch):
  class Terminal(io.StringIO):
    def isatty(self):
      return True

  monkeypatch.setenv('COLUMNS', '100')
  monkeypatch.setenv('TERM', 'xterm')
  file = Terminal()
  terminal.print_markdown(path.read_text('utf-8'), file)
  lines = re.sub(r'\x1b\[[\d;]*m', '', file.getvalue()).splitlines()
  assert max(map(len, lines)) <= 80
  assert '\x1b[' in file.getvalue() and not any('```' in line for line in lines)


@pytest.mark.parametrize(
  'arguments, said',
  [
    (['model'], "unknown topic 'model': did you mean models?"),
    (['models', 'data'], 'one topic at a time, got models data'),
  ],
)
def test_topics_that_are_none(tfeval, arguments, said):
  code, out, err = tfeval('guide', *arguments)
  assert code == 2 and not out and said in err


def without_docstrings(code):
  tree = ast.parse(code)
  for node in ast.walk(tree):
    if isinstance(node, ast.Module | ast.FunctionDef) and ast.get_docstring(node):
      del node.body[0]
  return ast.unparse(tree)


def test_the_plug_in_of_the_guide_is_that_of_the_tests():
  (guide,) = (path for path in GUIDES if path.stem == 'plug_ins')
  package = documents.ROOT / 'tests/data/plugin_package'
  modules = (package / 'example_plugin').glob('[!_]*.py')
  assert sorted(map(without_docstrings, documents.python(guide))) == sorted(
    without_docstrings(path.read_text('utf-8')) for path in modules
  )
  (shown,) = (code for language, code in documents.blocks(guide) if language == 'toml')
  assert shown == (package / 'pyproject.toml').read_text('utf-8')


def test_files_that_build_notes_name_exist():
  named = set(
    re.findall(r'`([\w./]+\.(?:py|toml|tsv))`', BUILD_NOTES.read_text('utf-8'))
  )
  there = [
    path.as_posix()
    for folder in ('tfeval', 'tests', 'configs')
    for path in (documents.ROOT / folder).rglob('*.*')
  ]
  missing = {
    name for name in named if not any(path.endswith(f'/{name}') for path in there)
  }
  assert missing == {'datasets/imagenette.py'}  # An example of a new one.


SECURITY = next(path for path in GUIDES if path.stem == 'security')


def test_each_line_of_the_threat_model_has_a_test():
  text = SECURITY.read_text('utf-8')
  table = text.split('## What is held')[1].split('\n## ')[0]
  rows = [line for line in table.splitlines() if line.startswith('|')][2:]
  assert len(rows) >= 15
  for row in rows:
    named = re.findall(r'`(tests/[\w/]+\.py)`', row)
    assert named, row
    for path in named:
      assert (SECURITY.parents[2] / path).is_file(), path


def test_budgets_are_those_of_the_guide():
  text = SECURITY.read_text('utf-8')
  rows = [line for line in text.split('## Budgets')[1].splitlines() if '`' in line]
  named = set(re.findall(r'`([A-Z_]+)`', '\n'.join(rows)))
  known = {name: value for name, value in vars(budgets).items() if name.isupper()}
  assert named == known.keys() - {'MIB'}
  for row in rows:
    for name in re.findall(r'`([A-Z_]+)`', row):
      value = known[name]
      mib = f'{value // budgets.MIB} MiB'
      assert mib in row or f'{value:,}' in row or name == 'UNPACKED_RATIO', row
  assert f'{budgets.UNPACKED_RATIO} times the file' in text
