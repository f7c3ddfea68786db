"""imagenet2012_multilabel, prepared by TFDS itself out of stand-in photos."""

import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tfeval.cli import label_flags
from tfeval.datasets.labels import imagenet, multilabel
from tfeval.datasets.labels import sets as label_sets
from tfeval.utils.errors import UserError

NAMES = [imagenet.validation_name(n) for n in range(1, 61)]
WNIDS = imagenet.label_space().class_ids
ANNOTATIONS = {
  NAMES[0]: {'correct': [WNIDS[3], WNIDS[5]], 'wrong': [WNIDS[7]]},
  NAMES[1]: {'correct': [WNIDS[1]], 'unclear': [WNIDS[999]]},
  NAMES[2]: {'correct': [WNIDS[2]]},  # problematic
  NAMES[3]: {'wrong': [WNIDS[4]]},
}


@pytest.fixture(scope='module')
def data_dir(standin_dir, tmp_path_factory):
  directory = tmp_path_factory.mktemp('multilabel')
  builder = tfds.builder(multilabel.NAME, data_dir=directory)
  with pytest.MonkeyPatch.context() as patch:
    # In place of a download of 200 MB.
    patch.setattr(
      sys.modules[type(builder).__module__],
      '_get_multi_labels_and_problematic_images',
      lambda dl_manager: (ANNOTATIONS, [NAMES[2]], [NAMES[0]]),
    )
    builder.download_and_prepare(
      download_config=tfds.download.DownloadConfig(manual_dir=standin_dir)
    )
  return str(directory)


def test_correct_and_unclear_count_and_problematic_images_do_not(data_dir):
  found = multilabel.load(data_dir)
  sets = dict(
    zip(
      found.ids.to_pylist(),
      np.split(found.values, np.cumsum(found.sizes)),
      strict=False,
    )
  )
  assert {name: sorted(one.tolist()) for name, one in sets.items()} == {
    NAMES[0]: [3, 5],
    NAMES[1]: [1, 999],
    NAMES[2]: [],
    NAMES[3]: [],
  }


def test_by_name(data_dir):
  first, second = label_flags.open_labels(['original', multilabel.NAME], data_dir)
  assert (first.name, second.name) == ('original', multilabel.NAME)
  found = label_sets.match(second.file, second.file.ids)
  assert sorted(found.sizes.tolist()) == [0, 0, 2, 2]


def test_not_prepared(tmp_path):
  with pytest.raises(UserError, match='is not prepared in .*tfds build'):
    multilabel.load(str(tmp_path))
