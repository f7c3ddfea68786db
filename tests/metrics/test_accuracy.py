"""Counts of hits against scikit-learn, loops and published predictions."""

import json

import numpy as np
import pytest
from sklearn.metrics import (
  balanced_accuracy_score,
  confusion_matrix,
  recall_score,
  top_k_accuracy_score,
)

from tfeval.datasets.labels import imagenet
from tfeval.metrics import accuracy, ranking
from tfeval.metrics.accuracy import Count, LabelSets


def label_sets(sets) -> LabelSets:
  return LabelSets(
    np.array([label for one in sets for label in one], np.int64),
    np.array([len(one) for one in sets], np.int64),
  )


def top_k_hits(ranked: np.ndarray, sets: LabelSets, k: int) -> Count:
  return accuracy.counted(accuracy.hits(ranked, sets, k), sets)


def random_case(seed: int, n: int = 60, classes: int = 12, kept: int = 6):
  """Ranked classes [n, kept] and n label sets, some of them empty."""
  rng = np.random.default_rng(seed)
  ranked = np.array([rng.permutation(classes)[:kept] for _ in range(n)])
  sets = [rng.permutation(classes)[: rng.integers(0, 4)].tolist() for _ in range(n)]
  return ranked, sets


def counted_by_loop(ranked, sets, k: int) -> Count:
  correct = count = 0
  for row, right in zip(ranked.tolist(), sets, strict=True):
    if right:
      count += 1
      correct += any(label in right for label in row[:k])
  return Count(correct, count, len(sets) - count)


@pytest.mark.parametrize('k', [1, 2, 5, 20])
def test_single_labels_against_scikit_learn(k):
  rng = np.random.default_rng(k)
  scores = rng.permutation(300 * 50).reshape(300, 50).astype(np.float32)
  truth = rng.integers(0, 50, 300)
  ours = top_k_hits(ranking.top_k(scores, k), LabelSets.from_single(truth), k)
  expected = top_k_accuracy_score(truth, scores, k=k, labels=range(50), normalize=False)
  assert ours == Count(int(expected), 300, 0)


@pytest.mark.parametrize('k', [1, 2, 5])
def test_label_sets_against_a_loop(k):
  for seed in range(50):
    ranked, sets = random_case(seed)
    assert top_k_hits(ranked, label_sets(sets), k) == counted_by_loop(ranked, sets, k)


# Correct of 50,000 original and of 46,837 ReaL labels. The predictions were published
# with a benchmark of 2019; the integers were counted from them independently.
PUBLISHED = {
  'keras_imagenet/nasnetlarge': (40413, 47636, 40322, 45410),
  'keras_imagenet/resnet50': (35175, 44774, 36116, 43468),
  'keras_imagenet/mobilenetV2': (34988, 44743, 36079, 43504),
  'keras_imagenet/vgg16': (32620, 43099, 33850, 42226),
  'pytorch_imagenet/resnet152': (38804, 46911, 39375, 45011),
  'pytorch_imagenet/resnet50': (37531, 46238, 38398, 44613),
  'pytorch_imagenet/alexnet': (27251, 38822, 28472, 38518),
}


@pytest.fixture(scope='module')
def by_class_folder(shared_data):
  """Original and ReaL labels of the validation images by (wnid, file name)."""
  original = imagenet.original_validation_labels()
  real = imagenet.load_real_labels(shared_data / 'real' / 'real.json')
  wnids = imagenet.label_space().class_ids
  order = sorted(
    range(50_000), key=lambda i: (wnids[original[i]], imagenet.validation_name(i + 1))
  )
  return (
    LabelSets.from_single(np.array([original[i] for i in order])),
    label_sets([real[i] for i in order]),
  )


@pytest.mark.parametrize('model', PUBLISHED)
def test_published_predictions(shared_data, by_class_folder, model):
  framework, name = model.split('/')
  path = shared_data / 'predictions' / framework / f'{name}_{framework}'
  classes = np.load(f'{path}_top5preds.npy')
  scores = np.load(f'{path}_top5probs.npy')
  # By class first, so that the lowest column of a tie is its lowest class.
  by_class = np.argsort(classes, axis=1)
  classes = np.take_along_axis(classes, by_class, axis=1)
  scores = np.take_along_axis(scores, by_class, axis=1)
  ranked = np.take_along_axis(classes, ranking.top_k(scores, 5), axis=1)
  original, real = by_class_folder
  top1, top5, real_top1, real_top5 = PUBLISHED[model]
  assert top_k_hits(ranked, original, 1) == Count(top1, 50_000, 0)
  assert top_k_hits(ranked, original, 5) == Count(top5, 50_000, 0)
  assert top_k_hits(ranked, real, 1) == Count(real_top1, 46_837, 3163)
  assert top_k_hits(ranked, real, 5) == Count(real_top5, 46_837, 3163)


def test_the_order_of_examples_does_not_matter():
  ranked, sets = random_case(0)
  expected = top_k_hits(ranked, label_sets(sets), 2)
  for seed in range(20):
    order = np.random.default_rng(seed).permutation(len(sets))
    shuffled = label_sets([sets[i] for i in order])
    assert top_k_hits(ranked[order], shuffled, 2) == expected


def test_counts_of_parts_add_up():
  ranked, sets = random_case(1)
  expected = top_k_hits(ranked, label_sets(sets), 2)
  for size in (1, 7, 59, 60):
    total = Count(0, 0, 0)
    for start in range(0, len(sets), size):
      part = slice(start, start + size)
      total += top_k_hits(ranked[part], label_sets(sets[part]), 2)
    assert total == expected


def test_an_example_with_several_hits_counts_once():
  assert top_k_hits(np.array([[1, 2, 3]]), label_sets([[3, 2, 1, 2]]), 3) == Count(
    1, 1, 0
  )


def test_negative_labels_are_none():
  sets = LabelSets.from_single(np.array([2, -1, 0]))
  assert sets.values.tolist() == [2, 0]
  assert sets.sizes.tolist() == [1, 0, 1]
  ranked = np.array([[2, 1], [0, 1], [1, 0]])
  assert top_k_hits(ranked, sets, 1) == Count(1, 2, 1)
  assert top_k_hits(ranked, sets, 2) == Count(2, 2, 1)


def test_nothing_labelled_and_nothing_at_all():
  ranked = np.array([[1, 2], [3, 4]])
  assert top_k_hits(ranked, label_sets([[], []]), 1) == Count(0, 0, 2)
  assert top_k_hits(ranked[:0], label_sets([]), 1) == Count(0, 0, 0)


@pytest.mark.parametrize('k', [-1, 0, 3])
def test_k_out_of_range(k):
  with pytest.raises(ValueError, match=f'top-{k} of 2 stored classes'):
    top_k_hits(np.array([[1, 2]]), label_sets([[1]]), k)


@pytest.mark.parametrize('ranked', [[1, 2], [[1, 2], [3, 4]], [[[1]]]])
def test_shapes_that_disagree(ranked):
  with pytest.raises(ValueError, match='ranked has shape'):
    top_k_hits(np.array(ranked), label_sets([[1]]), 1)


def test_entry():
  # Both ends by hand: 3 of 4 with z = 1.959964.
  entry = Count(3, 4, 2).entry('top1', 'real').to_json()
  interval = entry.pop('interval')
  assert entry == {
    'name': 'top1',
    'labels': 'real',
    'kind': 'count',
    'correct': 3,
    'count': 4,
    'skipped': 2,
    'value': 0.75,
    'rule': 'all',
  }
  assert interval == {
    'method': 'wilson',
    'level': 0.95,
    'low': pytest.approx(0.3006418, abs=1e-7),
    'high': pytest.approx(0.9544127, abs=1e-7),
  }


def test_entry_without_examples():
  assert Count(0, 0, 9).entry('top5', 'original') == {
    'name': 'top5',
    'labels': 'original',
    'kind': 'count',
    'correct': 0,
    'count': 0,
    'skipped': 9,
    'value': None,
    'interval': None,
    'rule': 'all',
  }


@pytest.mark.parametrize('k', [1, 5])
def test_entry_is_json_and_keeps_the_count(k):
  ranked, sets = random_case(2)
  expected = counted_by_loop(ranked, sets, k)
  entry = top_k_hits(ranked, label_sets(sets), k).entry(f'top{k}', 'real')
  assert json.loads(json.dumps(entry)) == entry
  assert (entry['name'], entry['labels']) == (f'top{k}', 'real')
  assert Count(entry['correct'], entry['count'], entry['skipped']) == expected
  assert entry['value'] == expected.correct / expected.count


@pytest.mark.parametrize('k', [1, 2, 5])
def test_hits_are_those_that_are_counted(k):
  ranked, sets = random_case(3)
  hit = accuracy.hits(ranked, label_sets(sets), k)
  assert hit.dtype == bool
  assert hit.tolist() == [
    any(label in right for label in row[:k].tolist())
    for row, right in zip(ranked, sets, strict=True)
  ]
  assert hit.sum() == top_k_hits(ranked, label_sets(sets), k).correct


def single_case(seed: int, n: int = 200, classes: int = 12):
  """Ranked classes [n, classes] and n labels; class 11 has no examples."""
  rng = np.random.default_rng(seed)
  ranked = np.array([rng.permutation(classes) for _ in range(n)])
  return ranked, rng.integers(0, classes - 1, n)


def test_per_class_against_scikit_learn():
  ranked, labels = single_case(0)
  counts = accuracy.per_class_hits(ranked, labels, 1, 12)
  matrix = confusion_matrix(labels, ranked[:, 0], labels=range(12))
  assert counts.correct.tolist() == np.diag(matrix).tolist()
  assert counts.count.tolist() == matrix.sum(axis=1).tolist()
  # scikit-learn warns that class 11 was predicted and has no examples.
  with pytest.warns(UserWarning, match='y_pred contains classes not in y_true'):
    expected = balanced_accuracy_score(labels, ranked[:, 0])
  assert counts.balanced == pytest.approx(expected, rel=1e-12)
  assert np.isnan(counts.rates[11])
  np.testing.assert_allclose(
    counts.rates[:11],
    recall_score(labels, ranked[:, 0], labels=range(11), average=None),
  )


@pytest.mark.parametrize('k', [1, 3, 12])
def test_per_class_against_a_loop(k):
  ranked, labels = single_case(1)
  counts = accuracy.per_class_hits(ranked, labels, k, 12)
  for label in range(12):
    rows = [
      row for row, own in zip(ranked.tolist(), labels, strict=True) if own == label
    ]
    assert counts.count[label] == len(rows)
    assert counts.correct[label] == sum(label in row[:k] for row in rows)
  total = top_k_hits(ranked, LabelSets.from_single(labels), k)
  assert (counts.correct.sum(), counts.count.sum()) == (total.correct, total.count)


def test_per_class_counts_of_parts_add_up_in_any_order():
  ranked, labels = single_case(2)
  whole = accuracy.per_class_hits(ranked, labels, 2, 12)
  order = np.random.default_rng(0).permutation(len(labels))
  a, b, c = (
    accuracy.per_class_hits(ranked[rows], labels[rows], 2, 12)
    for rows in np.split(order, [10, 77])
  )
  for added in ((a + b) + c, a + (b + c), c + a + b):
    assert added.correct.tolist() == whole.correct.tolist()
    assert added.count.tolist() == whole.count.tolist()


def test_per_class_without_examples():
  counts = accuracy.per_class_hits(np.empty((0, 5), int), np.empty(0, int), 1, 3)
  assert counts.count.tolist() == [0, 0, 0]
  assert np.isnan(counts.rates).all()
  assert counts.balanced is None


@pytest.mark.parametrize(
  'labels, k, match',
  [
    ([0, -1], 1, 'labels are from -1 to 0, expected 0 to 2'),
    ([0, 3], 1, 'labels are from 0 to 3, expected 0 to 2'),
    ([0.0, 1.0], 1, 'labels are float64'),
    ([0], 1, r'expected int \(2,\)'),
    ([0, 1], 3, 'top-3 of 2 stored classes'),
  ],
)
def test_per_class_misuse(labels, k, match):
  with pytest.raises(ValueError, match=match):
    accuracy.per_class_hits(np.array([[0, 1], [2, 0]]), np.array(labels), k, 3)
