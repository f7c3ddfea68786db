"""Fixtures over the shared files that lie beside the repository."""

import itertools
import os
import pathlib
import subprocess
import sys
import tarfile

import pytest

_SHARED = pathlib.Path(__file__).resolve().parents[2] / 'shared'
# Real weights of MobileNet(alpha=0.25), offline. Keras reads it when it is imported.
if (_SHARED / 'data/keras_home').is_dir():
  os.environ['KERAS_HOME'] = str(_SHARED / 'data/keras_home')
os.environ['TF_CPP_MIN_LOG_LEVEL'] = '2'


@pytest.fixture(scope='session')
def shared_data() -> pathlib.Path:
  """The folder of published data: predictions, development kit, ReaL labels."""
  if not (_SHARED / 'data').is_dir():
    pytest.skip('needs the published data in ../shared/data')
  return _SHARED / 'data'


@pytest.fixture(scope='session')
def standin_dir(shared_data, tmp_path_factory) -> pathlib.Path:
  """A TFDS `manual_dir` whose validation archive holds 60 real photos."""
  tool = _SHARED / 'tools' / 'make_val_tar.py'
  if not tool.is_file() or not (shared_data / 'images').is_dir():
    pytest.skip('needs ../shared/tools/make_val_tar.py and ../shared/data/images')
  directory = tmp_path_factory.mktemp('standin')
  subprocess.run([sys.executable, tool, directory, '--count', '60'], check=True,
                 stdout=subprocess.DEVNULL)
  return directory


@pytest.fixture(scope='session')
def photos(standin_dir, tmp_path_factory) -> pathlib.Path:
  """A flat folder with the first twelve stand-in photos."""
  folder = tmp_path_factory.mktemp('photos')
  with tarfile.open(standin_dir / 'ILSVRC2012_img_val.tar') as tar:
    for member in itertools.islice(tar, 12):
      (folder / member.name).write_bytes(tar.extractfile(member).read())
  return folder


@pytest.fixture(scope='session')
def noise(tmp_path_factory) -> pathlib.Path:
  """A flat folder of ten validation images, all of them noise; not to be changed."""
  # Not above: KERAS_HOME is to be set first.
  import numpy as np
  import tensorflow as tf

  from tfeval import labels
  folder = tmp_path_factory.mktemp('noise')
  random = np.random.default_rng(0)
  for number in range(1, 11):
    pixels = random.integers(0, 256, (40, 50, 3), np.uint8)
    (folder / labels.validation_name(number)).write_bytes(
        tf.io.encode_jpeg(pixels).numpy())
  return folder
