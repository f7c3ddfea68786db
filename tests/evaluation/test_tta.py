"""Probabilities averaged over views, against Keras, OpenCV and NumPy alone."""

import subprocess
import sys

import cv2
import keras
import numpy as np
import pytest

from tfeval import cli
from tfeval.runs.run import load_run

MODEL = 'MobileNet:alpha=0.25'
SIDE = 224
VIEWS = ('flip', 'five_crop')


@pytest.fixture(scope='module')
def photos(shared_data, tmp_path_factory):
  folder = tmp_path_factory.mktemp('photos')
  for path in sorted((shared_data / 'images').glob('n*.JPEG'))[::49]:
    (folder / path.name[:9]).mkdir(exist_ok=True)
    (folder / path.name[:9] / path.name).symlink_to(path.resolve())
  return folder


@pytest.fixture(scope='module')
def command(photos):
  return (
    'evaluate',
    f'--model={MODEL}',
    f'--dataset=folder:{photos}',
    '--preflight=off',
    '--batch_size=4',
  )


def views(path, tta):
  """The crop, corners and mirrors of a photo: uint8 [views, 224, 224, 3]."""
  cv2.ipp.setUseIPP(False)
  image = cv2.imread(str(path), cv2.IMREAD_COLOR)
  height, width = image.shape[:2]
  short = min(height, width)
  size = (width * 256 // short, height * 256 // short)
  image = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)[..., ::-1]
  last_y, last_x = image.shape[0] - SIDE, image.shape[1] - SIDE
  centre = image.shape[0] // 2 - SIDE // 2, image.shape[1] // 2 - SIDE // 2
  places = [centre]
  if tta != 'flip':
    places += [(0, 0), (0, last_x), (last_y, 0), (last_y, last_x)]
  crops = [image[y : y + SIDE, x : x + SIDE] for y, x in places]
  if tta != 'five_crop':
    crops += [one[:, ::-1] for one in crops]
  return np.stack(crops)


@pytest.fixture(scope='module')
def network():
  model = keras.applications.MobileNet(alpha=0.25, classifier_activation='softmax')
  return lambda pixels: model(pixels / np.float32(127.5) - 1, training=False).numpy()


def evaluated(command, output, *more):
  assert cli.main([*command, f'--output_dir={output}', *more]) == 0
  (directory,) = output.iterdir()
  return load_run(directory)


@pytest.mark.parametrize(
  'tta', ['ten_crop', *(pytest.param(t, marks=pytest.mark.slow) for t in VIEWS)]
)
def test_mean_probabilities_of_views(command, photos, network, tmp_path, tta):
  run = evaluated(command, tmp_path, f'--tta={tta}', '--store_logits')
  assert run.path.name.endswith(f'+opencv_tta={tta}')
  assert run.result.protocol.text == f'opencv:tta={tta}'
  assert f'tta={tta}' in run.key.title
  assert f'--tta={tta}' in (run.path / 'flags.txt').read_text()
  rows = run.to_arrow().to_pylist()
  paths = {path.name: path for path in photos.rglob('*.JPEG')}
  assert {row['id'] for row in rows} == paths.keys()
  for row in rows:
    mean = network(views(paths[row['id']], tta)).mean(0, dtype=np.float64)
    best = row['classes'][0]
    assert best == mean.argmax()
    np.testing.assert_allclose(
      np.exp(row['log_probs']), mean[row['classes']], rtol=1e-3
    )
    # All outputs are kept as logarithms of mean probabilities.
    np.testing.assert_allclose(np.exp(row['logits']), mean, rtol=1e-3, atol=1e-9)
    np.testing.assert_allclose(
      np.exp(row['label_log_prob']), mean[row['label']], rtol=1e-3, atol=1e-9
    )


def parts(output):
  (directory,) = output.iterdir()
  return (directory / 'predictions/part-00000.parquet').read_bytes()


@pytest.mark.slow
def test_from_a_cache_and_ranked_on_the_device(command, tmp_path):
  ways = {
    'whole': (),
    'written': (f'--cache_dir={tmp_path / "cache"}',),
    'read': (f'--cache_dir={tmp_path / "cache"}',),
    'ranked': ('--rank_on=device',),
    'skipping': ('--on_error=skip',),
  }
  for name, more in ways.items():
    evaluated(command, tmp_path / 'runs' / name, '--tta=ten_crop', *more)
  rows = {name: parts(tmp_path / 'runs' / name) for name in ways}
  assert len(set(rows.values())) == 1
  # Mirrors are made of the pixels that are there.
  cached = (f'--cache_dir={tmp_path / "cache"}',)
  evaluated(command, tmp_path / 'runs' / 'five', '--tta=five_crop', *cached)
  entries = [path for path in (tmp_path / 'cache').iterdir() if path.is_dir()]
  assert len(entries) == 1


@pytest.mark.slow
def test_mirrors_of_what_a_device_resizes(command, tmp_path, capsys):
  evaluated(command, tmp_path / 'host', '--tta=flip')
  evaluated(command, tmp_path / 'device', '--tta=flip', '--resize_on=device')
  assert parts(tmp_path / 'host') == parts(tmp_path / 'device')
  capsys.readouterr()
  flags = ('--tta=five_crop', '--resize_on=device', f'--output_dir={tmp_path / "no"}')
  assert cli.main([*command, *flags]) == 2
  (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
  assert 'cannot be resized on the device, tta=five_crop' in line


@pytest.mark.parametrize(
  ('flags', 'message'),
  [
    (('--tta=flip', '--protocol=pil:tta=ten_crop'), '--tta=flip contradicts'),
    (('--tta=five_crop', '--protocol=efficientnet'), 'leaves no corners to cut'),
  ],
)
def test_contradictions_are_told_in_a_line(command, tmp_path, capsys, flags, message):
  assert cli.main([*command, f'--output_dir={tmp_path}', *flags]) == 2
  (line,) = capsys.readouterr().err.strip().splitlines()
  assert message in line


TWO_REPLICAS = """
import contextlib, sys
import keras, numpy as np, tensorflow as tf, tfeval
cpu, = tf.config.list_physical_devices('CPU')
tf.config.set_logical_device_configuration(
  cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
runs = []
for strategy in (tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1']), None):
  with strategy.scope() if strategy else contextlib.nullcontext():
    model = keras.applications.MobileNet(alpha=0.25)
  runs.append(tfeval.evaluate(
    model, 'folder:' + sys.argv[1], preprocess='tf', output='probabilities',
    tta='flip', batch_size=4, preflight='off', progress=False))
one, two = (run.to_pandas() for run in runs)
assert runs[0].result.compute.replicas == 2
assert one['id'].equals(two['id'])
log_probs = [np.stack(rows['log_probs']) for rows in (one, two)]
np.testing.assert_allclose(*log_probs, atol=1e-4)
print(len(one), 'rows')
"""


@pytest.mark.slow
def test_two_replicas_and_a_model_of_probabilities(photos):
  done = subprocess.run(
    [sys.executable, '-c', TWO_REPLICAS, photos], capture_output=True, text=True
  )
  count = len(list(photos.rglob('*.JPEG')))
  assert done.stdout == f'{count} rows\n', done.stderr[-2000:]
