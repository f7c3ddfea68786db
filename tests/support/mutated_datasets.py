"""Formats of TFDS datasets for `mutations`: as prepared, and what they are made of."""

import contextlib
import functools
import io
import json
import pathlib
import tarfile
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from mutations import Format, of_json

from tfeval.datasets import base, open_dataset, tfds_names, tfds_preparing
from tfeval.datasets.labels import imagenet
from tfeval.engine import batches

IMAGES, SIZE = 3, 16


class Damaged(tfds.core.GeneratorBasedBuilder, skip_registration=True):
  """Three images, one of them without ReaL labels."""

  VERSION = tfds.core.Version('1.0.0')

  def _info(self):
    features = tfds.features
    names = features.ClassLabel(names=imagenet.label_space().class_ids)
    return tfds.core.DatasetInfo(
      builder=self,
      features=features.FeaturesDict(
        {
          'image': features.Image(encoding_format='png'),
          'original_label': names,
          'real_label': features.Sequence(names),
          'file_name': features.Text(),
        }
      ),
    )

  def _split_generators(self, dl_manager):
    del dl_manager
    return {'validation': self._generate_examples()}

  def _generate_examples(self):
    for n in range(IMAGES):
      image = np.full((SIZE, SIZE, 3), 50 * n, np.uint8)
      example = {'image': image, 'original_label': n, 'real_label': list(range(n))}
      yield n, {**example, 'file_name': imagenet.validation_name(n + 1)}


def prepare(directory: pathlib.Path) -> None:
  """Prepares a dataset `damaged`, of which nothing is damaged yet."""
  tfds.disable_progress_bar()
  with contextlib.redirect_stdout(io.StringIO()):
    Damaged(data_dir=directory).download_and_prepare()


def _prepared(pattern: str):
  def make(directory: pathlib.Path) -> pathlib.Path:
    prepare(directory)
    (path,) = directory.rglob(pattern)
    return path

  return make


def _dataset(path: pathlib.Path) -> base.ImageDataset:
  data_dir = str(path.parents[2])
  return open_dataset('damaged', split='validation', data_dir=data_dir)


def _numbered(dataset: base.ImageDataset) -> tf.data.Dataset:
  """Returns examples in batches; decoding them is for other formats."""
  return (
    dataset.examples()
    .enumerate()
    .map(lambda position, example: {**example, 'position': position})
    .batch(2)
  )


@functools.cache
def _opened(path: pathlib.Path) -> tuple[base.ImageDataset, tf.data.Dataset]:
  """Returns a dataset and what reads it, of which making takes far longer."""
  dataset = _dataset(path)
  return dataset, _numbered(dataset)


def _read_shard(path: pathlib.Path) -> list[Any]:
  return _examples(*_opened(path))


def _read_description(path: pathlib.Path) -> list[Any]:
  dataset = _dataset(path)
  return _examples(dataset, _numbered(dataset))


def _examples(dataset: base.ImageDataset, numbered: tf.data.Dataset) -> list[Any]:
  found = []
  # Skipping, or what stops it is read once more, slowly, to name the image.
  for batch in batches.decoded(dataset, None, 2, skip_errors=True, pipeline=numbered):
    values = {key: value.numpy() for key, value in batch.items()}
    n = len(values['id'])
    assert values['label'].shape == (n,)
    assert values.get('real_labels', np.ones((n, 1000))).shape == (n, 1000)
    assert all(len(value) == n for value in values.values())
    found.append({key: value.tolist() for key, value in values.items()})
  return found


def _tar(directory: pathlib.Path) -> pathlib.Path:
  path = directory / tfds_names.VALIDATION_TAR
  with tarfile.open(path, 'w') as tar:
    for n in range(5):
      info = tarfile.TarInfo(imagenet.validation_name(n + 1))
      info.size = 700
      tar.addfile(info, io.BytesIO(bytes(info.size)))
  return path


def _real(directory: pathlib.Path) -> pathlib.Path:
  path = directory / 'real.json'
  path.write_text(json.dumps([[n % 7] * (n % 2) for n in range(50_000)]))
  return path


def _read_real(path: pathlib.Path) -> tuple[tuple[int, ...], ...]:
  labels = imagenet.load_real_labels(path)
  assert len(labels) == 50_000
  assert 0 <= min(map(min, filter(None, labels)))
  assert max(map(max, filter(None, labels))) < 1000
  return labels


FORMATS = (
  Format('tfds.tfrecord', _prepared('*.tfrecord*'), _read_shard),
  Format(
    'dataset_info.json', _prepared('dataset_info.json'), _read_description, of_json
  ),
  Format('features.json', _prepared('features.json'), _read_description, of_json),
  Format('labels.txt', _prepared('original_label.labels.txt'), _read_description),
  Format('validation.tar', _tar, tfds_preparing._check_tar),
  Format('real.json', _real, _read_real),
)
