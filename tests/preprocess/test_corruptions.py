"""Corruptions against TFDS' in NumPy, drawing the same, and against their libraries."""

import contextlib
import io
import shutil
import subprocess

import corrupted
import numpy as np
import pytest
import references
import scipy.ndimage
import scipy.stats
import tensorflow as tf
from PIL import Image

from tfeval.preprocess import (
  corruption_table,
  corruptions,
  corruptions_blur,
  corruptions_moved,
  frost_textures,
)
from tfeval.preprocess.corruption_table import Corruption
from tfeval.utils.errors import UserError

NOISES = ('gaussian_noise', 'shot_noise', 'impulse_noise', 'speckle_noise')
OF_IMAGENET_C = [
  name for name, kind in corruption_table.kinds().items() if kind.group != 'geometry'
]
GEOMETRY = [name for name in corruption_table.kinds() if name not in OF_IMAGENET_C]
# Where every value is that of the reference: most are float64 in its order, or NumPy.
EXACT = (
  *('jpeg_compression', 'contrast', 'brightness', 'saturate', 'pixelate'),
  *('glass_blur', 'fog', 'frost'),
)
# Of which Grappler has changed last digits, and one in NumPy.
IN_GRAPHS = ('speckle_noise', 'zoom_blur', 'brightness', 'fog')


@pytest.fixture(scope='module')
def photo(shared_data):
  """A photo with black and white areas, as it is before it is corrupted."""
  path = sorted((shared_data / 'images').glob('*.JPEG'))[7]
  return references.pil(path.read_bytes(), 224, Image.BILINEAR)


def corrupt(image, name, severity, image_id='a.jpg', seed=0):
  of = Corruption(name, severity)
  return corruptions.corrupt(
    tf.constant(image), tf.constant(image_id), of, seed
  ).numpy()


@pytest.mark.parametrize('name', [name for name in OF_IMAGENET_C if name not in NOISES])
def test_values_are_those_of_tfds_from_the_same_draws(photo, name):
  if name == 'frost' and not corrupted.frost_files():
    pytest.skip('imagecorruptions, which has the photos of frost, is not installed')
  for severity in range(1, 6):
    found = corrupt(photo, name, severity)
    expected = corrupted.by_tfds(photo, Corruption(name, severity), 'a.jpg')
    off = np.abs(found.astype(int) - expected)
    assert off.max() <= (name not in EXACT)
    # A level is where a sum is a whole number but for its last digit.
    assert (off > 0).mean() < 0.001


@pytest.mark.parametrize('name', NOISES)
@pytest.mark.parametrize('severity', [1, 4])
def test_noises_have_the_distribution_of_numpy_and_skimage(name, severity):
  for level in (40, 128, 220):
    image = np.full((224, 224, 3), level, np.uint8)
    found = corrupt(image, name, severity, str(level))
    of = Corruption(name, severity)
    expected = corrupted.by_tfds(image, of, str(level))
    # Of 24 tests.
    assert scipy.stats.ks_2samp(found.ravel(), expected.ravel()).pvalue > 0.001
    # Each channel is drawn by itself, as is each pixel.
    for other in (np.roll(found, 1, 2), np.roll(found, 1, 1), np.roll(found, 1, 0)):
      assert abs(np.corrcoef(found.ravel(), other.ravel())[0, 1]) < 0.01


@pytest.mark.parametrize('quality', [25, 18, 15, 10, 7])
def test_jpeg_compression_is_that_of_pillow(photo, quality):
  severity = corruption_table.kinds()['jpeg_compression'].parameters.index(quality) + 1
  encoded = io.BytesIO()
  Image.fromarray(photo).save(encoded, 'JPEG', quality=quality)
  expected = np.asarray(Image.open(encoded))
  np.testing.assert_array_equal(corrupt(photo, 'jpeg_compression', severity), expected)


def test_zoom_is_that_of_scipy(photo):
  row = photo[:, 0, 0].astype(np.float64)
  for factor in np.arange(1, 1.31, 0.03):
    inner = int(np.ceil(224 / factor))
    first = (224 - inner) // 2
    zoomed = scipy.ndimage.zoom(row[first : first + inner], factor, order=1)
    expected = zoomed[(len(zoomed) - 224) // 2 :][:224]
    low, weight = corruptions_blur.zoom_taps(224, factor)
    found = row[low] * (1 - weight) + row[low + 1] * weight
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_motion_goes_to_the_lower_right_of_a_positive_angle():
  image = np.zeros((31, 31, 1), np.uint8)
  image[15, 15] = 255
  found = corruptions_moved.motion_blurred(image, 5, 3, 45)[..., 0]
  # A pixel is the mean of those to its lower right: a point draws to the upper left.
  rows, columns = np.nonzero(found)
  np.testing.assert_array_equal(rows, columns)
  assert rows.max() == 15 and rows.min() < 10
  assert found.sum() == pytest.approx(255, abs=5)


@pytest.mark.parametrize('degrees', [-45, -7.3, 0, 44.1, -120.3])
def test_motion_blur_is_that_of_imagemagick(photo, tmp_path, degrees):
  convert = shutil.which('convert-im6.q16') or shutil.which('magick')
  if convert is None:
    pytest.skip('ImageMagick is not installed')
  source, target = tmp_path / 'source.png', tmp_path / 'target.png'
  Image.fromarray(photo).save(source)
  for radius, sigma in corruption_table.kinds()['motion_blur'].parameters:
    blur = f'{radius}x{sigma}+{degrees}'
    subprocess.run([convert, source, '-motion-blur', blur, target], check=True)
    found = corruptions_moved.motion_blurred(photo, radius, sigma, degrees)
    off = np.abs(found.astype(int) - np.asarray(Image.open(target).convert('RGB')))
    assert off.max() <= 1 and (off > 0).mean() < 0.001


@pytest.mark.parametrize('name', GEOMETRY)
def test_geometry_is_that_of_scipy(photo, name):
  for severity in range(1, len(corruption_table.kinds()[name].parameters) + 1):
    found = corrupt(photo, name, severity).astype(int)
    parameter = Corruption(name, severity).parameters
    if name == 'flip':
      turned = photo[:, ::-1] if parameter == 'left_right' else photo[::-1]
      np.testing.assert_array_equal(found, turned)
      continue
    nearest = min(
      np.abs(found - _mapped(photo, name, parameter, x, y)).mean()
      for x in (-1, 1)
      for y in (-1, 1)
    )
    # TensorFlow computes the places in float32.
    assert nearest < 0.02


def _mapped(image, name, parameter, x, y):
  """`scipy.ndimage.affine_transform`, of (row, column) around the centre."""
  angle = np.deg2rad(parameter * x)
  matrix = {
    'rotation': [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]],
    'shear': [[1, 0], [parameter * x, 1]],
    'zoom': [[1 / parameter, 0], [0, 1 / parameter]],
    'shift': [[1, 0], [0, 1]],
  }[name]
  centre = np.float64([111.5, 111.5])
  offset = centre - matrix @ centre
  if name == 'shift':
    offset = offset + [parameter * y, parameter * x]
  channels = [
    scipy.ndimage.affine_transform(
      image[..., i].astype(float), matrix, offset, order=1, mode='reflect'
    )
    for i in range(3)
  ]
  return np.rint(np.stack(channels, -1))


@pytest.mark.parametrize('name', ['gaussian_noise', 'fog', 'glass_blur', 'rotation'])
def test_draws_hang_on_id_severity_and_seed_alone(photo, name):
  found = corrupt(photo, name, 2, 'a')
  corrupt(photo, name, 2, 'b')
  np.testing.assert_array_equal(corrupt(photo, name, 2, 'a'), found)
  others = [corrupt(photo, name, 2, text) for text in 'bcdefg']
  others += [corrupt(photo, name, 2, 'a', seed) for seed in (1, 2)]
  assert any((other != found).any() for other in others)


@pytest.mark.parametrize(
  'name',
  [
    pytest.param(name, marks=() if name in IN_GRAPHS else pytest.mark.slow)
    for name in OF_IMAGENET_C
    if name != 'frost'
  ],
)
def test_a_batch_in_threads_of_tf_data_has_the_values_of_one_image(photo, name):
  ids = [f'{i}.jpg' for i in range(3)]

  def make(image, image_id):
    return corruptions.corrupt(image, image_id, Corruption(name, 3), 0)

  dataset = tf.data.Dataset.from_tensor_slices((np.stack([photo] * 3), ids))
  several = list(dataset.map(make, num_parallel_calls=2).batch(3))[0]
  for image_id, one in zip(ids, several.numpy(), strict=True):
    np.testing.assert_array_equal(one, corrupt(photo, name, 3, image_id), name)


def test_the_table_is_expanded():
  assert len(corruption_table.expand(['all'])) == 95
  assert corruption_table.expand(['fog,jpeg_compression:2', 'none']) == [
    *(f'fog:{severity}' for severity in range(1, 6)),
    'jpeg_compression:2',
    'none',
  ]


@pytest.mark.parametrize(
  ('texts', 'message'),
  [
    (['fug:3'], "'fug' is not a corruption|did you mean fog"),
    (['fog:6'], 'corruption=fog:6.*from 1 to 5'),
    (['fog:0'], 'from 1 to 5'),
    (['flip:3'], 'from 1 to 2'),
    (['fog:x'], 'from 1 to 5'),
    (['all,fog:3'], 'fog:3. was given twice'),
    ([''], 'corruption'),
  ],
)
def test_what_is_no_corruption_is_refused(texts, message):
  with pytest.raises(UserError, match=message):
    corruption_table.expand(texts)


@contextlib.contextmanager
def frost_in(folder):
  frost_textures.look_in(str(folder))
  try:
    yield
  finally:
    frost_textures.look_in(None)


def test_frost_without_its_photos_is_refused(photo, tmp_path):
  with (
    frost_in(tmp_path),
    pytest.raises(UserError, match=r'frost1\.png, which is not there.*frost_textures'),
  ):
    corrupt(photo, 'frost', 1)


def test_other_photos_of_frost_are_refused(photo, tmp_path):
  (tmp_path / 'frost1.png').write_bytes(b'snow')
  with (
    frost_in(tmp_path),
    pytest.raises(UserError, match='SHA-256 begins with .*, not ff9f9078'),
  ):
    corrupt(photo, 'frost', 1)
