"""Voted labels against the published file, and accuracies against a loop."""

import collections
import csv
import json

import numpy as np
import pyarrow as pa
import pytest

from tfeval.datasets.labels import (
  class_lists,
  imagenet,
  label_errors,
  sets,
  subsets,
)
from tfeval.runs.importing import importer, sources
from tfeval.utils.errors import UserError

MODELS = ('alexnet_pytorch', 'resnet152_pytorch', 'resnet50_pytorch', 'vgg16_keras')


@pytest.fixture(scope='module')
def published(shared_data):
  path = shared_data / 'facts' / 'imagenet_label_errors_cleanlab.tsv'
  with path.open() as file:
    rows = list(csv.DictReader(file, delimiter='\t'))
  return {int(row['file'][15:23]): row for row in rows}


def right_labels(row) -> set[int]:
  """Of a flagged image, by its votes."""
  given, guessed = int(row['given_index']), int(row['guessed_index'])
  for what, labels in (
    ('given', {given}),
    ('guessed', {guessed}),
    ('both', {given, guessed}),
  ):
    if int(row[f'votes_{what}']) >= 3:
      return labels
  return set()


def test_votes_are_the_published_ones(published):
  votes = label_errors.read_votes()
  assert votes.number.tolist() == sorted(published) and len(published) == 5440
  truth = imagenet.original_validation_labels()
  for i, number in enumerate(votes.number.tolist()):
    row = published[number]
    told = [int(row[f'votes_{w}']) for w in ('given', 'guessed', 'neither', 'both')]
    assert votes.votes[i].tolist() == told and sum(told) == 5
    assert votes.given[i] == int(row['given_index']) == truth[number - 1]
    assert votes.guessed[i] == int(row['guessed_index'])


def test_published_counts():
  votes = label_errors.read_votes()
  kinds = collections.Counter(
    'guessed' if guessed >= 3 else 'both' if both >= 3 else
    'neither' if neither >= 3 else 'none'
    for (_, guessed, neither, both), error in
    zip(votes.votes.tolist(), votes.is_error.tolist(), strict=True) if error
  )  # fmt: skip
  assert kinds == {'guessed': 1428, 'both': 597, 'neither': 293, 'none': 598}
  assert len(label_errors.error_numbers()) == sum(kinds.values()) == 2916


def test_corrected_labels(published):
  found = label_errors.corrected()
  at = np.r_[0, np.cumsum(found.sizes)]
  for i, label in enumerate(imagenet.original_validation_labels()):
    row = published.get(i + 1)
    expected = {label} if row is None else right_labels(row)
    assert set(found.values[at[i] : at[i + 1]].tolist()) == expected
  assert '1,428' in found.note and '597' in found.note and '891' in found.note


def test_errors_are_omitted_by_validation_number():
  errors = label_errors.error_numbers().tolist()
  ids = pa.array(
    [imagenet.validation_name(1), f'ILSVRC2012_val_{errors[0]:08d}_n01751748.jpg', 'x']
  )
  subset = subsets.open_subset(None, 'label_errors')
  assert 1 not in errors and subset.mask(ids).tolist() == [True, False, True]
  with pytest.raises(UserError, match='none of the 1 images of RUN is called'):
    subset.check(pa.array(['x']), 'RUN')


def test_classes_of_others_have_no_such_labels(tmp_path):
  (tmp_path / 'classes.txt').write_text('cat\ndog\n')
  space = class_lists.read_space(tmp_path / 'classes.txt')
  with pytest.raises(UserError, match='the runs are of 2 others'):
    sets.open_labels(['label_errors'], space)


@pytest.fixture(scope='module')
def imported(shared_data, tmp_path_factory):
  """Runs of four published models, in a folder."""
  into = tmp_path_factory.mktemp('runs')
  found = [
    one
    for one in sources.find_sources(str(shared_data / 'predictions'), None, str(into))
    if any(model in str(one) for model in MODELS)
  ]
  real = str(shared_data / 'real' / 'real.json')
  labels = tuple(sets.open_labels(['original', real]))
  importer.import_all(found, importer.ImportConfig(labels, order='class_folder'))
  return into


def test_a_leaderboard_under_four_sets_of_labels(
  imported, shared_data, published, tfeval
):
  code, out, err = tfeval(
    'leaderboard', imported, '--labels=original', '--labels=label_errors',
    '--labels=real', '--omit=label_errors', '--json',
  )  # fmt: skip
  assert code == 0, err
  rows = json.loads(out)['rows']
  assert len(rows) == len(MODELS)
  truth = imagenet.original_validation_labels()
  wnids = imagenet.label_space().class_ids
  order = sorted(range(50_000), key=lambda i: (wnids[truth[i]], i))
  real = json.loads((shared_data / 'real' / 'real.json').read_text())
  errors = {n for n, row in published.items() if int(row['votes_given']) < 3}
  right = [{label} for label in truth]
  for number, row in published.items():
    right[number - 1] = right_labels(row)
  sets_ = {
    'original': [{label} for label in truth],
    'label_errors': right,
    'real': [set(labels) for labels in real],
    'original@subset': [
      set() if i + 1 in errors else {label} for i, label in enumerate(truth)
    ],
  }
  for row in rows:
    framework = row['model'].split('_')[1]
    path = shared_data / 'predictions' / f'{framework}_imagenet' / row['model']
    classes = np.load(f'{path}_top5preds.npy')
    scores = np.load(f'{path}_top5probs.npy').astype(np.float64)
    # Of equal scores the lowest class counts.
    best = [
      min(zip(-s, c, strict=True))[1] for s, c in zip(scores, classes, strict=True)
    ]
    for name, labels in sets_.items():
      counts = [(best[at] in labels[i]) for at, i in enumerate(order) if labels[i]]
      found = next(
        m for m in row['metrics'] if m['labels'] == name and m['name'] == 'top1'
      )
      assert (found['correct'], found['count']) == (sum(counts), len(counts)), name
  assert {len(rows), *(row['original@subset/count'] for row in rows)} == {4, 47_084}
