"""The examples that preflight looks at, and what it does about what it finds."""

import numpy as np
import pytest

from tfeval import datasets
from tfeval.datasets.labels import imagenet
from tfeval.evaluation.preflight import preflight
from tfeval.preprocess import protocol as protocol_lib
from tfeval.utils import errors


def test_sample_is_the_start(noise, tmp_path):
  images = [path.read_bytes() for path in sorted(noise.iterdir())]
  for number in range(40):
    name = imagenet.validation_name(number + 1)
    (tmp_path / name).write_bytes(images[number % 10])
  dataset = datasets.open_dataset(f'folder:{tmp_path}')
  protocol = protocol_lib.resolve('squash', 32)
  pixels, truth = preflight.read_sample(dataset, protocol)
  assert pixels.shape == (40, 32, 32, 3)
  assert truth.tolist() == list(imagenet.original_validation_labels()[:40])
  few, some = preflight.read_sample(dataset, protocol, 35)
  np.testing.assert_array_equal(few, pixels[:35])
  np.testing.assert_array_equal(some, truth[:35])
  (tmp_path / 'ILSVRC2012_val_00000003.JPEG').write_bytes(b'nothing')
  with pytest.raises(errors.UserError, match='00000003.JPEG is not a readable image'):
    preflight.read_sample(dataset, protocol)
  skipped, _ = preflight.read_sample(dataset, protocol, skip_errors=True)
  np.testing.assert_array_equal(skipped, np.delete(pixels, 2, axis=0))


def test_class_folders_are_sampled_evenly(noise, tmp_path):
  image = next(noise.iterdir())
  wnids = imagenet.label_space().class_ids[::50]
  for wnid in wnids:
    (tmp_path / wnid).mkdir()
    for i in range(4):
      (tmp_path / wnid / f'{wnid}_{i}.JPEG').symlink_to(image)
  dataset = datasets.open_dataset(f'folder:{tmp_path}')
  _, truth = preflight.read_sample(dataset, protocol_lib.resolve('squash', 32), 20)
  assert truth.tolist() == list(range(0, 1000, 50))
