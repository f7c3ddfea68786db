"""Plans that a stranger wrote: refused in a line, nothing opened, nothing written."""

import copy
import json
import math
import os
import sys

import in_pieces
import pytest
from evaluations import make_inputs

MODULE = 'tfeval_strangers_code'


@pytest.fixture(scope='module')
def made(tmp_path_factory):
  """What a good plan has."""
  root = tmp_path_factory.mktemp('made')
  flags = make_inputs(root, 4)[1:]
  in_pieces.plan([*flags, '--batch_size=2', '--piece_images=2'], root / 'plan')
  return json.loads((root / 'plan/plan.json').read_text())


@pytest.fixture
def strangers(tmp_path, monkeypatch):
  """Code that tells when it is imported."""
  folder = tmp_path / 'code'
  folder.mkdir()
  (folder / f'{MODULE}.py').write_text(
    "import pathlib\npathlib.Path(__file__).with_name('imported').touch()\n"
  )
  monkeypatch.syspath_prepend(folder)
  monkeypatch.delitem(sys.modules, MODULE, raising=False)
  return folder / 'imported'


@pytest.fixture
def refused(tfeval, tmp_path):
  """Holds that workers and joiners refuse a plan with some words in a line."""

  def check(content, words, *more):
    study = tmp_path / 'study'
    study.mkdir(exist_ok=True)
    if not isinstance(content, bytes):
      content = json.dumps(content).encode()
    (study / 'plan.json').write_bytes(content)
    for command in (('work', study, '--piece=0'), ('work', study), ('join', study)):
      code, out, err = tfeval(*command, *more)
      assert (code, out) == (2, ''), err
      assert err.startswith('tfeval: ') and err.count('\n') == 1, err
      assert words in err and len(err) < 1500, err
      assert err.removesuffix('\n').isprintable()
    assert [one.name for one in tmp_path.rglob('*') if one.parent == study] == [
      'plan.json'
    ]
    assert (study / 'plan.json').read_bytes() == content

  return check


@pytest.fixture
def fails(tfeval, tmp_path):
  """Holds that a worker can do no piece of a plan, and that nothing is a run then."""

  def check(plan, words=''):
    study = tmp_path / 'study'
    study.mkdir(exist_ok=True)
    (study / 'plan.json').write_text(json.dumps(plan))
    for command in (('work', study, '--piece=0'), ('join', study)):
      code, _, err = tfeval(*command)
      last = err.splitlines()[-1]
      assert code == 2 and last.startswith('tfeval: ') and len(last) < 1500, err
      assert words in err and 'Traceback' not in err
      assert err.replace('\n', '').isprintable()
    left = {one.name for one in study.rglob('*') if one.is_file()}
    assert left <= {'plan.json', '0000000.failed.json'}

  return check


def changed(made, **values):
  """Returns a plan with other values of its first run or config, or of itself."""
  plan = copy.deepcopy(made)
  for key, value in values.items():
    where = (
      plan['runs'][0] if key in plan['runs'][0] or key == 'model_options' else plan
    )
    where[key] = value
  return plan


def with_option(made, name, value):
  plan = copy.deepcopy(made)
  plan['configs'][0]['options'][name] = value
  return plan


RUNS_CODE = {
  'model': f'{MODULE}:build',
  'preprocess': f'{MODULE}:feed',
  'import_module': MODULE,
  'model_python': f'/tmp/{MODULE}',
  'dataset': f'{MODULE}:data',
  'metrics': 'a_plugin',
  'protocol': 'a_plugin',
  'data_dir': 'https://strangers.example/data',
  'real_labels': 's3://strangers/real.json',
  'frost_textures': 'gs://strangers/frost',
  'tpu': 'grpc://10.0.0.1:8470',
}


@pytest.mark.parametrize('name', RUNS_CODE)
def test_code_and_services_that_plans_name_need_trust(
  made, strangers, refused, plugins, name
):
  value = RUNS_CODE[name]
  plan = (
    changed(made, model=value) if name == 'model' else with_option(made, name, value)
  )
  refused(plan, 'give --trust_model if you trust it')
  assert MODULE not in sys.modules and not strangers.exists()


@pytest.fixture
def plugins(monkeypatch):
  """Packages that are installed here have a protocol and a metric of a name."""
  from tfeval.metrics import registry
  from tfeval.preprocess import protocol

  class Entry:
    name = 'a_plugin'

    def load(self):
      raise AssertionError('it was loaded')

  for one in (registry.METRICS, protocol.named_protocols()):
    monkeypatch.setitem(vars(one), '_entry_points', {'a_plugin': Entry()})


@pytest.mark.parametrize(
  'model, options',
  [
    (f'{MODULE}:build', 'depth=3'),
    (f'{MODULE}:build', ''),
    ('https://strangers.example/a.keras', None),
    ('hf://strangers/model', None),
  ],
)
def test_models_of_strangers_however_they_are_written(
  made, strangers, refused, model, options
):
  refused(changed(made, model=model, model_options=options), 'give --trust_model')
  assert MODULE not in sys.modules and not strangers.exists()


@pytest.mark.parametrize('options', ['', 'depth=3'])
def test_what_is_an_option_to_one_reader_is_no_function_to_another(
  made, strangers, fails, options
):
  fails(changed(made, model=f'{MODULE}:build=1', model_options=options))
  assert MODULE not in sys.modules and not strangers.exists()


def test_weights_of_strangers_are_not_fetched(made, refused):
  plan = changed(made, weights='https://strangers.example/a.weights.h5')
  refused(plan, 'give --trust_model')


def test_trust_is_said_by_whoever_works_and_never_by_the_plan(
  made, strangers, refused, tfeval, tmp_path
):
  plan = with_option(made, 'import_module', MODULE)
  plan['configs'][0]['options']['trust_model'] = True
  refused(plan, 'give --trust_model')
  del plan['configs'][0]['options']['trust_model']
  (tmp_path / 'study/plan.json').write_text(json.dumps(plan))
  code, _, err = tfeval('work', tmp_path / 'study', '--trust_model', '--piece=0')
  assert code == 0, err
  assert strangers.exists()
  sys.modules.pop(MODULE)


@pytest.mark.parametrize(
  'name',
  [
    *('../x', '/abs', 'a/b', '.hidden', '..', '.', '', 'a\0b', 'a\x1b[31mb', 'a\nb'),
    *('a\u202eb', '\ud800', 'plan.json', 'n' * 300, 3, None, True, ['a']),
  ],
  ids=lambda name: ascii(name)[:20],
)
def test_names_that_are_no_run_directory(made, refused, name):
  refused(changed(made, directory=name), 'is damaged')


@pytest.mark.parametrize(
  'key',
  [
    'images',
    *[pytest.param(n, marks=pytest.mark.slow) for n in ('config', 'piece_images')],
  ],
)
@pytest.mark.parametrize(
  'value',
  [-1, 10**400, 1 << 62, 1.5, math.nan, math.inf, True, '4', None, [4], {}],
  ids=repr,
)
def test_numbers_that_no_plan_has(made, refused, key, value):
  refused(changed(made, **{key: value}), ' is ')


@pytest.mark.parametrize(
  'key, value',
  [
    *(
      (key, value) for key in ('configs', 'runs') for value in (None, [], {}, 'a', [3])
    ),
    *((key, 3) for key in ('model', 'weights', 'label', 'name', 'preflight')),
    *((key, None) for key in ('model', 'weights', 'label')),
    *(('code_sha256', value) for value in (None, 3, '', 'a' * 64, 'x' * 10**5)),
    *(('tfeval', value) for value in (3, [], {})),
    *(('schema_version', value) for value in (2, 0, '1', None, [1] * 10**5, 1.5)),
    *(('kind', value) for value in ('tfeval result', None, 3)),
    ('model_options', 'a'),
    ('model_options', 3),
    ('model', ''),
  ],
  ids=lambda one: repr(one)[:20],
)
def test_values_of_a_wrong_type_or_version(made, refused, key, value):
  refused(changed(made, **{key: value}), '')


@pytest.mark.parametrize('key', ['options', 'dataset'])
@pytest.mark.parametrize('value', [None, [], 3, {'a': 1}], ids=repr)
def test_configs_that_are_none(made, fails, key, value):
  plan = copy.deepcopy(made)
  plan['configs'][0][key] = value
  fails(plan)


@pytest.mark.parametrize(
  'name, value',
  [
    ('no_such_option', 3),
    ('num_hosts', 2),
    ('host_index', 0),
    ('output_dir', '/tmp'),
    ('cache_dir', '/tmp'),
    ('overwrite', True),
    ('a\x1b[31m', 1),
    ('batch_size', -2),
    ('batch_size', 'auto'),
    ('batch_size', True),
    ('batch_size', 1e300),
    ('batch_size', [2]),
    ('limit', {'http://a.example': 'b'}),
    ('data_dir', [['https://strangers.example']]),
    ('data_dir', {'a': 'https://strangers.example'}),
    ('dtype', 'float9'),
    ('on_error', ['skip']),
    ('adapt', 'bn'),
    ('protocol', 'no_such_protocol'),
    ('corruption', 'no_such:3'),
    ('store_logits', 'yes'),
    ('jit', None),
    ('dataset', 3),
    ('dataset', 'folder:/no/such/folder'),
  ],
  ids=repr,
)
def test_options_that_no_plan_has(made, fails, name, value):
  fails(with_option(made, name, value))


@pytest.mark.parametrize(
  'content',
  [
    *(b'', b'{', b'[]', b'3', b'null', b'"plan"', b'\xff\xfe', b'\0' * 100),
    b'{"kind": "tfeval plan"}',
    b'[' * 100_000,
    b'{"a":' * 100_000,
    b'{"kind": "tfeval plan", "schema_version": ' + b'9' * 10_000 + b'}',
    b'{"kind": "tfeval plan", "kind": "tfeval plan", "schema_version": 1}',
  ],
  ids=lambda content: ascii(content[:30]),
)
def test_files_that_are_no_plan(refused, content):
  refused(content, '')


def test_a_file_that_is_huge_is_not_read(refused):
  refused(b'{"kind": "' + b'a' * 100_000_000 + b'"}', '')


def test_a_plan_of_too_many_pieces(made, refused):
  plan = copy.deepcopy(made)
  plan['piece_images'] = 1
  plan['runs'] = [
    {**plan['runs'][0], 'directory': f'r{i}', 'images': 1_000_000} for i in range(11)
  ]
  refused(plan, 'pieces, expected at most')


def test_two_runs_of_one_name(made, refused):
  refused({**made, 'runs': made['runs'] * 2}, 'two runs are called')


def test_a_plan_of_another_code_names_both(made, refused):
  refused({**made, 'code_sha256': 'ab' * 32}, 'with code abababababab, here it is')


@pytest.mark.parametrize('how', ['missing', 'folder', 'fifo'])
def test_paths_that_hold_no_plan(tfeval, tmp_path, how):
  if how == 'folder':
    (tmp_path / 'plan.json').mkdir()
  elif how == 'fifo':
    os.mkfifo(tmp_path / 'plan.json')
  for command in ('work', 'join'):
    code, out, err = tfeval(command, tmp_path)
    assert (code, out) == (2, '') and err.count('\n') == 1, err
    assert 'plan.json' in err
