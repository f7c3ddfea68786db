"""Error tables against the published figures and a loop."""

import csv

import numpy as np
import pytest

from tfeval.analysis import corruption_errors
from tfeval.analysis.corruption_errors import CorruptionErrors
from tfeval.utils.errors import UserError

# The first fifteen of AugMix' ALEXNET_ERR begin with these, in its order.
AUGMIX = [0.886428, 0.894468, 0.922640, 0.819880, 0.826268, 0.785948, 0.798360]


@pytest.fixture(scope='module')
def rows(shared_data):
  with (shared_data / 'facts' / 'imagenet_c_alexnet.tsv').open() as file:
    return list(csv.DictReader(file, delimiter='\t'))


def errors_of(rows, model, where):
  return {
    row['corruption']: [
      float(row[f'testbed_{model}_{where}_err_s{s}']) / 100 for s in range(1, 6)
    ]
    for row in rows
    if row[f'testbed_{model}_{where}_err_s1']
  }


def test_normalisers_are_the_published_ones(rows):
  found = corruption_errors.normalisers()
  assert list(found) == [row['corruption'] for row in rows]
  for row in rows:
    one = found[row['corruption']]
    assert one.group == row['group']
    assert one.alexnet == pytest.approx(float(row['alexnet_error_normaliser']) / 100)
  names = corruption_errors.of_mce()
  assert len(names) == 15 and names[-1] == 'jpeg_compression'
  assert [round(found[name].alexnet, 6) for name in names[:7]] == AUGMIX


def test_mce_of_resnet_50_is_the_one_that_was_printed(rows):
  found = CorruptionErrors(
    errors_of(rows, 'resnet50', 'on-disk'), clean=0.2387, official=True
  )
  assert f'{100 * found.mce():.1f}' == '78.2'
  ces, relative = [], []
  for row in rows[:15]:
    errors = [float(row[f'testbed_resnet50_on-disk_err_s{s}']) for s in range(1, 6)]
    alexnet = 5 * float(row['alexnet_error_normaliser'])
    ces.append(sum(errors) / alexnet)
    assert found.ce(row['corruption']) == pytest.approx(ces[-1])
    relative.append(sum(e - 23.87 for e in errors) / (alexnet - 5 * 43.5))
  assert found.mce() == pytest.approx(np.mean(ces))
  assert found.relative_mce() == pytest.approx(np.mean(relative))


def test_alexnet_has_an_mce_of_one():
  found = corruption_errors.normalisers()
  same = CorruptionErrors(
    {name: [one.alexnet] * 5 for name, one in found.items()}, 0.435, official=True
  )
  assert same.mce() == pytest.approx(1) and same.relative_mce() == pytest.approx(1)


def test_images_corrupted_in_memory_are_easier_by_what_was_printed(rows):
  disk, memory = (
    CorruptionErrors(errors_of(rows, 'resnet50', where), clean=0.2387)
    for where in ('on-disk', 'in-memory')
  )
  printed = {
    'fog': 10.4, 'contrast': 10.1, 'zoom_blur': 6.3, 'motion_blur': 4.8,
    'brightness': 4.4, 'pixelate': -3.9,
  }  # fmt: skip
  for name, points in printed.items():
    difference = 100 * (disk.mean_error(name) - memory.mean_error(name))
    assert round(difference, 1) == points
    relative = 100 * (disk.relative_error(name) - memory.relative_error(name))
    assert round(relative, 1) == points
  both = [disk.mean_error(name) - memory.mean_error(name) for name in memory.errors]
  assert round(100 * sum(both) / len(both), 1) == 3.2


def test_what_is_incomplete_is_refused_by_name(rows):
  errors = errors_of(rows, 'resnet50', 'on-disk')
  del errors['snow']
  errors['fog'] = [0.4, None, 0.5, None, 0.7]
  found = CorruptionErrors(errors, official=True)
  with pytest.raises(UserError, match='mCE needs .*: snow, fog:2, fog:4$'):
    found.mce()
  with pytest.raises(UserError, match='evaluated: fog:2, fog:4$'):
    found.mean_error('fog')
  with pytest.raises(UserError, match='needs the clean images'):
    found.relative_ce('frost')
  with pytest.raises(UserError, match='CE is not known of rotation'):
    found.ce('rotation')
  with pytest.raises(UserError, match='fog has 4 errors, expected 5'):
    CorruptionErrors({'fog': [0.1] * 4}).mean_error('fog')


@pytest.mark.parametrize('what', ['mce', 'relative_mce'])
def test_images_that_were_made_anew_have_no_mce(rows, what):
  found = CorruptionErrors(errors_of(rows, 'resnet50', 'on-disk'), clean=0.24)
  with pytest.raises(UserError, match='mCE is of the files that the authors'):
    getattr(found, what)()
