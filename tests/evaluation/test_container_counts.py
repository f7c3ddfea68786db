"""Forty photos in each container and from TFDS: the counts of an independent loop.

`../shared/cases` says them: top-1 and top-5 of 40, ReaL top-1 and top-5 of 36.
"""

import subprocess
import sys
import tarfile

import container_writers as writers
import numpy as np
import pytest

from tfeval.datasets.labels import imagenet
from tfeval.runs import run

RIGHT = {
  ('original', 'top1'): (23, 40),
  ('original', 'top5'): (33, 40),
  ('real', 'top1'): (21, 36),
  ('real', 'top5'): (29, 36),
}


@pytest.fixture(scope='module')
def forty(shared_data, tmp_path_factory):
  """The photos in each container; returns their folder."""
  root = tmp_path_factory.mktemp('forty')
  tool = shared_data.parent / 'tools/make_val_tar.py'
  subprocess.run(
    [sys.executable, tool, root / 'manual', '--count', '40'],
    check=True,
    stdout=subprocess.DEVNULL,
  )
  with tarfile.open(root / 'manual/ILSVRC2012_img_val.tar') as tar:
    photos = [(member.name, tar.extractfile(member).read()) for member in tar]
  labels = np.array(imagenet.original_validation_labels()[:40])
  wnids = [imagenet.label_space().class_ids[label] for label in labels]
  (root / 'folder').mkdir()
  for name, content in photos:
    (root / 'folder' / name).write_bytes(content)
  for number, part in enumerate((slice(0, 13), slice(13, None))):
    writers.write_shard(root / f'index-{number:03d}.tar', photos[part], labels[part])
    writers.write_shard(root / f'wnid-{number:03d}.tar', photos[part], wnids[part])
    writers.write_records(
      root / f'slim/validation-{number:05d}-of-00002',
      writers.slim(photos[part], labels[part] + 1),
    )
    writers.write_parquet(
      root / f'parquet/data/validation-{number:05d}-of-00002.parquet',
      photos[part],
      labels[part],
      imagenet.label_space().class_ids,
      row_group_size=8,
    )
  wnids_of_tfds = sorted(imagenet.label_space().class_ids)
  writers.write_tfds(root / 'tfds', 'forty_photos', photos, wnids, wnids_of_tfds)
  return root


@pytest.mark.slow
@pytest.mark.parametrize(
  'name',
  [
    'folder:{}/folder',
    'webdataset:{}/index-{{000..001}}.tar',
    'webdataset:{}/wnid-*.tar',
    'tfrecord:{}/slim',
    'parquet:{}/parquet',
    'forty_photos',
    'imagenet2012',
  ],
)
def test_counts(forty, shared_data, tfeval, tmp_path, name):
  code, _, err = tfeval(
    'evaluate',
    '--model=MobileNet:alpha=0.25',
    '--protocol=opencv',
    f'--dataset={name.format(forty)}',
    f'--data_dir={forty}/tfds',
    f'--manual_dir={forty}/manual',
    f'--real_labels={shared_data}/real/real.json',
    f'--output_dir={tmp_path}',
  )
  assert code == 0, err
  (result,) = tmp_path.glob('*/result.json')
  found = {
    (entry.labels, entry.key): (entry.correct, entry.count)
    for entry in run.load_run(result.parent).metrics
  }
  assert {key: found[key] for key in RIGHT} == RIGHT
