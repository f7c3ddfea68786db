"""Containers in runs: what is stored, repeated, refused and told."""

import subprocess
import sys

import container_writers as writers
import keras
import numpy as np
import pytest
import tensorflow as tf
from container_writers import LABELS, NAMES, PHOTOS, rows

from tfeval.datasets import open_dataset
from tfeval.engine import batches, data_service
from tfeval.evaluation import plans
from tfeval.preprocess import protocol
from tfeval.runs import run
from tfeval.utils.errors import UserError


def test_limit_and_digest(tmp_path):
  name = f'webdataset:{writers.write_shard(tmp_path / "0.tar", PHOTOS, LABELS)}'
  whole, part = open_dataset(name), open_dataset(name, limit=5)
  assert (part.num_examples, part.limit) == (5, 5)
  assert rows(part.examples()) == rows(whole.examples())[:5]
  assert open_dataset(name, limit=1000).limit is None
  digests = {whole.size_digest, part.size_digest}
  writers.write_shard(tmp_path / '0.tar', PHOTOS, [2 - n for n in LABELS])
  digests.add(open_dataset(name).size_digest)
  assert len(digests) == 3


def test_opening_needs_no_tensorflow(tmp_path):
  writers.write_shard(tmp_path / '0.tar', PHOTOS, LABELS)
  writers.write_parquet(tmp_path / '0.parquet', PHOTOS, LABELS, NAMES)
  writers.write_records(tmp_path / '0.tfrecord', writers.slim(PHOTOS, LABELS))
  np.savez(tmp_path / '0.npz', images=writers.pixels(2), labels=[0, 1])
  code = (
    'import sys\nfrom tfeval.datasets import open_dataset\n'
    f'for kind in ("webdataset", "parquet", "tfrecord", "npz"):\n'
    f'  open_dataset(f"{{kind}}:{tmp_path}")\n'
    'print("tensorflow" in sys.modules)'
  )
  done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
  assert done.stdout == 'False\n', done.stderr


@pytest.mark.slow
def test_runs_store_the_same_rows(tmp_path, tfeval):
  """Whole commands: from a folder and from each container."""
  random = np.random.default_rng(0)
  photos = [
    (name, tf.io.encode_png(random.integers(0, 256, (20, 20, 3), np.uint8)).numpy())
    for name, _ in PHOTOS
  ]
  folder = tmp_path / 'folder'
  for (name, content), label in zip(photos, LABELS, strict=True):
    (folder / NAMES[label]).mkdir(parents=True, exist_ok=True)
    (folder / NAMES[label] / name).write_bytes(content)
  named = [NAMES[n] for n in LABELS]
  writers.write_shard(tmp_path / 'a.tar', [(n, c) for n, c in photos], named)
  writers.write_parquet(tmp_path / 'a.parquet', photos, LABELS, NAMES, row_group_size=4)
  writers.write_records(
    tmp_path / 'a.tfrecord', writers.slim(photos, LABELS, image__class__synset=named)
  )
  inputs = keras.Input((16, 16, 3))
  x = keras.layers.Dense(3)(keras.layers.Flatten()(inputs))
  keras.Model(inputs, x).save(tmp_path / 'm.keras')
  (tmp_path / 'order.txt').write_text('\n'.join(NAMES))
  tables = []
  for name in ('folder:folder', 'webdataset:a.tar', 'parquet:.', 'tfrecord:a.tfrecord'):
    kind, _, where = name.partition(':')
    arguments = [
      'evaluate',
      f'--model={tmp_path}/m.keras',
      f'--class_map={tmp_path}/order.txt',
      f'--dataset={kind}:{tmp_path / where}',
      '--preprocess=identity',
      '--output=logits',
      '--preflight=off',
      '--batch_size=4',
      f'--output_dir={tmp_path}/out-{kind}',
    ]
    code, out, err = tfeval(*arguments)
    assert code == 0, err
    assert tfeval(*arguments)[0] == 0  # Goes on behind the last image.
    (result,) = (tmp_path / f'out-{kind}').glob('*/result.json')
    tables.append(run.load_run(result.parent).sorted_rows())
  assert tables[0].num_rows == len(PHOTOS)
  for other in tables[1:]:
    assert other.equals(tables[0])


@pytest.mark.parametrize('kind', ['webdataset', 'parquet'])
def test_a_file_that_changes_while_it_is_read(tmp_path, kind):
  write = {'webdataset': writers.write_shard, 'parquet': writers.write_parquet}[kind]
  path = tmp_path / ('0.tar' if kind == 'webdataset' else '0.parquet')
  write(path, PHOTOS, LABELS)
  dataset = open_dataset(f'{kind}:{path}')
  write(path, PHOTOS[:20], LABELS[:20])
  with pytest.raises(tf.errors.OpError, match='has changed since it was opened'):
    rows(dataset.examples())


WRITTEN_AS = {
  'webdataset': '0.tar',
  'parquet': '0.parquet',
  'tfrecord': '0.tfrecord',
}


@pytest.mark.parametrize('kind, name', WRITTEN_AS.items())
def test_what_cannot_be_read_is_told_in_a_line(tmp_path, kind, name):
  write = {
    'webdataset': writers.write_shard,
    'parquet': writers.write_parquet,
    'tfrecord': lambda path, *a: writers.write_records(path, writers.slim(*a)),
  }[kind]
  images = [tf.io.encode_png(image).numpy() for image in writers.pixels(9)]
  photos = [(f'{n}.png', image) for n, image in enumerate(images)]
  photos[7] = ('7.png', b'nonsense')
  write(tmp_path / name, photos, [0] * 9)
  dataset = open_dataset(f'{kind}:{tmp_path / name}')
  asked = protocol.resolve('opencv', 16)

  def failure():
    with pytest.raises(UserError) as caught:
      for _ in batches.decoded(dataset, asked, 2, skip_errors=False):
        pass
    return str(caught.value)

  assert failure().startswith('example 7.png is not a readable image: neither JPEG')
  (tmp_path / name).unlink()
  gone = failure()
  assert gone.startswith(f'{kind}:{tmp_path / name} cannot be read after 0 examples: ')
  assert 'No such file or directory' in gone and 'Error' not in gone


def test_a_run_repeats_from_anywhere(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  config = plans.EvaluationConfig.of(
    dataset='webdataset:a-{0..1}.tar:classes=names.txt,first_label=1'
  )
  (request,) = plans.requests(['MobileNet'], ['none'])
  text = plans.flagfile(request, config)
  assert (
    f"webdataset:{tmp_path}/a-{{0..1}}.tar:classes='{tmp_path}/names.txt',first_label=1"
    in text
  )


def test_workers_of_a_service_cannot_read_what_python_reads(
  tmp_path, tfeval, monkeypatch
):
  writers.write_shard(tmp_path / '0.tar', PHOTOS, LABELS)
  writers.write_records(tmp_path / '0.tfrecord', writers.slim(PHOTOS, LABELS))
  assert open_dataset(f'webdataset:{tmp_path}').read_by_python
  assert not open_dataset(f'tfrecord:{tmp_path}').read_by_python
  monkeypatch.setattr(data_service, 'check_service', lambda address: None)
  code, _, err = tfeval(
    'evaluate',
    '--model=MobileNet',
    '--weights=none',
    f'--dataset=webdataset:{tmp_path}',
    '--tf_data_service=h:1',
    f'--output_dir={tmp_path}/out',
  )
  assert code == 2
  assert '--tf_data_service=h:1: its workers cannot read webdataset:' in err


def test_no_such_dataset_names_them(tmp_path):
  with pytest.raises(UserError, match='webdataset: names no files'):
    open_dataset('webdataset:')
