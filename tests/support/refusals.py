"""What is refused when a dataset is opened, held to be one short line."""

import pytest

from tfeval.datasets import open_dataset
from tfeval.utils.errors import UserError

IMAGE = b'\xff\xd8\xff image'
PHOTOS = [(f'{n:02d}.jpg', IMAGE + bytes([n]) * 2000) for n in range(6)]
LABELS = [0, 1, 2, 0, 1, 2]
NAMES = ['ant', 'bee', 'cat']


def refused(words, name, **options):
  """Opens a dataset that is refused with some words; returns all that is said."""
  with pytest.raises(UserError, match=words) as caught:
    open_dataset(name, **options)
  assert '\n' not in str(caught.value)
  assert len(str(caught.value)) < 900
  return str(caught.value)
