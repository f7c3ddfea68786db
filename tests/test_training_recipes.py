"""The scripts of the guide of recipes that need no package beside tfeval's own."""

import subprocess
import sys

import documents
import keras
import recipes


def last(callback):
  return callback.history[-1]['counts']['val_top1']


def test_from_scratch(tmp_path, monkeypatch):
  found = recipes.run('From scratch', tmp_path, monkeypatch)
  assert last(found['evaluate']) == recipes.hits(found['model'])
  assert (tmp_path / 'evaluations/history.json').is_file()
  assert (tmp_path / 'best.keras').is_file()


def test_fine_tuning_in_two_phases(tmp_path, monkeypatch, shared_data):
  build = keras.applications.MobileNet
  weights = shared_data / 'keras_home/models/mobilenet_2_5_224_tf.h5'

  def pretrained(**arguments):
    base, whole = build(**arguments), build(alpha=0.25, weights=weights)
    base.set_weights(whole.get_weights()[: len(base.weights)])
    return base

  monkeypatch.setattr(keras.applications, 'MobileNet', pretrained)
  found = recipes.run('Fine-tuning in two phases', tmp_path, monkeypatch)
  assert last(found['evaluate']) == recipes.hits(found['model'], side=96)
  steps = [one['step'] for one in found['evaluate'].history]
  assert steps == sorted(set(steps)) and len(steps) == 2


def test_distillation(tmp_path, monkeypatch):
  found = recipes.run('Distillation', tmp_path, monkeypatch, seed=1)
  assert last(found['evaluate']) == recipes.hits(found['student'])
  assert found['evaluate'].best.result['model']['parameters'] == (
    found['student'].count_params()
  )


def test_a_loop_with_a_strategy(tmp_path, monkeypatch):
  found = recipes.run('A loop of your own with a strategy', tmp_path, monkeypatch)
  top1 = found['run'].metrics[0]
  assert [top1['correct'], top1['count']] == recipes.hits(found['model'])
  assert len(list((tmp_path / 'evaluations').iterdir())) == 2


def test_mixed_precision_with_averages(tmp_path, monkeypatch):
  of_weights = []

  class Counted(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
      of_weights.append(recipes.hits(self.model))

  heading = 'Mixed precision, with averages of the weights'
  fit = keras.Model.fit

  def counted(model, *arguments, callbacks, **more):
    return fit(model, *arguments, callbacks=[*callbacks, Counted()], **more)

  monkeypatch.setattr(keras.Model, 'fit', counted)
  found = recipes.run(heading, tmp_path, monkeypatch)
  weights, averages = found['weights'], found['averages']
  # At the end of a fit Keras puts the averages in place of the weights.
  assert averages.history[-1]['counts']['val_ema_top1'] == recipes.hits(found['model'])
  assert [one['counts']['val_top1'] for one in weights.history] == of_weights


def test_scripts_run_without_the_lines_that_are_marked(tmp_path):
  (guide,) = (path for path in documents.GUIDES if path.stem == 'recipes')
  for heading, script in recipes.scripts(guide.read_text('utf-8')).items():
    lines = [one for one in script.splitlines() if not one.endswith('# tfeval')]
    assert 'tfeval' not in '\n'.join(lines), heading
    path = tmp_path / 'script.py'
    path.write_text('\n'.join(lines), 'utf-8')
    checked = subprocess.run(
      [sys.executable, '-m', 'ruff', 'check', '--isolated', '--select=E9,F821', path],
      capture_output=True,
      text=True,
    )
    assert checked.returncode == 0, (heading, checked.stdout)
