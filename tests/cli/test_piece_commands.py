"""`tfeval plan`, `work` and `join`: what they print, refuse and give to programs."""

import json
import re

import in_pieces
import pytest
from evaluations import make_inputs

import tfeval as package
from tfeval.utils.errors import UserError

COMMANDS = ('plan', 'work', 'join')


@pytest.fixture(scope='module')
def flags(tmp_path_factory):
  flags = make_inputs(tmp_path_factory.mktemp('inputs'), 5)[1:]
  return [*flags, '--batch_size=2', '--piece_images=2']


@pytest.fixture(autouse=True)
def columns(monkeypatch):
  monkeypatch.setenv('COLUMNS', '80')


def fits(text):
  # Paths stand in a line of their own length.
  return all(len(line) <= 80 for line in text.splitlines() if '/' not in line)


def refused(tfeval, *command):
  code, out, err = tfeval(*command)
  assert (code, out) == (2, '') and err.startswith('tfeval: '), err
  assert err.count('\n') == 1 and len(err) < 600, err
  return err


@pytest.mark.parametrize('command', COMMANDS)
def test_help_is_of_eighty_columns_and_has_examples(tfeval, command):
  code, out, _ = tfeval(command, '--help')
  assert code == 0 and f'\nUsage: tfeval {command} ' in out
  assert max(map(len, out.splitlines())) <= 80
  assert f'  tfeval {command} ' in out
  code, every, _ = tfeval(command, '--helpfull')
  assert code == 0 and max(map(len, every.splitlines())) <= 80


def test_json_of_each_command_is_all_of_stdout(tfeval, flags, tmp_path):
  code, out, err = tfeval('plan', *flags, f'--output_dir={tmp_path}', '--json')
  plan = json.loads(out)
  assert code == 0 and plan['plan'] == str(tmp_path / 'plan.json'), err
  assert (plan['pieces'], plan['images'], plan['piece_images']) == (3, 5, 2)
  (run,) = plan['runs']
  assert (run['directory'], run['first_piece'], run['pieces']) == ('small.keras', 0, 3)
  assert re.fullmatch('[0-9a-f]{12}', plan['id']) and plan['missing'] == []
  code, out, _ = tfeval('work', tmp_path, '--piece=0-1', '--json')
  assert code == 0
  expected = {'pieces': 3, 'done': 2, 'images': 4, 'found': 0, 'failed': []}
  assert json.loads(out) == expected
  code, out, err = tfeval('join', tmp_path, '--json')
  assert code == 2 and out == '' and '1 of 3 pieces are not done (2)' in err
  code, out, _ = tfeval('work', tmp_path / 'plan.json', '--piece=1/2', '--json')
  assert code == 0 and json.loads(out)['done'] == 1 and json.loads(out)['found'] == 1
  code, out, err = tfeval('join', tmp_path, '--json')
  (result,) = json.loads(out)
  assert code == 0 and result['dataset']['evaluated'] == 5, err


def test_what_people_read_fits_their_terminal(tfeval, flags, tmp_path):
  for command in (
    ('plan', *flags, f'--output_dir={tmp_path}'),
    (
      'plan',
      *flags,
      f'--output_dir={tmp_path}',
      '--workers=3',
      '--images_per_second=9',
    ),
    ('work', tmp_path, '--piece=0'),
    ('work', tmp_path, '--most=1'),
    ('work', tmp_path),
    ('work', tmp_path),
    ('join', tmp_path),
  ):
    code, out, err = tfeval(*command)
    assert code == 0 and out and fits(out), (out, err)


def test_the_same_plan_is_left_and_another_refused(tfeval, flags, tmp_path):
  where = f'--output_dir={tmp_path}'
  assert tfeval('plan', *flags, where)[0] == 0
  before = (tmp_path / 'plan.json').stat()
  code, _, err = tfeval('plan', *flags, where)
  assert code == 0 and 'the same plan is there already' in err
  assert (tmp_path / 'plan.json').stat().st_mtime_ns == before.st_mtime_ns
  other = (*in_pieces.without(flags, '--piece_images'), '--piece_images=4', where)
  assert 'is another plan' in refused(tfeval, 'plan', *other)
  assert (tmp_path / 'plan.json').stat().st_mtime_ns == before.st_mtime_ns
  assert tfeval('plan', *other, '--overwrite')[0] == 0
  assert json.loads((tmp_path / 'plan.json').read_text())['piece_images'] == 4


@pytest.mark.parametrize(
  'expected, code',
  [
    pytest.param('original/top1:0:0', 0, marks=pytest.mark.slow),
    ('original/top1:0.9:0.01', 1),
    pytest.param('original/top9:0:0', 2, marks=pytest.mark.slow),
  ],
)
def test_a_join_may_be_held_to_what_is_expected(
  tfeval, flags, tmp_path, expected, code
):
  planned = in_pieces.plan(flags, tmp_path)
  in_pieces.do(planned)
  found, _, err = tfeval('join', tmp_path, f'--expect={expected}')
  assert found == code, err


@pytest.mark.parametrize(
  'command, words',
  [
    (('plan', 'suite'), 'suite'),
    (('plan', 'evaluate', 'more'), 'more'),
    (('plan', '--axis=resize'), '--axis and --grid are of a sweep'),
    (('plan', '--grid'), '--axis and --grid are of a sweep'),
    (('plan', 'sweep', '--input_size=32'), 'is none of a sweep'),
    (('plan', 'sweep', '--corruption=fog:2'), 'is none of a sweep'),
    (('plan', '--workers=3'), '--workers and --images_per_second go together'),
    (('plan', '--images_per_second=3'), 'go together'),
    (('plan', '--batch_size=auto'), '--batch_size=auto'),
    (('plan', '--adapt=batch-statistics'), 'adapt'),
    (('plan', '--piece_images=0'), 'piece_images'),
    (('plan', '--piece_images=2000000'), 'piece_images'),
    (('plan', '--num_hosts=2'), 'num_hosts'),
    (('plan', '--runner=beam'), 'runner'),
    (('work',), 'expected one plan, got nothing'),
    (('work', 'a', 'b'), 'expected one plan, got a b'),
    (('join',), 'expected one plan, got nothing'),
    (('join', 'a', 'b'), 'expected one plan, got a b'),
    (('work', 'a', '--claim', '--piece=3'), 'give one'),
    (('work', 'a', '--most=0'), 'most'),
    (('work', 'a', '--most=x'), 'most'),
    (('work', 'a', '--claim_timeout=0'), 'claim_timeout'),
    (('work', 'a', '--claim_timeout=nan'), 'claim_timeout'),
    (('work', 'a', '--piece_images=3'), 'piece_images'),
    (('work', 'a', '--runner=spark'), 'runner'),
    (('work', 'a', '--runner=beam', '--piece=0'), 'of one worker'),
    (('work', 'a', '--beam_args=x'), 'beam_args'),
    (('work', 'a', '--model=ResNet50'), 'model'),
    (('work', 'a', '--batch_size=3'), 'batch_size'),
    (('join', 'a', '--piece=3'), 'piece'),
    (('join', 'a', '--expect=top-1'), 'expect'),
    (('work', 'a'), 'a/plan.json'),
    (('join', 'a'), 'a/plan.json'),
  ],
  ids=lambda value: ' '.join(value) if isinstance(value, tuple) else '',
)
def test_what_commands_do_not_take(
  tfeval, flags, tmp_path, monkeypatch, command, words
):
  monkeypatch.chdir(tmp_path)
  name, *arguments = command
  more = [*flags, '--output_dir=out'] if name == 'plan' else []
  if 'sweep' in arguments:
    more = in_pieces.without(more, '--name')
  mine = {one.partition('=')[0] for one in arguments}
  assert words in refused(tfeval, name, *in_pieces.without(more, *mine), *arguments)
  assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_functions_say_what_the_commands_say(flags, tmp_path):
  model, images = (
    next(f for f in flags if f.startswith(f'--{name}=')).partition('=')[2]
    for name in ('model', 'dataset')
  )
  options = {
    **{'dataset': images, 'preprocess': 'identity', 'output': 'logits'},
    **{'protocol': 'slim:rounding=nearest', 'preflight': 'off', 'batch_size': 2},
  }
  planned = package.plan(model, piece_images=2, output_dir=tmp_path, **options)
  assert planned.is_new and planned.plan.count == 3
  assert not package.plan(model, piece_images=2, output_dir=tmp_path, **options).is_new
  with pytest.raises(UserError, match='of the plan, which is made'):
    package.work(tmp_path, piece_images=2)
  with pytest.raises(UserError, match='`piece=3`'):
    package.work(tmp_path, piece=3)
  assert package.work(tmp_path, piece=2).done == 1
  worked = package.work(tmp_path, most=1)
  assert (worked.done, worked.images, worked.failed) == (1, 2, {})
  assert package.work(tmp_path).done == 1
  with pytest.raises(UserError, match='a join is done here'):
    package.join(tmp_path, runner='beam')
  (run,) = package.join(tmp_path)
  one = in_pieces.without(flags, '--piece_images', '--name')
  assert in_pieces.whole([*one, '--name=one'], tmp_path / 'whole')
  assert run.metrics == package.load_run(tmp_path / 'whole/one').metrics


ODD = (b'x', object(), [3], ('a', 3), {1: 2}, object)


@pytest.mark.parametrize('value', ODD, ids=lambda value: type(value).__name__)
def test_values_of_a_wrong_type_name_the_parameter(tmp_path, value):
  taken = {
    package.plan: 'weights dataset corruption suite sets_dir name sweep axis grid '
    'piece_images overwrite batch_size output_dir',
    package.work: 'piece most claim_timeout runner ray_workers cache_dir trust_model',
    package.join: 'overwrite keep_pieces share data_dir trust_model',
  }
  for call, names in taken.items():
    model = 'MobileNet' if call is package.plan else tmp_path
    for name in names.split():
      with pytest.raises(UserError) as caught:
        call(model, **{name: value})
      assert name in str(caught.value) and '\n' not in str(caught.value), name
    with pytest.raises(UserError):
      call(value)


def test_a_plan_takes_nothing_that_it_would_ignore(tfeval, flags, tmp_path):
  plan = ('plan', *flags, f'--output_dir={tmp_path}')
  for flag in ('--cache_dir=a', '--max_loaded_models=2', '--runner=ray'):
    code, _, err = tfeval(*plan, flag)
    assert code == 2 and flag.partition('=')[0].lstrip('-') in err
  assert not [*tmp_path.iterdir()]
