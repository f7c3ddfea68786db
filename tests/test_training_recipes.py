"""The scripts of the guide of recipes that need no package beside tfeval's own."""

import pytest
import recipes


def last(callback):
  return callback.history[-1]['counts']['val_top1']


def test_from_scratch(tmp_path, monkeypatch):
  found = recipes.run('From scratch', tmp_path, monkeypatch)
  assert last(found['evaluate']) == recipes.hits(found['model'])
  assert (tmp_path / 'evaluations/history.json').is_file()
  assert (tmp_path / 'best.keras').is_file()


@pytest.mark.slow
def test_fine_tuning_in_two_phases(tmp_path, monkeypatch):
  found = recipes.run('Fine-tuning', tmp_path, monkeypatch)
  assert last(found['evaluate']) == recipes.hits(found['model'], side=96, varies=False)
  steps = [one['step'] for one in found['evaluate'].history]
  assert steps == sorted(set(steps)) and len(steps) == 2


@pytest.mark.slow
def test_distillation(tmp_path, monkeypatch):
  found = recipes.run('Distillation', tmp_path, monkeypatch)
  assert last(found['evaluate']) == recipes.hits(found['student'], varies=False)
  assert found['evaluate'].best.result['model']['parameters'] == (
    found['student'].count_params()
  )


@pytest.mark.slow
def test_a_loop_with_a_strategy(tmp_path, monkeypatch):
  found = recipes.run('A loop', tmp_path, monkeypatch)
  top1 = found['run'].metrics[0]
  assert [top1['correct'], top1['count']] == recipes.hits(found['model'])
  assert len(list((tmp_path / 'evaluations').iterdir())) == 2


@pytest.mark.slow
def test_mixed_precision_with_averages(tmp_path, monkeypatch):
  found = recipes.run('Mixed', tmp_path, monkeypatch)
  weights, averages = found['weights'], found['averages']
  # At the end of a fit Keras puts the averages in place of the weights.
  assert averages.history[-1]['counts']['val_ema_top1'] == recipes.hits(found['model'])
  assert last(weights)[1] == averages.history[-1]['counts']['val_ema_top1'][1]
