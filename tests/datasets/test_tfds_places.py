"""Data that TFDS has prepared elsewhere: found, and named with the right flag."""

import pytest

from tfeval.datasets import tfds_places
from tfeval.utils.errors import UserError


def prepared(root, *places):
  for place in places:
    (root / place).mkdir(parents=True)
    (root / place / 'dataset_info.json').touch()
  return root


def check(root, name='imagenet2012', version='5.1.0', config=None):
  kind, colon, _ = name.partition(':')
  tfds_places.check(kind, config, version, root, version if colon else None)


def refused(words, *arguments, **options):
  with pytest.raises(UserError, match=words) as caught:
    check(*arguments, **options)
  assert '\n' not in str(caught.value)


def test_nothing_is_anywhere(tmp_path):
  check(tmp_path / 'no')
  prepared(tmp_path, 'cifar10/3.0.2', 'imagenet2012/5.1.0.incomplete')
  (tmp_path / 'imagenet2012/5.0.0').mkdir()
  check(tmp_path)


def test_other_versions(tmp_path):
  prepared(tmp_path, 'imagenet2012/5.0.0', 'imagenet2012/10.0.0')
  refused('version 5.0.0, 10.0.0 is: give `dataset=imagenet2012:10.0.0`', tmp_path)
  # Who asks for one gets it, if it has to be prepared first.
  check(tmp_path, 'imagenet2012:5.1.0')


def test_a_config(tmp_path):
  prepared(tmp_path, 'imagenet_v2/topimages/2.0.0')
  where = 'give `dataset=imagenet_v2/topimages:2.0.0`'
  refused(where, tmp_path, 'imagenet_v2', '3.0.0', 'topimages')
  refused(
    f'give `data_dir={tmp_path}` and `dataset=imagenet_v2/topimages:2.0.0`',
    tmp_path / 'imagenet_v2/topimages/2.0.0',
    'imagenet_v2',
    '3.0.0',
    'topimages',
  )


@pytest.mark.parametrize('inside', ['imagenet2012', 'imagenet2012/5.1.0'])
def test_one_or_two_levels_too_deep(tmp_path, inside):
  prepared(tmp_path, 'imagenet2012/5.1.0')
  refused(f'but in {tmp_path}: give `data_dir={tmp_path}`$', tmp_path / inside)


@pytest.mark.parametrize('above', ['', 'a'])
def test_one_or_two_levels_too_high(tmp_path, above):
  prepared(tmp_path, 'a/b/imagenet2012/5.1.0')
  refused(f'give `data_dir={tmp_path}/a/b`', tmp_path / above)


def test_the_sister_set(tmp_path):
  prepared(tmp_path / 'y', 'imagenet2012/5.1.0')
  refused(
    'but imagenet2012 is, which has the same images: give `dataset=imagenet2012`, with '
    '`real_labels=real.json`',
    tmp_path / 'y',
    'imagenet2012_real',
    '1.0.0',
  )
  prepared(tmp_path / 'x', 'imagenet2012_real/1.0.0')
  refused('but imagenet2012_real is', tmp_path / 'x', 'imagenet2012', '7.0.0')
