"""Mean and spread over seeds, against SciPy's own."""

import math

import numpy as np
import pytest

import tfeval

N = 200
LABELS = np.arange(N) % 10


@pytest.fixture
def runs(store_run):
  found = []
  for seed in range(4):
    rng = np.random.default_rng(seed)
    wrong = rng.random(N) < 0.2 + 0.02 * seed
    predicted = np.where(wrong, (LABELS + 1) % 10, LABELS)
    model = {'weights_sha256': f'{seed:064d}', 'parameters': 1000}
    found.append(store_run(f'seed{seed}', predicted, LABELS, model=model, seed=seed))
  return found


@pytest.mark.parametrize('level', [0.05, 0.2])
def test_against_scipy(runs, level):
  from scipy import stats

  found = tfeval.over_seeds(*runs, level=level)
  (top1,) = [one for one in found.spreads if one.metric == 'top1']
  rates = [run.metrics[0].correct / run.metrics[0].count for run in runs]
  assert top1.values == rates
  assert top1.mean == pytest.approx(np.mean(rates), rel=1e-12)
  assert top1.sd == pytest.approx(stats.tstd(rates), rel=1e-12)
  assert top1.error == pytest.approx(stats.sem(rates), rel=1e-12)
  low, high = stats.t.interval(
    1 - level, len(rates) - 1, loc=np.mean(rates), scale=stats.sem(rates)
  )
  assert (top1.low, top1.high) == pytest.approx((low, high), rel=1e-9)
  # Counts are kept.
  assert [entry.correct for entry in top1.entries] == [
    run.metrics[0].correct for run in runs
  ]


def test_as_a_frame_and_as_html(runs):
  pytest.importorskip('pandas')
  found = tfeval.over_seeds(runs)
  frame = found.to_pandas()
  assert frame.columns.tolist()[:4] == ['labels', 'metric', 'runs', 'mean']
  assert frame.loc[frame.metric == 'top1', 'mean'].item() == found.spreads[0].mean
  pytest.importorskip('jinja2')
  assert '<table' in found._repr_html_()


def test_what_the_rows_do_not_give_is_told(runs):
  (nll,) = tfeval.over_seeds(runs, metrics='nll').spreads
  assert nll.mean is None and 'needs probabilities' in nll.unavailable


def test_runs_that_are_no_seeds_of_one_model(runs, store_run):
  right = np.where(np.arange(N) < 5, 11, LABELS)
  other = {
    'takes two or more': runs[:1],
    'ids of': [runs[0], store_run('fewer', LABELS[:100], LABELS[:100])],
    'have other labels': [runs[0], store_run('labels', LABELS, right)],
    'different protocols': [
      runs[0],
      store_run('protocol', LABELS, LABELS, protocol={'name': 'pil', 'spec': 'pil'}),
    ],
    'parameters': [
      runs[0],
      store_run('larger', LABELS, LABELS, model={'parameters': 2000}),
    ],
  }
  known = [
    store_run(name, LABELS, LABELS, where=f'runs/{name}')
    for name in ('ResNet50', 'ResNet152')
  ]
  other['is of ResNet50, .* of ResNet152'] = known
  computing = [
    store_run(name, LABELS, LABELS, model={'architecture_sha256': 64 * name})
    for name in 'ab'
  ]
  other['compute different things'] = computing
  for words, given in other.items():
    with pytest.raises(tfeval.UserError, match=words) as caught:
      tfeval.over_seeds(given)
    assert '--' not in str(caught.value)


def test_one_model_is_said_only_where_that_is_known(runs, store_run):
  unknown = tfeval.over_seeds(runs[:2])
  assert str(unknown).startswith('OverSeeds: 2 runs\n')
  (remark,) = [one for one in unknown.remarks if 'is not stored' in one]
  assert 'seed0 and seed1' in remark or 'seed0, seed1' in remark
  same = [
    store_run(
      name,
      LABELS,
      LABELS,
      model={'architecture_sha256': 'a' * 64, 'weights_sha256': name},
      where=f'runs/{name}',
    )
    for name in ('a.keras', 'b.keras')
  ]
  assert str(tfeval.over_seeds(same)).startswith('OverSeeds: 2 runs of one model\n')
  assert not tfeval.over_seeds(same).remarks


def test_the_same_weights_twice_are_told(runs, store_run):
  model = {'weights_sha256': f'{0:064d}', 'parameters': 1000}
  again = store_run('again', LABELS, LABELS, model=model)
  remarks = tfeval.over_seeds(runs[0], again).remarks
  assert any('the same weights' in one for one in remarks)
  assert math.isfinite(tfeval.over_seeds(runs[0], again).spreads[0].sd)
