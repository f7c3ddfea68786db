"""Files of containers that are not there, or not what they should be."""

import os
import re

import container_writers as writers
from refusals import IMAGE, LABELS, NAMES, PHOTOS, refused

from tfeval.datasets import open_dataset


def test_files_that_are_not_there(tmp_path):
  refused('does not exist: give webdataset:FILES', f'webdataset:{tmp_path}/no.tar')
  refused('does not exist', f'parquet:{tmp_path}/*.parquet')
  refused('holds no parquet files by their names', f'parquet:{tmp_path}')
  writers.write_shard(tmp_path / 'a-0.tar', PHOTOS, LABELS)
  text = refused('4 of the webdataset files', f'webdataset:{tmp_path}/a-{{0..4}}.tar')
  assert f'{tmp_path}/a-1.tar, ' in text
  refused('the range {3..1} is empty', f'webdataset:{tmp_path}/a-{{3..1}}.tar')
  refused('at most 100,000', f'webdataset:{tmp_path}/a-{{0..9999999}}.tar')
  refused('at most 100,000', 'webdataset:/a-{0..99}{0..99}{0..99}{0..99}{0..99}.tar')
  refused('is too long', 'webdataset:/a-{0..' + '9' * 9000 + '}.tar')
  refused('is too long', 'webdataset:/a-{0..' + '0' * 20 + '99999999}.tar')
  refused('is a URL: parquet files are read from local', 'parquet:gs://bucket/a')
  refused("has no option 'clases'", f'parquet:{tmp_path}:clases=a')
  refused('first_label is 2, expected 0 or 1', f'parquet:{tmp_path}:first_label=2')


def test_pipes_and_names_and_the_same_file_twice(tmp_path):
  writers.write_shard(tmp_path / 'a.tar', PHOTOS, LABELS)
  os.symlink(tmp_path / 'a.tar', tmp_path / 'b.tar')
  refused('b.tar is the same file as .*a.tar', f'webdataset:{tmp_path}')
  (tmp_path / 'b.tar').unlink()
  os.mkfifo(tmp_path / 'c.tar')
  refused('c.tar is a named pipe', f'webdataset:{tmp_path}')
  (tmp_path / 'c.tar').unlink()
  (tmp_path / os.fsdecode(b'\xff.tar')).write_bytes(b'')
  refused('not UTF-8: rename it', f'webdataset:{tmp_path}')


def test_splits(tmp_path):
  for split in ('train', 'test'):
    path = tmp_path / f'data/{split}-00000-of-00001.parquet'
    writers.write_parquet(path, PHOTOS, LABELS, NAMES)
  words = 'holds the splits test and train, not `split=validation`: give `split=test`'
  refused(words, f'parquet:{tmp_path}', split='validation')
  assert open_dataset(f'parquet:{tmp_path}').split == 'test'
  assert open_dataset(f'parquet:{tmp_path}', split='train').split == 'train'
  writers.write_shard(tmp_path / 'a.tar', PHOTOS, LABELS)
  refused('has no splits: leave it out', f'webdataset:{tmp_path}', split='test')


def test_every_refusal_is_a_line_of_the_command(tmp_path, tfeval):
  writers.write_tar(tmp_path / '0.tar', [('../a.jpg', IMAGE)])
  code, out, err = tfeval(
    'evaluate',
    '--model=MobileNet',
    '--weights=none',
    f'--dataset=webdataset:{tmp_path}',
    f'--output_dir={tmp_path}/out',
  )
  assert (code, out) == (2, '')
  assert err.count('\n') == 1
  assert re.match(r"tfeval.*'\.\./a\.jpg' leads out of the archive", err)
  assert (
    not list((tmp_path / 'out').rglob('*')) if (tmp_path / 'out').exists() else True
  )
