"""MobileNet(alpha=0.25) as every kind of file: counts, flips and verdicts.

Each against a plain loop of its own runtime on arrays that cv2 makes. `pytest -s`
prints the table.
"""

import json

import frameworks
import keras
import numpy as np
import pytest
import references
import tensorflow as tf
from scipy import optimize

import tfeval as api

pytestmark = frameworks.needs('ai_edge_litert', 'tf_keras')
SIDE, MARGIN = 224, 0.05
LITERT = {'litert': 'float', 'float16': 'float16', 'dynamic': 'dynamic', 'int8': 'int8'}
FILES = ('saved_model', *LITERT, 'keras_2.h5', 'keras_2.keras')


@pytest.fixture(scope='module')
def photos(shared_data, tmp_path_factory):
  """All shared photos in folders of their classes."""
  root = tmp_path_factory.mktemp('photos')
  for photo in sorted((shared_data / 'images').glob('n*.JPEG')):
    folder = root / photo.name.partition('_')[0]
    folder.mkdir(exist_ok=True)
    (folder / photo.name).write_bytes(photo.read_bytes())
  return root


@pytest.fixture(scope='module')
def fed(photos):
  """What cv2 makes of them, float32 in [-1, 1], and labels by the sorted wnids."""
  from tfeval.datasets.labels import imagenet

  ids = list(imagenet.label_space().class_ids)
  paths = sorted(photos.glob('*/*'))
  pixels = [references.opencv(path.read_bytes(), SIDE) for path in paths]
  labels = np.array([ids.index(path.parent.name) for path in paths])
  names = [path.name for path in paths]
  return np.stack(pixels).astype(np.float32) / np.float32(127.5) - 1, labels, names


@pytest.fixture(scope='module')
def weights(shared_data):
  return shared_data / 'keras_home/models/mobilenet_2_5_224_tf.h5'


@pytest.fixture(scope='module')
def network(weights):
  return keras.applications.MobileNet(
    alpha=0.25, weights=str(weights), classifier_activation=None
  )


def interpreted(path, images):
  """Scores of a .tflite file, one image after the other."""
  from ai_edge_litert.interpreter import Interpreter

  interpreter = Interpreter(str(path))
  interpreter.allocate_tensors()
  (given,) = interpreter.get_input_details()
  (made,) = interpreter.get_output_details()
  found = []
  for image in images:
    if given['dtype'] == np.uint8:
      scale, zero = given['quantization']
      scaled = (image / np.float32(scale)).astype(np.float64)
      whole = np.copysign(np.floor(np.abs(scaled) + 0.5), scaled) + zero
      image = np.clip(whole, 0, 255).astype(np.uint8)
    interpreter.set_tensor(given['index'], image[None])
    interpreter.invoke()
    found.append(interpreter.get_tensor(made['index'])[0])
  found = np.stack(found).astype(np.float32)
  if made['dtype'] == np.uint8:
    scale, zero = made['quantization']
    found = (found - zero) * np.float32(scale)
  return found


def in_keras_2(weights, path, images):
  """Writes a file of Keras 2, reads it with Keras 2, and returns what that says."""
  import tf_keras

  model = tf_keras.applications.MobileNet(
    alpha=0.25, weights=str(weights), classifier_activation=None
  )
  model.save(path)
  return tf_keras.models.load_model(path).predict(images, verbose=0)


def verdict(first, second):
  """The score test of a ratio of paired rates, its likelihood maximised by SciPy."""
  n, rate = len(first), 1 - MARGIN
  both, one, two = (
    int(each.sum()) for each in (first & second, first & ~second, second & ~first)
  )
  neither = n - both - one - two

  def shares(point):
    p_both, p_one = point
    p_two = rate * (p_both + p_one) - p_both
    return np.array([p_both, p_one, p_two, 1 - p_both - p_one - p_two])

  def loss(point):
    p = shares(point)
    if (p <= 0).any():
      return 1e9
    return -(np.array([both, one, two, neither]) * np.log(p)).sum()

  start = (0.85 * both / n, 0.15 * both / n)
  tight = {'xatol': 1e-12, 'fatol': 1e-12, 'maxiter': 10000, 'maxfev': 10000}
  point = optimize.minimize(loss, start, method='Nelder-Mead', options=tight).x
  p = shares(point)
  variance = n * (p[0] * (1 - rate) ** 2 + p[1] * rate**2 + p[2])
  z = ((both + two) - rate * (both + one)) / np.sqrt(variance)
  return 'kept' if z > 1.6449 else 'not kept' if z < -1.6449 else 'not decided'


def test_counts_flips_and_verdicts(tfeval, photos, fed, weights, network, tmp_path):
  images, labels, names = fed
  dataset = f'--dataset=folder:{photos}'
  network.export(tmp_path / 'saved_model', verbose=False)
  served = tf.saved_model.load(tmp_path / 'saved_model').signatures['serving_default']
  (output,) = served.structured_outputs
  said = {
    'keras': network.predict(images, verbose=0),
    'saved_model': np.concatenate(
      [served(tf.constant(one[None]))[output].numpy() for one in images]
    ),
  }
  for name, kind in LITERT.items():
    arguments = ['--calibrate=100', dataset] if kind == 'int8' else []
    code, _, err = tfeval(
      'convert',
      'MobileNet:alpha=0.25',
      f'--to=litert:{kind}',
      f'--output_file={tmp_path}/{name}.tflite',
      *arguments,
    )
    assert code == 0, err
    said[name] = interpreted(tmp_path / f'{name}.tflite', images)
  for name in ('keras_2.h5', 'keras_2.keras'):
    said[name] = in_keras_2(weights, tmp_path / name, images)

  every = f'--output_dir={tmp_path}/runs'
  code, _, err = tfeval('evaluate', '--model=MobileNet:alpha=0.25', dataset, every)
  assert code == 0, err
  files = [tmp_path / (name + '.tflite' * (name in LITERT)) for name in FILES]
  given = [f'--model={path}' for path in files]
  given += ['--preprocess=tf', '--output=logits']
  code, _, err = tfeval('evaluate', *given, dataset, every)
  assert code == 0, err
  runs = {
    run.result.model.name: run
    for run in map(api.load_run, (tmp_path / 'runs').glob('*/'))
  }
  runs = [runs[str(one)] for one in ('MobileNet:alpha=0.25', *files)]
  where = [run.path for run in runs]
  code, out, err = tfeval('compare', *where, f'--margin={MARGIN:.0%}', '--json')
  assert code == 0, err
  (compared,) = json.loads(out)['comparisons']
  verdicts = [None, *(one['verdict'] for one in compared['kept'])]

  first, rows = said['keras'].argmax(1), []
  for (name, scores), run, told in zip(said.items(), runs, verdicts, strict=True):
    expected = scores.argmax(1)  # Of equal scores the first, as in tfeval.
    table = run.to_arrow(['id', 'classes']).to_pydict()
    classes = dict(zip(table['id'], table['classes'], strict=True))
    found = np.array([classes[one][0] for one in names])
    np.testing.assert_array_equal(found, expected, name)
    hits = int((expected == labels).sum())
    assert (run.metrics[0].correct, run.metrics[0].count) == (hits, len(labels))
    if told is not None:
      assert told == verdict(first == labels, expected == labels), name
    rows.append((name, hits, int((expected != first).sum()), told or ''))
  print()
  for row in rows:
    print('{:15} {:4} {:4}  {}'.format(*row))
  flips = {name: count for name, _, count, _ in rows}
  assert flips['saved_model'] == flips['keras_2.h5'] == flips['keras_2.keras'] == 0
  assert flips['litert'] == 0 and 0 < flips['float16'] < flips['int8'] < 90
