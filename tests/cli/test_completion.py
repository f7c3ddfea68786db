"""Completion, by the shells themselves."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time

import pytest

from tfeval import cli
from tfeval.cli import command_flags, completable, completion
from tfeval.models import table
from tfeval.utils import flagfile

# What is typed, and what all of it may become.
TYPED = {
  'tfeval ev': ['evaluate'],
  'tfeval completion ': ['bash', 'fish', 'zsh'],
  'tfeval evaluate --batch_s': ['--batch_size='],
  'tfeval evaluate --mod': ['--model=', '--model_python='],
  'tfeval evaluate --nostore': ['--nostore_features', '--nostore_logits'],
  'tfeval evaluate --dtype=m': ['mixed_bfloat16', 'mixed_float16'],
  'tfeval evaluate --dtype m': ['mixed_bfloat16', 'mixed_float16'],
  'tfeval evaluate --batch_size=a': ['auto'],
  'tfeval evaluate --model=VGG': ['VGG16', 'VGG19'],
  'tfeval evaluate -m VGG': ['VGG16', 'VGG19'],
  'tfeval evaluate --dataset=imagenet_s': ['imagenet_sketch'],
  'tfeval evaluate --protocol=opencv_': ['opencv_float', 'opencv_ipp'],
  'tfeval evaluate --suite=rob': ['robust'],
  'tfeval score --metrics=brier,auro': ['brier,auroc'],
  'tfeval export --to=mo': ['model_index'],
  'tfeval sweep --axis=asp': ['aspect'],
  'tfeval sweep --labels_of=r': ['real'],
  'tfeval import --order=ru': ['runs'],
  'tfeval import --order=file': ['file_name'],
  'tfeval leaderboard --allow=d': ['data'],
  'tfeval leaderboard --sort=ru': [],
  'tfeval mistakes --of_class=ru': [],
  'tfeval score ru': ['runs'],
  'tfeval models VGG': ['VGG16', 'VGG19'],
  'tfeval guide sec': ['security'],
  'tfeval verify --verbosity=d': ['debug'],
}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp('completed')
  (folder / 'runs').mkdir()
  (folder / 'runs/mine').mkdir()
  for shell in ('bash', 'zsh', 'fish'):
    (folder / f'script.{shell}').write_text('\n'.join(completion.script(shell)))
  return folder


def shell(name):
  path = shutil.which(name)
  if path is None:
    pytest.skip(f'needs {name}, which is not installed')
  return path


def by_bash(folder, typed, breaks='= \t:'):
  """Returns what bash would put in place of its own last word, for each line."""
  lines = ['source script.bash', f"COMP_WORDBREAKS=$'{breaks}'"]
  for number, line in enumerate(typed):
    lines += [f"COMP_LINE='{line}' COMP_POINT={len(line)}", '_tfeval']
    lines.append(f'printf "{number}:%s\\n" "${{COMPREPLY[@]}}"')
  done = subprocess.run(
    [shell('bash'), '--norc', '-c', '\n'.join(lines)],
    cwd=folder,
    capture_output=True,
    text=True,
    check=True,
  )
  assert not done.stderr
  found = [[] for _ in typed]
  for line in done.stdout.splitlines():
    number, _, word = line.partition(':')
    found[int(number)] += [word] if word else []
  return found


def test_bash_completes_commands_flags_values_names_and_files(folder):
  for (line, expected), found in zip(
    TYPED.items(), by_bash(folder, TYPED), strict=True
  ):
    assert sorted(found) == expected, line
  typed = {
    'tfeval evaluate --batch-s': ['--batch_size='],
    'tfeval evaluate --dataset=folder:ru': ['runs'],
    'tfeval evaluate --dataset=fold': ['folder:'],
    'tfeval score runs/mi': ['runs/mine'],
    'tfeval evaluate --json ': [],
    'tfeval evaluate --limit=': [],
    'tfeval nosuch --x': [],
  }
  for (line, expected), found in zip(
    typed.items(), by_bash(folder, typed), strict=True
  ):
    assert found == expected, line


def test_bash_that_breaks_no_words_gets_whole_ones(folder):
  typed = ['tfeval evaluate --dtype=m', 'tfeval evaluate --dataset=folder:ru']
  assert by_bash(folder, typed, breaks=' ') == [
    ['--dtype=mixed_bfloat16', '--dtype=mixed_float16'],
    ['--dataset=folder:runs'],
  ]


def test_every_command_and_every_flag_is_completed(folder):
  (found,) = by_bash(folder, ['tfeval '])
  assert {*found} >= cli.COMMANDS.keys()
  for line, found in zip(
    cli.COMMANDS,
    by_bash(folder, [f'tfeval {one} -' for one in cli.COMMANDS]),
    strict=True,
  ):
    flags, _ = command_flags.parse(cli.command_module(line), line, [])
    names = {one.strip('-=') for one in found}
    assert names >= {*flags} - {'undefok'} | {'flagfile', 'help'}
  (found,) = by_bash(folder, ['tfeval evaluate --model='])
  assert {*found} >= {*table.known_models()}


def test_only_flags_that_take_paths_complete_files():
  paths = (
    'align beside cache_dir classes crops curve data_dir figure flagfile '
    'frost_textures golden import_module keep log_dir manual_dir model_python only '
    'other output output_dir output_file per_class predictions probabilities raters '
    'raters_golden real_labels report scores sets_dir write_groups'
  ).split()
  modules = {name: cli.command_module(name) for name in cli.COMMANDS}
  for one in completable.commands(modules, cli.COMMANDS):
    for flag in one.flags:
      values = flag.values
      if values is not None and values.files and not values.words:
        assert flag.name in paths, (one.name, flag.name)


def test_bash_is_told_of_the_function(folder):
  done = subprocess.run(
    [shell('bash'), '--norc', '-c', 'source script.bash; complete -p tfeval'],
    cwd=folder,
    capture_output=True,
    text=True,
    check=True,
  )
  assert done.stdout == 'complete -F _tfeval tfeval\n'


def test_fish_completes_the_same(folder):
  lines = ['source script.fish']
  for number, line in enumerate(TYPED):
    lines += [f"complete -C '{line}' | string replace -r '^' '{number}:'"]
  done = subprocess.run(
    [shell('fish'), '--no-config', '-c', '\n'.join(lines)],
    cwd=folder,
    capture_output=True,
    text=True,
    check=True,
    env={**os.environ, 'HOME': str(folder)},
  )
  found = [[] for _ in TYPED]
  for line in done.stdout.splitlines():
    number, _, word = line.split('\t')[0].partition(':')
    found[int(number)].append(word)
  for (line, expected), words in zip(TYPED.items(), found, strict=True):
    # fish puts no = behind a flag, and says the whole word.
    start = line.split(' ')[-1].rpartition('=')[0]
    words = sorted(word.removeprefix(f'{start}=').rstrip('/') for word in words)
    assert words == [word.rstrip('=') for word in expected], line


def typed_into_zsh(folder, lines):
  """Returns what stands on the line of an interactive zsh after each Tab."""
  path = shell('zsh')
  pid, terminal = pty.fork()
  if not pid:
    os.chdir(folder)
    os.environ.update(TERM='dumb', HOME=str(folder), COLUMNS='200')
    os.execv(path, [path, '-f', '-i'])
  seen = ''

  def wait_for(what):
    nonlocal seen
    seen, end = '', time.monotonic() + 20
    while what not in seen:
      assert time.monotonic() < end, seen
      if select.select([terminal], [], [], 0.1)[0]:
        seen += os.read(terminal, 1 << 16).decode(errors='replace')
        seen = re.sub(r'\x1b\[[0-9;?]*[A-Za-z]|\x07', '', seen)

  found = []
  try:
    setup = (
      "autoload -Uz compinit; compinit -u -D; source script.zsh; PS1=; echo rea''dy"
    )
    os.write(terminal, f'{setup}\n'.encode())
    wait_for('ready\r\n')
    for line, expected in lines:
      # Of what is not completed the end never comes.
      os.write(terminal, f'{line}\t'.encode())
      wait_for(expected)
      found.append(seen)
      os.write(terminal, b'\x15')  # Ctrl-U: the line is empty again.
  finally:
    os.close(terminal)
    os.waitpid(pid, 0)
  return found


def test_zsh_completes_what_is_typed(folder):
  cases = [
    ('tfeval ev', 'tfeval evaluate '),
    ('tfeval evaluate --batch_s', '--batch_size='),
    ('tfeval evaluate --output_dir=ru', '--output_dir=runs/'),
    ('tfeval evaluate --dataset=folder:ru', 'folder:runs/'),
    ('tfeval score --metrics=top1,temp', 'top1,temperature'),
    ('tfeval score ru', 'score runs/'),
    ('tfeval guide secu', 'guide security'),
    ('tfeval evaluate --dtype mixed_b', 'mixed_bfloat16'),
  ]
  assert len(typed_into_zsh(folder, cases)) == len(cases)


@pytest.mark.parametrize('name', ['bash', 'zsh', 'fish'])
def test_each_shell_can_read_its_script(folder, name):
  subprocess.run([shell(name), '-n', folder / f'script.{name}'], check=True)


def test_another_shell_is_refused(capfd):
  assert cli.main(['completion', 'tcsh']) == 2
  assert "unknown shell 'tcsh'" in capfd.readouterr().err
  assert cli.main(['completion']) == 2
  assert 'tfeval completion bash, zsh or fish' in capfd.readouterr().err


def test_the_script_for_bash_has_no_known_mistake(folder):
  beside = os.path.dirname(sys.executable)
  path = shutil.which('shellcheck', path=f'{beside}:{os.environ["PATH"]}')
  if path is None:
    pytest.skip('needs shellcheck')
  subprocess.run([path, '-s', 'bash', folder / 'script.bash'], check=True)


@pytest.mark.parametrize('name', ['bash', 'zsh'])
def test_scripts_know_every_letter(folder, name):
  text = (folder / f'script.{name}').read_text()
  for letter, flag in flagfile.SHORT.items():
    assert f'-{letter}) name={flag} ;;' in text
