"""SavedModels with other signatures and tags than usual; what is there is listed."""

import numpy as np
import pytest
import tensorflow as tf

import tfeval as api
from tfeval.models import loading
from tfeval.utils.errors import UserError

SIZE = 8
SPEC = tf.TensorSpec((None, SIZE, SIZE, 3), tf.float32, 'images')
PIXELS = np.random.default_rng(0).uniform(0, 255, (3, SIZE, SIZE, 3)).astype('float32')


def load(path, **given):
  return loading.load_model(
    path, preprocess='identity', **{'output': 'logits', **given}
  )


class Net(tf.Module):
  def __init__(self):
    self.kernel = tf.Variable(tf.random.stateless_normal((3, 4), (0, 1)))

  @tf.function(input_signature=[SPEC])
  def logits(self, images):
    return {'scores': tf.reduce_mean(images, (1, 2)) @ self.kernel}

  @tf.function(input_signature=[SPEC])
  def negative(self, images):
    return {'scores': -(tf.reduce_mean(images, (1, 2)) @ self.kernel)}

  @tf.function(input_signature=[SPEC, tf.TensorSpec((), tf.float32, 'rate')])
  def two(self, images, rate):
    return {'scores': rate * tf.reduce_mean(images, (1, 2))}


@pytest.fixture
def net():
  return Net()


@pytest.fixture
def saved(net, tmp_path):
  path = tmp_path / 'saved'
  signatures = {'classify': net.logits, 'negative': net.negative, 'two': net.two}
  tf.saved_model.save(net, str(path), signatures=signatures)
  return path


def test_a_signature_is_chosen(saved, net):
  classify = load(saved, signature='classify')
  np.testing.assert_array_equal(classify(PIXELS), net.logits(PIXELS)['scores'])
  negative = load(saved, signature='negative')
  np.testing.assert_array_equal(negative(PIXELS), net.negative(PIXELS)['scores'])
  # What is resumed or compared is of one of them.
  assert classify.weights_sha256 != negative.weights_sha256


@pytest.mark.parametrize('given', [{}, {'signature': 'clasify'}])
def test_signatures_are_listed(saved, given):
  with pytest.raises(UserError) as caught:
    load(saved, **given)
  text = str(caught.value)
  assert f'has no signature {given.get("signature", "serving_default")}: ' in text
  images = f'images float32 [n, {SIZE}, {SIZE}, 3]'
  assert f'`signature` is one of classify ({images} -> scores float32 [n, 4])' in text
  assert f'negative ({images} -> scores float32 [n, 4])' in text
  assert f'two ({images}, rate float32 [] -> scores float32 [n, 3])' in text
  assert '__saved_model' not in text and '\n' not in text


def test_a_signature_of_more_than_images_names_them(saved):
  with pytest.raises(UserError, match='inputs images, rate in its signature two'):
    load(saved, signature='two')


@pytest.fixture
def of_tensorflow_1(tmp_path):
  """Two graphs: one for serving, one to train, with tags and a signature of its own."""
  path = tmp_path / 'old'
  v1 = tf.compat.v1
  builder = v1.saved_model.Builder(str(path))
  with tf.Graph().as_default(), v1.Session() as session:
    images = v1.placeholder(tf.float32, (None, SIZE, SIZE, 3), 'images')
    kernel = v1.get_variable('kernel', initializer=tf.ones((3, 4)))
    scores = tf.matmul(tf.reduce_mean(images, (1, 2)), kernel)
    session.run(v1.global_variables_initializer())
    signature = v1.saved_model.predict_signature_def({'x': images}, {'y': scores})
    builder.add_meta_graph_and_variables(session, ['serve'], {'default': signature})
    twice = v1.saved_model.predict_signature_def({'x': images}, {'y': 2 * scores})
    builder.add_meta_graph(['train', 'gpu'], {'default': twice})
  builder.save()
  return path


def test_graphs_of_tensorflow_1_by_their_tags(of_tensorflow_1):
  expected = PIXELS.mean((1, 2)).sum(1, keepdims=True) * np.ones(4)
  trusted = {'trust_model': True, 'signature': 'default'}
  found = load(of_tensorflow_1, **trusted)(PIXELS)
  np.testing.assert_allclose(found, expected, rtol=1e-5)
  found = load(of_tensorflow_1, **trusted, tags='gpu, train')(PIXELS)
  np.testing.assert_allclose(found, 2 * expected, rtol=1e-5)
  with pytest.raises(UserError) as caught:
    load(of_tensorflow_1, **trusted, tags='')
  assert str(caught.value) == (
    f"{of_tensorflow_1} has no graph with the tags '': `tags=gpu,train` or `tags=serve`"
  )
  with pytest.raises(UserError, match='format of TensorFlow 1, which can run code'):
    load(of_tensorflow_1, signature='default')


@pytest.mark.parametrize('option', ['signature', 'tags'])
def test_what_is_no_saved_model_has_none(tmp_path, option):
  tf.keras.Sequential([tf.keras.Input((SIZE, SIZE, 3))]).save(tmp_path / 'net.keras')
  with pytest.raises(UserError, match=f'`{option}` is of SavedModels'):
    load(tmp_path / 'net.keras', **{option: 'a'})


def test_runs_are_called_by_what_is_evaluated(tfeval, saved, noise, tmp_path):
  (tmp_path / 'classes.txt').write_text('a\nb\nc\nd\n')
  photos = tmp_path / 'photos'
  for number, photo in enumerate(sorted(noise.iterdir())[:4]):
    (photos / 'abcd'[number]).mkdir(parents=True)
    (photos / 'abcd'[number] / photo.name).write_bytes(photo.read_bytes())
  for signature in ('classify', 'negative'):
    code, _, err = tfeval(
      'evaluate',
      f'--model={saved}',
      f'--dataset=folder:{photos}',
      '--preprocess=identity',
      '--output=logits',
      '--preflight=off',
      f'--signature={signature}',
      f'--output_dir={tmp_path / "runs"}',
    )
    assert code == 0, err
  names = sorted(path.name for path in (tmp_path / 'runs').iterdir())
  assert names == ['saved-classify+photos', 'saved-negative+photos']


@pytest.fixture
def hub_module(tmp_path):
  """As TensorFlow 1 exported modules: graphs without tags and to train, two signatures.

  Its outputs tell how bright an image is: 0 below, 1 above the middle.
  """
  path = tmp_path / 'module'
  v1 = tf.compat.v1
  builder = v1.saved_model.Builder(str(path))
  for tags in ([], ['train']):
    with tf.Graph().as_default(), v1.Session() as session:
      images = v1.placeholder(tf.float32, (None, SIZE, SIZE, 3), 'images')
      kernel = v1.get_variable('kernel', initializer=[[-1.0, 1.0]])
      features = tf.reduce_mean(images, (1, 2, 3))[:, None] - 0.5
      made = {'default': features @ kernel, 'image_feature_vector': features}
      signatures = {
        name: v1.saved_model.predict_signature_def({'images': images}, {'default': one})
        for name, one in made.items()
      }
      session.run(v1.global_variables_initializer())
      if tags:
        builder.add_meta_graph(tags, signatures)
      else:
        builder.add_meta_graph_and_variables(session, tags, signatures)
  builder.save()
  return path


def test_counts_of_a_hub_module_of_tensorflow_1(tfeval, hub_module, tmp_path):
  levels = np.random.default_rng(0).integers(0, 256, (30, SIZE, SIZE, 3), np.uint8)
  levels = levels // 8 + np.linspace(96, 128, 30).astype(int)[:, None, None, None]
  pixels, labels = levels.astype(np.uint8), np.arange(30) % 2
  np.savez(tmp_path / 'a.npz', images=pixels, labels=labels)
  arguments = (
    'evaluate',
    f'--model={hub_module}',
    f'--dataset=npz:{tmp_path / "a.npz"}',
    f'--output_dir={tmp_path / "runs"}',
    '--protocol=given',
    '--preprocess=unit',
    '--output=logits',
    '--preflight=off',
    '--tags=',
  )
  code, _, err = tfeval(*arguments, '--signature=default')
  assert code == 2 and '--trust_model' in err and 'format of TensorFlow 1' in err
  code, _, err = tfeval(*arguments, '--trust_model')
  assert code == 2 and 'has no signature serving_default' in err, err
  assert 'default (images' in err and 'image_feature_vector (images' in err
  code, _, err = tfeval(*arguments, '--trust_model', '--signature=default')
  assert code == 0, err
  bright = (pixels.astype(np.float64) / 255).mean((1, 2, 3)) > 0.5
  hits = int((bright == labels).sum())
  assert 0 < bright.sum() < 30
  (run,) = (tmp_path / 'runs').iterdir()
  assert run.name.startswith('module-default-no_tags')
  assert api.load_run(run).metrics[0].correct == hits


@pytest.mark.parametrize('size', [1, 4])
def test_fixed_batches_are_padded(size, net, tmp_path):
  spec = tf.TensorSpec((size, SIZE, SIZE, 3), tf.float32, 'images')
  signature = net.logits.get_concrete_function()
  net.fixed = tf.function(lambda images: signature(images), input_signature=[spec])
  tf.saved_model.save(net, str(tmp_path / 'fixed'), signatures=net.fixed)
  model = load(tmp_path / 'fixed')
  pixels = np.random.default_rng(1).uniform(0, 255, (9, SIZE, SIZE, 3))
  expected = net.logits(pixels.astype(np.float32))['scores']
  for step in (model, tf.function(model), tf.function(model, jit_compile=True)):
    for count in (1, 4, 9):
      found = step(pixels[:count].astype(np.float32))
      assert found.shape == (count, 4)
      np.testing.assert_allclose(found, expected[:count], rtol=1e-5)
