"""Several models in one text."""

import pytest

from tfeval.evaluation import trusted_values
from tfeval.evaluation.plans import requests
from tfeval.models import facts_of_frameworks, table
from tfeval.models.patterns import expand
from tfeval.utils.errors import UserError


def test_patterns_match_names_as_a_shell_does():
  assert expand(['ResNet*V2']) == ['ResNet101V2', 'ResNet152V2', 'ResNet50V2']
  assert expand(['ResNet[15]0*V2']) == ['ResNet101V2', 'ResNet50V2']
  assert expand(['VGG1?']) == ['VGG16', 'VGG19']
  assert expand(['*']) == list(table.known_models())
  # Variants with options only where they are asked for.
  assert expand(['MobileNet*']) == [
    name for name in table.known_models() if name.startswith('MobileNet')
  ]
  variants = expand(['MobileNet:*'])
  assert 'MobileNet:alpha=0.25' in variants and 'MobileNet' not in variants
  assert all(name.startswith('MobileNet:') for name in variants)
  assert expand(['VGG*:input_shape=[64,64,3]']) == [
    'VGG16:input_shape=[64,64,3]',
    'VGG19:input_shape=[64,64,3]',
  ]


def test_what_several_patterns_match_is_there_once():
  assert expand(['VGG16', 'VGG*', 'V*19']) == ['VGG16', 'VGG19']
  with pytest.raises(UserError, match='given twice'):
    requests(['VGG16', 'VGG16'], ['none'])


def test_weights_of_other_frameworks():
  every = [row.name for row in facts_of_frameworks.torchvision_rows()]
  assert expand(['torchvision:*']) == every and len(every) == 114
  v1 = 'torchvision:resnet50:weights=IMAGENET1K_V1'
  v2 = 'torchvision:resnet50:weights=IMAGENET1K_V2'
  assert expand(['torchvision:resnet5?']) == [v1, v2]
  assert expand(['torchvision:resnet5*:weights=IMAGENET1K_V1']) == [v1]
  assert expand(['torchvision:resnet50:*V2']) == [v2]
  assert expand(['torchvision:resnet50*:autocast=bfloat16,compile=true']) == [
    f'{v1},autocast=bfloat16,compile=true',
    f'{v2},autocast=bfloat16,compile=true',
  ]
  assert expand(['timm:resnet50.a[123]_in1k:channels_last=true']) == [
    f'timm:resnet50.a{i}_in1k:channels_last=true' for i in (1, 2, 3)
  ]
  every = [row.name for row in facts_of_frameworks.timm_rows()]
  assert expand(['timm:*a1_in1k']) == [n for n in every if n.endswith('a1_in1k')]
  # Each is a name that can be evaluated.
  asked = requests(['torchvision:vgg1?', 'timm:resnet18.*'], ['imagenet'])
  assert all(table.find_facts(one.spec).name == one.spec.text for one in asked)


@pytest.mark.parametrize(
  'text, words',
  [
    ('torchvision:resnot*', 'did you mean torchvision:resnet50 or'),
    ('timm:resnat50*', 'did you mean timm:resn'),
    ('torchvision:vgg*:weights=IMAGENET1K_V2', 'no such weights, there are IMAGENET1K'),
    ('transformers:*', "matches 'transformers:\\*'"),
  ],
)
def test_weights_that_are_none(text, words):
  with pytest.raises(UserError, match=words) as caught:
    expand([text])
  assert '\n' not in str(caught.value)


def test_a_pattern_without_a_match_names_near_ones():
  with pytest.raises(UserError) as caught:
    expand(['ResNet51*V2'])
  assert "matches 'ResNet51*V2': did you mean ResNet50V2 or" in str(caught.value)
  with pytest.raises(UserError, match="'2' is not key=value"):
    expand(['my_module:build:mean=1,2'])


@pytest.mark.parametrize(
  'text, parts',
  [
    ('VGG16,VGG19', ['VGG16', 'VGG19']),
    ('VGG16, ResNet*V2', ['VGG16', 'ResNet101V2', 'ResNet152V2', 'ResNet50V2']),
    (
      'MobileNet:alpha=0.25,input_shape=[128,128,3],VGG16',
      ['MobileNet:alpha=0.25,input_shape=[128,128,3]', 'VGG16'],
    ),
    ('VGG16,MobileNet:alpha=0.5', ['VGG16', 'MobileNet:alpha=0.5']),
    ('my_module:build:a=1,b=2,other:build', ['my_module:build:a=1,b=2', 'other:build']),
    # No list: not each of them may be a model.
    ('VGG16,nothing', ['VGG16,nothing']),
    ('gs://a/b,c.keras', ['gs://a/b,c.keras']),
  ],
)
def test_lists_with_commas(text, parts):
  assert expand([text]) == parts


def test_a_path_with_a_comma_or_a_star_is_a_path(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  for name in ('VGG16,VGG19', 'VGG*', '@models'):
    (tmp_path / name).mkdir()
    assert expand([name]) == [name]


def test_a_file_of_models(tmp_path):
  file = tmp_path / 'models.txt'
  file.write_text('# ours\nVGG16  # old\n\nResNet*V2\nMobileNet:alpha=0.25\n')
  assert expand([f'@{file}', 'VGG19']) == [
    'VGG16',
    'ResNet101V2',
    'ResNet152V2',
    'ResNet50V2',
    'MobileNet:alpha=0.25',
    'VGG19',
  ]
  asked = requests([f'@{file}'], ['none'])
  assert [one.spec.text for one in asked][-1] == 'MobileNet:alpha=0.25'


@pytest.mark.parametrize(
  'content, words',
  [(None, 'cannot read'), (b'# nothing\n', 'names no model'), (b'\xff', 'is no text')],
)
def test_files_that_are_none(tmp_path, content, words):
  file = tmp_path / 'models.txt'
  if content is not None:
    file.write_bytes(content)
  with pytest.raises(UserError, match=words) as caught:
    expand([f'@{file}'])
  assert f'`model=@{file}`' in str(caught.value)


def test_a_flagfile_starts_nothing_by_them(tmp_path):
  assert not trusted_values.starts('model', 'ResNet*V2')
  assert not trusted_values.starts('model', 'VGG16,MobileNet:alpha=0.25')
  assert trusted_values.starts('model', 'VGG16,os:system')
  assert trusted_values.starts('model', f'@{tmp_path}/models.txt')
  assert trusted_values.starts('import_module', 'os')
