"""The functions of `tfeval`: what commands do, called from Python."""

import inspect
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import tfeval
from tfeval import cli
from tfeval.api import figure
from tfeval.cli import command_flags
from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.pieces.options import PieceConfig
from tfeval.utils import options

N = 40
LABELS = np.arange(N) % 10
PUBLIC = """
  CheckFailed DataError Evaluator Interrupted Model Run UserError benchmark
  build_dataset compare ensemble errors evaluate explain import_predictions join keras
  leaderboard list_datasets list_models load_model load_run over_seeds plan predict
  relabel report shift sweep verify work
"""
# What each command does is a function of its flags.
FUNCTIONS = {
  'benchmark': tfeval.benchmark,
  'compare': tfeval.compare,
  'datasets': tfeval.list_datasets,
  'explain': tfeval.explain,
  'import': tfeval.import_predictions,
  'join': tfeval.join,
  'leaderboard': tfeval.leaderboard,
  'models': tfeval.list_models,
  'plan': tfeval.plan,
  'predict': tfeval.predict,
  'relabel': tfeval.relabel,
  'shift': tfeval.shift,
  'sweep': tfeval.sweep,
  'verify': tfeval.verify,
  'work': tfeval.work,
}
# How a result is shown, which a value leaves to the caller; or kept, of labels.
SHOWN = {'json', 'format', 'columns', 'figure', 'curve', 'list', 'expect', 'verbosity'}
SHOWN |= {'report', 'overwrite', 'output_file'}
WRITTEN = {
  'relabel': {'output'},
  'predict': {'crops', 'output'},
  # What a plan would take, and sets that a script may not lack.
  'plan': {'workers', 'images_per_second', 'strict'},
  'join': {'log_to', 'show_examples', 'class_rule'},
  # It is what is done where nothing else is said.
  'work': {'claim'},
}


@pytest.fixture
def runs(store_run):
  found = []
  for number, wrong in enumerate((4, 12)):
    predicted = np.where(np.arange(N) < wrong, (LABELS + 1) % 10, LABELS)
    found.append(store_run(f'net{number}', predicted, LABELS, seed=number))
  return found


def test_only_public_names_are_shown():
  assert [name for name in dir(tfeval) if not name.startswith('__')] == PUBLIC.split()


@pytest.mark.parametrize('name', FUNCTIONS)
def test_parameters_are_named_as_flags(name):
  flags, _ = command_flags.parse(cli.command_module(name), name, [])
  parameters = inspect.signature(FUNCTIONS[name]).parameters
  known = set(parameters)
  if any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
    for config in (EvaluationConfig, PieceConfig):
      known |= {field.name for field in options.fields(config)}
  assert set(flags) - SHOWN - WRITTEN.get(name, set()) - known == set()
  for parameter in parameters.values():
    if parameter.name in flags and name != 'explain' and parameter.default is not None:
      default = flags[parameter.name].default
      default = [] if parameter.default == () and default == [] else default
      either = parameter.default, [parameter.default], list_of(parameter.default)
      assert parameter.default is parameter.empty or default in either, parameter


def list_of(value):
  return list(value) if isinstance(value, tuple) else value


def test_what_needs_no_model_loads_no_tensorflow(runs):
  path = runs[0].path.parent
  code = f"""
import sys, tfeval
tfeval.compare({str(path)!r}), tfeval.leaderboard({str(path)!r})
tfeval.over_seeds({str(path)!r}), tfeval.list_models('resnet')
for name in tfeval.__all__:
  if name not in ('Evaluator', 'Model', 'build_dataset', 'evaluate', 'keras',
                  'load_model'):
    getattr(tfeval, name)
assert 'tensorflow' not in sys.modules
assert 'jinja2' not in sys.modules and 'matplotlib' not in sys.modules
"""
  subprocess.run([sys.executable, '-c', code], check=True, timeout=60)


def test_a_comparison_is_that_of_the_command(runs, tfeval_command):
  paths = [str(run.path) for run in runs]
  code, out, _ = tfeval_command('compare', *paths, '--level=0.1', '--seed=3', '--json')
  shown = json.loads(out)['comparisons'][0]['pairs'][0]
  for given in (
    runs,
    paths,
    [pathlib.Path(one) for one in paths],
    [runs[0].path.parent],
    [runs],
    [runs[0], paths[1]],
  ):
    found = tfeval.compare(*given, level=0.1, seed=3)
    (pair,) = found.pairs['original']
    assert code == 0 and shown['p'] == pair.p
    assert (pair.hits.both, pair.hits.first, pair.hits.second) == (
      *(shown['both'], shown['only_first'], shown['only_second']),
    )
    low, high = found.interval(pair)
    assert [low, high] == [shown['interval']['low'], shown['interval']['high']]


@pytest.fixture
def tfeval_command(capsys):
  def run(*arguments):
    capsys.readouterr()
    return cli.main([str(one) for one in arguments]), *capsys.readouterr()

  return run


def test_a_leaderboard_tells_what_is_not_complete(runs, tmp_path):
  (tmp_path / 'begun').mkdir()
  manifest = (runs[0].path / 'manifest.json').read_text().replace('net0', 'begun')
  (tmp_path / 'begun' / 'manifest.json').write_text(manifest)
  board = tfeval.leaderboard(tmp_path)
  assert [row.name for row in board.rows] == ['net0', 'net1', 'begun']
  assert board.rows[2].failure
  with pytest.raises(tfeval.UserError):
    tfeval.compare(tmp_path)


def test_a_list_of_models_as_a_frame():
  pandas = pytest.importorskip('pandas')
  found = tfeval.list_models('resnet*v2')
  frame = found.to_pandas()
  assert isinstance(frame, pandas.DataFrame)
  assert frame.name.tolist() == [one.name for one in found] and len(found) == 3
  assert frame.parameters.tolist() == [one.parameters for one in found]


def test_a_list_of_test_sets_as_a_frame():
  pytest.importorskip('pandas')
  frame = tfeval.list_datasets('natural').to_pandas()
  assert set(frame.kind) == {'natural'}
  assert frame.set_index('name').classes['imagenet_a'] == 200


def test_verified_runs_as_a_frame(runs):
  pytest.importorskip('jsonschema')
  pytest.importorskip('pandas')
  found = tfeval.verify(runs[0].path.parent)
  assert len(found) == 2 and all(one.path for one in found)
  frame = found.to_pandas()
  # A run of tests has no flagfile.
  states = frame.set_index(['run', 'check']).state
  assert states[str(runs[0].path), 'metrics'] in ('ok', 'not checked')
  assert [one.path for one in found.failed] == [str(run.path) for run in runs]


def test_two_runs_explained(runs):
  found = tfeval.explain(*runs, level=0.1)
  assert found.level == 0.1 and found.changes is None
  assert found.total == pytest.approx(100 * (28 - 36) / N)


@pytest.mark.parametrize(
  ('call', 'words'),
  [
    (lambda runs: tfeval.compare(), 'no runs were given'),
    (lambda runs: tfeval.compare(runs[0]), 'takes two or more'),
    (lambda runs: tfeval.compare(*runs, level=0), '`level=0`'),
    (lambda runs: tfeval.compare(*runs, level='x'), '`level='),
    (lambda runs: tfeval.compare(*runs, seed=-1), '`seed=-1`'),
    (lambda runs: tfeval.compare(*runs, metric='nll'), '`metric=nll`'),
    (lambda runs: tfeval.compare(*runs, metric=3), '`metric=3`'),
    (lambda runs: tfeval.compare(*runs, margin='much'), '`margin='),
    (lambda runs: tfeval.compare(3, 4), '`runs` has 3'),
    (lambda runs: tfeval.compare('nowhere', 'there'), 'nowhere'),
    (lambda runs: tfeval.compare(*runs, labels='nowhere.csv'), 'nowhere.csv'),
    (lambda runs: tfeval.leaderboard(*runs, allow='all'), '`allow`'),
    (lambda runs: tfeval.leaderboard(*runs, base='net0'), '`base`'),
    (lambda runs: tfeval.leaderboard(*runs, sort='x/y'), 'sort'),
    (lambda runs: tfeval.explain(*runs, reported=61.6), '`reported`'),
    (lambda runs: tfeval.explain(), '`reported`'),
    (lambda runs: tfeval.explain(reported=61.6), 'no model was given'),
    (lambda runs: tfeval.explain(runs[0]), 'expected two'),
    (lambda runs: tfeval.shift(*runs, permutations=3), 'permutations'),
    (lambda runs: tfeval.shift(*runs), '`store_features`'),
    (lambda runs: tfeval.sweep('ResNet51'), 'ResNet51'),
    (lambda runs: tfeval.sweep('ResNet50', axis='colour'), 'colour'),
    (lambda runs: tfeval.sweep('ResNet50', cache_dir='x'), 'cache_dir'),
    (lambda runs: tfeval.sweep(len), '`model`'),
    (lambda runs: tfeval.predict('nowhere.jpg', 'ResNet50'), 'nowhere.jpg'),
    (lambda runs: tfeval.predict([], 'ResNet50'), '`images`'),
    (lambda runs: tfeval.predict('a.jpg', []), 'no model was given'),
    (lambda runs: tfeval.predict('a.jpg', 'ResNet50', dataset=3), 'dataset'),
    (lambda runs: tfeval.benchmark('ResNet50', images=0), 'images is 0'),
    (lambda runs: tfeval.benchmark('ResNet50', batch_timeout='x'), 'batch_timeout'),
    (lambda runs: tfeval.relabel(), '`scores`'),
    (lambda runs: tfeval.relabel(scores='s.npz', threshold=2), '`threshold=2`'),
    (lambda runs: tfeval.relabel(raters='r.npz'), '`raters` needs'),
    (lambda runs: tfeval.relabel(*runs, scores='s.npz'), '`golden`'),
    (lambda runs: tfeval.import_predictions(''), '`predictions`'),
    (lambda runs: tfeval.import_predictions('nowhere.npy'), 'nowhere.npy'),
    (lambda runs: tfeval.import_predictions('x.npy', output='odds'), '`output=odds`'),
    (lambda runs: tfeval.list_models('ResNet51'), '`filter=ResNet51`'),
    (lambda runs: tfeval.list_datasets('nothing'), '`filter=nothing`'),
    (lambda runs: tfeval.verify(), 'no runs were given'),
    (lambda runs: tfeval.over_seeds(*runs, metrics='top0'), 'top0'),
  ],
)
def test_mistakes_are_told_in_the_words_of_python(
  runs, call, words, tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(tfeval.UserError) as caught:
    call(runs)
  text = str(caught.value)
  assert words in text and '\n' not in text
  assert '--' not in text


@pytest.mark.parametrize(
  ('function', 'given'),
  [
    (tfeval.report, {'labels': 3}),
    (tfeval.compare, {'labels': 3}),
    (tfeval.compare, {'labels': [3]}),
    (tfeval.compare, {'keep': 3}),
    (tfeval.compare, {'omit': ['a']}),
    (tfeval.leaderboard, {'labels': 3.5}),
    (tfeval.leaderboard, {'allow': 3}),
    (tfeval.leaderboard, {'data_dir': 3}),
    (tfeval.over_seeds, {'metrics': 3}),
    (tfeval.over_seeds, {'metrics': [3]}),
    (tfeval.ensemble, {'output_dir': 3}),
    (figure.figure, {'kind': 'ranks', 'output': 'a.png', 'allow': 3}),
  ],
)
def test_values_of_a_wrong_type_are_refused_in_a_line(
  function, given, runs, tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(tfeval.UserError) as caught:
    function(runs, **given)
  assert '\n' not in str(caught.value)
  assert [name for name in given if name in str(caught.value)], caught.value
