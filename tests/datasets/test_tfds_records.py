"""Ranges of TFDS splits: the same examples from wherever reading begins."""

import itertools
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from tfeval.datasets import open_dataset
from tfeval.utils import locks

IMAGES = 7
SHARDS = 3


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  """Holds `shards`: 7 images in files of 2, 3 and 2, without file names."""
  directory = tmp_path_factory.mktemp('tfds')
  prepare(directory)
  return directory


def prepare(directory):
  class Shards(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    VERSION = tfds.core.Version('1.0.0')

    def _info(self):
      names = tfds.core.tfds_path('datasets/imagenet2012/labels.txt')
      return tfds.core.DatasetInfo(
        builder=self,
        features=tfds.features.FeaturesDict(
          {
            'image': tfds.features.Image(),
            'label': tfds.features.ClassLabel(names_file=names),
          }
        ),
      )

    def _split_generators(self, dl_manager):
      del dl_manager
      return {'validation': self._generate_examples()}

    def _generate_examples(self):
      random = np.random.default_rng(0)
      for n in range(IMAGES):
        yield n, {'image': random.integers(0, 256, (8, 8, 3), np.uint8), 'label': n}

  Shards(data_dir=directory).download_and_prepare(
    download_config=tfds.download.DownloadConfig(num_shards=SHARDS)
  )


def rows(examples):
  return [
    (e['id'].decode(), int(e['label']), e['image'])
    for e in examples.as_numpy_iterator()
  ]


def by_tfds(directory, split):
  """The same out of TFDS' own reader, file after file."""
  config = tfds.ReadConfig(interleave_cycle_length=1, add_tfds_id=True)
  return [
    (e['tfds_id'].decode(), int(e['label']), e['image'])
    for e in tfds.builder('shards', data_dir=directory)
    .as_dataset(
      split=split,
      shuffle_files=False,
      read_config=config,
      decoders={'image': tfds.decode.SkipDecoding()},
    )
    .as_numpy_iterator()
  ]


@pytest.mark.parametrize(
  'split', ['validation', 'validation[1:6]', 'validation[5:]+validation[:3]']
)
def test_every_range(data_dir, split):
  expected = by_tfds(data_dir, split)
  dataset = open_dataset('shards', split=split, data_dir=str(data_dir))
  assert rows(dataset.examples()) == expected
  assert len(expected) == dataset.num_examples
  ranges = list(itertools.combinations(range(len(expected) + 1), 2))
  in_a_graph = tf.data.Dataset.from_tensor_slices(np.array(ranges, np.int64)).flat_map(
    lambda both: dataset.examples(both[0], both[1])
  )
  assert rows(in_a_graph) == [
    row for start, stop in ranges for row in expected[start:stop]
  ]
  assert rows(dataset.examples(2, 4)) == expected[2:4]


def test_limit(data_dir):
  dataset = open_dataset('shards', data_dir=str(data_dir), limit=4)
  assert rows(dataset.examples()) == by_tfds(data_dir, 'validation')[:4]
  assert rows(dataset.examples(3)) == by_tfds(data_dir, 'validation')[3:4]


def test_a_range_opens_only_its_own_files(tmp_path):
  prepare(tmp_path)
  dataset = open_dataset('shards', data_dir=str(tmp_path))
  first, middle, last = sorted(tmp_path.rglob('*.tfrecord*'))
  for file in (first, last):
    file.unlink()
  assert len(rows(dataset.examples(2, 5))) == 3
  with pytest.raises(tf.errors.NotFoundError):
    rows(dataset.examples(1, 5))


@pytest.mark.parametrize('records', [2, 4])
def test_a_file_of_another_length_is_an_error(tmp_path, records):
  prepare(tmp_path)
  dataset = open_dataset('shards', data_dir=str(tmp_path))
  middle = sorted(tmp_path.rglob('*.tfrecord*'))[1]
  content = list(tf.data.TFRecordDataset(str(middle)).as_numpy_iterator())
  with tf.io.TFRecordWriter(str(middle)) as writer:
    for record in (content * 2)[:records]:
      writer.write(record)
  for start, stop in [(0, 7), (3, 5), (4, 6)]:
    with pytest.raises(tf.errors.FailedPreconditionError):
      rows(dataset.examples(start, stop))


@pytest.mark.slow
def test_processes_that_prepare_at_once(tmp_path):
  pytest.importorskip('skimage')
  code = (
    'import logging, sys\n'
    'from tfeval.datasets import open_dataset\n'
    'logging.basicConfig(level="INFO")\n'
    'dataset = open_dataset("sample", data_dir=sys.argv[1])\n'
    'print(*sorted(e["id"].decode() for e in '
    'dataset.examples().as_numpy_iterator()))'
  )
  where = tmp_path / 'sample'
  with locks.one_at_a_time(where / '.1.0.0.lock', 'a test'):
    processes = [
      subprocess.Popen(
        [sys.executable, '-c', code, str(tmp_path)],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
      )
      for _ in range(2)
    ]
    said = [
      next(line for line in process.stderr if 'waiting' in line)
      for process in processes
    ]
    assert (
      said
      == [
        f'INFO:tfeval:another process is preparing sample in {where}/1.0.0: '
        'waiting for it\n'
      ]
      * 2
    )
  ended = [process.communicate(timeout=120) for process in processes]
  assert ended[0][0] == ended[1][0] != ''
  message = f'INFO:tfeval:preparing sample in {where}/1.0.0'
  prepared = [message in err for _, err in ended]
  assert sorted(prepared) == [False, True]
  assert {path.name for path in pathlib.Path(where).iterdir()} == {
    '1.0.0',
    '.1.0.0.lock',
  }
