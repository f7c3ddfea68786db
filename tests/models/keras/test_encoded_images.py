"""Models whose input is a string: they are handed the bytes of image files."""

import json
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfeval as api
from tfeval.models import loading
from tfeval.preprocess.protocol import BY_MODEL, resolve
from tfeval.utils.errors import UserError

SIDE = 224


def decoded(encoded):
  """What the served model does to one image: float32 [SIDE, SIDE, 3]."""
  pixels = tf.io.decode_image(encoded, 3, expand_animations=False)
  return tf.image.resize(pixels, (SIDE, SIDE)) / 127.5 - 1


class Served(tf.Module):
  """MobileNet behind its own decoding, as TF Serving has models."""

  def __init__(self, network):
    self.network = network

  @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, 'image_bytes')])
  def serve(self, images):
    spec = tf.TensorSpec((SIDE, SIDE, 3), tf.float32)
    pixels = tf.map_fn(decoded, images, fn_output_signature=spec)
    return {'scores': self.network(pixels)}


@pytest.fixture(scope='module')
def network(shared_data):
  return loading.load_model('MobileNet:alpha=0.25').backend.model


@pytest.fixture(scope='module')
def served(network, tmp_path_factory):
  path = tmp_path_factory.mktemp('served') / 'served'
  module = Served(network)
  tf.saved_model.save(module, str(path), signatures=module.serve)
  return path


@pytest.fixture(scope='module')
def folder(shared_data, tmp_path_factory):
  """Twenty photos in folders of their classes."""
  root = tmp_path_factory.mktemp('photos')
  for photo in sorted((shared_data / 'images').glob('n*.JPEG'))[:200:10]:
    wnid = photo.name.partition('_')[0]
    (root / wnid).mkdir(exist_ok=True)
    (root / wnid / photo.name).write_bytes(photo.read_bytes())
  return root


def by_hand(network, folder):
  """The wnid that the network says of each photo, in a plain loop, by its id."""
  from tfeval.datasets.labels import imagenet

  ids = imagenet.label_space().class_ids
  return {
    str(path.relative_to(folder)): ids[
      int(np.argmax(network(decoded(path.read_bytes())[None], training=False)[0]))
    ]
    for path in sorted(folder.glob('*/*'))
  }


def test_counts_are_those_of_a_plain_loop(tfeval, served, network, folder, tmp_path):
  code, out, err = tfeval(
    'evaluate',
    f'--model={served}',
    '--output=logits',
    '--name=served',
    f'--dataset=folder:{folder}',
    f'--output_dir={tmp_path}',
    '--batch_size=8',  # The last one is padded.
  )
  assert code == 0, err
  expected = by_hand(network, folder)
  hits = sum(said == name.partition('/')[0] for name, said in expected.items())
  assert len(expected) == 20 and 0 < hits < 20
  run = api.load_run(tmp_path / 'served')
  assert (run.metrics[0].correct, run.metrics[0].count) == (hits, 20)
  assert run.to_arrow(['id']).num_rows == 20
  result = json.loads((tmp_path / 'served' / 'result.json').read_text())
  assert result['protocol']['decode'] == result['model']['preprocess'] == BY_MODEL
  assert (
    result['protocol'].get('size') is None and result['model']['input_size'] is None
  )
  assert 'pixels' not in out + err
  code, out, err = tfeval('verify', tmp_path / 'served')
  assert code == 0, err
  # A second time it is known.
  run_again = (tmp_path / 'served' / 'result.json').read_bytes()
  flags = next((tmp_path / 'served').glob('*flag*'))
  code, out, err = tfeval('evaluate', f'--flagfile={flags}', f'--output_dir={tmp_path}')
  assert code == 0 and 'is complete' in err
  assert run_again == (tmp_path / 'served' / 'result.json').read_bytes()


@pytest.mark.parametrize(
  ('flag', 'told'),
  [
    ('--protocol=pil', "leave '--protocol=pil' out"),
    ('--protocol=opencv:size=160', 'decoded by the model and resized there: leave'),
    ('--input_size=160', 'leave --input_size=160'),
    ('--preprocess=tf', 'leave --preprocess=tf out'),
    ('--resize_on=device', 'cannot be resized on the device'),
    ('--cache_dir=CACHE', '--cache_dir keeps pixels: leave it out'),
    ('--jit', 'XLA'),
  ],
)
def test_what_makes_pixels_is_refused(tfeval, served, folder, tmp_path, flag, told):
  code, _, err = tfeval(
    'evaluate',
    f'--model={served}',
    '--output=logits',
    '--name=served',
    f'--dataset=folder:{folder}',
    f'--output_dir={tmp_path}',
    flag.replace('CACHE', str(tmp_path / 'cache')),
  )
  lines = [line for line in err.splitlines() if 'strategy' not in line]
  assert code == 2 and told.replace("'", '') in lines[-1], err
  assert 'Traceback' not in err


def test_a_broken_image_ends_the_run(tfeval, served, folder, tmp_path):
  broken = tmp_path / 'broken'
  for path in sorted(folder.glob('*/*'))[:5]:
    (broken / path.parent.name).mkdir(parents=True, exist_ok=True)
    (broken / path.parent.name / path.name).write_bytes(path.read_bytes())
  first = sorted(broken.glob('*/*'))[2]
  first.write_bytes(first.read_bytes()[:2000])
  arguments = ('evaluate', f'--model={served}', '--output=logits', '--name=served')
  arguments = (*arguments, '--preflight=off')
  code, _, err = tfeval(
    *arguments, f'--dataset=folder:{broken}', f'--output_dir={tmp_path}'
  )
  assert code == 2 and f'cannot decode {first.name}: ' in err, err
  assert 'Traceback' not in err and not (tmp_path / 'served/result.json').exists()
  first.write_bytes(b'\xff\xd8\xff')
  code, _, err = tfeval(
    *arguments,
    f'--dataset=folder:{broken}',
    f'--output_dir={tmp_path / "skipped"}',
    '--on_error=skip',
  )
  assert code == 0, err
  run = api.load_run(tmp_path / 'skipped' / 'served')
  assert run.metrics[0].count == 4 and [
    one.id for one in run.result.dataset.failed
  ] == [first.name]


def test_a_fixed_batch_is_padded(network, folder, tmp_path):
  module = Served(network)
  spec = tf.TensorSpec((8,), tf.string, 'image_bytes')
  signature = module.serve.get_concrete_function()
  fixed = tf.function(lambda images: signature(images), input_signature=[spec])
  module.fixed = fixed
  tf.saved_model.save(module, str(tmp_path / 'fixed'), signatures=fixed)
  model = loading.load_model(tmp_path / 'fixed', output='logits')
  expected = by_hand(network, folder)
  hits = sum(said == name.partition('/')[0] for name, said in expected.items())
  for size in (3, 8, 64):  # None is a multiple of 20.
    run = api.evaluate(model, f'folder:{folder}', batch_size=size)
    assert (run.metrics[0].correct, run.metrics[0].count) == (hits, 20)


@keras.saving.register_keras_serializable('encoded')
class Decode(keras.layers.Layer):
  def call(self, images):
    spec = tf.TensorSpec((SIDE, SIDE, 3), tf.float32)
    return tf.map_fn(decoded, images, fn_output_signature=spec)

  def compute_output_spec(self, images):
    return keras.KerasTensor((None, SIDE, SIDE, 3), 'float32')


def test_a_keras_model_of_strings(network, folder):
  inputs = keras.Input((), dtype='string')
  model = keras.Model(inputs, network(Decode()(inputs)))
  run = api.evaluate(model, f'folder:{folder}', output='logits', batch_size=8)
  expected = by_hand(network, folder)
  hits = sum(said == name.partition('/')[0] for name, said in expected.items())
  assert (run.metrics[0].correct, run.metrics[0].count) == (hits, 20)
  pixels = np.zeros((4, SIDE, SIDE, 3), np.uint8), np.arange(4)
  with pytest.raises(UserError, match='takes encoded images, those of dataset are'):
    api.evaluate(model, pixels, classes=1000, output='logits')


def test_arrays_in_files_are_refused(tfeval, served, tmp_path):
  pixels = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)
  np.savez(tmp_path / 'a.npz', images=pixels, labels=np.arange(6))
  code, _, err = tfeval(
    'evaluate',
    f'--model={served}',
    '--output=logits',
    '--name=served',
    f'--dataset=npz:{tmp_path / "a.npz"}',
    f'--output_dir={tmp_path}',
  )
  assert code == 2, err
  assert 'are pixels: give a dataset of image files' in err.splitlines()[-1]


def test_pixels_are_not_handed_over(tfeval, folder, tmp_path):
  code, _, err = tfeval(
    'evaluate',
    '--model=MobileNet:alpha=0.25',
    '--protocol=encoded',
    f'--dataset=folder:{folder}',
    f'--output_dir={tmp_path}',
  )
  assert code == 2 and 'takes pixels: give another one' in err, err


def test_called_in_python(served, network, folder):
  model = loading.load_model(served, output='logits')
  paths: list[pathlib.Path] = sorted(folder.glob('*/*'))[:3]
  images = [path.read_bytes() for path in paths]
  expected = network(tf.stack([decoded(one) for one in images]), training=False)
  np.testing.assert_allclose(model(images), expected, atol=1e-4)
  with pytest.raises(UserError, match=r'takes encoded images, strings \[n\]'):
    model(np.zeros((2, SIDE, SIDE, 3), np.uint8))


def test_the_protocol_has_no_fields():
  assert resolve('encoded', 224) == resolve('encoded', 0)
  assert resolve('encoded', 0).describe()['decode'] == BY_MODEL
  with pytest.raises(UserError, match='antialias=True.*leave it out'):
    resolve('encoded:antialias=true', 224)
  with pytest.raises(UserError, match='library'):
    resolve('opencv:library=encoded', 224)
