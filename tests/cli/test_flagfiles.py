"""Flagfiles are data: read within bounds, named by file and line, starting nothing."""

import os

import nasty
import pytest
from absl import flags as absl_flags

from tfeval import cli
from tfeval.cli import command_flags
from tfeval.evaluation import trusted_values
from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.plans import flagfile as flagfile_of
from tfeval.evaluation.plans import requests
from tfeval.models import table
from tfeval.utils import flagfile
from tfeval.utils.errors import UserError


def parse(*arguments, command='evaluate'):
  return command_flags.parse(cli.command_module(command), command, list(arguments))


def write(path, *lines):
  path.write_text('\n'.join(lines) + '\n')
  return str(path)


def refused(*arguments, command='evaluate') -> str:
  with pytest.raises(UserError) as error:
    parse(*arguments, command=command)
  assert '\n' not in str(error.value)
  return str(error.value)


# What they say


def test_lines_are_parsed_as_absl_does(tmp_path):
  file = write(
    tmp_path / 'a',
    '--undefok=later,other',
    '--later=3',
    '--model',
    'A',
    '-model=B',
    '--nojit',
    '--trust_model',
    '--batch_size=3',
    '--batch_size=4',
    '--dataset=sample',
    '--',
    'rest',
    '--json',
  )
  flags, rest = parse(f'--flagfile={file}', '--trust_model')
  assert (flags.model, flags.jit, flags.batch_size) == (['A', 'B'], False, 4)
  assert (flags.json, rest) == (False, ['rest', '--json'])
  assert flags['batch_size'].present and not flags['limit'].present


def test_values_reach_commands_as_they_were_written(tmp_path):
  names = [*nasty.NAMES, nasty.ALL, nasty.SURROGATE]
  file = write(tmp_path / 'a', *(flagfile.line('labels', name) for name in names))
  flags, rest = parse(f'--flagfile={file}', command='score')
  assert (flags.labels, rest) == (names, [])


def test_a_file_that_names_another(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  write(tmp_path / 'inner', '--limit=5')
  write(tmp_path / 'second', '--split=x')
  outer = write(tmp_path / 'outer', '--flagfile', 'inner', '--flagfile=second')
  flags, _ = parse(f'--flagfile={outer}')
  assert (flags.limit, flags.split) == (5, 'x')


# What is wrong is named


@pytest.mark.parametrize(
  ('line', 'said'),
  [
    ('--modle=A', 'line 2: unknown command line flag'),
    ('--limit=0', 'line 2: flag --limit=0'),
    ('--nojson=3', 'line 2: --nojson=3 does not take an argument'),
    ('--split', 'line 2: missing value for flag --split'),
    ('--flagfile', 'line 2: --flagfile: expected the path of a file'),
    ('--flagfile=missing', 'line 2: cannot read missing: No such file'),
    ('--model:json=x', "line 2 has 'x', expected a JSON text"),
  ],
)
def test_a_mistake_is_named_by_file_and_line(tmp_path, line, said):
  file = write(tmp_path / 'a.flags', '--batch_size=3', line)
  message = refused(f'--flagfile={file}')
  assert said in message
  assert 'a.flags' in message


def test_the_circle_is_named(tmp_path):
  one = write(tmp_path / 'one', f'--flagfile={tmp_path / "two"}')
  two = write(tmp_path / 'two', '--limit=3', f'--flagfile={tmp_path / "one"}')
  assert refused(f'--flagfile={one}') == (
    f'{two}, line 2: {one} is being read already: leave it out'
  )


@pytest.mark.parametrize(
  ('make', 'what'),
  [
    (os.mkfifo, 'a named pipe'),
    (os.mkdir, 'a directory'),
    (lambda path: os.symlink('/dev/zero', path), 'a device'),
    (lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), 1 << 30), 'bytes'),
  ],
)
def test_what_cannot_be_read_is_not_opened(tmp_path, make, what):
  make(tmp_path / 'a')
  assert what in refused(f'--flagfile={tmp_path / "a"}')
  outer = write(tmp_path / 'outer', f'--flagfile={tmp_path / "a"}')
  assert f'{outer}, line 1: ' in refused(f'--flagfile={outer}')


def test_files_that_name_each_other_cost_no_more_than_one(tmp_path):
  files = [tmp_path / str(i) for i in range(12)]
  write(files[-1], '#' * 999)
  for one, inner in zip(files[:-1], files[1:], strict=True):
    write(one, *[f'--flagfile={inner}'] * 10)
  assert 'bytes or more, expected at most' in refused(f'--flagfile={files[0]}')
  chain = [tmp_path / f'chain{i}' for i in range(40)]
  for one, inner in zip(chain[:-1], chain[1:], strict=True):
    write(one, f'--flagfile={inner}')
  assert '16 deep' in refused(f'--flagfile={chain[0]}')


# What they may not say


@pytest.mark.parametrize(
  'line',
  [
    '--model=os:system:command=x',
    '--model:json="os:system"',
    '-model=my.module:build',
    '--preprocess=os:system',
    '--tpu=10.0.0.1',
    '--tpu=grpc://evil:8470',
    '--tf_data_service=evil:5050',
    '--import_module=os',
    '--dataset=kaggle:something',
    '--model=of_a_package',
    '--model=gs://bucket/mine.keras',
    '--output_dir=gs://bucket/runs',
    '--data_dir=https://example.com/data',
  ],
)
def test_what_starts_something_needs_trust_on_the_command_line(
  tmp_path, monkeypatch, line, caplog
):
  monkeypatch.setitem(vars(table.LOADERS), '_entry_points', {'of_a_package': None})
  file = write(tmp_path / 'a', '--limit=3', line, '--trust_model')
  name, _, value = line.lstrip('-').replace(':json', '').partition('=')
  message = refused(f'--flagfile={file}')
  assert message.startswith(f'{file}, line 2: --{name}=')
  assert '--trust_model on the command line' in message
  assert refused(f'--flagfile={file}', '--notrust_model') == message
  nested = write(tmp_path / 'nested', f'--flagfile={file}')
  assert message in refused(f'--flagfile={nested}')
  flags, _ = parse(f'--flagfile={file}', '--trust_model')
  assert flags.trust_model and flags[name].value in (value, [value], ['os:system'])
  # What is given beside the file is the user's own.
  own = '--model=ResNet50' if name == 'model' else f'--{name}=mine:own'
  assert not caplog.text
  flags, _ = parse(f'--flagfile={file}', own)
  assert not flags.trust_model
  assert f'{file}, line 3: `trust_model` of a flagfile does not count' in caplog.text
  flags, _ = parse('--model=os:system', '--limit=3')
  assert flags.model == ['os:system']


def test_what_only_names_data_needs_none(tmp_path):
  (tmp_path / 'os:system').mkdir()
  file = write(
    tmp_path / 'a',
    '--model=ResNet50',
    '--model=MobileNet:alpha=0.25',
    f'--model={tmp_path}/os:system',
    '--preprocess=tf',
    '--protocol=opencv:size=299',
    f'--dataset=folder:{tmp_path}',
    '--class_map=name',
    '--dataset=imagenet_v2/topimages:3.0.0',
    '--dataset=sample',
    '--strategy=default',
    '--tpu=local',
  )
  flags, _ = parse(f'--flagfile={file}')
  assert len(flags.model) == 3
  assert not flags.trust_model


def test_every_flag_that_takes_any_text_is_classed():
  """A new one needs trust until somebody has said that it starts nothing."""
  found = set()
  for command in cli.COMMANDS:
    defined = absl_flags.FlagValues()
    cli.command_module(command).define_flags(command_flags.Definer(defined, 'a'))
    for name in defined:
      flag = defined[name]
      free = type(flag.parser) in (
        absl_flags.ArgumentParser,
        absl_flags.ListParser,
        command_flags.TextOrAlone,
      )
      if free and not isinstance(flag, absl_flags.EnumFlag):
        found.add(name)
  unknown = found - trusted_values.ONLY_DATA - trusted_values._STARTS.keys()
  of_services = {'tf_data_service', 'beam_args'}
  assert unknown == {*of_services, 'model_python', 'import_module'}
  assert trusted_values.ONLY_DATA | trusted_values._STARTS.keys() <= found


# What runs write of themselves


@pytest.mark.parametrize('name', [*nasty.NAMES, nasty.ALL])
def test_the_flagfile_of_a_run_repeats_any_path(tmp_path, monkeypatch, name):
  folder = tmp_path / name.strip().replace('/', '')
  folder.mkdir()
  for file in ('mine.keras', 'map.txt'):
    (folder / file).touch()
  monkeypatch.chdir(folder)
  given = EvaluationConfig.of(
    dataset='folder:.',
    data_dir=f'{folder}/{name}'.replace('//', '/'),
    class_map='map.txt',
    split=name,
    output_name=name,
  )
  (request,) = requests(['mine.keras'], ['imagenet'])
  file = write(tmp_path / 'flags', flagfile_of(request, given).rstrip('\n'))
  monkeypatch.chdir('/')
  flags, rest = parse(f'--flagfile={file}')
  assert (flags.model, rest) == ([f'{folder}/mine.keras'], [])
  assert flags.dataset == [f'folder:{folder}']
  assert flags.class_map == f'{folder}/map.txt'
  assert (flags.split, flags.output_name) == (name, name)
  assert flags.data_dir == os.path.normpath(given.dataset.data_dir)
  # No flag of the name itself.
  assert flags['overwrite'].present == 0


def flags_of(*arguments, command='evaluate'):
  module = cli.command_module(command)
  return command_flags.parse(module, command, list(arguments))


@pytest.mark.parametrize(
  ('arguments', 'name', 'value'),
  [
    (['-m', 'VGG16', '-m=VGG19'], 'model', ['VGG16', 'VGG19']),
    (['-d', 'sample'], 'dataset', ['sample']),
    (['-b=8'], 'batch_size', 8),
    (['-b', 'auto'], 'batch_size', 'auto'),
    (['-o', '--no-such-place'], 'output_dir', '--no-such-place'),
    (['--batch-size=8'], 'batch_size', 8),
    (['--batch-size', '8'], 'batch_size', 8),
    (['--no-store-logits'], 'store_logits', False),
    (['--no-json'], 'json', False),
    (['--nostore-logits'], 'store_logits', False),
    (['--store-logits'], 'store_logits', True),
    (['--store-features=block-1'], 'store_features', 'block-1'),
    # Values are what they were.
    (['--name', '--batch-size'], 'name', ['--batch-size']),
    (['--output-dir=a-b_c'], 'output_dir', 'a-b_c'),
    (['--name=-m'], 'name', ['-m']),
  ],
)
def test_short_flags_and_words_joined_by_a_hyphen(arguments, name, value, tmp_path):
  flags, rest = flags_of(*arguments)
  assert (flags[name].value, rest) == (value, [])
  # In a flagfile as well, of one line each and of two.
  path = tmp_path / 'flags.txt'
  path.write_text('\n'.join(arguments))
  flags, rest = flags_of(f'--flagfile={path}')
  assert (flags[name].value, rest) == (value, [])


def test_behind_two_hyphens_nothing_is_a_flag():
  assert flags_of('--', '-m', '--batch-size')[1] == ['-m', '--batch-size']
  assert flags_of('runs-a/x', '-b', '4', command='evaluate')[1] == ['runs-a/x']


def test_a_letter_is_no_flag_of_a_command_that_lacks_it():
  with pytest.raises(UserError, match="unknown command line flag 'm'"):
    flags_of('-m', 'x', command='score')


def test_names_with_hyphens_start_nothing_that_others_could_not(tmp_path):
  for line in ('--import-module=evil', '-m=evil:build', '--model-python=/tmp/evil'):
    path = tmp_path / 'flags.txt'
    path.write_text(line)
    with pytest.raises(UserError, match='can run code'):
      flags_of(f'--flagfile={path}')
    assert flagfile.suspicious(flagfile.flags(path.read_bytes())) == [line]
