"""The probe beside scikit-learn, on features with a planted linear shift."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tfeval.analysis import probe as probing
from tfeval.analysis.probe import Alignment
from tfeval.utils.errors import UserError

CLASSES, EACH, DIMENSION = 10, 50, 12
LABELS = np.arange(CLASSES * EACH) % CLASSES
ALIGNMENTS = [Alignment('coral'), Alignment('subspace', 8)]


def made(seed):
  """Features of ten classes around their centres, float16 as runs store them."""
  centres = np.random.default_rng(7).normal(0, 1.6, (CLASSES, DIMENSION))
  noise = np.random.default_rng(seed).normal(0, 1, (len(LABELS), DIMENSION))
  return (centres[LABELS] + noise).astype(np.float16)


def turned(values):
  """A known map, symmetric: neighbouring features are mixed, all are moved."""
  turn = np.eye(DIMENSION)
  for i in range(0, DIMENSION - 1, 2):
    turn[i : i + 2, i : i + 2] = [[1, -0.8], [-0.8, 1]]
  return (values.astype(np.float64) @ turn + 0.5).astype(np.float16)


@pytest.fixture
def store(store_run):
  def store(name, features, labels=LABELS, **more):
    guessed = np.maximum(np.asarray(labels), 0)
    return store_run(name, guessed, labels, features=features, **more)

  return store


@pytest.fixture
def runs(store):
  ids = [f't{i:04d}.JPEG' for i in range(len(LABELS))]
  return store('source', made(0)), store('target', turned(made(1)), ids=ids, seed=3)


def logistic():
  return LogisticRegression(max_iter=1000)


def test_none_is_what_scikit_learn_says(runs):
  found = probing.probe(*runs)
  scaler = StandardScaler().fit(made(0).astype(np.float64))
  model = logistic().fit(scaler.transform(made(0).astype(np.float64)), LABELS)
  expected = model.predict(scaler.transform(turned(made(1)).astype(np.float64)))
  (none,) = found.tested
  assert none.predicted.tolist() == expected.tolist()
  assert none.count.correct == (expected == LABELS).sum()
  assert none.count.count == len(LABELS) and none.hits is None
  held_out = cross_val_predict(
    make_pipeline(StandardScaler(), logistic()),
    made(0).astype(np.float64),
    LABELS,
    cv=StratifiedKFold(5, shuffle=True, random_state=0),
  )
  assert found.held_out.correct == (held_out == LABELS).sum() > 400


def test_alignments_undo_a_linear_map(runs):
  """Both have their classes apart, so what is lost is lost to the map."""
  found = probing.probe(*runs, ALIGNMENTS)
  none, standardised, coral, subspace = found.tested
  assert [one.name for one in found.tested] == [
    'none',
    'standardised',
    'coral',
    'subspace:d=8',
  ]
  assert coral.count.correct > none.count.correct + 50
  assert coral.hits.second - coral.hits.first == (
    coral.count.correct - none.count.correct
  )
  assert coral.p_holm < 1e-6 and coral.loss < standardised.loss / 3
  assert coral.count.correct > standardised.count.correct + 10
  assert subspace.dimension == 8


def test_labels_of_the_target_are_for_the_count_alone(runs, store):
  source, target = runs
  found = probing.probe(source, target, ALIGNMENTS)
  shuffled = np.random.default_rng(0).permutation(LABELS)
  ids = [f't{i:04d}.JPEG' for i in range(len(LABELS))]
  other = store('shuffled', turned(made(1)), shuffled, ids=ids)
  again = probing.probe(source, other, ALIGNMENTS)
  for one, two in zip(found.tested, again.tested, strict=True):
    assert np.array_equal(one.predicted, two.predicted)
    assert two.count.correct == (one.predicted == shuffled).sum()
    assert one.count.correct > 2 * two.count.correct


def test_classes_of_one_side(runs, store):
  source, _ = runs
  labels = np.where(LABELS == 1, 700, np.where(LABELS == 2, -1, LABELS))
  found = probing.probe(source, store('odd', made(1), labels, ids=range_ids()))
  (none,) = found.tested
  assert none.count.count == 8 * EACH and none.count.skipped == 2 * EACH
  said = ' '.join(found.remarks)
  assert '2 of 10 classes of source have no image in odd: they stay answers' in said
  assert '50 images of odd are not counted' in said and 'their 1 classes' in said


def range_ids():
  return [f'o{i:04d}.JPEG' for i in range(len(LABELS))]


def test_few_images_and_constant_features(store):
  few = made(0)[:20].copy()
  few[:, 3] = 2
  wide = np.concatenate([few, few**2, few + 1], axis=1)
  source = store('source', wide, LABELS[:20])
  target = store('target', wide[:11] + 1, LABELS[:11])
  found = probing.probe(source, target, [Alignment('coral'), Alignment('subspace')])
  said = ' '.join(found.remarks)
  assert '3 of 36 features are constant in source' in said
  assert '20 and 11 images for 33 features' in said and 'filled up by + I' in said
  assert '11 images of target are called as images of source' in said
  assert found.folds == 2 and found.tested[-1].dimension <= 10
  with pytest.raises(UserError, match='have 10 components at most'):
    probing.probe(source, target, [Alignment('subspace', 11)])


def test_refusals(runs, store, store_run):
  source, target = runs

  def refused(words, one, other):
    with pytest.raises(UserError, match=words) as caught:
      probing.probe(one, other)
    assert '\n' not in str(caught.value)

  values = made(0)
  refused('stores no features: .*store_features', source, store_run('no', [1], [1]))
  refused('features of penultimate, ', source, store('layer', values, layer='conv'))
  refused('12 features .* 11 of', source, store('size', values[:, 1:]))
  both = [store(one, values, model={'weights_sha256': one}) for one in 'ab']
  refused('weights differ', *both)
  refused('same features of all 500', store('flat', values * 0 + 3), target)
  refused('same features of all', source, store('flat2', values * 0 + 3))
  refused('one image of each', store('one', values[:10], LABELS[:10]), target)
  refused('labels of 1 classes', store('alone', values, LABELS * 0), target)
  refused('no labels', source, store('unknown', values, LABELS * 0 - 1))
  refused('no class in common', source, store('apart', values, LABELS + 100))
  for text in ('cora', 'coral:d=3', 'subspace:d=0', 'subspace:k=3', 'subspace:d=x'):
    with pytest.raises(UserError, match='align'):
      probing.parse_alignment(text)
  assert probing.parse_alignment('subspace:d=3') == Alignment('subspace', 3)


def test_without_scikit_learn(runs, monkeypatch):
  find = probing.importlib.util.find_spec
  monkeypatch.setattr(
    probing.importlib.util,
    'find_spec',
    lambda name: None if name == 'sklearn' else find(name),
  )
  with pytest.raises(UserError, match=r"pip install 'tfeval\[shift\]'"):
    probing.probe(*runs)
