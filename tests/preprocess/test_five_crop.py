"""Five crops of one resized image, against whole images of the libraries, sliced."""

import io

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from test_protocols import compare, made_photos, pixels, real_photos

from tfeval.preprocess import protocol
from tfeval.utils.errors import UserError


def sizes(height, width, side, squash=False):
  short = min(height, width)
  return (side, side) if squash else (height * side // short, width * side // short)


def by_opencv(kernel, dtype=np.uint8, squash=False):
  def resized(data, side):
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    cv2.ipp.setUseIPP(False)
    size = sizes(*image.shape[:2], side, squash)[::-1]
    image = cv2.resize(image.astype(dtype), size, interpolation=kernel)
    return image[..., ::-1], lambda spare, size: (spare + size) // 2 - size // 2

  return resized


def by_pillow(kernel):
  def resized(data, side):
    image = Image.open(io.BytesIO(data)).convert('RGB')
    size = sizes(*image.size, side)
    return np.asarray(image.resize(size, kernel)), lambda spare, _: round(spare / 2)

  return resized


def by_tensorflow(data, side):
  image = cv2.imdecode(
    np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
  )[..., ::-1]
  size = sizes(*image.shape[:2], side)
  return tf.image.resize(image, size, 'bicubic').numpy(), lambda spare, _: spare // 2


def by_slim(data, side):
  image = tf.io.decode_image(data, channels=3)
  size = sizes(*image.shape[:2], side)
  resized = tf.compat.v1.image.resize_bilinear(image[None], size)[0].numpy()
  return resized, lambda spare, _: spare // 2


def five_crop(image, size, centre):
  """FiveCrop of torchvision: upper and lower left and right, then the centre."""
  bottom, right = (side - size for side in image.shape[:2])
  middle = (centre(bottom, size), centre(right, size))
  places = [(0, 0), (0, right), (bottom, 0), (bottom, right), middle]
  return np.stack([image[y : y + size, x : x + size] for y, x in places])


LIBRARIES = {
  'opencv': by_opencv(cv2.INTER_CUBIC),
  'opencv:kernel=bilinear': by_opencv(cv2.INTER_LINEAR),
  'opencv:kernel=area': by_opencv(cv2.INTER_AREA),
  'opencv:kernel=nearest': by_opencv(cv2.INTER_NEAREST),
  'opencv:resize=squash': by_opencv(cv2.INTER_CUBIC, squash=True),
  'opencv_float': by_opencv(cv2.INTER_CUBIC, np.float32),
  'pil': by_pillow(Image.BICUBIC),
  'pil:kernel=bilinear': by_pillow(Image.BILINEAR),
  'pil:kernel=nearest': by_pillow(Image.NEAREST),
  'tf': by_tensorflow,
  'tf:library=tensorflow1,kernel=bilinear,decode=fast': by_slim,
}


QUICK = ('opencv', 'opencv:kernel=area', 'pil', 'tf')


@pytest.mark.parametrize(
  'text',
  [
    *QUICK,
    *(
      pytest.param(text, marks=pytest.mark.slow)
      for text in LIBRARIES
      if text not in QUICK
    ),
  ],
)
def test_crops_are_slices_of_the_resized_image(shared_data, text):
  size = 64
  encoded = [*real_photos(shared_data, 6), *made_photos()[:8], *made_photos()[9:12]]
  own = protocol.resolve(text, size)
  ours = pixels(protocol.with_tta(text, 'five_crop'), size, encoded)
  theirs = []
  for data in encoded:
    image, centre = LIBRARIES[text](data, own.resize_side)
    theirs.append(five_crop(image, size, centre))
  values, differ, largest = compare(ours, theirs)
  # Of floats the order of sums is not the same.
  assert differ == 0 or (own.dtype == 'float32' and largest < 2e-3), (values, differ)
  # The centre is the plain protocol's crop, bit for bit.
  plain = pixels(text, size, encoded)
  for five, one in zip(ours, plain, strict=True):
    np.testing.assert_allclose(five[-1], one, atol=0 if own.dtype == 'uint8' else 2e-3)


def test_views_are_a_field_that_others_do_not_have():
  plain, flip, five, ten = (
    protocol.resolve(protocol.with_tta('opencv', tta), 224) for tta in protocol.TTA
  )
  assert 'tta' not in plain.describe()
  assert [one.views for one in (plain, flip, five, ten)] == [1, 2, 5, 10]
  assert flip.of_pixels == plain
  assert ten.of_pixels == five
  assert ten.shape == (5, 224, 224, 3)
  assert ten.spec == 'opencv:tta=ten_crop'
  assert ten.describe()['tta'] == 'ten_crop'
  assert len({one.describe()['hash'] for one in (plain, flip, five, ten)}) == 4


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('opencv:tta=twenty', "tta='twenty': expected none, flip, five_crop, ten_crop"),
    ('efficientnet:tta=five_crop', 'crop=before_square leaves no corners to cut'),
    ('squash:tta=ten_crop', 'resized it has the size of the crop: all are equal'),
    ('pil:resize=long_side,tta=five_crop', 'the crop reaches beside'),
    ('given:tta=five_crop', 'nothing is resized'),
    ('encoded:tta=flip', 'decoded by the model: leave it out'),
  ],
)
def test_what_has_no_such_views_is_refused(text, message):
  with pytest.raises(UserError, match=message):
    protocol.resolve(text, 224)


def test_two_words_for_views_have_to_agree():
  with pytest.raises(UserError, match='`tta=flip` contradicts'):
    protocol.with_tta('pil:tta=ten_crop', 'flip')
  assert protocol.with_tta('pil:tta=flip', 'flip') == 'pil:tta=flip'
