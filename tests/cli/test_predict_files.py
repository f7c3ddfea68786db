"""`tfeval predict` of many images: files of rows, crops, broken ones."""

import csv
import json

import cv2
import keras
import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tfeval.engine import pipeline
from tfeval.preprocess import protocol
from tfeval.utils import printable

MODEL = f'{__name__}:model_of_means'
FLAGS = (f'--model={MODEL}', '--preprocess=identity', '--output=logits', '--top=3')


def model_of_means():
  """A class of 1000 for each mean of the pixels."""
  inputs = keras.Input((32, 32, 3))
  x = keras.layers.GlobalAveragePooling2D()(inputs)
  outputs = keras.layers.Dense(
    1000, kernel_initializer=keras.initializers.RandomNormal(seed=1)
  )(x)
  return keras.Model(inputs, outputs)


@pytest.fixture
def folder(tmp_path):
  """Images in folders inside of folders, and what is none."""
  draw = np.random.default_rng(0)
  root = tmp_path / 'images'
  for name in ('b.png', 'a/c.png', 'a/z/d.jpg', '.hidden/e.png', 'a/notes.txt'):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = draw.integers(0, 256, (60, 50, 3), np.uint8)
    if path.suffix == '.txt':
      path.write_text('none')
    else:
      cv2.imwrite(str(path), pixels)
  (root / 'loop').symlink_to(root)
  return root


def names(folder):
  return [str(folder / name) for name in ('a/c.png', 'a/z/d.jpg', 'b.png')]


def test_folders_inside_of_folders_are_read(tfeval, folder):
  code, out, err = tfeval('predict', folder, *FLAGS, '--json')
  assert code == 0, err
  assert [one['path'] for one in json.loads(out)] == names(folder)


def test_files_hold_what_is_printed(tfeval, folder, tmp_path):
  printed = None
  for kind in ('csv', 'parquet', 'jsonl'):
    path = tmp_path / f'rows.{kind}'
    code, out, err = tfeval(
      'predict', folder, *FLAGS, '--json', f'--output_file={path}'
    )
    assert code == 0, err
    assert f'3 images are in {path}' in err
    printed = json.loads(out)
  first = [
    [one['wnid'] for one in image['models'][0]['predictions']] for image in printed
  ]
  with open(tmp_path / 'rows.csv') as file:
    rows = list(csv.DictReader(file))
  assert list(rows[0]) == [
    *('path', 'model', 'protocol', 'size'),
    *(
      f'{name}_{place}'
      for place in (1, 2, 3)
      for name in ('class', 'class_id', 'name', 'probability')
    ),
    'error',
  ]
  table = pq.read_table(tmp_path / 'rows.parquet').to_pylist()
  lines = [json.loads(line) for line in open(tmp_path / 'rows.jsonl')]
  for image, row, typed, line, ids in zip(
    printed, rows, table, lines, first, strict=True
  ):
    (model,) = image['models']
    assert row['path'] == typed['path'] == line['path'] == image['path']
    assert [row[f'class_id_{i}'] for i in (1, 2, 3)] == typed['class_ids'] == ids
    assert line == {'path': image['path'], **model}
    probabilities = [one['probability'] for one in model['predictions']]
    assert typed['probabilities'] == probabilities
    assert [row[f'probability_{i}'] for i in (1, 2, 3)] == [
      printable.csv_cell(one) for one in probabilities
    ]
    assert row['error'] == '' and typed['error'] is None


@pytest.mark.parametrize(
  'text',
  [
    'opencv',
    pytest.param('pil:crop_fraction=0.9', marks=pytest.mark.slow),
    pytest.param('slim', marks=pytest.mark.slow),
  ],
)
def test_crops_are_exactly_the_pixels_of_the_protocol(tfeval, folder, tmp_path, text):
  seen, rows = tmp_path / 'seen', tmp_path / 'rows.jsonl'
  written = (f'--crops={seen}', f'--output_file={rows}')
  code, _, err = tfeval('predict', folder, *FLAGS, f'--protocol={text}', *written)
  assert code == 0, err
  resolved = protocol.resolve(text, 32)
  crops = sorted(path for path in seen.rglob('*') if path.is_file())
  assert [json.loads(line)['crop'] for line in open(rows)] == list(map(str, crops))
  for crop, name in zip(crops, names(folder), strict=True):
    with open(name, 'rb') as file:
      encoded = tf.constant(file.read())
    pixels = pipeline.preprocess_image(resolved, encoded, tf.constant(''), False)
    theirs = pixels.numpy()
    if theirs.dtype != np.uint8:
      theirs = np.clip(np.round(theirs), 0, 255)
    assert theirs.shape == (32, 32, 3)
    np.testing.assert_array_equal(cv2.imread(str(crop))[..., ::-1], theirs)


@pytest.mark.slow
def test_crops_of_several_views_are_several_files(tfeval, folder, tmp_path):
  flags = ('--protocol=opencv:tta=five_crop', f'--crops={tmp_path / "seen"}')
  code, _, err = tfeval('predict', folder / 'b.png', *FLAGS, *flags)
  assert code == 0, err
  crops = [path.name for path in (tmp_path / 'seen').rglob('*.png')]
  assert sorted(crops) == [f'b.png.{number}.png' for number in range(1, 6)]


def test_a_broken_image_stops_or_is_skipped_and_named(tfeval, folder, tmp_path):
  (folder / 'a/broken.png').write_bytes((folder / 'b.png').read_bytes()[:200])
  (folder / 'a/empty.jpg').touch()
  rows, seen = tmp_path / 'rows.csv', tmp_path / 'seen'
  written = (f'--output_file={rows}', f'--crops={seen}')
  for only in (folder / 'a/empty.jpg', folder):
    code, out, err = tfeval('predict', folder / 'b.png', only, *FLAGS, *written)
    assert (code, out) == (2, '') and 'empty.jpg is not a readable image' in err
    assert not rows.exists() and not list(tmp_path.rglob('seen/**/*.png'))
  (folder / 'a/empty.jpg').unlink()
  code, out, err = tfeval('predict', folder, *FLAGS, *written)
  assert (code, out) == (2, '') and 'broken.png is not a readable image' in err
  assert '--on_error=skip' in err
  assert not rows.exists() and not list(tmp_path.rglob('seen/**/*.png'))
  (folder / 'a/empty.jpg').touch()
  code, out, err = tfeval('predict', folder, *FLAGS, *written, '--on_error=skip')
  assert code == 0
  assert err.count('skipped: ') == 2 and '3 images are in' in err
  with open(rows) as file:
    found = list(csv.DictReader(file))
  assert [bool(row['error']) for row in found] == [True, False, True, False, False]
  assert len(list(seen.rglob('*.png'))) == 3
  code, _, err = tfeval('predict', folder / 'a/empty.jpg', *FLAGS, '--on_error=skip')
  assert code == 2 and 'none of 1 images could be decoded' in err


def test_what_is_there_is_not_replaced(tfeval, folder, tmp_path):
  (tmp_path / 'seen').mkdir()
  (tmp_path / 'seen/mine.png').touch()
  (tmp_path / 'rows.csv').write_text('mine')
  for flag in (
    f'--crops={tmp_path / "seen"}',
    f'--output_file={tmp_path / "rows.csv"}',
  ):
    code, _, err = tfeval('predict', folder, *FLAGS, flag)
    assert code == 2 and '--overwrite' in err
  assert (tmp_path / 'rows.csv').read_text() == 'mine'
  code, _, err = tfeval('predict', folder, *FLAGS, '--output_file=a.json')
  assert code == 2 and '.csv, .parquet or .jsonl' in err


def test_many_images_of_a_file_are_not_printed(tfeval, tmp_path):
  draw = np.random.default_rng(0)
  for number in range(51):
    pixels = draw.integers(0, 256, (40, 40, 3), np.uint8)
    cv2.imwrite(str(tmp_path / f'{number:02}.png'), pixels)
  rows = tmp_path / 'rows.parquet'
  code, out, err = tfeval('predict', tmp_path, *FLAGS, f'--output_file={rows}')
  assert (code, out) == (0, '')
  assert '51 images are in' in err
  assert pq.read_table(rows).num_rows == 51
