"""The scripts of the guide of recipes with frameworks around Keras."""

import frameworks
import pytest
import recipes


@frameworks.marked('keras_tuner')
def test_keras_tuner(tmp_path, monkeypatch):
  found = recipes.run('KerasTuner', tmp_path, monkeypatch)
  trials = found['tuner'].oracle.get_best_trials(2)
  correct, count = recipes.hits(found['model'])
  assert len(trials) == 2 and trials[0].score == pytest.approx(correct / count)


@frameworks.marked('orbit')
def test_orbit(tmp_path, monkeypatch):
  found = recipes.run('Orbit, as in tensorflow/models', tmp_path, monkeypatch)
  top1 = found['evaluator'].run.metrics[0]
  assert [top1['correct'], top1['count']] == recipes.hits(found['model'])


@frameworks.marked('keras_hub')
def test_keras_hub(tmp_path, monkeypatch):
  found = recipes.run('keras-hub', tmp_path, monkeypatch, seed=2)
  # `predict` of a task calls its preprocessor.
  (entry, last) = found['evaluate'].history
  assert last['counts']['val_top1'] == recipes.hits(found['model'])
