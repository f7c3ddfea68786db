"""Image classifiers of transformers, against its own processors and models."""

import json
import subprocess
import sys

import frameworks
import numpy as np
import pytest
import tensorflow as tf
import transformers_references
from PIL import Image

from tfeval.datasets.labels import imagenet
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.models import fitting, loading
from tfeval.models.model import preprocessing
from tfeval.preprocess import apply, protocol
from tfeval.utils.errors import UserError

pytestmark = frameworks.needs('torch', 'torchvision', 'timm', 'transformers')
EXACT = [
  name
  for name in transformers_references.FOLDERS
  if name not in ('lanczos', 'scaled', 'oblong', 'perceiver_crop')
]


def run(*arguments):
  program = [sys.executable, transformers_references.__file__, *map(str, arguments)]
  done = subprocess.run(program, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
  directory = tmp_path_factory.mktemp('transformers')
  run('make', directory)
  return directory


@pytest.fixture(scope='module')
def photos(shared_data, tmp_path_factory):
  """Photos, and parts of them: high, wide, small, of odd sides."""
  directory = tmp_path_factory.mktemp('odd')
  paths = sorted((shared_data / 'images').glob('n*.JPEG'))
  found = list(paths[:6])
  for i, sides in enumerate([(101, 333), (333, 100), (57, 63), (225, 224), (9, 200)]):
    path = directory / f'{i}.png'
    Image.open(paths[10 + i]).convert('RGB').crop((3, 5, *sides)).save(path)
    found.append(path)
  return found


@pytest.fixture(scope='module')
def made(folders, photos, tmp_path_factory):
  out = tmp_path_factory.mktemp('made') / 'made.npz'
  run('pixels', folders, out, *photos)
  return np.load(out)


def pixels_of(text, size, photos):
  found = protocol.resolve(text, size)
  return np.stack(
    [apply.apply(found, tf.constant(path.read_bytes()), False) for path in photos]
  )


@pytest.mark.parametrize('name', EXACT)
def test_recipes_are_those_of_the_processors(name, made, photos):
  told = json.loads(str(made['told']))[name]
  pixels = pixels_of(told['protocol'], told['input_size'], photos)
  found = preprocessing(told['preprocess'])(tf.constant(pixels, tf.float32)).numpy()
  expected = made[f'{name}:pil']
  assert found.shape == expected.shape
  assert np.count_nonzero(found != expected) == 0
  # What the same processor makes by torchvision is near, and other.
  other = made[f'{name}:torchvision']
  assert (other != expected).any()
  if name != 'padded':  # By one more at the other side.
    level = np.ptp(expected) / 255
    assert np.percentile(np.abs(other - expected), 99) < 2.1 * level


@pytest.mark.parametrize(
  ('name', 'field', 'words'),
  [
    ('lanczos', 'no_protocol', 'resizes by lanczos, tfeval as Pillow by nearest'),
    ('scaled', 'no_preprocess', "none that preprocess can state .*'rescale_factor': 0"),
    ('oblong', 'no_input_size', 'makes images of 64 x 80: expected a square'),
    ('perceiver_crop', 'no_protocol', 'crops as no protocol of tfeval does'),
  ],
)
def test_what_cannot_be_said_is_not_told(name, field, words, made):
  told = json.loads(str(made['told']))[name]
  assert field.removeprefix('no_') not in {k for k, v in told.items() if v is not None}
  with pytest.raises(AssertionError, match=words):
    raise AssertionError(told[field])


@pytest.mark.parametrize('name', ['vit', 'mobilevit', 'efficientnet', 'resnet'])
def test_a_folder_says_what_transformers_says(name, folders, made, photos):
  model = loading.load_model(f'transformers:{folders / name}')
  told = json.loads(str(made['told']))[name]
  assert model.backend.told_protocol == told['protocol']
  pixels = pixels_of(told['protocol'], model.input_size, photos)
  np.testing.assert_allclose(model(pixels), made[f'{name}:logits'], atol=1e-5)
  names = json.loads((folders / name / 'config.json').read_text())['id2label']
  assert model.label_space.class_names == tuple(names[str(i)] for i in range(6))


def test_models_of_timm_in_folders(photos, tmp_path):
  run('wrapped', tmp_path / 'model', tmp_path / 'made.npz', *photos)
  made = np.load(tmp_path / 'made.npz')
  model = loading.load_model(f'transformers:{tmp_path / "model"}')
  pixels = pixels_of(model.backend.told_protocol, model.input_size, photos)
  found = model.preprocess(tf.constant(pixels, tf.float32)).numpy()
  assert np.count_nonzero(found != made['made']) == 0
  np.testing.assert_allclose(model(pixels), made['logits'], atol=1e-5)
  assert model.label_space.class_ids == ('cat', 'dog', 'hen')


def test_told_classes_are_put_into_the_order_of_the_dataset(folders, photos):
  words = json.loads((folders / 'words.json').read_text())
  model = loading.load_model(f'transformers:{folders / "vit"}')
  names = list(model.label_space.class_names)
  assert sorted(names) == sorted(words) and names != words
  fitted = fitting.fit(model, LabelSpace('six', tuple(words), tuple(words)))
  pixels = pixels_of('opencv', 64, photos[:4])
  order = [names.index(one) for one in words]
  np.testing.assert_array_equal(fitted(pixels), model(pixels).numpy()[:, order])
  assert (fitted.matched, len(fitted.label_space)) == ('class', 6)
  # As an explicit map does.
  path = folders / 'vit' / 'config.json'
  mapped = loading.load_model(f'transformers:{folders / "vit"}', class_map=str(path))
  mapped = fitting.fit(mapped, LabelSpace('six', tuple(words), tuple(words)))
  np.testing.assert_array_equal(fitted(pixels), mapped(pixels))
  # Six classes of ImageNet by their names.
  fitted = fitting.fit(model, imagenet.label_space())
  assert [imagenet.label_space().readable_names[i] for i in fitted.said] == words
  others = ('tench', 'goldfish', 'shark', 'tiger shark', 'hammerhead', 'hen')
  with pytest.raises(UserError, match=r'tells 6 classes in another order .* 2 that'):
    fitting.fit(model, LabelSpace('other', others, others))


@pytest.mark.parametrize(
  ('name', 'change', 'words'),
  [
    ('scaled', {}, 'none that preprocess can state.*: give `preprocess`'),
    ('oblong', {}, 'makes images of 64 x 80: expected a square: give `input_size`'),
    ('vit:num_labels=3', {}, 'has no option num_labels: known: revision'),
    ('vit:trust_remote_code=true', {}, 'has no option trust_remote_code'),
    ('nothing', {}, 'neither a folder nor can it be downloaded'),
    ('vit', {'preprocess': 'unit'}, 'says preprocess=mean=0.5.*unit was given'),
  ],
)
def test_what_is_wrong_is_told_in_a_line(name, change, words, folders):
  with pytest.raises(UserError, match=words) as caught:
    loading.load_model(f'transformers:{folders / name}', **change)
  assert '\n' not in str(caught.value)


def test_values_that_are_not_there_are_not_random(folders, tmp_path):
  run('headless', folders / 'vit', tmp_path)
  with pytest.raises(UserError, match='no values for classifier.bias, classifier.w'):
    loading.load_model(f'transformers:{tmp_path}')
  model = loading.load_model(f'transformers:{tmp_path}', weights='none')
  assert model.outputs == 6


def test_a_folder_without_processor(folders, tmp_path):
  for name in ('config.json', 'model.safetensors'):
    (tmp_path / name).write_bytes((folders / 'vit' / name).read_bytes())
  with pytest.raises(UserError, match='no processor that transformers can load'):
    loading.load_model(f'transformers:{tmp_path}')
  model = loading.load_model(f'transformers:{tmp_path}', preprocess='unit')
  assert (model.input_size, model.backend.told_protocol) == (64, None)


def test_code_that_a_folder_brings_is_not_run(tmp_path):
  ran = tmp_path / 'ran'
  (tmp_path / 'mine.py').write_text(f"open({str(ran)!r}, 'w')\n")
  named = {'AutoConfig': 'mine.Config', 'AutoModelForImageClassification': 'mine.Model'}
  (tmp_path / 'config.json').write_text(
    json.dumps({'model_type': 'mine', 'auto_map': named})
  )
  for weights in ('imagenet', 'none'):
    with pytest.raises(UserError, match='brings code of its author: give `trust_model'):
      loading.load_model(f'transformers:{tmp_path}', weights=weights)
  assert not ran.exists()
