"""The grammar `TARGET[:key=value,...]`."""

import re

import pytest

from tfeval.utils import spec
from tfeval.utils.errors import UserError


@pytest.mark.parametrize(
  'text, target, options',
  [
    ('ResNet50', 'ResNet50', {}),
    ('  ResNet50 ', 'ResNet50', {}),
    ('MobileNet:alpha=0.25', 'MobileNet', {'alpha': 0.25}),
    (
      'M:alpha=0.5,input_shape=[128,128,3]',
      'M',
      {'alpha': 0.5, 'input_shape': (128, 128, 3)},
    ),
    ('M:shape=(1,2),depth=3', 'M', {'shape': (1, 2), 'depth': 3}),
    ('M:a=1, b = 2 ', 'M', {'a': 1, 'b': 2}),
    ('my.module:build', 'my.module:build', {}),
    ('my.module:build:depth=3', 'my.module:build', {'depth': 3}),
    ('models/mine.keras', 'models/mine.keras', {}),
    ('models/mine.keras:a=x', 'models/mine.keras', {'a': 'x'}),
    (
      'M:a=TRUE,b=False,c=None,d=none',
      'M',
      {'a': True, 'b': False, 'c': None, 'd': None},
    ),
    ("M:a='true'", 'M', {'a': 'true'}),
    ('M:path=a/b.h5', 'M', {'path': 'a/b.h5'}),
    ('M:a=x=y', 'M', {'a': 'x=y'}),
    ('M:a=-1,b=1e-3', 'M', {'a': -1, 'b': 1e-3}),
    ('M:a=', 'M', {'a': ''}),
  ],
)
def test_parse(text, target, options):
  parsed = spec.parse(text)
  assert parsed.text == text.strip()
  assert parsed.target == target
  assert parsed.options == tuple(options.items())
  for key, value in parsed.options:
    assert type(value) is type(options[key])


@pytest.mark.parametrize(
  'text, said',
  [
    ('', 'empty'),
    ('  \n', 'empty'),
    ('M:a=1,b', "'b' is not key=value"),
    ('M:a=1,', "'' is not key=value"),
    ('M:a=1,=2', "'=2' is not key=value"),
    ('M:a=1,b-c=2', "'b-c=2' is not key=value"),
    ('M:a=1,a=2', "'a' is given twice"),
  ],
)
def test_parse_refuses(text, said):
  with pytest.raises(UserError, match=said) as error:
    spec.parse(text)
  assert len(str(error.value).splitlines()) == 1


def test_a_spec_can_be_hashed():
  text = 'M:shape=[1,2],name=x'
  assert len({spec.parse(text), spec.parse(text), spec.parse('M:name=x')}) == 2


@pytest.mark.parametrize(
  'text, name',
  [
    ('MobileNet:alpha=0.25', 'MobileNet_alpha=0.25'),
    ('M:shape=[128,128,3]', 'M_shape=_128_128_3'),
    ('models/mine.keras', 'models_mine.keras'),
    ('../../etc/x.keras', 'etc_x.keras'),
    ('..', 'model'),
    ('é/ü', 'é_ü'),
    ('ü', 'ü'),
    ('u\u0308', 'ü'),
    ('猫 2', '猫_2'),
    ('.ü', 'ü'),
  ],
)
def test_directory_name(text, name):
  assert spec.parse(text).directory_name() == name


def test_distinct_names_that_are_not_ascii_stay_distinct():
  texts = [
    *('☃', '☄', 'a☃', 'a☄', 'क\u093f', 'क\u093e', '\u202ea', '\u200ba', 'a\x85b'),
    *('ü' * 120, 'ü' * 121, 'x' * 250, 'x' * 251, '\udcff', '\udcfe', '.\uff0e'),
  ]
  names = [spec.Spec(text, text).directory_name() for text in texts]
  assert len(set(names)) == len(names)
  for name in names:
    assert re.fullmatch(r'[^\W_.][\w.=-]*', name) and len(name.encode()) < 220
    assert '..' not in name and name.isprintable()


@pytest.mark.parametrize('text', ['ResNet50', 'x' * 200, 'a b', '../a', '-', 'a\x00b'])
def test_names_in_ascii_are_as_ever(text):
  old = re.sub(r'[^A-Za-z0-9._=-]+', '_', text).strip('_.') or 'model'
  assert spec.Spec(text, text).directory_name() == old


@pytest.mark.parametrize(
  'text, options',
  [
    ('M:a=[[1,2],[3,4]]', (('a', ((1, 2), (3, 4))),)),
    ('M:a=[1,(2,3)],b=x', (('a', (1, (2, 3))), ('b', 'x'))),
    ('M:a="x,y",b=1', (('a', 'x,y'), ('b', 1))),
  ],
)
def test_values_may_nest(text, options):
  parsed = spec.parse(text)
  assert parsed.options == options
  hash(parsed)


@pytest.mark.parametrize('text', ['M:a={1:2}', 'M:a=[{1}]', 'M:a=[b"x"]'])
def test_values_of_other_kinds_are_refused(text):
  with pytest.raises(UserError, match='a value is a number'):
    spec.parse(text)
