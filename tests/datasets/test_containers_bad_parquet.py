"""Parquet that is refused."""

import container_writers as writers
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from refusals import IMAGE, LABELS, NAMES, PHOTOS, refused

from tfeval.datasets import open_dataset
from tfeval.utils import budgets


def parquet(tmp_path, table, metadata=None):
  table = pa.table(table)
  if metadata is not None:
    table = table.replace_schema_metadata(metadata)
  pq.write_table(table, tmp_path / '0.parquet')
  return f'parquet:{tmp_path}'


IMAGES = pa.array([content for _, content in PHOTOS])


def test_columns_that_are_missing_or_several(tmp_path):
  text = refused('no image column', parquet(tmp_path, {'a': ['x'], 'label': [0]}))
  assert 'seen a: string, label: int64' in text
  refused('no label column', parquet(tmp_path, {'image': IMAGES, 'a': LABELS}))
  both = {'image': IMAGES, 'fine': LABELS, 'coarse': LABELS}
  label = {'_type': 'ClassLabel', 'names': NAMES}
  features = f'{{"fine": {label}, "coarse": {label}}}'.replace("'", '"')
  metadata = {'huggingface': f'{{"info": {{"features": {features}}}}}'}
  name = parquet(tmp_path, both, metadata)
  refused('several columns of labels, fine, coarse: say which', name)
  assert open_dataset(f'{name}:label=fine').label_space.class_ids == tuple(NAMES)
  refused("no column of labels 'other'", f'{name}:label=other')
  refused(
    'several columns of images, one, two',
    parquet(tmp_path, {'one': IMAGES, 'two': IMAGES, 'label': LABELS}),
  )


def test_labels_of_parquet(tmp_path):
  name = f'parquet:{tmp_path}'
  path = tmp_path / '0.parquet'
  writers.write_parquet(path, PHOTOS, [0, 1, 3, 0, 1, 5], NAMES)
  refused('2 labels outside of the classes: 3 of 02.jpg, 5 of 05.jpg', name)
  writers.write_parquet(path, PHOTOS, [0, -1, None, 0, 1, 2], NAMES)
  refused('2 images without label: 01.jpg, 02.jpg', name)
  writers.write_parquet(path, PHOTOS, [-1] * 6, NAMES)
  refused('has no labels', name)
  writers.write_parquet(path, PHOTOS, LABELS, ['ant', 'ant', 'cat'])
  refused("two classes that are called 'ant'", name)
  for metadata in ('{"info": ', '[1]', '{"info": {"features": {"label": 3}}}'):
    table = pq.read_table(path).replace_schema_metadata({'huggingface': metadata})
    pq.write_table(table, path)
    if metadata[-1] == ' ':
      refused('not JSON', name)
    else:
      assert open_dataset(name).label_space.class_ids == ('0', '1', '2')
  table = pq.read_table(path).replace_schema_metadata(
    {k: v.replace('"ant"', '7') for k, v in writers.hugging_face(NAMES).items()}
  )
  pq.write_table(table, path)
  refused('expected a list of names', name)


def test_parquet_that_is_damaged(tmp_path):
  path = writers.write_parquet(tmp_path / '0.parquet', PHOTOS, LABELS, NAMES)
  whole = path.read_bytes()
  for content in (
    whole[:-100],
    b'',
    b'PAR1' * 9,
    whole[:-8] + b'\xff' * 4 + whole[-4:],
  ):
    path.write_bytes(content)
    refused('not a readable Parquet file|footer', f'parquet:{path}')
  other = writers.write_parquet(tmp_path / '1.parquet', PHOTOS, LABELS, ['a', 'b', 'c'])
  path.write_bytes(whole)
  refused('1.parquet has other columns or classes than', f'parquet:{tmp_path}')
  other.unlink()
  writers.write_parquet(path, [], pa.array([], pa.int64()), NAMES)
  refused('holds no rows', f'parquet:{path}')


def test_images_that_lie_elsewhere(tmp_path):
  """A path alone leads to another file, which is nobody's business."""
  (tmp_path / 'secret.jpg').write_bytes(IMAGE)
  images = [{'bytes': None, 'path': str(tmp_path / 'secret.jpg')}]
  dataset = open_dataset(
    parquet(tmp_path, {'image': pa.array(images, writers.STRUCT), 'label': [0]})
  )
  with pytest.raises(tf.errors.OpError, match='an image without bytes'):
    list(dataset.examples())


def test_pages_are_bounded(tmp_path, monkeypatch):
  writers.write_parquet(tmp_path / '0.parquet', PHOTOS, LABELS, NAMES)
  monkeypatch.setattr(budgets, 'PAGE', 10)  # Of paths and labels.
  refused('bytes in a page, expected at most 10', f'parquet:{tmp_path}')
  monkeypatch.undo()
  monkeypatch.setattr(budgets, 'DECODED', 2000)
  monkeypatch.setattr(budgets, 'UNPACKED_RATIO', 0)
  refused('bytes in a page, expected at most 2,000', f'parquet:{tmp_path}')


def test_paths_twice(tmp_path):
  image = [('a.jpg', IMAGE), ('a.jpg', IMAGE + b'2')]
  writers.write_parquet(tmp_path / '0.parquet', image, [0, 1], NAMES)
  dataset = open_dataset(f'parquet:{tmp_path}')
  assert list(dataset.expected_ids) == ['0.parquet__0', '0.parquet__1']
  assert dataset.notes == ('1 paths occur more than once: ids are files and rows',)
  image = [('ILSVRC2012_val_00000001.JPEG', IMAGE)] * 2
  writers.write_parquet(tmp_path / '0.parquet', image, [0, 1], NAMES)
  refused('1 validation images twice', f'parquet:{tmp_path}')
