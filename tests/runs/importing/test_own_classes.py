"""Imports of classes that are not ImageNet's: orders that are wrong, what is left."""

import numpy as np
import pytest

from tfeval.datasets.labels import class_lists, sets
from tfeval.runs.importing import importer, sources
from tfeval.runs.importing.importer import ImportConfig
from tfeval.utils.errors import UserError

NAMES = ['Dog', 'Zebra', 'ant', 'bee', 'cat', 'eel', 'fly', 'gnu', 'hen', 'owl']
COUNT = 60
LABELS = np.arange(COUNT) // 6
IDS = [f'photo {i:02d}.jpg' for i in range(COUNT)]


@pytest.fixture
def files(tmp_path):
  """Predictions that are right 48 times, their ids, classes and labels."""
  top1 = np.where(np.arange(COUNT) % 5, LABELS, (LABELS + 1) % 10)
  np.save(tmp_path / 'model.npy', np.eye(10, dtype=np.float32)[top1])
  (tmp_path / 'ids.txt').write_text('\n'.join(IDS))
  (tmp_path / 'classes.txt').write_text('\n'.join(NAMES))
  lines = [f'{name},{NAMES[label]}' for name, label in zip(IDS, LABELS, strict=True)]
  (tmp_path / 'labels.csv').write_text('\n'.join(['id,label', *lines]))
  return tmp_path


def imported(files):
  space = class_lists.read_space(files / 'classes.txt')
  labels = sets.open_labels([str(files / 'labels.csv')], space)
  labels = (sets.LabelSource('original', labels[0].file, labels[0].path),)
  config = ImportConfig(
    labels=labels, order=str(files / 'ids.txt'), classes=files / 'classes.txt'
  )
  source = sources.Source('model', files / 'model.npy', None, files / 'run')
  return importer.import_predictions(source, config)


def test_it_repeats_itself(files):
  assert imported(files).metrics[0].correct == 48
  flags = (files / 'run/flags.txt').read_text().splitlines()
  assert f'--classes={files}/classes.txt' in flags


@pytest.mark.parametrize(
  'name, lines, words',
  [
    (
      'classes.txt',
      sorted(NAMES, key=str.lower),
      r'0 of 60 answers are right: its classes stand in another order \(name\)',
    ),
    ('ids.txt', IDS[::-1], 'with the ids of .* sorted it would be 48: give that'),
    ('ids.txt', [*IDS[:-1], IDS[0]], 'has 1 ids twice: photo 00.jpg'),
    ('ids.txt', [*IDS[:-1], 'x.jpg'], '1 image is none of those that have labels'),
  ],
)
def test_wrong_orders_leave_nothing(files, name, lines, words):
  (files / name).write_text('\n'.join(lines))
  with pytest.raises(UserError, match=words):
    imported(files)
  assert not (files / 'run').exists()
