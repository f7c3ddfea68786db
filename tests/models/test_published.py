"""What was published: the right recipe, and an honest comparison."""

import csv
import fnmatch

import pytest

from tfeval.datasets.labels import imagenet
from tfeval.metrics import accuracy
from tfeval.models import (
  facts,
  facts_of_frameworks,
  normalisation,
  published,
  table,
)
from tfeval.preprocess import protocol
from tfeval.utils import spec
from tfeval.utils.errors import UserError


@pytest.mark.parametrize('recipe', published.RECIPES)
def test_every_row_has_its_recipe_or_says_that_none_is_known(recipe):
  unknown = set()
  for row in table.rows():
    try:
      text = published.protocol_text(recipe, spec.parse(row.name))
    except UserError as error:
      assert f'no protocol of tfeval is known to be the {recipe} one' in str(error)
      unknown.add(row.name)
    else:
      assert protocol.resolve(text, row.input_size).size >= 96
  # Their authors' own resizing was not that of any library here.
  assert unknown == (
    set()
    if recipe == 'published'
    else {
      'DenseNet121',
      'DenseNet169',
      'DenseNet201',
      'ResNet50',
      'ResNet101',
      'ResNet152',
      'VGG16',
      'VGG19',
      'Xception',
    }
  )


@pytest.mark.parametrize(
  'name, recipe, text',
  [
    ('ResNet50V2', 'published', 'opencv:size=299'),
    ('InceptionV3', 'native', 'slim'),
    ('EfficientNetB3', 'native', 'efficientnet'),
    ('ConvNeXtTiny', 'published', 'convnext'),
    ('ConvNeXtTiny', 'native', 'pil'),
    ('VGG16', 'opencv:crop_fraction=0.9', 'opencv:crop_fraction=0.9'),
  ],
)
def test_recipes_of_facts_that_are_known(name, recipe, text):
  assert published.protocol_text(recipe, spec.parse(name)) == text


@pytest.mark.parametrize('name', ['MobileNet:alpha=0.3', 'mine.keras', 'a.b:c'])
def test_no_recipe_for_what_is_not_documented(name):
  with pytest.raises(UserError, match='is for applications, their documented'):
    published.protocol_text('published', spec.parse(name))


def compare(
  correct,
  count=50000,
  name='ResNet50',
  weights='imagenet',
  text='opencv',
  ids=None,
  size=224,
  dataset='imagenet2012',
):
  metrics = [
    accuracy.Count(correct, count, 0).entry('top1', 'original'),
    accuracy.Count(correct, count, 0).entry('top1', 'real'),
  ]
  return published.compare(
    spec.parse(name),
    weights,
    protocol.resolve(text, size),
    dataset,
    ids or [imagenet.validation_name(1)],
    metrics,
  )


# 74.928 % of 50,000 is 37464.
@pytest.mark.parametrize(
  'correct, inside',
  [(37464, True), (37464 + 150, True), (37464 + 250, False), (37464 - 250, False)],
)
def test_inside_the_measured_interval(correct, inside):
  found = compare(correct)
  (top1,) = found['metrics']
  assert top1['name'] == 'top1'
  assert top1['published'] == pytest.approx(0.74928)
  assert top1['difference'] == pytest.approx((correct - 37464) / 50000)
  assert top1['inside'] is inside
  assert found['same_protocol'] is True
  assert ('inside the interval' in published.sentence(found)) is inside


def test_another_protocol_is_said():
  found = compare(37464, text='pil')
  assert found['same_protocol'] is False
  assert published.sentence(found) == (
    'published top-1 74.93 % (+0.00 here, inside the interval) by opencv'
  )
  assert compare(37464, name='ResNet50V2')['same_protocol'] is False
  assert compare(37464, name='ResNet50V2', text='opencv:size=299')['same_protocol']


@pytest.mark.parametrize(
  'arguments',
  [
    {'weights': 'none'},
    {'weights': 'my.weights.h5'},
    {'ids': ['cat.jpg']},
    {'name': 'mine.keras'},
    {'name': 'MobileNet:alpha=0.3'},
    {'ids': [imagenet.validation_name(1), 'cat.jpg']},
    {'dataset': 'imagenet_c:/data/fog/1'},
    {'dataset': 'imagenet_c_bar:/data/sparkles/1'},
    {'dataset': 'imagenet2012_corrupted'},
    {'dataset': 'imagenet2012_multilabel'},
  ],
)
def test_what_cannot_be_compared_is_not(arguments):
  assert compare(37464, **arguments) is None


@pytest.mark.parametrize('dataset', ['folder:/val', 'imagenet2012_real'])
def test_validation_images_may_lie_anywhere(dataset):
  assert compare(37464, dataset=dataset)['same_protocol']


def test_nothing_evaluated_is_no_comparison():
  assert compare(0, count=0) is None


def test_every_recipe_of_timm_resolves():
  rows = facts_of_frameworks.timm_rows()
  assert len(rows) == 1321
  assert sum(row.published_top1 is not None for row in rows) == 1266
  for row in rows:
    text = published.protocol_text('published', spec.parse(row.name))
    found = protocol.resolve(text, row.input_size)
    assert found.size == row.input_size and found.library == 'pillow'
    normalisation.Normalisation.parse(row.preprocess)


def test_figures_of_timm(shared_data):
  """Of every weights the figure at the size that its recipe has."""
  table_of = {row.name: row for row in facts_of_frameworks.timm_rows()}
  path = shared_data / 'facts' / 'timm_results_all.tsv'
  lines = list(csv.DictReader(path.open(encoding='utf-8'), delimiter='\t'))
  found = set()
  for line in lines:
    row = table_of[f'timm:{line["model"]}']
    if int(line['img_size']) != row.input_size:
      continue
    found.add(row.name)
    assert (row.published_top1, row.published_top5) == (
      float(line['in1k_top1']),
      float(line['in1k_top5']),
    )
    resolved = protocol.resolve(row.published_protocol, row.input_size)
    assert resolved.crop_fraction == pytest.approx(float(line['crop_pct']), abs=6e-4)
    assert resolved.kernel == line['interpolation'].replace('bicubic', 'cubic')
    assert row.parameters / 1e6 == pytest.approx(float(line['param_count']), abs=5.1e-3)
  assert len(found) == len({line['model'] for line in lines})


@pytest.mark.parametrize(
  ('name', 'found'),
  [
    ('timm:resnet50', 'timm:resnet50.a1_in1k'),
    ('timm:resnet50:autocast=bfloat16', 'timm:resnet50.a1_in1k'),
    ('timm:resnet50.tv_in1k', 'timm:resnet50.tv_in1k'),
    ('timm:resnet50:num_classes=10', None),  # Of other outputs nothing is published.
    ('timm:hf-hub:me/mine', None),
  ],
)
def test_names_of_timm(name, found):
  facts = table.find_facts(spec.parse(name))
  assert (facts and facts.name) == found
  assert published.is_told('published', spec.parse(name)) == (found is None)


@pytest.mark.parametrize(
  ('name', 'found'),
  [
    ('torchvision:inception_v3', 'torchvision:inception_v3:weights=IMAGENET1K_V1'),
    ('torchvision:inception_v3:transform_input=false', None),
    (
      'torchvision:resnet50:weights=IMAGENET1K_V1,autocast=float16',
      'torchvision:resnet50:weights=IMAGENET1K_V1',
    ),
  ],
)
def test_names_of_torchvision(name, found):
  facts = table.find_facts(spec.parse(name))
  assert (facts and facts.name) == found


@pytest.mark.parametrize('option', ['autocast=bfloat16', 'transform_input=false'])
def test_figures_are_not_of_models_that_compute_otherwise(option):
  arguments = {'text': 'pil:kernel=bilinear,crop_fraction=0.8742690058479532'}
  name = 'torchvision:inception_v3'
  assert compare(38647, name=name, size=299, **arguments)['same_protocol']
  assert compare(38647, name=f'{name}:{option}', size=299, **arguments) is None
  plain = table.find_facts(spec.parse(name))
  result = {
    'model': {
      'name': name,
      'weights': 'imagenet',
      'input_size': 299,
      'parameters': plain.parameters,
    }
  }
  assert published.figure(result, 'top1') == 0.77294
  result['model']['name'] = f'{name}:{option}'
  assert published.figure(result, 'top1') is None


@pytest.mark.parametrize(
  ('name', 'told'),
  [
    ('torchvision:resnet50', True),
    ('torchvision:resnet50:weights=IMAGENET1K_V1', False),
    ('timm:resnet50', True),
    ('timm:resnet50.a1_in1k', False),
  ],
)
def test_files_of_weights_are_those_that_are_named(name, told):
  found = spec.parse(name)
  assert published.is_told('published', found, 'own.pth') is told
  assert not published.is_told('published', found)
  if told:
    with pytest.raises(UserError, match=r'that of \S+ \(because\): give one by name'):
      published.protocol_text('published', found, None, 'own.pth', 'because')
  else:
    text = published.protocol_text('published', found, weights='own.pth')
    assert text == table.find_facts(found).published_protocol


def test_traps_of_torchvision():
  traps = {row.name: row.traps for row in facts_of_frameworks.torchvision_rows()}
  assert all(traps.values())
  for name, found in traps.items():
    row = table.find_facts(spec.parse(name))
    resolved = protocol.resolve(row.published_protocol, row.input_size)
    is_232 = (resolved.resize_side, row.input_size) == (232, 224)
    is_old = not name.partition(':')[2].startswith(('convnext', 'swin'))
    assert any('resized to 232' in one for one in found) == (is_232 and is_old)
    is_cubic = resolved.kernel == 'cubic'
    assert any('resized bicubic, most' in one for one in found) == is_cubic
    assert any('Instagram' in one for one in found) == ('SWAG' in name)
  rows = [
    *traps,
    *(row.name for row in facts_of_frameworks.timm_rows()),
  ]
  # No pattern is of nothing.
  for line in facts.lines('traps_of_frameworks.tsv'):
    for pattern in line['names'].split():
      assert fnmatch.filter(rows, pattern), pattern


def test_recipes_that_the_model_tells():
  folder = spec.parse('transformers:my_folder')
  told = 'pil:kernel=bilinear,resize=squash,crop=none'
  assert published.protocol_text('published', folder, told) == told
  with pytest.raises(UserError, match='is known to be that of transformers:my_folder'):
    published.protocol_text('published', folder)
  assert published.protocol_text('opencv', folder, told) == 'opencv'
  for name in ('torch:mine:build', 'function:mine:predict', 'mine.keras'):
    assert not published.is_told('published', spec.parse(name))
    with pytest.raises(UserError, match='is none: give a protocol by name'):
      published.protocol_text('published', spec.parse(name))
