"""Answers of any script: classes or scores, with a background or without."""

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.runs.importing import answers
from tfeval.utils.errors import UserError

SPACE = LabelSpace('pets', ('cat', 'dog', 'fox'), ('cat', 'dog', 'fox'))
SCORES = np.random.default_rng(0).random((7, 4))


def columns(names):
  return pa.table({name: SCORES[:, i] for i, name in enumerate(names)})


def written(path, how):
  """Writes four scores of each image, of three classes and a background."""
  if how == 'npy':
    np.save(path, SCORES)
  elif how == 'npz':
    np.savez(path, scores=SCORES)
  elif how == 'index.csv':
    pa_csv.write_csv(columns('0123'), path)
  elif how == 'id.csv':
    pa_csv.write_csv(columns(['background', *SPACE.class_ids]), path)
  elif how == 'lists.parquet':
    pq.write_table(pa.table({'probabilities': list(SCORES)}), path)
  else:
    pq.write_table(columns('0123'), path)
  return path


HOW = ['npy', 'npz', 'index.csv', 'id.csv', 'lists.parquet', 'flat.parquet']


@pytest.mark.parametrize('how', HOW)
def test_scores_with_a_background(how, tmp_path):
  found = answers.read(written(tmp_path / f'theirs.{how}', how), SPACE)
  assert found.scored and found.ids is None
  assert np.array_equal(found.classes, np.argsort(-SCORES, axis=1))


def test_what_is_no_background_is_told_as_without(tmp_path):
  path = tmp_path / 'theirs.npy'
  for values, said in (
    (np.zeros((7, 5)), 'expected all outputs'),
    (np.zeros((7, 4), int), 'k best classes'),
    (np.full((7, 1), 4), 'classes outside of 0 to 3'),
  ):
    np.save(path, values)
    with pytest.raises(UserError, match=said):
      answers.read(path, SPACE)
