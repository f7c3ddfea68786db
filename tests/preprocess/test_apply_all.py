"""Several protocols of one photo, decoded once: the bits of each by itself."""

import numpy as np
import pytest
import tensorflow as tf

from tfeval.engine import traced
from tfeval.preprocess import protocol
from tfeval.preprocess.decode import is_shared

FEW = ('opencv', 'opencv:kernel=area', 'opencv:decode=fast', 'pil', 'tf')
TEXTS = (
  'opencv',
  'opencv:kernel=area',
  'opencv:kernel=bilinear,resize=squash,crop=none',
  'opencv:exif=false',
  'opencv:decode=fast',
  'opencv_float',
  'opencv_ipp',
  'pil',
  'pil:kernel=bilinear,exif=true',
  'pil:resize=long_side',
  'squash',
  'tf:antialias=true',
  'slim',
  'efficientnet',
  'convnext',
)


@pytest.mark.parametrize(
  ('texts', 'jit_compile'),
  [
    (FEW, True),
    *(pytest.param(TEXTS, jit, marks=pytest.mark.slow) for jit in (True, False)),
  ],
)
def test_all_at_once_are_each_alone(shared_data, texts, jit_compile):
  protocols = tuple(
    protocol.resolve(text, size)
    for text, size in zip(texts, 8 * (224, 160), strict=False)
  )
  files = sorted((shared_data / 'images').glob('n*.JPEG'))[:: 294 // 5]
  together = traced.several(protocols, jit_compile)
  for path in files:
    image = tf.constant(path.read_bytes())
    made = together(image)
    for i, one in enumerate(protocols):
      found = made[str(i)]
      alone = traced.pixels(one, jit_compile)(image)
      np.testing.assert_array_equal(found, alone, one.spec)
  assert not is_shared()
