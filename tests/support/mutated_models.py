"""Formats of models for `mutations`: files of Keras, TensorFlow and PyTorch."""

import functools
import io
import pathlib
import pickle
import random
import shutil
import struct
import tempfile
import zipfile
from typing import Any

import forked_checks
import keras
import numpy as np
import tensorflow as tf
from mutations import Format, of_json

from tfeval.datasets.labels import imagenet
from tfeval.models import class_maps
from tfeval.models.efficientnet_lite import torch_pickle
from tfeval.models.keras import checkpoint_values, checkpoints, files, weights
from tfeval.models.options import ModelOptions
from tfeval.utils import errors
from tfeval.utils.errors import UserError

# Called in the process that reads, and nowhere else.
PREPARE = forked_checks.install
SIZE = 4
_DATA = 'data-00000-of-00001'


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
  return _values(files._from_file(path, ModelOptions()).model)


@functools.cache
def _another() -> keras.Model:
  return keras.models.clone_model(_model())


def _read_weights(path: pathlib.Path) -> list[Any]:
  weights.load(_another(), path, 'small')
  return _values(_another())


def _checkpoint(file: str):
  def make(directory: pathlib.Path) -> pathlib.Path:
    tf.train.Checkpoint(model=_model()).write(str(directory / 'ckpt-1'))
    return directory / file

  return make


def _read_checkpoint(path: pathlib.Path) -> list[Any]:
  (checkpoint,) = checkpoints.find_checkpoints(path.parent)
  assert len(checkpoint.sha256()) == 64
  checkpoint_values.load(_another(), checkpoint, 'small')
  return _values(_another())


def _class_map(directory: pathlib.Path) -> pathlib.Path:
  path = directory / 'classes.txt'
  path.write_text('\n'.join(imagenet.label_space().class_ids[::-1]) + '\n')
  return path


def _read_class_map(path: pathlib.Path) -> list[Any]:
  found = class_maps.label_map(str(path))
  assert 1 <= len(found.groups) == len(set(found.classes.class_ids)) <= found.outputs
  return [found.outputs, found.classes.digest, [list(group) for group in found.groups]]


@functools.cache
def _export() -> tempfile.TemporaryDirectory:
  folder = tempfile.TemporaryDirectory()
  _model().export(folder.name, verbose=False)
  return folder


def _exported(file: str):
  def make(directory: pathlib.Path) -> pathlib.Path:
    shutil.copytree(_export().name, directory, dirs_exist_ok=True)
    return directory / file

  return make


def _read_exported(path: pathlib.Path) -> list[Any]:
  folder = path.parent.parent if path.parent.name == 'variables' else path.parent
  backend = files._from_file(folder, ModelOptions())
  try:
    found = backend(tf.ones((1, SIZE, SIZE, 3)))
  except Exception as error:  # As `engine.forward` takes it.
    raise UserError(f'{path}: {errors.one_line(error)}') from error
  return [np.asarray(one).tobytes() for one in tf.nest.flatten(found)]


def _text(text: str) -> bytes:
  return b'X' + struct.pack('<I', len(text)) + text.encode()


# {'top': a tensor of 2 x 3 in a storage of seven}, in opcodes, whatever is installed.
_STATE = (
  b'\x80\x02}'
  + _text('top')
  + b'ctorch._utils\n_rebuild_tensor_v2\n('
  + b'('
  + _text('storage')
  + b'ctorch\nFloatStorage\n'
  + _text('7')
  + _text('cpu')
  + b'K\x07NtQ'
  + b'K\x01K\x02K\x03\x86K\x03K\x01\x86\x89}tRs.'
)


def _pickle(directory: pathlib.Path) -> pathlib.Path:
  """As `torch.save` wrote until PyTorch 1.6; see `torch_pickle`."""
  path = directory / 'weights.pth'
  with open(path, 'wb') as file:
    for value in (torch_pickle.MAGIC_NUMBER, torch_pickle.PROTOCOL_VERSION, {}):
      pickle.dump(value, file, protocol=2)
    file.write(_STATE)
    pickle.dump(['7'], file, protocol=2)
    file.write(struct.pack('<q7f', 7, *range(7)))
  return path


def _read_pickle(path: pathlib.Path) -> dict[str, Any]:
  found = torch_pickle.read_state_dict(path)
  for name, value in found.items():
    assert isinstance(name, str) and isinstance(value, np.ndarray)
  return {name: (value.dtype.str, value.tolist()) for name, value in found.items()}


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
  # In the layout of Keras 2.
  Format('weights.h5', _saved('model.h5'), _read_weights),
  Format('checkpoint.keras', _saved('model.keras'), _read_checkpoint, _of_archive),
  Format('checkpoint.index', _checkpoint('ckpt-1.index'), _read_checkpoint),
  Format('checkpoint.data', _checkpoint(f'ckpt-1.{_DATA}'), _read_checkpoint),
  Format('classes.txt', _class_map, _read_class_map),
  Format('saved_model.pb', _exported('saved_model.pb'), _read_exported),
  Format('fingerprint.pb', _exported('fingerprint.pb'), _read_exported),
  Format('variables.index', _exported('variables/variables.index'), _read_exported),
  Format('variables.data', _exported(f'variables/variables.{_DATA}'), _read_exported),
  Format('weights.pth', _pickle, _read_pickle),
)
