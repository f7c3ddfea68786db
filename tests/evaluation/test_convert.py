"""`tfeval convert` against TensorFlow's converter and plain interpreter loops."""

import hashlib
import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import small_models
import tensorflow as tf

import tfeval as tfeval_package
from tfeval.models import conversion
from tfeval.utils import files
from tfeval.utils.errors import UserError

COUNT = 6


@pytest.fixture(scope='module')
def saved(tmp_path_factory) -> pathlib.Path:
  keras.utils.set_random_seed(0)
  path = tmp_path_factory.mktemp('model') / 'small.keras'
  small_models.build().save(path)
  return path


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)


def flags(saved, *more):
  return ['convert', saved, '--preprocess=tf', '--output=logits', *more]


def run_file(path: pathlib.Path, images: np.ndarray) -> np.ndarray:
  """Returns what a .tflite file says, one image after the other, as real values."""
  interpreter = tf.lite.Interpreter(model_path=str(path))
  interpreter.allocate_tensors()
  (given,), (returned,) = (
    interpreter.get_input_details(),
    interpreter.get_output_details(),
  )
  found = []
  for image in images:
    fed = image[None]
    if given['dtype'] != np.float32:
      scale, zero = given['quantization']
      limits = np.iinfo(given['dtype'])
      fed = np.clip(np.round(fed / scale) + zero, limits.min, limits.max)
    interpreter.set_tensor(given['index'], fed.astype(given['dtype']))
    interpreter.invoke()
    out = interpreter.get_tensor(returned['index']).astype(np.float32)
    if returned['dtype'] != np.float32:
      scale, zero = returned['quantization']
      out = (out - zero) * scale
    found.append(out[0])
  return np.stack(found)


def pixels_by_id(folder: pathlib.Path, size: int) -> dict[str, np.ndarray]:
  """Returns of each image what mode `tf` makes of it: [size, size, 3] in [-1, 1]."""
  dataset = tfeval_package.build_dataset(
    f'folder:{folder}', input_size=size, batch_size=1
  )
  return {
    batch['id'][0].numpy().decode(): batch['pixels'][0].numpy().astype(np.float32)
    / 127.5
    - 1
    for batch in dataset
  }


def by_hand(model: keras.Model, images: list[np.ndarray], io=tf.uint8) -> bytes:
  converter = tf.lite.TFLiteConverter.from_keras_model(model)
  converter.optimizations = [tf.lite.Optimize.DEFAULT]
  converter.representative_dataset = lambda: ([one[None]] for one in images)
  converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
  converter.inference_input_type = converter.inference_output_type = io
  return converter.convert()


def test_int8_is_calibrated_on_the_exact_input(saved, noise, tmp_path, tfeval):
  code, out, err = tfeval(
    *flags(
      saved, '--to=litert:int8', f'--calibrate={COUNT}', f'--dataset=folder:{noise}'
    )
  )
  assert (code, out) == (0, '')
  progress, said = err.splitlines()
  assert progress.startswith(f'calibrate: {COUNT}/{COUNT} images')
  assert f'calibrated on {COUNT} images' in said and 'uint8 n x 32 x 32 x 3' in said
  path = tmp_path / 'small.keras.int8.tflite'
  described = json.loads((tmp_path / 'small.keras.int8.tflite.json').read_text())

  inputs = pixels_by_id(noise, small_models.SIZE)
  chosen = sorted(inputs, key=lambda one: hashlib.sha256(one.encode()).digest())
  assert sorted(described['calibration']['ids']) == sorted(chosen[:COUNT])
  model = keras.models.load_model(saved)
  # In the dataset's order: ranges do not depend on it.
  (tmp_path / 'hand.tflite').write_bytes(
    by_hand(model, [inputs[one] for one in sorted(chosen[:COUNT])])
  )
  images = np.stack(list(inputs.values()))
  found = run_file(path, images)
  np.testing.assert_array_equal(found, run_file(tmp_path / 'hand.tflite', images))
  # Other images give other ranges: the test above can fail.
  (tmp_path / 'other.tflite').write_bytes(by_hand(model, [0.5 * images[0]]))
  assert not np.array_equal(found, run_file(tmp_path / 'other.tflite', images))


def test_what_stands_beside_the_file(saved, noise, tmp_path, tfeval):
  target = tmp_path / 'there.tflite'
  code, out, _ = tfeval(
    *flags(
      saved,
      '--to=litert:int8',
      '--calibrate=4',
      '--io_dtype=int8',
      '--protocol=pil',
      f'--dataset=folder:{noise}',
      f'--output_file={target}',
      '--json',
    )
  )
  assert code == 0
  described = json.loads(out)
  assert described == json.loads((tmp_path / 'there.tflite.json').read_text())
  assert described['file'] == {
    'name': 'there.tflite',
    'bytes': target.stat().st_size,
    'sha256': hashlib.sha256(target.read_bytes()).hexdigest(),
  }
  interpreter = tf.lite.Interpreter(model_path=str(target))
  for name, (tensor,) in (
    ('input', interpreter.get_input_details()),
    ('output', interpreter.get_output_details()),
  ):
    assert described[name]['dtype'] == 'int8' == np.dtype(tensor['dtype']).name
    assert (described[name]['scale'], described[name]['zero_point']) == tensor[
      'quantization'
    ]
    assert described[name]['shape'] == tensor['shape_signature'].tolist()
  assert described['protocol']['spec'] == 'pil'
  assert described['model']['preprocess'] == 'tf'
  assert described['evaluate'] == [
    '--model=there.tflite',
    '--protocol=pil',
    '--preprocess=tf',
    '--input_size=32',
    '--output=logits',
  ]
  digest = hashlib.sha256()
  for one in sorted(described['calibration']['ids']):
    image = hashlib.sha256((noise / one).read_bytes()).hexdigest()
    digest.update(f'{one}\t{image}\n'.encode())
  assert described['calibration']['images_digest'] == digest.hexdigest()


@pytest.mark.parametrize(
  'kind, near', [('float', 1e-5), ('float16', 1e-2), ('dynamic', 5e-2)]
)
def test_kinds_without_images(saved, noise, tmp_path, tfeval, kind, near):
  code, _, err = tfeval(*flags(saved, f'--to=litert:{kind}'))
  assert code == 0 and len(err.splitlines()) == 1
  images = np.stack(list(pixels_by_id(noise, small_models.SIZE).values()))
  expected = keras.models.load_model(saved).predict_on_batch(images)
  found = run_file(tmp_path / f'small.keras.{kind}.tflite', images)
  np.testing.assert_allclose(found, expected, atol=near * np.abs(expected).max())
  if kind == 'float':
    np.testing.assert_array_equal(found.argmax(1), expected.argmax(1))
  described = json.loads((tmp_path / f'small.keras.{kind}.tflite.json').read_text())
  assert described['calibration'] is None and described['input']['scale'] is None


def test_a_model_of_any_size_gets_one(noise, tmp_path, tfeval):
  small_models.build(size=(None, None)).save(tmp_path / 'free.keras')
  free = flags(tmp_path / 'free.keras', '--to=litert:float')
  assert 'input_size' in tfeval(*free)[2]
  code, _, _ = tfeval(*free, '--input_size=48')
  assert code == 0
  described = json.loads((tmp_path / 'free.keras.float.tflite.json').read_text())
  assert described['input']['shape'] == [-1, 48, 48, 3]
  images = np.stack(list(pixels_by_id(noise, 48).values()))
  expected = keras.models.load_model(tmp_path / 'free.keras')(images).numpy()
  found = run_file(tmp_path / 'free.keras.float.tflite', images)
  np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(
  'more, message',
  [
    ([], '--to is missing'),
    (['--to=litert:int4'], 'value should be one of'),
    (['--to=litert:int8'], 'give how many, such as --calibrate=200'),
    (['--to=litert:float', '--calibrate=5'], '--calibrate=5 is for litert:int8'),
    (['--to=litert:float', '--io_dtype=int8'], '--io_dtype=int8 is for litert:int8'),
    (['--to=litert:float', '--dataset=sample'], '--dataset says on which images'),
    (['--to=litert:float', '--output_file=a.onnx'], 'expected the path of a .tflite'),
    (
      ['--to=litert:float', '--output_file=no/a.tflite'],
      'folder no does not exist',
    ),
    (['--to=litert:float', '--protocol=none'], 'unknown protocol'),
    (['--to=litert:int8', '--calibrate=11'], '--calibrate=11: '),
    (['--to=litert:int8', '--calibrate=0'], 'calibrate'),
    (['another.keras', '--to=litert:float'], '2 models were given'),
  ],
)
def test_refusals(saved, noise, tmp_path, tfeval, more, message):
  if '--to=litert:int8' in more:
    more = [*more, f'--dataset=folder:{noise}']
  code, out, err = tfeval(*flags(saved, *more))
  assert (code, out) == (2, '') and message in err
  assert err.count('\n') == 1
  assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_stays(saved, tmp_path, tfeval):
  there = tmp_path / 'small.keras.float.tflite'
  there.write_bytes(b'mine')
  code, _, err = tfeval(*flags(saved, '--to=litert:float'))
  assert code == 2 and 'is there already' in err and '--overwrite' in err
  assert there.read_bytes() == b'mine'
  assert tfeval(*flags(saved, '--to=litert:float', '--overwrite'))[0] == 0
  assert there.read_bytes() != b'mine'


def test_what_the_runtime_lacks_is_named(tmp_path, tfeval, monkeypatch):
  (tmp_path / 'lacking_model.py').write_text(
    'import keras\n'
    'def build():\n'
    '  images = keras.Input((32, 32, 3))\n'
    '  x = keras.layers.GlobalAveragePooling2D()(images)\n'
    '  x = keras.layers.Dense(1000)(keras.ops.erfinv(x))\n'
    '  return keras.Model(images, x)\n'
  )
  monkeypatch.syspath_prepend(tmp_path)
  code, _, err = tfeval(*flags('lacking_model:build', '--to=litert:float'))
  assert (code, err) == (
    2,
    "tfeval: TensorFlow's converter cannot convert lacking_model:build to float: "
    'LiteRT has no kernel for Erfinv\n',
  )
  assert not list(tmp_path.glob('*.tflite*'))


_HEADS = """
import keras

def two():
  images = keras.Input((32, 32, 3))
  x = keras.layers.GlobalAveragePooling2D()(images)
  outputs = {name: keras.layers.Dense(n, name=name)(x) for name, n in SIZES.items()}
  return keras.Model(images, outputs)

def single():
  images = keras.Input((32, 32, 3))
  x = keras.layers.GlobalAveragePooling2D()(images)
  return keras.Model(images, keras.layers.Dense(1, activation='sigmoid')(x))

SIZES = {'aux': 7, 'main': 1000}
"""


def test_of_several_outputs_one_is_converted(tmp_path, tfeval, monkeypatch):
  (tmp_path / 'heads_model.py').write_text(_HEADS)
  monkeypatch.syspath_prepend(tmp_path)
  asked = flags('heads_model:two', '--to=litert:float')
  code, _, err = tfeval(*asked)
  assert code == 2 and 'give --output_name' in err
  assert tfeval(*asked, '--output_name=main')[0] == 0
  described = json.loads((tmp_path / 'heads_model_two.float.tflite.json').read_text())
  assert described['output']['shape'] == [-1, 1000]


def test_a_single_output_is_told_as_it_is_in_the_file(tmp_path, tfeval, monkeypatch):
  (tmp_path / 'single_model.py').write_text(_HEADS)
  monkeypatch.syspath_prepend(tmp_path)
  code, _, _ = tfeval(
    'convert',
    'single_model:single',
    '--preprocess=identity',
    '--output=sigmoid',
    '--to=litert:float',
  )
  assert code == 0
  described = json.loads(
    (tmp_path / 'single_model_single.float.tflite.json').read_text()
  )
  assert described['output']['shape'] == [-1, 1]
  assert '--output=sigmoid' in described['evaluate']


def test_a_full_disk_leaves_nothing(saved, tmp_path, tfeval, monkeypatch):
  write = files.write_atomically

  def full(path, content, *more):
    if path.suffix == '.tflite':
      raise files.cannot_write(path, OSError(28, 'No space left on device'), *more)
    write(path, content, *more)

  monkeypatch.setattr(files, 'write_atomically', full)
  code, _, err = tfeval(*flags(saved, '--to=litert:float'))
  assert code == 2 and 'No space left' in err and 'another --output_file' in err
  assert not list(tmp_path.iterdir())


def test_a_saved_model_is_not_converted(saved, tmp_path, tfeval):
  keras.models.load_model(saved).export(tmp_path / 'exported', verbose=False)
  code, _, err = tfeval(*flags(tmp_path / 'exported', '--to=litert:float'))
  assert code == 2 and 'is no model of Keras 3' in err.splitlines()[-1]


def test_a_broken_image_is_named(saved, tmp_path, tfeval):
  (tmp_path / 'val').mkdir()
  (tmp_path / 'val/ILSVRC2012_val_00000001.JPEG').write_bytes(b'\xff\xd8\xff none')
  code, _, err = tfeval(
    *flags(saved, '--to=litert:int8', '--calibrate=1', '--dataset=folder:val')
  )
  assert code == 2 and 'ILSVRC2012_val_00000001.JPEG is not a readable image' in err
  assert not list(tmp_path.glob('*.tflite*'))


def test_a_default_name_is_one_name():
  path = conversion.output_path(None, 'models/a:alpha=0.25', 'int8', False)
  assert path == pathlib.Path('a_alpha=0.25.int8.tflite')
  with pytest.raises(UserError, match='did you mean'):
    conversion.requested('litert:int9', None, None)


@pytest.mark.slow
def test_the_converter_is_not_heard(saved, noise):
  """In a process of its own: C++ writes to the descriptor."""
  arguments = ['--to=litert:int8', '--calibrate=2', f'--dataset=folder:{noise}']
  done = subprocess.run(
    [sys.executable, '-m', 'tfeval', *map(str, flags(saved, *arguments))],
    capture_output=True,
    text=True,
  )
  assert (done.returncode, done.stdout) == (0, '')
  progress, said = done.stderr.splitlines()
  assert progress.startswith('calibrate: 2/2') and said.startswith('tfeval: ')


@pytest.mark.slow
def test_counts_of_real_photos(shared_data, tmp_path, tfeval):
  """MobileNet in every kind: its hits on 294 photos, by plain interpreter loops."""
  folder = shared_data / 'images'
  inputs = pixels_by_id(folder, 224)
  images = np.stack([inputs[one] for one in sorted(inputs)])
  model = keras.applications.MobileNet(alpha=0.25, classifier_activation=None)
  expected = model.predict(images, verbose=0).argmax(1)
  agreed = {}
  for kind in ('float', 'float16', 'dynamic', 'int8'):
    more = ['--calibrate=100', f'--dataset=folder:{folder}'] if kind == 'int8' else []
    code, _, _ = tfeval(
      'convert',
      'MobileNet:alpha=0.25',
      f'--to=litert:{kind}',
      f'--output_file={kind}.tflite',
      *more,
    )
    assert code == 0
    found = run_file(tmp_path / f'{kind}.tflite', images).argmax(1)
    agreed[kind] = int((found == expected).sum())
  # Seen of 294: 294, 287, 247 and 231.
  assert agreed['float'] == len(images)
  assert agreed['float16'] >= 280
  assert agreed['dynamic'] >= 235
  assert agreed['int8'] >= 215
