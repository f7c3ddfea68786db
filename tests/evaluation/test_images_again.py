"""Images of runs, read again from wherever they lie, or the reason why not."""

import hashlib
import pathlib
import shutil

import cv2
import numpy as np
import pytest
import scored_runs
import tensorflow as tf

from tfeval.datasets.labels import imagenet
from tfeval.evaluation import images_again, thumbnail


@pytest.fixture
def folder_run(tmp_path, noise):
  """A run on a copy of a flat folder."""
  folder = tmp_path / 'folder'
  shutil.copytree(noise, folder)
  return stored(tmp_path / 'run', folder, f'folder:{folder}')


def stored(directory, folder: pathlib.Path, name: str):
  ids = sorted(path.name for path in folder.iterdir())
  labels = np.arange(len(ids))
  return scored_runs.store(
    directory,
    scored_runs.random_scores(len(ids), 0, labels),
    labels,
    ids=ids,
    hashes=[hashlib.sha256((folder / one).read_bytes()).digest() for one in ids],
    dataset={'name': name},
  )


def ids_of(run):
  return sorted(run.to_arrow(['id'])['id'].to_pylist())


def test_pictures_of_a_folder_are_its_images_made_smaller(folder_run, noise):
  ids = ids_of(folder_run)[:3][::-1]
  found = images_again.thumbnails(folder_run, ids, 25)
  assert list(found) == ids
  pixels = images_again.thumbnail_pixels(folder_run, ids, 25)
  for one in ids:
    assert tf.io.decode_jpeg(found[one]).shape == pixels[one].shape == (20, 25, 3)
    image = cv2.imread(str(noise / one))[..., ::-1]
    theirs = cv2.resize(image, (25, 20), interpolation=cv2.INTER_AREA)
    assert np.abs(pixels[one].astype(int) - theirs).max() <= 1
  # None is made larger.
  assert images_again.thumbnail_pixels(folder_run, ids, 999)[ids[0]].shape == (
    40,
    50,
    3,
  )


def test_missing_changed_and_broken_images_have_a_reason(folder_run, noise, tmp_path):
  gone, changed, fine = ids_of(folder_run)[:3]
  folder = tmp_path / 'folder'
  (folder / gone).unlink()
  (folder / changed).write_bytes((noise / fine).read_bytes())
  found = images_again.thumbnails(folder_run, [gone, changed, fine], 20)
  assert 'no longer in' in found[gone]
  assert 'another image has this name' in found[changed]
  assert isinstance(found[fine], bytes)
  for content, words in ((b'', 'empty'), (b'GIF89a', 'GIF')):
    with pytest.raises(Exception, match=words):
      thumbnail.of_encoded(content, 20)
  with pytest.raises(Exception, match='JPEG'):
    thumbnail.of_encoded((noise / fine).read_bytes()[:400], 20)


def test_a_dataset_that_is_not_there_is_a_reason_and_no_crash(folder_run, tmp_path):
  ids = ids_of(folder_run)
  (tmp_path / 'folder').rename(tmp_path / 'moved')
  found = images_again.thumbnails(folder_run, ids, 20)
  assert all('is not there' in one for one in found.values()) and len(found) == len(ids)
  moved = images_again.thumbnails(
    folder_run, ids, 20, dataset=f'folder:{tmp_path / "moved"}'
  )
  assert all(isinstance(one, bytes) for one in moved.values())
  assert images_again.thumbnails(folder_run, [], 20) == {}


def test_a_run_on_tfds_says_which_option_brings_its_images(tmp_path, noise):
  run = stored(tmp_path / 'run', noise, 'imagenet2012')
  found = images_again.thumbnails(run, ids_of(run)[:1], 20)
  (reason,) = found.values()
  assert '`data_dir`' in reason and '`dataset`' in reason
  nothing = images_again.thumbnails(run, ids_of(run)[:1], 20, data_dir=str(tmp_path))
  assert isinstance(nothing[ids_of(run)[0]], str)


@pytest.mark.slow
def test_pictures_of_tfds(tmp_path, standin_dir, photos, tfeval):
  """What TFDS has prepared holds the same photos as the folder."""
  from tfeval import datasets

  where = {'data_dir': str(tmp_path / 'tfds'), 'manual_dir': str(standin_dir)}
  datasets.open_dataset('imagenet2012', **where)
  run = stored(tmp_path / 'run', photos, 'imagenet2012')
  run = scored_runs.run.load_run(run.path)
  ids = ids_of(run)[:2]
  found = images_again.encoded_images(run, ids, {**where, 'manual_dir': None})
  assert found == {one: (photos / one).read_bytes() for one in ids}


def test_the_command_draws_them(folder_run, tfeval, tmp_path):
  sheet = tmp_path / 'sheet.png'
  code, out, err = tfeval('mistakes', folder_run.path, f'--figure={sheet}', '--count=3')
  assert (code, err) == (0, f'tfeval: the figure is in {sheet}\n')
  assert cv2.imread(str(sheet)).shape[1] == 1240
  code, _, err = tfeval('mistakes', folder_run.path, f'--figure={sheet}')
  assert code == 2 and '--overwrite' in err
  shutil.rmtree(tmp_path / 'folder')
  code, _, err = tfeval(
    'mistakes', folder_run.path, f'--figure={sheet}', '--overwrite', '--count=1'
  )
  assert code == 0 and 'no picture of 1 of 1 images' in err and '--dataset' in err


def test_names_of_validation_images_are_those_of_noise(noise):
  assert {path.name for path in noise.iterdir()} == {
    imagenet.validation_name(number) for number in range(1, 11)
  }
