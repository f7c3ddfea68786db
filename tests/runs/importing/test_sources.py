"""Which files in a folder are predictions, and what their runs are called."""

import pathlib

import pytest

from tfeval.runs.importing import sources
from tfeval.utils.errors import UserError


def folder(root: pathlib.Path, *names: str) -> str:
  for name in names:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text('')
  return str(root)


def found(root: pathlib.Path) -> dict:
  """By name: the file, the probabilities beside it, and the run directory."""
  return {
    s.name: (
      s.predictions.relative_to(root).as_posix(),
      s.probabilities and s.probabilities.relative_to(root).as_posix(),
      s.directory.name,
    )
    for s in sources.find_sources(str(root), None, 'out')
  }


def test_pairs_and_single_files(tmp_path):
  folder(
    tmp_path,
    'a_top5preds.npy',
    'a_top5probs.npy',
    'b_preds.npy',
    'b_probs.npy',
    'sub/c.csv',
    'd.npz',
    'e.parquet',
    'f_preds.npy',
    'README.txt',
    'x/y/z.npy',
  )
  assert found(tmp_path) == {
    'a': ('a_top5preds.npy', 'a_top5probs.npy', 'a'),
    'b': ('b_preds.npy', 'b_probs.npy', 'b'),
    'd': ('d.npz', None, 'd'),
    'e': ('e.parquet', None, 'e'),
    'f': ('f_preds.npy', None, 'f'),
    'c': ('sub/c.csv', None, 'c'),
  }


def test_folders_tell_the_same_name_apart(tmp_path):
  folder(tmp_path, 'keras/vgg 16.npy', 'torch/vgg 16.npy', 'torch/resnet.npy')
  assert found(tmp_path) == {
    'keras_vgg 16': ('keras/vgg 16.npy', None, 'keras_vgg_16'),
    'torch_vgg 16': ('torch/vgg 16.npy', None, 'torch_vgg_16'),
    'resnet': ('torch/resnet.npy', None, 'resnet'),
  }


def test_a_single_file_has_the_run_directory(tmp_path):
  path = folder(tmp_path, 'a_top5preds.npy') + '/a_top5preds.npy'
  (source,) = sources.find_sources(path, 'p.npy', 'out')
  assert source == sources.Source(
    'a', pathlib.Path(path), pathlib.Path('p.npy'), pathlib.Path('out')
  )


@pytest.mark.parametrize(
  'names, said',
  [
    ((), 'holds no predictions'),
    (('x.txt',), 'holds no predictions'),
    (('a_top5probs.npy',), 'without their classes: expected a_top5preds.npy'),
    (('a_top5preds.npy', 'a_top3probs.npy'), 'expected a_top3preds.npy'),
    (('a.npy', 'a.csv'), 'two files of predictions called'),
  ],
)
def test_folders_that_are_refused(tmp_path, names, said):
  with pytest.raises(UserError, match=said):
    sources.find_sources(folder(tmp_path, *names), None, 'out')


def test_probabilities_of_a_folder(tmp_path):
  with pytest.raises(UserError, match='NAME_probs.npy beside NAME_preds.npy'):
    sources.find_sources(folder(tmp_path, 'a.npy'), 'p.npy', 'out')
