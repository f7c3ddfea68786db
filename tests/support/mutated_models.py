"""Formats of models for `mutations`: files of Keras, TensorFlow and PyTorch."""

import functools
import io
import pathlib
import pickle
import random
import shutil
import warnings
import zipfile
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from mutations import Format, of_json

from tfeval.datasets.labels import imagenet
from tfeval.models import class_maps
from tfeval.models.efficientnet_lite import torch_pickle
from tfeval.models.keras import checkpoint_values, checkpoints, files, weights

warnings.simplefilter('ignore')
SIZE = 4


@functools.cache
def _model() -> keras.Model:
  keras.utils.set_random_seed(0)
  inputs = keras.Input((SIZE, SIZE, 3), name='images')
  x = keras.layers.Conv2D(2, 3, name='conv')(inputs)
  x = keras.layers.BatchNormalization(name='norm')(x)
  x = keras.layers.GlobalAveragePooling2D(name='mean')(x)
  return keras.Model(inputs, keras.layers.Dense(5, name='top')(x), name='small')


def _values(model: keras.Model) -> list[Any]:
  for one in model.weights:
    assert one.shape and np.asarray(one).dtype == np.float32
  return [np.asarray(one).tobytes() for one in model.weights]


def _saved(name: str):
  def make(directory: pathlib.Path) -> pathlib.Path:
    path = directory / name
    save = _model().save_weights if 'weights' in name else _model().save
    save(path)
    return path

  return make


def _read_model(path: pathlib.Path) -> list[Any]:
  return _values(files._from_file(path, trusted=False).model)


@functools.cache
def _another() -> keras.Model:
  return keras.models.clone_model(_model())


def _read_weights(path: pathlib.Path) -> list[Any]:
  weights.load(_another(), path, 'small')
  return _values(_another())


def _checkpoint(directory: pathlib.Path) -> pathlib.Path:
  prefix = tf.train.Checkpoint(model=_model()).write(str(directory / 'ckpt-1'))
  return pathlib.Path(prefix + '.index')


def _read_checkpoint(path: pathlib.Path) -> list[Any]:
  # Only one of its files is damaged, and that is elsewhere.
  good = _good_checkpoint(path.parent)
  prefix = path.with_name('ckpt-1')
  if path.name != 'ckpt-1.index':
    shutil.copyfile(path, f'{prefix}.index')
  shutil.copyfile(good, f'{prefix}.data-00000-of-00001')
  checkpoint = checkpoints.Checkpoint(prefix, checkpoints.TENSORFLOW, 1, (0, 0))
  checkpoint_values.load(_another(), checkpoint, 'small')
  return _values(_another())


def _checkpoint_data(directory: pathlib.Path) -> pathlib.Path:
  _checkpoint(directory)
  return directory / 'ckpt-1.data-00000-of-00001'


def _read_checkpoint_data(path: pathlib.Path) -> list[Any]:
  good = _good_checkpoint(path.parent)
  prefix = path.with_name('other-1')
  shutil.copyfile(good.with_name('ckpt-1.index'), f'{prefix}.index')
  shutil.copyfile(path, f'{prefix}.data-00000-of-00001')
  checkpoint = checkpoints.Checkpoint(prefix, checkpoints.TENSORFLOW, 1, (0, 0))
  checkpoint_values.load(_another(), checkpoint, 'small')
  return _values(_another())


@functools.cache
def _good_checkpoint(directory: pathlib.Path) -> pathlib.Path:
  good = directory / 'good'
  good.mkdir(exist_ok=True)
  _checkpoint(good)
  return good / 'ckpt-1.data-00000-of-00001'


def _class_map(directory: pathlib.Path) -> pathlib.Path:
  path = directory / 'classes.txt'
  path.write_text('\n'.join(imagenet.label_space().class_ids[::-1]) + '\n')
  return path


def _read_class_map(path: pathlib.Path) -> list[Any]:
  found = class_maps.label_map(str(path))
  assert len(found.groups) == 1000
  return [found.outputs, [list(group) for group in found.groups]]


def _graph(directory: pathlib.Path) -> pathlib.Path:
  _model().export(directory / 'saved', verbose=False)
  return directory / 'saved/saved_model.pb'


def _read_graph(path: pathlib.Path) -> list[Any]:
  folder = _good_graph(path.parent)
  shutil.copyfile(path, folder / 'saved_model.pb')
  backend = files._from_file(folder, trusted=False)
  found = backend(tf.ones((1, SIZE, SIZE, 3)))
  return [np.asarray(one).tobytes() for one in tf.nest.flatten(found)]


@functools.cache
def _good_graph(directory: pathlib.Path) -> pathlib.Path:
  good = directory / 'good_graph'
  good.mkdir(exist_ok=True)
  _model().export(good, verbose=False)
  return good


def _pickle(directory: pathlib.Path) -> pathlib.Path:
  """As `torch.save` wrote until PyTorch 1.6; see `torch_pickle`."""
  path = directory / 'weights.pth'
  with open(path, 'wb') as file:
    for value in (torch_pickle.MAGIC_NUMBER, torch_pickle.PROTOCOL_VERSION, {}, {}, []):
      pickle.dump(value, file, protocol=2)
  return path


def _read_pickle(path: pathlib.Path) -> dict[str, Any]:
  found = torch_pickle.read_state_dict(path)
  for name, value in found.items():
    assert isinstance(name, str) and isinstance(value, np.ndarray)
  return {name: (value.shape, value.dtype.str) for name, value in found.items()}


def _of_archive(content: bytes, at: random.Random) -> bytes:
  """Changes the layers that a `.keras` file describes."""
  changed = io.BytesIO()
  with (
    zipfile.ZipFile(io.BytesIO(content)) as source,
    zipfile.ZipFile(changed, 'w') as target,
  ):
    for name in source.namelist():
      member = source.read(name)
      target.writestr(name, of_json(member, at) if name == 'config.json' else member)
  return changed.getvalue()


FORMATS = (
  Format('model.keras', _saved('model.keras'), _read_model, _of_archive),
  Format('model.h5', _saved('model.h5'), _read_model),
  Format('model.weights.h5', _saved('model.weights.h5'), _read_weights),
  Format('checkpoint.index', _checkpoint, _read_checkpoint),
  Format('checkpoint.data', _checkpoint_data, _read_checkpoint_data),
  Format('classes.txt', _class_map, _read_class_map),
  Format('saved_model.pb', _graph, _read_graph),
  Format('weights.pth', _pickle, _read_pickle),
)
