"""Models of PyTorch, against PyTorch's own libraries and the port to Keras."""

import dataclasses
import json
import pathlib
import pickle
import subprocess
import sys

import frameworks
import numpy as np
import pytest
import tensorflow as tf
import torch_references
from PIL import Image

from tfeval.datasets.labels import class_lists, imagenet
from tfeval.models import fitting, loading, published, table
from tfeval.models.facts_of_frameworks import torchvision_rows
from tfeval.models.model import preprocessing
from tfeval.models.options import ModelOptions
from tfeval.preprocess import apply, protocol
from tfeval.utils.errors import UserError
from tfeval.utils.spec import parse

pytestmark = frameworks.needs('torch', 'torchvision', 'timm')
SUPPORT = pathlib.Path(torch_references.__file__).parent


@pytest.fixture(autouse=True)
def importable(monkeypatch):
  monkeypatch.setenv('PYTHONPATH', str(SUPPORT))


def reference(*arguments):
  program = [sys.executable, torch_references.__file__, *map(str, arguments)]
  done = subprocess.run(program, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope='module')
def photos(shared_data):
  return sorted((shared_data / 'images').glob('n*.JPEG'))


@pytest.fixture(scope='module')
def odd_photos(photos, tmp_path_factory):
  """Photos, and parts of them: high, wide, small, of odd sides."""
  directory, found = tmp_path_factory.mktemp('odd'), list(photos[:6])
  for i, sides in enumerate([(101, 333), (333, 100), (57, 63), (225, 224), (9, 200)]):
    path = directory / f'{i}.png'
    Image.open(photos[10 + i]).convert('RGB').crop((3, 5, *sides)).save(path)
    found.append(path)
  return found


@pytest.fixture(scope='module')
def recipes(odd_photos, tmp_path_factory):
  out = tmp_path_factory.mktemp('recipes') / 'recipes.npz'
  reference('recipes', out, *odd_photos)
  return np.load(out)


@pytest.fixture(scope='module')
def files(tmp_path_factory):
  directory = tmp_path_factory.mktemp('lite')
  reference('lite', directory, 0)
  return directory


def pixels_of(text, size, photos):
  found = protocol.resolve(text, size)
  return np.stack(
    [apply.apply(found, tf.constant(path.read_bytes()), False) for path in photos]
  )


@pytest.mark.parametrize('number', [0, 1, 2])
def test_lite_is_that_of_keras(number, photos):
  ported = loading.load_model(f'EfficientNetLite{number}')
  model = loading.load_model(f'torch:torch_references:lite_model:number={number}')
  assert model.input_size == ported.input_size
  pixels = pixels_of('opencv', model.input_size, photos[:60])
  scores, expected = model(pixels).numpy(), ported(pixels).numpy()
  np.testing.assert_allclose(scores, expected, atol=1e-4)
  np.testing.assert_array_equal(scores.argmax(1), expected.argmax(1))


@pytest.mark.parametrize('name', ['lite.pt', 'lite.pt2', 'fixed.pt2', 'lite.onnx'])
def test_exported_files_say_the_same(name, files, photos):
  known = {
    'preprocess': 'mean255=127:std=128',
    'output': 'logits',
    'input_size': 224,
    'trust_model': True,
  }
  pixels = pixels_of('opencv', 224, photos[:20])
  expected = loading.load_model('torch:torch_references:lite_model')(pixels)
  found = loading.load_model(files / name, **known)(pixels)
  np.testing.assert_allclose(found, expected, atol=1e-4)
  if name != 'lite.onnx':
    with pytest.raises(UserError, match='holds code of its author: give `trust_model'):
      loading.load_model(files / name, **{**known, 'trust_model': False})


def test_state_dicts(files, photos, tmp_path):
  plain = 'torch:torch_references:lite_model:weights=false'
  pixels = pixels_of('opencv', 224, photos[:4])
  expected = loading.load_model('torch:torch_references:lite_model')(pixels)
  found = loading.load_model(plain, weights=files / 'lite.pth')
  np.testing.assert_array_equal(found(pixels), expected)
  assert found.weights_sha256 is not None
  other = 'torch:torch_references:lite_model:number=1'
  with pytest.raises(UserError, match='lack _blocks.16.* more: give those of this'):
    loading.load_model(other, weights=files / 'lite.pth')
  (tmp_path / 'evil.pth').write_bytes(pickle.dumps(Evil(str(tmp_path / 'ran')), 2))
  with pytest.raises(UserError, match=r'tensors alone.*nsupported.*GLOBAL io.open'):
    loading.load_model(plain, weights=tmp_path / 'evil.pth')
  assert not (tmp_path / 'ran').exists()


def test_keys_of_wrappers_and_both_kinds_of_wrong_ones(files, photos, tmp_path):
  import torch

  plain = 'torch:torch_references:lite_model:weights=false'
  pixels = pixels_of('opencv', 224, photos[:2])
  state = torch.load(files / 'lite.pth', weights_only=True)
  wrapped = {f'_orig_mod.module.{key}': value for key, value in state.items()}
  torch.save(wrapped, tmp_path / 'wrapped.pth')
  found = loading.load_model(plain, weights=tmp_path / 'wrapped.pth')
  expected = loading.load_model(plain, weights=files / 'lite.pth')
  np.testing.assert_array_equal(found(pixels), expected(pixels))
  torch.save(
    {**dict(list(state.items())[2:]), 'mine': state['_fc.bias']}, tmp_path / 'x'
  )
  (tmp_path / 'x').rename(tmp_path / 'x.pth')
  torch.save(state['_fc.bias'], tmp_path / 'one.pth')
  with pytest.raises(UserError, match='one.pth hold a Tensor: expected a state dict'):
    loading.load_model(plain, weights=tmp_path / 'one.pth')
  with pytest.raises(UserError, match='lack .*, .* and have unexpected mine: give'):
    loading.load_model(plain, weights=tmp_path / 'x.pth')


class Evil:
  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return open, (self.path, 'w')


@pytest.mark.parametrize(
  'name',
  [f'torchvision:{name}:weights={one}' for name, one in torch_references.TORCHVISION],
)
def test_recipes_of_torchvision(name, recipes, photos):
  facts = table.find_facts(parse(name))
  pixels = pixels_of(facts.published_protocol, facts.input_size, photos[:6])
  found = preprocessing(facts.preprocess)(tf.constant(pixels, tf.float32)).numpy()
  assert np.count_nonzero(found != recipes[name][:6]) == 0
  # As the worker tells them, of the installed version.
  model = loading.load_model(name, weights='none')
  told = model.backend.told
  assert (told['input_size'], told['protocol']) == (
    facts.input_size,
    facts.published_protocol,
  )
  again = preprocessing(told['preprocess'])(tf.constant(pixels, tf.float32)).numpy()
  np.testing.assert_array_equal(again, found)


@pytest.mark.parametrize('name', torch_references.TIMM)
def test_recipes_of_timm(name, recipes, odd_photos):
  """Whatever the crop mode, as timm's own transforms on PIL images."""
  told = json.loads(str(recipes[f'told:{name}']))
  pixels = pixels_of(told['protocol'], told['input_size'], odd_photos)
  found = preprocessing(told['preprocess'])(tf.constant(pixels, tf.float32)).numpy()
  assert found.shape == recipes[f'timm:{name}'].shape
  assert np.count_nonzero(found != recipes[f'timm:{name}']) == 0
  facts = table.find_facts(parse(f'timm:{name}'))
  if facts is None:  # Without 1000 classes.
    return
  side = facts.input_size
  assert protocol.resolve(told['protocol'], side) == protocol.resolve(
    published.protocol_text('published', parse(f'timm:{name}')), side
  )


def test_timm_tells_its_recipe():
  model = loading.load_model('timm:resnet18.a1_in1k', weights='none')
  assert model.input_size == 224
  assert model.backend.told_protocol == 'pil:size=288,kernel=cubic,crop_fraction=1.0'


def test_interpolations_and_sides_that_timm_may_have(recipes):
  told = json.loads(str(recipes['variants']))
  for name, kernel in (
    ('nearest', 'nearest'),
    ('bilinear', 'bilinear'),
    ('bicubic', 'cubic'),
  ):
    assert f'kernel={kernel}' in told[name]['protocol']
  for name in ('box', 'hamming', 'lanczos', 'random'):
    assert 'protocol' not in told[name]
    assert f'resizes by {name}, tfeval as Pillow by' in told[name]['no_protocol']
  assert told['oblong'] == 'it takes images of 64 x 80, expected a square'
  assert 'images of 64 x 80, no squares' in told['oblong tests']['no_protocol']


def test_the_names_that_frameworks_tell_are_those_of_imagenet(recipes, tmp_path):
  categories = json.loads(str(recipes['categories']))
  reference('named_by_timm', tmp_path)
  described = json.loads((tmp_path / 'told.json').read_text())['classes']
  known = imagenet.label_space()
  for names in (categories, described):
    # Not one by one: there are crane bird and maillot tank suit, and two cardigans.
    assert names != list(known.readable_names)
    found = class_lists.told(names, 'model')
    assert found.classes == known
    np.testing.assert_array_equal(found.indices, np.arange(1000))
  found = class_lists.told(['background', *described], 'model')
  assert found.classes == known and found.indices.tolist() == list(range(1, 1001))


def test_outputs_in_another_order_are_put_right(photos):
  pixels = pixels_of('opencv', 224, photos[:8])
  expected = loading.load_model('torch:torch_references:lite_model')(pixels).numpy()
  found = loading.load_model('torch:torch_references:turned')
  assert found.label_space.class_ids[:1] == (imagenet.label_space().class_ids[100],)
  fitted = fitting.fit(found, imagenet.label_space())
  np.testing.assert_allclose(fitted(pixels), expected, atol=1e-5)
  assert fitted.matched == 'class'
  # Equal names are nothing to speak of, whatever they are called.
  equal = loading.load_model('torch:torch_references:turned:by=0,wrong=5')
  assert fitting.fit(equal, imagenet.label_space()).matched is None
  wrong = loading.load_model('torch:torch_references:turned:wrong=3')
  words = (
    r'1000 classes in another order than the dataset, and 3 that .*thing 0, thing 1'
  )
  with pytest.raises(UserError, match=words):
    fitting.fit(wrong, imagenet.label_space())
  assert found.backend.fingerprint() != wrong.backend.fingerprint()


def test_a_file_says_not_which_recipe_is_its_own(tmp_path):
  """V1 of ResNet-50 is resized to 256, V2 to 232."""
  script = (
    'import sys, torch, torchvision; torch.manual_seed(0);'
    'torch.save(torchvision.models.resnet50().state_dict(), sys.argv[1])'
  )
  path = tmp_path / 'own.pth'
  subprocess.run([sys.executable, '-c', script, path], check=True)
  plain, named = (
    parse(f'torchvision:resnet50{one}') for one in ('', ':weights=IMAGENET1K_V1')
  )
  assert published.is_told('published', plain, str(path))
  assert not published.is_told('published', named, str(path))
  model = loading.load(plain, str(path), ModelOptions())
  assert (model.input_size, model.backend.told_protocol) == (224, None)
  assert model.label_space is None  # Nobody knows what it was trained on.
  words = 'in their recipes.*name them, as torchvision:resnet50:weights=IMAGENET1K_V1'
  with pytest.raises(UserError, match=words):
    published.protocol_text(
      'published', plain, None, str(path), model.backend.no_protocol
    )
  for spec, text in ((named, '0.875'), (plain, '0.9655172413793104')):
    weights = str(path) if spec is named else 'imagenet'
    found = published.protocol_text('published', spec, weights=weights)
    assert found == f'pil:kernel=bilinear,crop_fraction={text}'


@pytest.mark.parametrize(
  ('name', 'words'),
  [
    ('torchvision:regnet_y_16gf', 'name them, as torchvision:regnet_y.*`input_size`'),
    ('timm:resnet18', 'name them, as timm:resnet18.a1_in1k, .*: give `input_size`'),
  ],
)
def test_what_a_file_does_not_say_is_asked_for(name, words, tmp_path):
  script = (
    'import sys, torch, torchvision, timm; _, kind, name, out = sys.argv;'
    'make = timm.create_model if kind == "timm" else torchvision.models.get_model;'
    'torch.save(make(name).state_dict(), out)'
  )
  kind, arch, *_ = name.split(':')
  path = tmp_path / 'own.pth'
  subprocess.run([sys.executable, '-c', script, kind, arch, path], check=True)
  with pytest.raises(UserError, match=words):
    loading.load_model(name, weights=path)


def test_a_transformer_has_the_size_that_is_asked_for(tmp_path):
  model = loading.load_model('torchvision:vit_b_32:image_size=64', weights='none')
  assert (model.input_size, model.backend.told_protocol) == (64, None)
  assert model.backend.no_protocol == 'the recipe of its weights is not of 64 pixels'


def test_weights_are_what_their_name_says(tmp_path, monkeypatch):
  monkeypatch.setenv('TORCH_HOME', str(tmp_path))
  path = tmp_path / 'hub/checkpoints/squeezenet1_1-b8a52dc0.pth'
  path.parent.mkdir(parents=True)
  path.write_bytes(b'something else')
  with pytest.raises(UserError, match='is not what its name says.*delete it'):
    loading.load_model('torchvision:squeezenet1_1')


@pytest.mark.slow
@pytest.mark.parametrize(
  'name',
  sorted({row.name.partition(':weights')[0] for row in torchvision_rows()}),
)
def test_every_architecture_runs_at_its_size(name):
  facts = table.find_facts(parse(name))
  model = loading.load_model(name, weights='none')
  assert model.input_size == facts.input_size
  # Without weights GoogLeNet has the heads of its training too.
  assert model.parameters == facts.parameters or name == 'torchvision:googlenet'
  side = model.input_size
  assert model(np.zeros((1, side, side, 3), np.uint8)).shape == (1, 1000)
  spec = dataclasses.replace(parse(name))
  assert published.protocol_text('published', spec) == facts.published_protocol


@pytest.mark.parametrize(
  ('name', 'words'),
  [
    ('torchvision:resnet1', 'no classifier resnet1: such as resnet'),
    ('torchvision:resnet18:weights=V9', 'has no weights V9: it has IMAGENET1K_V1'),
    ('torchvision:vgg16:weights=IMAGENET1K_FEATURES', 'have no classifier'),
    ('timm:resnot', 'timm has no model resnot: such as'),
    ('torch:torch_references:recipes', 'TypeError'),
    ('torch:torch_references:nothing', 'has no function nothing'),
    ('torch:torch_references', 'expected torch:MODULE:FUNCTION'),
    ('torchvision:resnet18:autocast=int4', 'autocast=int4: expected one of'),
  ],
)
def test_what_is_wrong_is_told_in_a_line(name, words):
  with pytest.raises(UserError, match=words) as caught:
    loading.load_model(name, weights='none')
  assert '\n' not in str(caught.value)


def test_half_precision_is_near(photos):
  pixels = pixels_of('opencv', 224, photos[:8])
  model = 'torch:torch_references:lite_model'
  expected = loading.load_model(model)(pixels).numpy()
  found = loading.load_model(f'{model}:autocast=bfloat16,channels_last=true')
  scores = found(pixels).numpy()
  assert found.dtype == 'bfloat16' and (scores != expected).any()
  np.testing.assert_array_equal(scores.argmax(1), expected.argmax(1))
