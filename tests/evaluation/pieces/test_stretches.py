"""Stretches of pieces: each piece once, of one model, and little to load."""

import sys

import pytest

from tfeval.evaluation.pieces.options import PieceConfig
from tfeval.evaluation.pieces.planned import Plan, PlanFile
from tfeval.evaluation.runners import on_beam, stretches
from tfeval.utils.errors import UserError
from tfeval.utils.progress import hidden


def plan_of(models, runs, images, piece_images):
  """A plan of several models with so many runs each."""
  each = [
    {
      **{'directory': f'{model}+{run}', 'model': model, 'weights': 'imagenet'},
      **{'label': model, 'config': 0, 'images': images, 'preflight': False},
    }
    for model in models
    for run in range(runs)
  ]
  config = {'options': {}, 'dataset': {}}
  content = {
    **{'kind': 'tfeval plan', 'schema_version': 1, 'tfeval': '0', 'code_sha256': 'x'},
    **{'piece_images': piece_images, 'configs': [config], 'runs': each},
  }
  return Plan(PlanFile.from_json(content))


@pytest.mark.parametrize('workers', [1, 2, 7, 1000])
@pytest.mark.parametrize('models, runs, images', [(1, 1, 1), (3, 2, 100), (40, 3, 999)])
def test_stretches_cover_each_piece_once_and_are_of_one_model(
  workers, models, runs, images
):
  plan = plan_of([f'M{number}' for number in range(models)], runs, images, 10)
  cut = stretches.cut(plan, workers)
  pieces = [number for one in cut for number in range(one.first, one.stop)]
  assert pieces == list(range(plan.count))
  for one in cut:
    assert one.stop <= plan.of_model(one.first).stop
    rows = sum(len(plan.piece(n).positions) for n in range(one.first, one.stop))
    assert rows <= 8192
  assert sorted(one.key for one in cut) == [one.key for one in cut]
  dealt = stretches.dealt(cut, workers)
  assert sorted(one.first for one in dealt) == [one.first for one in cut]


def test_a_large_model_is_spread_over_all_workers():
  plan = plan_of(['M'], 1, 50_000, 100)
  for workers in (2, 16, 100):
    assert 4 * workers <= len(stretches.cut(plan, workers)) <= 8 * workers


def test_who_is_dealt_stretches_loads_the_models_of_its_part_alone():
  plan = plan_of([f'M{number}' for number in range(40)], 4, 1000, 50)
  workers = 4
  dealt = stretches.dealt(stretches.cut(plan, workers), workers)
  models = [{one.key.partition('/')[0] for one in dealt[w::workers]} for w in range(4)]
  # Dealt in the order of the plan, each would load all 40.
  assert max(map(len, models)) <= 11 and sum(map(len, models)) <= 43


def test_beam_that_is_not_installed_is_named_with_its_extra(monkeypatch, tmp_path):
  monkeypatch.setitem(sys.modules, 'apache_beam', None)
  with pytest.raises(UserError, match=r"pip install 'tfeval\[beam\]'") as caught:
    on_beam.run(plan_of(['M'], 1, 1, 1), None, PieceConfig(), {}, hidden)
  assert '\n' not in str(caught.value)
