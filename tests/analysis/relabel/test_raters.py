"""Reading the .npz files of ReaL: the published ones, and what is none."""

import zipfile

import numpy as np
import pytest

from tfeval.analysis.relabel import raters
from tfeval.utils.errors import UserError

INFO = np.array(
  [
    ['ILSVRC2012_val_00000001.JPEG', '65'],
    ['ILSVRC2012_val_00000001.JPEG', '7'],
    ['ILSVRC2012_val_00050000.JPEG', '999'],
  ]
)
SCORES = {'tensor': np.array([0.1, 0.9, 1]), 'info': INFO}
ANSWERS = np.zeros((2, 3, 3))
ANSWERS[0, 0, 2] = ANSWERS[0, 2, 0] = ANSWERS[1, 2, 1] = 1
RATERS = {'tensor': ANSWERS, 'info': INFO, 'ids': np.array([7, 5])}


def test_scores(tmp_path):
  np.savez_compressed(tmp_path / 'a.npz', **SCORES)
  found = raters.load_scores(tmp_path / 'a.npz')
  assert found.pairs.image.tolist() == [1, 1, 50000]
  assert found.pairs.label.tolist() == [65, 7, 999]
  assert found.score.tolist() == [0.1, 0.9, 1]


@pytest.mark.parametrize('dtype', [np.float64, np.int8, bool])
def test_votes(tmp_path, dtype):
  np.savez(tmp_path / 'a.npz', **{**RATERS, 'tensor': ANSWERS.astype(dtype)})
  found = raters.load_votes(tmp_path / 'a.npz')
  assert found.ids.tolist() == [7, 5]
  assert list(
    zip(found.votes.rater, found.votes.item, found.votes.answer, strict=True)
  ) == [(0, 0, 2), (0, 2, 0), (1, 2, 1)]


def test_published_votes_against_plain_numpy(shared_data):
  path = shared_data / 'real/raters_golden.npz'
  found = raters.load_votes(path)
  with np.load(path, allow_pickle=False) as archive:
    expected = np.nonzero(archive['tensor'])
  for column, values in zip(('rater', 'item', 'answer'), expected, strict=True):
    np.testing.assert_array_equal(getattr(found.votes, column), values)


def changed(array, index, value):
  array = array.copy()
  array[index] = value
  return array


@pytest.mark.parametrize(
  ('replaced', 'words'),
  [
    ({'tensor': None}, 'no array tensor'),
    ({'info': None}, 'no array info'),
    ({'tensor': np.array([0.1, np.nan, 0.2])}, 'a score is nan'),
    ({'tensor': np.array([0.1, 1.1, 0.2])}, 'a score is 1.1'),
    ({'tensor': np.array([0.1, 0.2])}, r'expected \[3\]'),
    ({'tensor': np.array([[0.1, 0.2, 0.3]])}, r'\[1, 3\]'),
    ({'tensor': np.array([0, 1, 1])}, 'int64'),
    ({'tensor': np.array([0.1, {}, 0.2], object)}, 'object'),
    ({'info': INFO.astype(object)}, 'object'),
    ({'info': INFO[:, :1]}, r'\[3, 1\]'),
    ({'info': INFO[:0]}, r'\[0, 2\]'),
    ({'info': changed(INFO, (0, 0), 'cat.jpg')}, 'info holds'),
    ({'info': changed(INFO, (0, 1), '1000')}, 'info holds'),
    ({'info': changed(INFO, (0, 1), '-1')}, 'info holds'),
    ({'info': changed(INFO, (0, 1), '7')}, 'there twice'),
    ({'info': INFO.astype('U100')}, 'texts of 100 characters'),
    ({'info': np.asfortranarray(INFO)}, 'Fortran'),
  ],
)
def test_scores_that_are_none(tmp_path, replaced, words):
  arrays = {
    key: value for key, value in {**SCORES, **replaced}.items() if value is not None
  }
  np.savez(tmp_path / 'a.npz', **arrays)
  with pytest.raises(UserError, match=words) as error:
    raters.load_scores(tmp_path / 'a.npz')
  assert '\n' not in str(error.value)


@pytest.mark.parametrize(
  ('replaced', 'words'),
  [
    ({'ids': np.array([7])}, r'expected \[1, 3, 3\]'),
    ({'ids': np.array([7, 7])}, 'a rater is there twice'),
    ({'tensor': ANSWERS[:, :, :2]}, r'\[2, 3, 2\]'),
    ({'tensor': changed(ANSWERS, (0, 0, 0), 0.5)}, 'neither 0 nor 1'),
    ({'tensor': changed(ANSWERS, (0, 0, 0), np.nan)}, 'neither 0 nor 1'),
    ({'tensor': changed(ANSWERS, (0, 0, 0), 1)}, 'two answers'),
    ({'tensor': 0 * ANSWERS}, 'holds no answer'),
  ],
)
def test_votes_that_are_none(tmp_path, replaced, words):
  np.savez(tmp_path / 'a.npz', **{**RATERS, **replaced})
  with pytest.raises(UserError, match=words):
    raters.load_votes(tmp_path / 'a.npz')


def test_files_that_are_none(tmp_path):
  path = tmp_path / 'a.npz'
  for content in (b'', b'PK', b'{}', b'\x80\x04N.'):
    path.write_bytes(content)
    with pytest.raises(UserError, match='not a readable .npz'):
      raters.load_scores(path)
  with pytest.raises(UserError, match='No such file'):
    raters.load_scores(tmp_path / 'b.npz')
  with pytest.raises(UserError, match='is a directory'):
    raters.load_scores(tmp_path)
  np.savez_compressed(path, **RATERS)
  whole = path.read_bytes()
  for end in range(0, len(whole), 13):
    path.write_bytes(whole[:end])
    with pytest.raises(UserError):
      raters.load_votes(path)
  for place in range(0, len(whole), 7):
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
    try:
      raters.load_votes(path)  # Some bytes say nothing, such as dates.
    except UserError as error:
      assert '\n' not in str(error)


def test_a_header_that_promises_too_much_is_not_believed(tmp_path):
  path = tmp_path / 'a.npz'
  header = b"{'descr': '<U28', 'fortran_order': False, 'shape': (900000, 2), }\n"
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr(
      'info.npy',
      b'\x93NUMPY\x01\x00' + len(header).to_bytes(2, 'little') + header + b'x' * 100,
    )
  with pytest.raises(UserError, match='ends too early'):
    raters.load_scores(path)
