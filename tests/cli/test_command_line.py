"""The command line as its users and their scripts see it."""

import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys

import cv2
import keras
import limits
import numpy as np
import pytest

from tfeval import cli
from tfeval.cli import command_flags
from tfeval.models import table
from tfeval.utils import flagfile

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / 'configs'
COMMANDS = cli.COMMANDS
SIZE = 32


def tiny_model():
  """Answers the same wherever it is built."""
  inputs = keras.Input((SIZE, SIZE, 3))
  x = keras.layers.Rescaling(1 / 255)(inputs)
  x = keras.layers.AveragePooling2D(8)(x)
  x = keras.layers.Flatten()(x)
  initializer = keras.initializers.RandomNormal(seed=1)
  return keras.Model(
    inputs, keras.layers.Dense(1000, kernel_initializer=initializer)(x)
  )


MODEL = (
  f'--model={__name__}:tiny_model',
  '--preprocess=identity',
  '--protocol=slim:rounding=nearest',  # It is quick to be traced.
)


@pytest.fixture(scope='module')
def photos(noise):
  return noise


@pytest.fixture(scope='module')
def finished(photos, tmp_path_factory):
  """A complete run directory."""
  output = tmp_path_factory.mktemp('runs')
  assert (
    cli.main(
      ['evaluate', *MODEL, f'--dataset=folder:{photos}', f'--output_dir={output}']
    )
    == 0
  )
  (directory,) = output.iterdir()
  return directory


def assert_mistake(outcome, *words):
  """Holds that a command failed as it should for a mistake of its user."""
  code, out, err = outcome
  assert (code, out) == (2, '')
  strategy = r'(tfeval: strategy [^\n]+\n)?'
  progress = r'(\S+: preflight: \d+/\d+ images, [^\n]+ left\n)?'
  assert re.fullmatch(strategy + progress + r'tfeval: [^\n]+\n', err), err
  for word in words:
    assert word in err


def parse(*arguments, command='evaluate'):
  module = cli.command_module(command)
  flags, rest = command_flags.parse(module, command, list(arguments))
  return flags, rest


def test_help(tfeval):
  for flag in ('--help', '-h', 'help'):
    code, out, err = tfeval(flag)
    assert (code, err) == (0, '')
    assert all(command in out for command in COMMANDS)


@pytest.mark.parametrize('command', COMMANDS)
def test_help_of_a_command_shows_its_flags_and_no_others(tfeval, command):
  flags, _ = parse(command=command)
  known = {*flags} - {'undefok'} | {'flagfile'}
  code, out, err = tfeval(command, '--helpfull')
  assert (code, err) == (0, '')
  heading = r'^ {2,6}(?:-\w, )?--(?:\[no\])?(\w+)(?:[=[].*)?$'
  assert {*re.findall(heading, out, re.MULTILINE)} == known
  # Of many the short help has some with their texts, and the names of all others.
  code, out, err = tfeval(command, '--help')
  assert (code, err) == (0, '')
  assert {
    name.replace('[no]', '') for name in re.findall(r'--([\w[\]]+)', out)
  } >= known
  # Names of the others may stand alone in a line.
  texts = re.split(r'The\s+others:', out)[0]
  told = {*re.findall(heading, texts, re.MULTILINE)}
  assert len(told) == len(known) <= 21 or 8 <= len(told) <= 12
  assert tfeval(command, '--flag=x', '-h')[:2] == (0, out)


@pytest.mark.parametrize('columns', [80, 40])
@pytest.mark.parametrize('command', ['', *COMMANDS])
def test_help_fits_and_breaks_no_word(tfeval, command, columns, monkeypatch):
  monkeypatch.setenv('COLUMNS', '200')
  words = tfeval(*[command] * bool(command), '--helpfull')[1]
  monkeypatch.setenv('COLUMNS', str(columns))
  for flag in ('--help', '--helpfull'):
    _, out, _ = tfeval(*[command] * bool(command), flag)
    for line in out.splitlines():
      # What is longer is a word by itself, in which nothing could be broken.
      is_one = len(line.split()) == 1 and '|' not in line
      assert len(line) <= columns or is_one, line
  assert _words(out) == _words(words)


def _words(text):
  """Returns words, those joined that were broken behind `|`."""
  return re.sub(r'\|\s+', '|', text).split()


def test_short_flags_stand_in_the_help_of_each_command_that_has_them(tfeval):
  for command in COMMANDS:
    flags, _ = parse(command=command)
    out = tfeval(command, '--helpfull')[1]
    for letter, name in flagfile.SHORT.items():
      assert (f'  -{letter}, --{name}=' in out) == (name in flags)


def test_what_needs_no_tensorflow_does_not_import_it():
  calls = [
    ['--help'],
    ['--version'],
    ['models'],
    ['models', 'VGG16'],
    ['protocols', 'pil'],
    ['evaluate'],
    ['score', 'nothing'],
    ['evaluate', '--model=x'],
    ['evaluate', '--batch_size=0'],
    ['evaluate', '--model=ResNet50', '--protocol=x'],
    *[[command, '--help'] for command in COMMANDS],
  ]
  code = (
    'import sys\nfrom tfeval import cli\n'
    f'print([cli.main(call) for call in {calls}], file=sys.stderr)\n'
    'assert not {"tensorflow", "keras", "tensorflow_datasets"} & {*sys.modules}'
  )
  done = subprocess.run(
    [sys.executable, '-c', code], check=True, text=True, capture_output=True
  )
  assert done.stderr.splitlines()[-1] == str([0] * 5 + [2] * 5 + [0] * len(COMMANDS))


def test_version_and_no_command(tfeval):
  assert tfeval('--version') == (0, f'tfeval {cli.tfeval.__version__}\n', '')
  code, out, err = tfeval()
  assert (code, out) == (2, '')
  assert 'Usage: tfeval COMMAND' in err


@pytest.mark.parametrize(
  'arguments, words',
  [
    ('evaluat', "unknown command 'evaluat': did you mean evaluate?"),
    ('--flag', "unknown command '--flag'"),
    ('evaluate --modle=ResNet50', 'Did you mean: model, model_python?'),
    ('score --jsn', 'Did you mean: json?'),
    ('models --nothing_like_it', "unknown command line flag 'nothing_like_it'"),
    ('evaluate', 'no model was given'),
    ('evaluate ResNet50', 'models are given as --model=NAME'),
    ('evaluate --model=', 'an empty name'),
    ('evaluate --model=ResNet5', 'did you mean ResNet50'),
    ('evaluate --model=mobilenet', 'did you mean MobileNet'),
    ('evaluate --model=nowhere/model.keras', 'nowhere/model.keras does not exist'),
    ('evaluate --model=VGG16:x', 'is not key=value'),
    ('evaluate --model=VGG16 --model=VGG16', 'given twice'),
    ('evaluate --model=VGG16 --weights=a --weights=b', '2 --weights for 1 --model'),
    ('evaluate --model=VGG16 --protocol=opencw', 'did you mean opencv'),
    ('evaluate --model=VGG16 --strategy=mirored', '<auto|default|mirrored|'),
    (
      'evaluate --model=VGG16 --strategy=multi_worker --dataset=sample',
      'knows no hosts: set TF_CONFIG',
    ),
    ('evaluate --model=VGG16 --num_hosts=2 --dataset=sample', 'give both or none'),
    ('evaluate --model=VGG16 --devices=0', 'devices=0: 0 is not a'),
    ('evaluate --model=VGG16 --output=softmax', '<logits|probabilities|sigmoid>'),
    ('evaluate --model=VGG16 --batch_size=0', 'batch_size=0: 0 is not a'),
    ('evaluate --model=VGG16 --batch_size=-1', 'batch_size=-1: -1 is not a'),
    ('evaluate --model=VGG16 --batch_size=abc', "'abc'"),
    ('evaluate --model=VGG16 --batch_size', 'missing value for flag --batch_size'),
    ('evaluate --model=VGG16 --limit=0', 'limit=0: 0 is not a'),
    ('evaluate --model=VGG16 --json=maybe', 'json=maybe'),
    ('evaluate --verbosity=loud', '<error|warning|info|debug>'),
    ('evaluate --flagfile=nowhere.flags', 'nowhere.flags'),
    ('evaluate --flagfile', 'flagfile'),
    ('evaluate --model=VGG16 --dataset=imagenet2012_rael', 'imagenet2012_real'),
    ('evaluate --model=VGG16 --dataset=folder:', 'does not exist'),
    ('evaluate --model=VGG16 --dataset=folder:/nowhere', 'does not exist'),
    ('score', 'no run was given'),
    ('score nowhere', 'nowhere is not a run directory'),
    ('models ResNet50 VGG16', 'one model at a time, got ResNet50 VGG16'),
    ('models resnet50', "unknown model 'resnet50': did you mean ResNet50"),
    ('models nowhere.keras', "unknown model 'nowhere.keras'"),
    ('models MobileNet:alpha=0.3', 'lists those that have some'),
    ('models MobileNet:0.5', "'MobileNet:0.5'"),
    ('models --filter=resnet51', '--filter=resnet51: no model has that in its name'),
    ('models VGG16 --filter=vgg', 'VGG16 and --filter were both given'),
  ],
)
def test_mistakes_are_told_in_one_line(tfeval, arguments, words):
  assert_mistake(tfeval(*arguments.split()), words)


def test_mistakes_in_data_and_models_are_told_in_one_line(tfeval, photos, tmp_path):
  data = f'--dataset=folder:{photos}'
  output = f'--output_dir={tmp_path / "runs"}'
  for arguments, words in [
    (['--model=VGG16', '--weights=nowhere.h5'], "'nowhere.h5' does not exist"),
    ([f'--model={__name__}:tiny_modle', MODEL[1]], "no function 'tiny_modle'"),
    ([MODEL[0]], '--preprocess'),
    ([*MODEL, '--input_size=64'], 'takes images of 32 pixels'),
    ([*MODEL, '--output=probabilities'], 'give --output=logits'),
  ]:
    assert_mistake(tfeval('evaluate', data, output, *arguments), words)
  assert not list(tmp_path.rglob('result.json'))


def test_an_unknown_split_names_the_known_ones(tfeval, tmp_path):
  prepare = ('evaluate', *MODEL, '--dataset=sample', f'--data_dir={tmp_path}')
  code, out, err = tfeval(*prepare, '--split=train')
  assert (code, out) == (2, '')
  assert err.splitlines()[-1] == (
    "tfeval: unknown split of sample 'train': known: validation"
  )
  assert_mistake(tfeval(*prepare, '--split=valid'), 'did you mean validation')


def test_debug_shows_a_traceback_and_keeps_the_exit_code(tfeval):
  mistake = ('evaluate', '--model=ResNet5')
  code, out, err = tfeval(*mistake, '--verbosity=debug')
  assert (code, out) == (2, '')
  assert 'Traceback (most recent call last)' in err
  assert err.splitlines()[-1].startswith("tfeval: unknown model 'ResNet5'")
  assert_mistake(tfeval(*mistake))
  assert_mistake(tfeval('evaluate', '--no_such_flag'))


def test_interrupted(tfeval, monkeypatch):
  def interrupt(*_):
    raise KeyboardInterrupt

  monkeypatch.setattr('tfeval.cli.models.run', interrupt)
  assert tfeval('models') == (130, '', 'tfeval: interrupted\n')


def test_a_check_that_did_not_hold(tfeval, monkeypatch):
  def fail(*_):
    raise cli.errors.CheckFailed('top1 is 1 lower')

  monkeypatch.setattr('tfeval.cli.models.run', fail)
  assert tfeval('models') == (1, '', 'tfeval: top1 is 1 lower\n')


@pytest.mark.parametrize('arguments', ['models', 'models --json', 'evaluate --help'])
def test_a_reader_that_left_is_no_error(arguments):
  reader, writer = os.pipe()
  os.close(reader)
  try:
    done = subprocess.run(
      [sys.executable, '-m', 'tfeval', *arguments.split()],
      stdout=writer,
      stderr=subprocess.PIPE,
      check=False,
    )
  finally:
    os.close(writer)
  assert (done.returncode, done.stderr) == (0, b'')


def write(path, *lines):
  path.write_text('\n'.join(lines))
  return path


def test_flags_given_replace_those_of_the_file(tmp_path):
  file = write(
    tmp_path / 'a.flags',
    '# a comment',
    '--model=A',
    '--model=B',
    '',
    '--weights=x',
    '--batch_size=3',
    '--json',
  )
  flags, rest = parse(f'--flagfile={file}')
  assert (flags.model, flags.weights, flags.batch_size) == (['A', 'B'], ['x'], 3)
  assert (flags.json, rest) == (True, [])
  for form in (
    [f'--flagfile={file}'],
    ['--flagfile', str(file)],
    [f'-flagfile={file}'],
  ):
    for own in (
      ['--model=C', '--weights=y', '--weights=z', '--nojson'],
      ['--model', 'C', '--weights', 'y', '--weights', 'z', '--json=false'],
    ):
      for arguments in (form + own, own + form):
        flags, rest = parse(*arguments)
        assert (flags.model, flags.weights) == (['C'], ['y', 'z'])
        assert (flags.batch_size, flags.json, rest) == (3, False, [])


def test_nested_flagfiles(tmp_path):
  inner = write(tmp_path / 'inner.flags', '--model=A', '--limit=5', '--batch_size=3')
  outer = write(tmp_path / 'outer.flags', f'--flagfile={inner}', '--batch_size=4')
  flags, _ = parse(f'--flagfile={outer}')
  assert (flags.model, flags.limit, flags.batch_size) == (['A'], 5, 4)
  flags, _ = parse('--limit=6', f'--flagfile={outer}', '--model=B')
  assert (flags.model, flags.limit, flags.batch_size) == (['B'], 6, 4)


def test_arguments_of_a_flagfile_and_beside_it(tmp_path):
  file = write(tmp_path / 'a.flags', 'RUN1', '--json')
  flags, rest = parse('RUN2', f'--flagfile={file}', 'RUN3', command='score')
  assert (flags.json, rest) == (True, ['RUN1', 'RUN2', 'RUN3'])


def test_bad_flagfiles(tfeval, tmp_path):
  file = write(tmp_path / 'a.flags', '--modle=A')
  assert_mistake(tfeval('evaluate', f'--flagfile={file}'), 'Did you mean: model, ')
  file = write(tmp_path / 'b.flags', '--limit=0')
  assert_mistake(tfeval('evaluate', f'--flagfile={file}'), '--limit=0')
  assert_mistake(tfeval('evaluate', f'--flagfile={tmp_path}'), 'flagfile')
  (tmp_path / 'c.flags').write_bytes(b'\xff\xfe\x00')
  assert_mistake(tfeval('evaluate', f'--flagfile={tmp_path / "c.flags"}'), 'not text')


@pytest.mark.parametrize('path', sorted(CONFIGS.glob('*.flags')), ids=lambda p: p.stem)
def test_documented_experiments_parse(path):
  flags, rest = parse(f'--flagfile={path}')
  assert flags.model
  assert rest == []


def test_evaluate_prints_json_and_nothing_else(tfeval, photos, tmp_path):
  command = (
    'evaluate',
    *MODEL,
    f'--dataset=folder:{photos}',
    '--limit=4',
    '--json',
    f'--output_dir={tmp_path}',
  )
  code, out, err = tfeval(*command)
  assert code == 0
  (result,) = json.loads(out)
  assert result['dataset']['partial'] is True
  assert result['metrics'][0]['count'] == 4
  line = r': 4/4 images, \d+ images/s, 0 s left'
  assert re.fullmatch(
    r'tfeval: strategy default, 1 x CPU\n'
    rf'\S+:tiny_model: preflight{line}\n\S+:tiny_model{line}, top-1 \d+\.\d\d %\n'
    r'tfeval: the result and the predictions are in \S+\n',
    err,
  )
  # A factory may return another model every time.
  assert_mistake(tfeval(*command), 'a model without a weights file', '--overwrite')
  assert tfeval(*command, '--overwrite')[0] == 0


def test_a_complete_run_is_shown_as_it_is(tfeval, photos, tmp_path):
  tiny_model().save(tmp_path / 'tiny.keras')
  command = (
    'evaluate',
    f'--model={tmp_path}/tiny.keras',
    *MODEL[1:],
    f'--dataset=folder:{photos}',
    '--limit=2',
    '--json',
    f'--output_dir={tmp_path}/runs',
  )
  code, out, _ = tfeval(*command)
  assert code == 0
  code, again, err = tfeval(*command)
  assert (code, again) == (0, out)
  assert re.fullmatch(
    r'tfeval: (\S+) is complete: shown as it is, .*\(.*\)\n'
    r'tfeval: the result and the predictions are in \1\n',
    err,
  )


def test_evaluate_prints_a_table(tfeval, photos, tmp_path):
  code, out, _ = tfeval(
    'evaluate',
    *MODEL,
    f'--dataset=folder:{photos}',
    f'--output_dir={tmp_path}',
    '--show_examples=2',
  )
  assert code == 0
  assert 'top-5' in out
  assert out.count('ILSVRC2012_val') == 2
  assert '10 of the 50000 validation images' in ' '.join(out.split())


def test_flagfile_of_a_run_repeats_it(tfeval, finished, tmp_path):
  command = (
    'evaluate',
    f'--flagfile={finished / "flags.txt"}',
    '--json',
    f'--output_dir={tmp_path}',
    '--batch_size=3',
  )
  # It names a function, which somebody else may have written into it.
  assert_mistake(tfeval(*command), 'flags.txt, line 1: --model=', '--trust_model')
  code, out, _ = tfeval(*command, '--trust_model')
  assert code == 0
  (result,) = json.loads(out)
  first = json.loads((finished / 'result.json').read_text())
  for key in ('model', 'dataset', 'protocol', 'metrics'):
    assert result[key] == first[key]
  assert result['compute']['batch_size'] == 3


def test_score_agrees_with_evaluate(tfeval, finished):
  code, out, err = tfeval('score', finished, finished, '--json')
  assert (code, err) == (0, '')
  first = json.loads((finished / 'result.json').read_text())
  assert json.loads(out) == [first, first]
  code, out, err = tfeval('score', finished)
  assert (code, err) == (0, '')
  assert 'tiny_model' in out


def test_evaluations_are_verified(tfeval, finished, photos, tmp_path):
  """Those of a part, with all outputs, and with an image that cannot be decoded."""
  folder = copy(photos, tmp_path / 'photos')
  broken = sorted(folder.iterdir())[3]
  broken.write_bytes(broken.read_bytes()[:50])
  output = tmp_path / 'runs'
  assert (
    tfeval(
      'evaluate',
      *MODEL,
      f'--dataset=folder:{folder}',
      '--limit=6',
      '--on_error=skip',
      '--store_logits',
      f'--output_dir={output}',
    )[0]
    == 0
  )
  (run,) = output.iterdir()
  code, out, err = tfeval('verify', run, finished)
  assert (code, err) == (0, '')
  assert '5 evaluated and 1 failed of 6' in out
  code, out, err = tfeval('score', run, '--metrics=top10,nll,brier,ece', '--json')
  metrics = {m['name']: m for m in json.loads(out)[0]['metrics']}
  assert (code, err) == (0, '')
  assert all(m['count'] == 5 and m['value'] is not None for m in metrics.values())


def copy(source, target, *without):
  for path in sorted(source.rglob('*')):
    if path.is_file() and path.name not in without:
      there = target / path.relative_to(source)
      there.parent.mkdir(parents=True, exist_ok=True)
      there.write_bytes(path.read_bytes())
  return target


def test_score_says_where_the_result_differs(tfeval, finished, tmp_path):
  run = copy(finished, tmp_path / 'run')
  result = json.loads((run / 'result.json').read_text())
  metric = result['metrics'][0]
  truth, count = metric['correct'], metric['count']
  metric['correct'] = 9
  (run / 'result.json').write_text(json.dumps(result))
  assert_mistake(tfeval('score', run), f'metrics[0]: value is {truth / count}')
  metric['value'] = 9 / count
  metric['interval'].update(low=0.0, high=1.0)
  (run / 'result.json').write_text(json.dumps(result))
  code, out, err = tfeval('score', run, '--json')
  assert code == 0
  assert err == (
    f'tfeval: {run}: the stored predictions give other metrics than its result.json: '
    f'original/top1 is {900 / count:.2f} % (9 of {count}) there, the rows give '
    f'{100 * truth / count:.2f} % ({truth} of {count}); these are those of the '
    'predictions\n'
  )
  assert json.loads(out)[0]['metrics'][0]['correct'] == truth
  code, out, _ = tfeval('leaderboard', run, '--json')
  said = [one for one in json.loads(out)['remarks'] if 'original/top1 is' in one]
  assert (code, len(said)) == (0, 1)
  _, out, _ = tfeval('compare', run, finished)
  assert f'{run}: the stored predictions' in ' '.join(out.split())


def test_score_refuses_what_is_not_whole(tfeval, finished, tmp_path):
  incomplete = copy(finished, tmp_path / 'incomplete', 'result.json')
  assert_mistake(tfeval('score', incomplete), 'is not complete', '--flagfile=')
  assert_mistake(tfeval('score', finished, incomplete), 'is not complete')
  torn = copy(finished, tmp_path / 'torn')
  (part,) = torn.rglob('part-*.parquet')
  part.write_bytes(part.read_bytes()[:-9])
  assert_mistake(tfeval('score', torn), part.name)
  # A folder stands for the runs in it.
  assert_mistake(tfeval('score', tmp_path), 'is not complete')
  (tmp_path / 'empty').mkdir()
  assert_mistake(tfeval('score', tmp_path / 'empty'), 'not a run directory')


def test_models(tfeval, monkeypatch):
  monkeypatch.setenv('COLUMNS', '80')
  code, out, err = tfeval('models')
  assert (code, err) == (0, '')
  # No name is broken, and no line of a terminal.
  assert [line.split()[0] for line in out.splitlines()[3:-3]] == [
    row.name for row in table.rows()
  ]
  assert max(len(line) for line in out.splitlines()) <= 80
  (line,) = (line for line in out.splitlines() if line.startswith('ResNet50 '))
  assert line.split() == ['ResNet50', '224', '25.6', '3.86', '74.9', '92.1']
  code, out, err = tfeval('models', '--json')
  assert (code, err) == (0, '')
  models = json.loads(out)
  assert [model['name'] for model in models] == [row.name for row in table.rows()]
  assert set(models[0]) == {field.name for field in dataclasses.fields(table.rows()[0])}


@pytest.mark.parametrize(
  'text, count',
  [
    ('v2', 33),
    ('RESNET*V2', 3),
    ('ResNet??', 1),
    ('[128,128,3]', 8),
    ('*', 83),
    ('', 83),
  ],
)
def test_models_are_filtered(tfeval, text, count):
  code, out, err = tfeval('models', f'--filter={text}', '--json')
  assert (code, len(json.loads(out)), err) == (0, count, '')
  code, out, err = tfeval('models', f'--filter={text}')
  assert (code, len(out.splitlines()), err) == (0, count + 6, '')


def test_weights_of_torchvision_are_listed(tfeval):
  code, out, err = tfeval('models', '--filter=torchvision:*')
  assert (code, err) == (0, '')
  assert 'Sources: torchvision.models 0.29.1' in out
  assert '- all: quantised weights are others' in out
  assert '- inception_v3:weights=IMAGENET1K_V1: 299 pixels of 342' in out
  code, out, _ = tfeval('models', '--filter=torchvision:vgg1?', '--json')
  assert (code, len(json.loads(out))) == (0, 4)


@pytest.mark.parametrize('row', table.rows(), ids=lambda row: row.name)
def test_a_model_is_explained(tfeval, monkeypatch, row):
  monkeypatch.setenv('COLUMNS', '80')
  code, out, err = tfeval('models', row.name)
  assert (code, err) == (0, '')
  assert max(len(line) for line in out.splitlines()) <= 80
  words = ''.join(out.split())
  for text in (
    row.name,
    row.weights_file,
    row.published_source,
    row.native_source,
    row.published_protocol or '',
    row.native_protocol or '',
    *row.traps,
  ):
    assert ''.join(text.split()) in words
  code, out, err = tfeval('models', row.name, '--json')
  assert (code, err) == (0, '')
  assert json.loads(out) == {**dataclasses.asdict(row), 'traps': list(row.traps)}


def test_a_model_is_found_however_it_is_written(tfeval):
  expected = tfeval('models', 'MobileNet:alpha=0.25,input_shape=[128,128,3]')
  assert expected[0] == 0
  assert tfeval('models', 'MobileNet:input_shape=(128,128,3),alpha=.25') == expected


def test_explaining_a_model_names_its_protocols(tfeval):
  _, out, _ = tfeval('models', 'ResNet50V2')
  assert 'opencv:size=299: Short side to size / 0.875' in out
  assert 'slim:size=299: Central 0.875 of each side' in out
  # What a protocol does is not said of one that was made to do something else.
  assert 'tf with' in tfeval('models', 'EfficientNetV2S')[1]


def test_a_full_disk_leaves_no_result(tfeval, photos, tmp_path):
  """No file may hold 4096 bytes, so the predictions do not fit."""
  with limits.largest_file(4096):
    code, out, err = tfeval(
      'evaluate',
      *MODEL,
      f'--dataset=folder:{photos}',
      '--store_logits',
      f'--output_dir={tmp_path}',
    )
  assert (code, out) == (2, '')
  assert 'cannot write' in err.splitlines()[-1]
  assert 'part-00000.parquet: File too large: make room' in err
  assert 'Traceback' not in err
  assert list(tmp_path.rglob('manifest.json'))
  assert not [*tmp_path.rglob('result.json'), *tmp_path.rglob('*.tmp')]


@pytest.mark.slow
def test_a_broken_image_is_one_line(tmp_path):
  """In a process of its own: TensorFlow's C++ code writes past Python's stderr."""
  folder = tmp_path / 'photos'
  folder.mkdir()
  noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
  whole = cv2.imencode('.jpg', noise)[1].tobytes()
  (folder / 'ILSVRC2012_val_00000001.JPEG').write_bytes(whole)
  (folder / 'ILSVRC2012_val_00000002.JPEG').write_bytes(whole[: len(whole) // 2])
  done = subprocess.run(
    [
      sys.executable,
      '-m',
      'tfeval',
      'evaluate',
      *MODEL,
      f'--dataset=folder:{folder}',
      f'--output_dir={tmp_path / "runs"}',
    ],
    capture_output=True,
    text=True,
    cwd=pathlib.Path(__file__).parent,
    env={**os.environ, 'PYTHONPATH': os.path.dirname(limits.__file__)},
    check=False,
  )
  assert_mistake(
    (done.returncode, done.stdout, done.stderr),
    'example ILSVRC2012_val_00000002.JPEG is not a readable image',
    'truncated or damaged JPEG',
  )
  assert not list(tmp_path.rglob('result.json'))
