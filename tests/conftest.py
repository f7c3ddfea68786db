"""Fixtures over the shared files that lie beside the repository."""

import gc
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
# Tests change constants that no key of what is kept knows.
os.environ['TFEVAL_CACHE_HOME'] = ''


def pytest_collection_finish():
  """Spares the garbage collector TensorFlow's objects: a sixth of the tests' time."""
  gc.collect()
  gc.freeze()


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
  subprocess.run(
    [sys.executable, tool, directory, '--count', '60'],
    check=True,
    stdout=subprocess.DEVNULL,
  )
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

  from tfeval.datasets.labels import imagenet as labels

  folder = tmp_path_factory.mktemp('noise')
  random = np.random.default_rng(0)
  for number in range(1, 11):
    pixels = random.integers(0, 256, (40, 50, 3), np.uint8)
    (folder / labels.validation_name(number)).write_bytes(
      tf.io.encode_jpeg(pixels).numpy()
    )
  return folder


@pytest.fixture
def store_run(tmp_path):
  """Stores a complete run of given answers; rows stand in a random order."""
  import numpy as np
  import pyarrow as pa

  from tfeval.runs import predictions, run

  def store(
    name,
    predicted,
    labels,
    real=None,
    *,
    ids=None,
    hashes=None,
    seed=0,
    model=(),
    dataset=(),
    protocol=(),
    where=None,
    features=None,
    layer='penultimate',
    **finish,
  ):
    predicted = np.asarray(predicted, np.int32)
    n = len(predicted)
    predicted = predicted.reshape(n, -1)
    order = np.random.default_rng(seed).permutation(n)
    directory = tmp_path / (where or name)
    writer = predictions.Writer(
      directory / 'predictions',
      False,
      n // 3 + 1,
      predicted.shape[1],
      features=0 if features is None else features.shape[1],
    )
    ids = [f'{i:04d}.JPEG' for i in range(n)] if ids is None else list(ids)
    rows = predictions.assemble(
      pa.array(ids, pa.string()),
      pa.array(hashes or [None] * n, pa.binary(32)),
      np.asarray(labels, np.int32),
      pa.array(real or [None] * n, pa.list_(pa.int32())),
      {'all': predictions.Ranks(predicted, None, None)},
      None,
      features=features,
    )
    for start in range(0, n, 5):
      writer.write(rows.take(pa.array(order[start : start + 5])))
    writer.flush()
    manifest = {
      'schema_version': 1,
      'model': {'name': name, **dict(model)},
      'dataset': {
        'name': 'photos',
        'split': '',
        'partial': False,
        'expected': n,
        **dict(dataset),
      },
      'protocol': {'name': 'opencv', 'spec': 'opencv', 'size': 224, **dict(protocol)},
    }
    if features is not None:
      kept = {'layer': layer, 'dimension': features.shape[1]}
      manifest['store'] = {'features': kept}
    run.files.write_json(directory / 'manifest.json', manifest)
    summary = run.summarize(predictions.read_parts(directory / 'predictions'))
    return run.finish(
      directory,
      manifest,
      summary,
      **{
        'failed': {},
        'timing': {'seconds': 2.0, 'images_per_second': n / 2},
        **finish,
      },
    )

  return store


@pytest.fixture
def tfeval(capsys):
  """Runs a command; returns its exit code, stdout and stderr."""
  from tfeval import cli

  def run(*arguments):
    capsys.readouterr()
    code = cli.main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()

  return run
