"""Suites of test sets: which sets, where they lie, what files of them may say."""

import pytest

from tfeval.datasets import suites, variants
from tfeval.evaluation import trusted_values
from tfeval.utils.errors import UserError


def test_all_sets_are_known():
  for name, suite in suites.suites().items():
    assert suite.datasets[0] == 'imagenet2012_real' and suite.summary
    assert suites.datasets_of(name) == list(suite.datasets)
    for one in suite.datasets[1:]:
      variant, config = variants.of_dataset(one), variants.config_of(one)
      assert variant.tfds or variant.layout
      assert config is None or config in variant.configs
      assert variant.kind == name


def test_a_file_of_sets(tmp_path):
  path = tmp_path / 'mine.txt'
  path.write_text(
    '# Remark\n\nimagenet_a:limit=5\n  folder:/photos  \nimagenet_v2/topimages\n'
  )
  expected = ['imagenet_a:limit=5', 'folder:/photos', 'imagenet_v2/topimages']
  assert suites.datasets_of(str(path)) == expected
  assert not trusted_values.starts('suite', str(path))
  assert not trusted_values.starts('suite', 'natural')
  path.write_text('imagenet_a\nimagenet_q\n')
  with pytest.raises(UserError, match="mine.txt, line 2: 'imagenet_q' is no dataset"):
    suites.datasets_of(str(path))
  assert trusted_values.starts('suite', str(path))
  path.write_text('# Nothing\n')
  with pytest.raises(UserError, match='names no dataset'):
    suites.datasets_of(str(path))
  path.write_bytes(b'\xff\xfe\x00')
  with pytest.raises(UserError, match='is not text'):
    suites.datasets_of(str(path))
  with pytest.raises(UserError, match='does not exist: give a file'):
    suites.datasets_of(str(tmp_path / 'none.txt'))
  with pytest.raises(UserError, match='did you mean natural'):
    suites.datasets_of('naturl')


def test_sets_in_a_directory(tmp_path):
  for name in ('objectnet', 'imagenet_v2/topimages', 'imagenet2012_real'):
    (tmp_path / name).mkdir(parents=True)
  for name, expected in (
    ('objectnet', f'objectnet:{tmp_path}/objectnet'),
    ('objectnet:limit=5', f'objectnet:{tmp_path}/objectnet:limit=5'),
    (
      'imagenet_v2/topimages',
      f'imagenet_v2/topimages:{tmp_path}/imagenet_v2/topimages',
    ),
  ):
    assert suites.placed(name, str(tmp_path)) == expected
  for name in (
    'imagenet_a',
    'objectnet:/elsewhere',
    'imagenet_v2/topimages:3.0.0',
    'imagenet2012_real',
    'folder:objectnet',
  ):
    assert suites.placed(name, str(tmp_path)) == name
