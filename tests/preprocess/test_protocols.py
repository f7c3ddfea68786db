"""Every named protocol against the library that it is named after."""

import functools
import hashlib
import io
import json
import random

import cv2
import numpy as np
import pytest
import references
import tensorflow as tf
from PIL import Image

from tfeval.preprocess import apply, decode, protocol
from tfeval.utils.errors import UserError


@functools.cache
def real_photos(directory, count):
  """Encoded photos, spread over the classes."""
  files = sorted((directory / 'images').glob('*.JPEG'))
  real = [f.read_bytes() for f in files[:: max(1, len(files) // count)]]
  return [data for data in real if Image.open(io.BytesIO(data)).mode != 'CMYK']


@functools.cache
def made_photos():
  """Encoded noise of awkward shapes."""
  noise = np.random.default_rng(0)
  made = []
  for height, width, file_format in [
    (56, 60, '.png'),
    (61, 300, '.png'),
    (500, 77, '.png'),
    (1500, 2400, '.png'),
    (224, 224, '.png'),
    (900, 300, '.png'),
    (2, 2, '.png'),
    (2, 40, '.png'),
    (40, 2, '.png'),
    (300, 900, '.jpg'),
    (901, 300, '.jpg'),
    (2400, 1500, '.jpg'),
    (70, 64, '.jpg'),
    (9, 400, '.jpg'),
  ]:
    image = noise.integers(0, 256, (height, width, 3), np.uint8)
    made.append(cv2.imencode(file_format, image)[1].tobytes())
  return made


def photos(directory, count):
  return real_photos(directory, count) + made_photos()


@functools.cache
def applied(text, size, jit_compile=True):
  resolved = protocol.resolve(text, size)
  # Without AutoGraph, as an evaluation traces it.
  return tf.function(
    lambda image: apply.apply(resolved, image, jit_compile),
    input_signature=[tf.TensorSpec([], tf.string)],
    autograph=False,
  )


def pixels(text, size, encoded, jit_compile=True):
  function = applied(text, size, jit_compile)
  return [function(image).numpy() for image in encoded]


def compare(ours, theirs):
  """Returns how many values there are, how many differ, and by how much."""
  values = differ = 0
  largest = 0.0
  for mine, reference in zip(ours, theirs, strict=True):
    assert mine.shape == reference.shape
    assert mine.dtype == reference.dtype
    difference = np.abs(mine.astype(np.float64) - reference)
    values += difference.size
    differ += np.count_nonzero(difference)
    largest = max(largest, difference.max())
  return values, differ, largest


def slow(*values):
  return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
  'text, size, reference',
  [
    slow('opencv', 299, references.opencv),
    slow(
      'opencv:crop_fraction=0.95',
      224,
      functools.partial(references.opencv, fraction=0.95),
    ),
    ('pil', 224, references.pil),
    slow('pil', 299, references.pil),
    slow(
      'pil:kernel=bilinear',
      224,
      functools.partial(references.pil, kernel=Image.BILINEAR),
    ),
    slow(
      'pil:kernel=nearest', 224, functools.partial(references.pil, kernel=Image.NEAREST)
    ),
    slow(
      'pil:crop_fraction=0.95', 299, functools.partial(references.pil, fraction=0.95)
    ),
    slow('pil:crop_fraction=1.0', 240, functools.partial(references.pil, fraction=1.0)),
    ('pil:crop_fraction=1.15', 224, functools.partial(references.pil, fraction=1.15)),
    # So many taps that no program is compiled for them.
    slow('pil', 48, references.pil),
    (
      'pil:resize=long_side,crop_fraction=0.9,fill=#7c7468',
      224,
      functools.partial(references.pil_border, fraction=0.9, fill=(124, 116, 104)),
    ),
    slow('squash', 224, references.squash),
    slow(
      'squash:kernel=bilinear',
      224,
      functools.partial(references.squash, interpolation='bilinear'),
    ),
    slow(
      'squash:kernel=cubic',
      299,
      functools.partial(references.squash, interpolation='bicubic'),
    ),
    ('tf', 224, references.tf_bicubic),
    (
      'tf:antialias=true',
      224,
      functools.partial(references.tf_bicubic, antialias=True),
    ),
    (
      'tf:decode=fast',
      299,
      functools.partial(references.tf_bicubic, decode=references.decode_jpeg_or_png),
    ),
    (
      'opencv:kernel=area',
      224,
      functools.partial(references.opencv, kernel=cv2.INTER_AREA),
    ),
    (
      'opencv:kernel=bilinear,crop_fraction=1.0',
      299,
      functools.partial(references.opencv, kernel=cv2.INTER_LINEAR, fraction=1.0),
    ),
    slow(
      'opencv:kernel=nearest',
      224,
      functools.partial(references.opencv, kernel=cv2.INTER_NEAREST),
    ),
    ('efficientnet', 224, references.efficientnet),
    slow('efficientnet', 300, references.efficientnet),
    ('convnext', 224, references.convnext),
  ],
)
def test_equal_to_its_library(shared_data, text, size, reference):
  encoded = photos(shared_data, 20)
  theirs = [reference(data, size) for data in encoded]
  compiled = protocol.resolve(text, size).library in ('opencv', 'pillow')
  # Not compiled, a quarter of them: it takes several times as long.
  for jit_compile, step in [(True, 1), (False, 4)] if compiled else [(True, 1)]:
    some = encoded[::step]
    values, differ, largest = compare(
      pixels(text, size, some, jit_compile), theirs[::step]
    )
    assert values == 3 * size**2 * len(some)
    assert (differ, largest) == (0, 0)


@pytest.mark.parametrize('kernel', ['bilinear', slow('nearest')])
@pytest.mark.parametrize('fraction', [1.0, slow(0.875)])
def test_the_long_side_fits_and_the_rest_is_filled(shared_data, kernel, fraction):
  """Whole photos of odd sides, wide and high, small and large."""
  text = f'pil:resize=long_side,kernel={kernel},crop_fraction={fraction},fill=#ff0080'
  encoded = photos(shared_data, 40)
  resample = {'bilinear': Image.BILINEAR, 'nearest': Image.NEAREST}[kernel]
  theirs = [
    references.pil_border(data, 299, resample, fraction, (255, 0, 128))
    for data in encoded
  ]
  assert compare(pixels(text, 299, encoded), theirs)[1:] == (0, 0)


@pytest.mark.parametrize(
  ('size', 'fraction'), [(224, 0.875), (160, 0.95), (64, 64 / 57)]
)
def test_crops_as_transformers_has_them(shared_data, size, fraction):
  """Of an odd rest the first side has less; what is smaller has black around it."""
  encoded = photos(shared_data, 40)
  theirs = [references.hugging_face(data, size, fraction) for data in encoded]
  text = f'pil:crop_fraction={fraction!r}'
  assert compare(pixels(f'{text},crop_at=floor', size, encoded), theirs)[1:] == (0, 0)
  assert compare(pixels(text, size, encoded), theirs)[1] > 0
  spec = protocol.resolve(f'{text},crop_at=floor', size).spec
  assert spec.endswith('crop_at=floor')
  assert 'crop_at' not in protocol.resolve(text, size).describe()


def test_a_line_of_pixels_does_not_fit(shared_data):
  line = cv2.imencode('.png', np.zeros((1, 1000, 3), np.uint8))[1].tobytes()
  with pytest.raises(tf.errors.InvalidArgumentError, match='a side has none'):
    applied('pil:resize=long_side,crop_fraction=1', 224)(line)


def test_nearest_neighbour_in_every_photo(shared_data):
  """In 10 of 294 a rounded division would choose another row or column."""
  encoded = photos(shared_data, 294)
  theirs = [references.squash(data, 224) for data in encoded]
  assert compare(pixels('squash', 224, encoded), theirs)[1:] == (0, 0)


@pytest.mark.parametrize(
  'text, size, jit_compile',
  [
    slow('opencv_float', 224, True),
    slow('opencv_float', 331, True),
    ('slim', 299, True),
  ],
)
def test_float_protocols_up_to_the_order_of_sums(shared_data, text, size, jit_compile):
  """Nothing is rounded to levels, so 1e-3 of a level is the last digits."""
  encoded = photos(shared_data, 40)
  theirs = [references.REFERENCES[text](data, size) for data in encoded]
  assert compare(pixels(text, size, encoded, jit_compile), theirs)[2] < 1e-3


@pytest.mark.parametrize('size, jit_compile', [slow(224, True), slow(299, True)])
def test_opencv_ipp(shared_data, size, jit_compile):
  if not cv2.ipp.getIppVersion():
    pytest.skip('this build of OpenCV has no IPP')
  for encoded in real_photos(shared_data, 35), made_photos():
    theirs = [references.opencv_ipp(data, size) for data in encoded]
    values, differ, largest = compare(
      pixels('opencv_ipp', size, encoded, jit_compile), theirs
    )
    assert largest <= 1
    # More of noise is in the middle between two levels.
    assert differ <= (1e-4 if encoded is not made_photos() else 1e-3) * values


@pytest.mark.parametrize(
  'text', [name if name == 'pil' else slow(name) for name in references.REFERENCES]
)
def test_compiling_changes_no_value(shared_data, text):
  """A data set's size decides whether it is compiled."""
  encoded = photos(shared_data, 20)
  assert compare(
    pixels(text, 224, encoded), pixels(text, 224, encoded, jit_compile=False)
  )[1:] == (0, 0)


@pytest.mark.parametrize(
  'kernel, resample', [('cubic', 'bicubic'), slow('bilinear', 'bilinear')]
)
def test_sums_of_many_bright_pixels(kernel, resample):
  """89 times smaller: 357 taps of up to 255."""
  noise = np.random.default_rng(0).integers(200, 256, (300, 20000, 3), np.uint8)
  data = cv2.imencode('.png', noise)[1].tobytes()
  ours = pixels(f'squash:kernel={kernel}', 224, [data])
  assert compare(ours, [references.squash(data, 224, resample)])[1:] == (0, 0)


def test_every_protocol_has_a_reference():
  # These compute nothing; what they take is tested elsewhere.
  none = {'given', 'encoded'}
  assert references.REFERENCES.keys() | none == set(protocol.named_protocols())


def test_pillow_beyond_the_largest_compiled_window():
  image = np.random.default_rng(0).integers(0, 256, (2200, 2900, 3), np.uint8)
  data = cv2.imencode('.jpg', image)[1].tobytes()
  theirs = references.pil(data, 224, fraction=1.0)
  ours = pixels('pil:crop_fraction=1.0', 224, [data])
  assert compare(ours, [theirs])[1:] == (0, 0)


def saved(image, **options):
  buffer = io.BytesIO()
  image.save(buffer, 'JPEG', **options)
  return buffer.getvalue()


def test_pillow_ignores_the_orientation(shared_data):
  image = Image.open(io.BytesIO(photos(shared_data, 2)[0])).convert('RGB')
  exif = Image.Exif()
  exif[0x112] = 6
  data = saved(image, exif=exif)
  assert compare(pixels('pil', 224, [data]), [references.pil(data, 224)])[1:] == (0, 0)


def test_pillow_resizes_cmyk_as_it_is_decoded(shared_data):
  image = Image.open(io.BytesIO(photos(shared_data, 2)[0])).convert('CMYK')
  data = saved(image)
  png = cv2.imencode('.png', decode.decode(data).numpy()[..., ::-1])[1].tobytes()
  assert compare(pixels('pil', 224, [data]), [references.pil(png, 224)])[1:] == (0, 0)


@pytest.mark.parametrize(
  'name', [slow('opencv'), slow('opencv_float'), slow('opencv_ipp'), 'pil']
)
def test_truncated_is_refused(shared_data, name):
  """A window above the missing rows could be decoded without noticing."""
  data = photos(shared_data, 2)[0]
  for short in (data[:-2], data[:-300], data[: len(data) // 2]):
    with pytest.raises(tf.errors.InvalidArgumentError):
      applied(name, 224)(short)


@pytest.mark.slow
def test_opencv_without_exif_or_window(shared_data):
  """The general way and the one that decodes a window only, against each other."""
  encoded = photos(shared_data, 10)
  assert compare(
    pixels('opencv:exif=false', 224, encoded), pixels('opencv', 224, encoded)
  )[1:] == (0, 0)


@pytest.mark.parametrize(
  'text, words',
  [
    ('opencv:crop_fraction=0', 'crop_fraction=0: expected more than 0'),
    ('opencv:crop_fraction=1.5', 'crop_fraction=1.5: expected'),
    ('pil:crop_fraction=2.5', 'more than 0 and at most 2'),
    ('opencv:crop_fraction=nan', "crop_fraction='nan': expected"),
    ('opencv:crop_fraction=0.001', 'asks for 224000 pixels before the crop'),
    ('opencv:crop_fraction=1e-300', 'asks for 2e+302 pixels'),
    ('opencv:crop_padding=4096', 'crop_padding=4096: asks for 4320 pixels'),
    ('opencv:size', "'size' is not key=value"),
    ('opencv:', "'' is not key=value"),
    ('opencv:size=0', 'size=0: expected pixels'),
    ('opencv:size=22.4', 'size=22.4: expected pixels'),
    ('opencv:size=true', 'size=True: expected pixels'),
    ('opencv:size=99999', 'size=99999: expected pixels'),
    ('opencv:kernel=lanczos', "kernel='lanczos': expected cubic"),
    ('pil:kernel=area', "kernel='area': library=pillow has cubic, bilinear, nearest"),
    ('opencv_float:kernel=area', "rounding='none': kernel=area is of uint8 alone"),
    ('opencv:antialias=true', 'antialias=True: library=opencv has none'),
    ('pil:antialias=false', 'antialias=False: Pillow always has it'),
    ('tf:kernel=nearest,antialias=true', 'kernel=nearest has none'),
    ('opencv:exif=7', 'exif=7: expected true or false'),
    ('opencv:decode=[1]', 'decode=(1,): expected accurate'),
    ('pil:dtype=float32', "dtype='float32': rounding=fixed_point gives uint8"),
    ('pil:rounding=none', "rounding='none': library=pillow has fixed_point"),
    ('slim:resize=short_side', "resize='short_side': crop=before needs squash"),
    ('pil:crop=none', "crop='none': only resize=squash"),
    ('tf:resize=long_side', "resize='long_side': only library=pillow fills"),
    ('pil:crop_at=top', "crop_at='top': expected nearest, floor"),
    ('opencv:crop_at=floor', "crop_at='floor': only library=pillow has a choice"),
    ('pil:fill=#7c7468', "fill='#7c7468': only resize=long_side has something"),
    ('pil:resize=long_side,fill=red', "fill='red': expected a colour such as"),
    ('pil:crop=before,resize=squash', "crop='before': library=pillow crops after"),
    ('tf:decode=fast_crop', "decode='fast_crop': needs crop=before_square"),
    ('efficientnet:exif=true', 'exif=True: decode=fast_crop decodes nothing'),
    ('efficientnet:crop_padding=-1', 'crop_padding=-1: expected pixels from 0'),
    ('squash:crop_fraction=0.5', 'crop_fraction=0.5: nothing is cropped'),
    ('squash:crop_padding=9', 'crop_padding=9: nothing is cropped'),
    ('efficientnet:crop_padding=9,crop_fraction=0.5', 'crop_padding says it'),
    ('opencv:kernal=cubic', "unknown field of protocol opencv 'kernal'"),
    ('opencv:name=x', "unknown field of protocol opencv 'name'"),
    ('opencvv', "unknown protocol 'opencvv': did you mean opencv"),
  ],
)
def test_contradictions_say_which(text, words):
  with pytest.raises(UserError) as caught:
    protocol.resolve(text, 224)
  assert words in str(caught.value)
  assert '\n' not in str(caught.value)


def test_the_hash_names_every_field():
  """Two protocols with one hash would be told for the same."""
  base = protocol.resolve('tf', 224)
  others = [
    protocol.resolve(text, 224)
    for text in (
      'tf:antialias=true',
      'tf:kernel=bilinear',
      'tf:crop_fraction=0.9',
      'tf:size=225',
      'tf:exif=true',
      'tf:decode=fast',
      'tf:rounding=nearest,dtype=uint8',
      'tf:resize=squash',
      'pil:resize=long_side',
      'pil:resize=long_side,fill=#7c7468',
      'opencv',
    )
  ]
  assert len({p.describe()['hash'] for p in [base, *others]}) == len(others) + 1
  assert protocol.resolve('tf:crop_fraction=0.875', 224) == base
  assert hash(protocol.resolve('tf:crop_fraction=0.875', 224)) == hash(base)
  one = [protocol.resolve(f'tf:crop_fraction={text}', 224) for text in ('1', '1.0')]
  assert one[0].describe() == one[1].describe()
  assert protocol.resolve('tf:rounding=nearest', 224).dtype == 'uint8'


def test_sides_of_the_keras_readme():
  sides = {
    size: protocol.resolve('opencv', size).resize_side for size in (224, 299, 331)
  }
  assert sides == {224: 256, 299: 341, 331: 378}


def test_spec_says_what_was_overridden():
  """It resolves to an equal protocol, whatever fields were drawn."""
  assert protocol.resolve('opencv', 224).spec == 'opencv'
  assert protocol.resolve('opencv:size=224', 331).spec == 'opencv'
  assert (
    protocol.resolve('opencv:crop_fraction=0.9,size=299', 224).spec
    == 'opencv:crop_fraction=0.9'
  )
  draw = random.Random(0)
  resolved = 0
  for _ in range(2000):
    name = draw.choice(list(protocol.named_protocols()))
    options = {
      'kernel': ['cubic', 'bilinear', 'nearest'],
      'exif': ['true', 'false'],
      'crop_fraction': [0.5, 0.9, 1],
      'resize': ['squash', 'short_side'],
      'crop': ['after', 'before', 'none'],
      'antialias': ['true', 'false'],
      'rounding': ['none', 'nearest'],
      'dtype': ['uint8', 'float32'],
      'crop_padding': [0, 7],
      'decode': ['fast', 'accurate'],
    }
    keys = draw.sample(list(options), draw.randrange(4))
    text = (
      name
      + ':' * bool(keys)
      + ','.join(f'{key}={draw.choice(options[key])}' for key in keys)
    )
    try:
      first = protocol.resolve(text, 240)
    except UserError:
      continue
    resolved += 1
    assert protocol.resolve(first.spec, 240) == first, text
  assert resolved > 200


def test_a_field_at_its_default_is_in_no_hash_and_no_comparison():
  """So a protocol can gain a field, and runs from before it stay alike."""
  opencv = protocol.resolve('opencv', 224)
  changed = {'name': 'opencv', 'size': 224, 'library': 'opencv', 'kernel': 'cubic'}
  canonical = json.dumps({**changed, 'exif': True}, sort_keys=True).encode()
  described = opencv.describe()
  assert described['hash'] == hashlib.sha256(canonical).hexdigest()
  before = {key: described[key] for key in described if key != 'antialias'}
  before['hash'] = 'of another version'
  assert protocol.comparable(before) == protocol.comparable(described)
  other = protocol.comparable(protocol.resolve('tf:antialias=true', 224).describe())
  assert other['antialias'] and other != protocol.comparable(before)


@pytest.mark.parametrize('kind', ['jpeg', 'png', 'tensor'])
def test_given_takes_pixels_as_they_are(kind):
  pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
  expected = pixels.astype(np.float32)
  if kind == 'jpeg':
    image = tf.io.encode_jpeg(pixels, quality=95).numpy()
    expected = np.asarray(Image.open(io.BytesIO(image)), np.float32)
  elif kind == 'png':
    image = tf.io.encode_png(pixels).numpy()
  else:
    expected = expected / 7 - 3
    image = tf.io.serialize_tensor(expected).numpy()
  of = protocol.resolve('given', 32)
  found = apply.apply(of, tf.constant(image))
  assert found.dtype == tf.float32
  np.testing.assert_array_equal(found, expected)
  with pytest.raises(tf.errors.InvalidArgumentError, match='nothing is resized to'):
    apply.apply(protocol.resolve('given', 31), tf.constant(image))


@pytest.mark.parametrize('image', [b'', b'GIF89a', b'\x08\x01', b'\x08\x01\x12\x7f'])
def test_given_takes_nothing_else(image):
  with pytest.raises(tf.errors.InvalidArgumentError):
    apply.apply(protocol.resolve('given', 32), tf.constant(image))
