"""What README.md and the guides show of Python runs, and counts what commands count."""

import configparser
import json
import pathlib
import re
import shutil

import documents
import keras
import numpy as np
import pytest
import tensorflow as tf
from documents import README

GUIDES = {path.stem: path for path in documents.GUIDES}
# MobileNet(alpha=0.25) on the stand-in photos, counted without tfeval by
# tests/benchmarks/independent_count.py: top-1, top-5, ReaL top-1, ReaL top-5.
COUNTS = [[33, 60], [50, 60], [30, 55], [44, 55]]


def counts(run):
  """Hits and images by all classes; validation images have rules of other sets too."""
  return [[m.correct, m.count] for m in run.metrics if m.rule == 'all']


def run_snippets(path, names):
  for code in documents.python(path):
    exec(compile(code, path.name, 'exec'), names)  # Ours: they are our guides.


@pytest.fixture(scope='module')
def trained(shared_data, standin_dir, tmp_path_factory):
  """What the snippets of training code take for granted, and what they define."""
  import tfeval

  directory = tmp_path_factory.mktemp('training')
  tfeval.build_dataset(manual_dir=standin_dir, data_dir=directory / 'tfds')
  model = keras.applications.MobileNet(alpha=0.25, classifier_activation=None)
  # So small a rate that counts stay what they are.
  model.compile(
    keras.optimizers.SGD(1e-30),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
  )
  # The last one alone: gradients of the others would only take time to trace.
  for layer in model.layers[:-1]:
    layer.trainable = isinstance(layer, keras.layers.Conv2D) and layer.filters == 1000
  names = {
    'model': model,
    'MY_TFDS_DIR': directory / 'tfds',
    'preprocess_input': keras.applications.mobilenet.preprocess_input,
    'training': tf.data.Dataset.from_tensors(
      (np.zeros((2, 224, 224, 3), np.float32), np.zeros(2))
    ),
    'directory': directory,
  }
  with pytest.MonkeyPatch.context() as patch:
    patch.chdir(directory)
    run_snippets(GUIDES['training_code'], names)
  return names


def test_snippets_of_training_code(trained):
  assert counts(trained['run']) == COUNTS
  evaluate = trained['evaluate']
  assert list(evaluate.history[-1]['counts'].values()) == COUNTS
  assert evaluate.best.metrics[0]['correct'] == COUNTS[0][0]
  assert (trained['directory'] / 'best.keras').is_file()
  assert any((trained['directory'] / 'tensorboard').iterdir())
  assert [trained['top1'].correct, trained['top1'].count] == COUNTS[0]
  assert [trained['real'].correct, trained['real'].count] == COUNTS[2]
  weighted = trained['model']._compile_metrics._user_weighted_metrics
  assert {metric.name for metric in weighted} == {'real_top1', 'real_top5'}


def test_readme_names_the_extras():
  setup = configparser.ConfigParser(interpolation=None)
  setup.read(README.with_name('setup.cfg'))
  table = README.read_text('utf-8').partition('| extra |')[2].partition('\n\n')[0]
  shown = re.findall(r'^\| `\.\[([\w-]+)\]` \| ', table, re.MULTILINE)
  of_tests = {'test', 'test-all', 'test-frameworks', 'test-torch', 'test-clusters'}
  assert {*shown} | of_tests == {*setup['options.extras_require']}


def test_readme_shows_the_first_of_them():
  (snippet,) = documents.python(README)
  shown = documents.python(GUIDES['training_code'])[0]
  assert set(snippet.splitlines()) <= set(shown.splitlines())


def test_command_of_training_code(trained, tfeval, tmp_path, monkeypatch):
  (tmp_path / 'my_models.py').write_text(
    'import keras\n'
    'def build():\n'
    '  return {"model": keras.applications.MobileNet(alpha=0.25, weights=None,\n'
    '                                                classifier_activation=None),\n'
    '          "preprocess": "tf", "output": "logits"}\n'
  )
  monkeypatch.syspath_prepend(str(tmp_path))
  monkeypatch.chdir(tmp_path)
  pathlib.Path('training').mkdir()
  trained['model'].save_weights('training/90.weights.h5')
  (command,) = documents.commands(GUIDES['training_code'])
  command = [
    word.replace('MY_TFDS_DIR', str(trained['MY_TFDS_DIR'])) for word in command
  ]
  code, out, err = tfeval(*command, '--json', '--output_dir=runs')
  assert code == 0, err
  assert list(json.loads(out)['counts'].values()) == COUNTS


def test_snippets_of_runs(trained, shared_data, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (best,) = trained['directory'].glob('evaluations/step-*/*')
  pathlib.Path('RUN').symlink_to(best)
  shutil.copy(shared_data / 'real/real.json', 'real.json')
  names = {}
  run_snippets(GUIDES['runs_and_metrics'], names)
  assert counts(names['run']) == COUNTS


def test_snippets_of_models(shared_data, tmp_path, monkeypatch):
  pixels = np.zeros((2, 224, 224, 3), np.float32)
  names = {'pixels': pixels}
  run_snippets(GUIDES['models'], names)
  assert names['scores'].shape == (2, 1000)
  # The function of the last snippet, named as --model=my_module:build.
  (tmp_path / 'my_module.py').write_text(documents.python(GUIDES['models'])[-1])
  monkeypatch.syspath_prepend(str(tmp_path))
  loaded = names['tfeval'].load_model('my_module:build')
  np.testing.assert_allclose(loaded(pixels), names['scores'], rtol=1e-5, atol=1e-5)
