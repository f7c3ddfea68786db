"""Protocols: what happens to an image before a model's own preprocessing.

A protocol is a frozen value. The named ones stand in `protocols.toml`, and other
packages add theirs as entry points of the group `tfeval.protocols`: a dict with the
same keys. `resolve` reads `NAME[:field=value,...]` and refuses what contradicts itself.

A new field needs a default, which is what runs have that were made before it: a field
at its default is in no hash and no spec, and runs without it are compared as if they
had it. What changes pixels behind the crop stands in `apply.apply`.
"""

import dataclasses
import functools
import hashlib
import importlib.resources
import json
import math
import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Any

from tfeval.preprocess import corruption_table
from tfeval.utils import errors
from tfeval.utils.errors import UserError
from tfeval.utils.registry import Registry
from tfeval.utils.spec import parse

# What resizes and crops: (protocol, encoded image, whether XLA compiles it) -> pixels.
LIBRARIES: Registry[Callable[..., Any]] = Registry(
  'library',
  {
    'opencv': 'tfeval.preprocess.apply:opencv_pixels',
    'pillow': 'tfeval.preprocess.apply:pillow_pixels',
    'tensorflow': 'tfeval.preprocess.apply:tensorflow_pixels',
    'tensorflow1': 'tfeval.preprocess.apply:tensorflow1_pixels',
    'given': 'tfeval.preprocess.apply:given_pixels',
    'encoded': 'tfeval.preprocess.apply:encoded_image',
  },
)
# The protocol, and the library, of models that are handed encoded images.
ENCODED = 'encoded'
# What is said of these where others say how an image is decoded.
BY_MODEL = 'decoded by the model'
# What probabilities are averaged over.
TTA = NO_TTA, FLIP, FIVE_CROP, TEN_CROP = ('none', 'flip', 'five_crop', 'ten_crop')
_CHOICES = {
  'kernel': ('cubic', 'bilinear', 'nearest', 'area'),
  'decode': ('accurate', 'fast', 'fast_crop'),
  'rounding': ('fixed_point', 'nearest', 'none'),
  'resize': ('short_side', 'long_side', 'squash'),
  'crop': ('after', 'before', 'before_square', 'none'),
  'dtype': ('uint8', 'float32'),
  'crop_at': ('nearest', 'floor'),
  'tta': TTA,
}
# What each library's arithmetic is written for.
_KERNELS = {
  'opencv': _CHOICES['kernel'],
  'pillow': ('cubic', 'bilinear', 'nearest'),
  'tensorflow': ('cubic', 'bilinear', 'nearest'),
  'tensorflow1': ('cubic', 'bilinear', 'nearest'),
  'given': ('nearest',),
}
_ROUNDINGS = {
  'opencv': _CHOICES['rounding'],
  'pillow': ('fixed_point',),
  'tensorflow': ('nearest', 'none'),
  'tensorflow1': ('nearest', 'none'),
  'given': ('none',),
}
# Three of timm have 1.15, with a black border.
_MOST_FRACTION = 2
# No published recipe is near it, and a slip of the finger must not fill the memory.
_LARGEST_SIDE = 4096
_MOST_CHANNELS = 1024
_ABOUT = ('summary', 'explanation', 'source')
_COLOUR = re.compile('#[0-9a-f]{6}')
# Fields that go with the library.
_OF_LIBRARY = ('kernel', 'rounding', 'dtype', 'antialias')
# Not described at their default, which almost every run has.
_RARE = ('channels', 'fill', 'crop_at', 'tta', 'corruption', 'corruption_seed')
# What images are made of that are corrupted: what the authors of ImageNet-C did, whose
# parameters are of this size.
_BEFORE_CORRUPTION, _CORRUPTED_SIDE = 'pil:kernel=bilinear', 224


@dataclasses.dataclass(frozen=True)
class Protocol:
  """How an encoded image becomes pixels of the model's input size.

  Attributes:
    name: the protocol's name.
    size: side of the result, in pixels; 0 where the model is handed encoded images.
    library: whose arithmetic resizes: `opencv`, `pillow`, `tensorflow`
      (tf.image.resize) or `tensorflow1` (without half-pixel centres); `given`: nothing
      is resized; `encoded`: nor decoded, images stay the bytes of their files.
    kernel: `cubic`, `bilinear` or `nearest`, of `opencv` also `area`; the cubic's A is
      the library's.
    decode: `accurate`: libjpeg's integer DCT, as OpenCV and Pillow decode;
      `fast`: the default of `tf.io.decode_jpeg`; `fast_crop`: likewise, and of a
      JPEG nothing but the crop is decoded (`tf.io.decode_and_crop_jpeg`), which
      can change its first and last column by a level or two.
    exif: whether the EXIF orientation is applied.
    antialias: whether the kernel widens when the image shrinks.
    rounding: `fixed_point`: to uint8 in the library's fixed-point arithmetic;
      `nearest`: float taps, rounded once at the end; `none`.
    resize: `short_side` keeps the aspect, `squash` does not; `long_side` keeps it and
      the whole image: what lacks of the crop is filled.
    crop: `after` resizing; `before` it, `crop_fraction` of each side;
      `before_square`, of the short side; or `none`.
    crop_fraction: share of a side that the crop keeps, in (0, 1]; above 1, which
      `pillow` has, the image is smaller than the crop.
    crop_padding: if not 0, `crop_fraction` is size / (size + crop_padding).
    dtype: of the pixels handed to the model's preprocessing.
    channels: of these; others than 3, RGB, only where nothing is resized.
    fill: the colour beside an image that is smaller than the crop, `#rrggbb`.
    crop_at: where the crop of `pillow` begins if half a pixel is too much: `nearest`,
      half to even, as torchvision's; `floor`, as that of Hugging Face's transformers.
    tta: which views of an image probabilities are averaged over: `none`; `flip`, the
      crop and its mirror; `five_crop`, the four corners of the resized image and the
      crop; `ten_crop`, these and their mirrors (Krizhevsky et al. 2012).
    corruption: `none`, or `NAME-SEVERITY` of `corruption_table`. What is corrupted is
      `pil:kernel=bilinear` at 224 pixels, whatever else the protocol says; for another
      size its library squashes these 224 pixels.
    corruption_seed: another one draws otherwise.
  """

  name: str
  size: int
  library: str
  kernel: str
  decode: str = 'accurate'
  exif: bool = False
  antialias: bool = False
  rounding: str = 'fixed_point'
  resize: str = 'short_side'
  crop: str = 'after'
  crop_fraction: float = 0.875
  crop_padding: int = 0
  dtype: str = 'uint8'
  channels: int = 3
  fill: str = '#000000'
  crop_at: str = 'nearest'
  tta: str = NO_TTA
  corruption: str = corruption_table.NONE
  corruption_seed: int = 0

  @property
  def crops(self) -> int:
    """How many crops of an image there are."""
    return crops_of(self.tta)

  @property
  def views(self) -> int:
    """How many views of an image the model is handed, mirrors included."""
    return 2 * self.crops if self.tta in (FLIP, TEN_CROP) else self.crops

  @property
  def of_pixels(self) -> 'Protocol':
    """What makes the same pixels, and nothing is mirrored of."""
    tta = NO_TTA if self.crops == 1 else FIVE_CROP
    return self if self.tta == tta else dataclasses.replace(self, tta=tta)

  @property
  def is_corrupted(self) -> bool:
    """Whether pixels are corrupted before the model is handed them."""
    return self.corruption != corruption_table.NONE

  @property
  def clean(self) -> 'Protocol':
    """The same without corruption."""
    return dataclasses.replace(
      self, corruption=corruption_table.NONE, corruption_seed=0
    )

  @property
  def before_corruption(self) -> 'Protocol':
    """What makes the pixels that are corrupted; where none are, this one."""
    return _before_corruption() if self.is_corrupted else self

  @property
  def is_encoded(self) -> bool:
    """Whether the model is handed encoded images, and decodes them itself."""
    return self.library == ENCODED

  @property
  def shape(self) -> tuple[int, ...]:
    """The shape of an image as it is made: [crops,] side, side, channels.

    That of encoded ones is ().
    """
    if self.is_encoded:
      return ()
    shape = (self.size, self.size, self.channels)
    return shape if self.crops == 1 else (self.crops, *shape)

  @property
  def resize_side(self) -> int:
    """Side after resizing, in pixels: `size` unless the crop comes after it."""
    if self.crop != 'after':
      return self.size
    # As timm's transforms_factory; 256, 341 and 378 of the keras-applications
    # README (2019) for 224, 299 and 331.
    return math.floor(self.size / self.crop_fraction)

  @property
  def is_filled(self) -> bool:
    """Whether the crop may reach beside the resized image."""
    return self.resize == 'long_side' or self.resize_side < self.size

  @property
  def spec(self) -> str:
    """The name, and the fields that differ from it.

    It resolves to an equal value for the same `size`.
    """
    named = resolve(self.name, self.size)
    fields = {
      f.name
      for f in dataclasses.fields(self)
      if getattr(self, f.name) != getattr(named, f.name)
    }
    # Fractions of other crops than the named one's do not go by its own.
    if self.crop != named.crop and self.crop != 'none':
      fields.add('crop_fraction')
    if self.crop_padding or self.crop == 'none':
      fields.discard('crop_fraction')
    if self.crop == 'none':
      fields.discard('crop_padding')
    changed = [
      f'{f.name}={getattr(self, f.name)}'
      for f in dataclasses.fields(self)
      if f.name in fields
    ]
    return f'{self.name}:{",".join(changed)}' if changed else self.name

  def describe(self) -> dict[str, Any]:
    """Returns every parameter, and a hash of those not at their default."""
    parameters = dataclasses.asdict(self)
    for field in _RARE:
      if parameters[field] == _DEFAULTS[field]:
        del parameters[field]
    changed = {
      key: value
      for key, value in parameters.items()
      if key not in _DEFAULTS or value != _DEFAULTS[key]
    }
    canonical = json.dumps(changed, sort_keys=True).encode()
    if self.is_encoded:  # All else is the model's.
      told = ('name', 'library', 'decode', 'dtype')
      parameters = {'size': None, **{key: parameters[key] for key in told}}
    else:
      parameters['resize_side'] = self.resize_side
    return {
      'spec': self.spec,
      **parameters,
      'hash': hashlib.sha256(canonical).hexdigest(),
    }


_DEFAULTS = {
  field.name: field.default
  for field in dataclasses.fields(Protocol)
  if field.default is not dataclasses.MISSING
}


@functools.cache
def _before_corruption() -> Protocol:
  return resolve(_BEFORE_CORRUPTION, _CORRUPTED_SIDE)


def crops_of(tta: Any) -> int:
  """Returns how many crops of an image there are, mirrors aside."""
  return 5 if tta in (FIVE_CROP, TEN_CROP) else 1


def comparable(described: Mapping[str, Any]) -> dict[str, Any]:
  """Returns what two protocols of runs are compared by.

  Args:
    described: as `Protocol.describe` makes it, or an earlier version did.

  Returns:
    All but the hash, with the defaults of fields that were not there yet.
  """
  found = {key: value for key, value in described.items() if key != 'hash'}
  return found | {key: _DEFAULTS[key] for key in _DEFAULTS if key not in found}


@functools.cache
def named_protocols() -> Registry[dict[str, Any]]:
  """Returns the protocols by name, as they stand in `protocols.toml`."""
  path = importlib.resources.files('tfeval.preprocess') / 'protocols.toml'
  return Registry(
    'protocol',
    tomllib.loads(path.read_text('utf-8')),
    'tfeval.protocols',
    lambda found: isinstance(found, dict),
  )


def about(name: str) -> dict[str, str]:
  """Returns `summary`, `explanation` and `source` of a named protocol."""
  return {key: named_protocols()[name].get(key, '') for key in _ABOUT}


def requested_size(text: str) -> int | None:
  """Returns the size that a specification sets, None if that is the model's.

  >>> requested_size('opencv:size=299')
  299
  """
  return dict(parse(text).options).get('size')


def resolve(text: str, size: int) -> Protocol:
  """Returns a protocol for a model's input size.

  Args:
    text: `NAME[:field=value,...]`, such as `'opencv:crop_fraction=0.9,size=299'`.
    size: side of the model's input, in pixels, unless the text sets one.

  Raises:
    UserError: an unknown name or field, a value out of range, or fields that
      contradict each other; says which.

  >>> resolve('opencv', 299).resize_side
  341
  >>> resolve('opencv:crop_fraction=1.0', 224).resize_side
  224
  """
  spec = parse(text)
  name, colon, rest = spec.target.partition(':')
  if colon and name in named_protocols():
    raise UserError(f'{text!r}: {rest!r} is not key=value')
  named = {
    key: value
    for key, value in named_protocols().get(spec.target, '(tfeval protocols)').items()
    if key not in _ABOUT
  }
  known = [f.name for f in dataclasses.fields(Protocol) if f.name != 'name']
  # The grammar reads the word none as Python's None.
  given = {key: 'none' if value is None else value for key, value in spec.options}
  for key in (*named, *given):
    if key not in known:
      raise errors.unknown(f'field of protocol {spec.target}', key, known)
  protocol = Protocol(**{'name': spec.target, 'size': size, **named, **given})
  if named.get('library') == ENCODED:
    for key in given:
      raise _wrong(protocol, key, f'images are {BY_MODEL}: leave it out')
    return dataclasses.replace(protocol, size=0, decode=BY_MODEL)
  # What follows from a field that is given is not to be given as well.
  if 'rounding' in given and 'dtype' not in given:
    protocol = dataclasses.replace(
      protocol, dtype='float32' if given['rounding'] == 'none' else 'uint8'
    )
  if 'crop_fraction' in given and 'crop_padding' not in given:
    protocol = dataclasses.replace(protocol, crop_padding=0)
  if protocol.library == 'pillow' and 'antialias' not in given:
    protocol = dataclasses.replace(protocol, antialias=protocol.kernel != 'nearest')
  _check_values(protocol)
  # One value has one hash: 1 and 1.0 are equal, and are written otherwise.
  protocol = dataclasses.replace(protocol, crop_fraction=float(protocol.crop_fraction))
  if protocol.crop == 'none':
    for field in ('crop_fraction', 'crop_padding'):
      # What says the same is no contradiction.
      if given.get(field) and given[field] != 1:
        raise _wrong(protocol, field, 'nothing is cropped with crop=none')
    protocol = dataclasses.replace(protocol, crop_fraction=1.0, crop_padding=0)
  if protocol.crop_padding:
    if 'crop_fraction' in given:
      raise _wrong(protocol, 'crop_fraction', 'crop_padding says it already')
    _check_side(protocol, 'crop_padding', protocol.size + protocol.crop_padding)
    protocol = dataclasses.replace(
      protocol, crop_fraction=protocol.size / (protocol.size + protocol.crop_padding)
    )
  _check_consistency(protocol)
  return _corrupting(protocol) if protocol.is_corrupted else protocol


def _corrupting(protocol: Protocol) -> Protocol:
  """Returns a protocol that says what is done to images that are corrupted.

  Of one that does not say so: what it does to the whole image is not done to them.
  """
  fields = ('size', 'tta', 'corruption', 'corruption_seed')
  if protocol.size == _CORRUPTED_SIDE:
    kept = {field: getattr(protocol, field) for field in fields}
    return dataclasses.replace(_before_corruption(), **kept)
  kept = {field: getattr(protocol, field) for field in (*fields, *_OF_LIBRARY)}
  return Protocol(
    **kept,
    name=protocol.name,
    library=protocol.library,
    resize='squash',
    crop='none',
    crop_fraction=1.0,
  )


def with_corruption(text: str, corruption: str, seed: int = 0) -> str:
  """Returns a specification with a corruption.

  Args:
    text: the specification.
    corruption: `none`, or as `corruption_table.parse` reads it.
    seed: of what it draws.

  Raises:
    UserError: there is no such corruption, or the specification has another one.

  >>> with_corruption('opencv', 'fog:3'), with_corruption('opencv', 'none')
  ('opencv:corruption=fog-3', 'opencv')
  """
  if corruption == corruption_table.NONE:
    if seed:
      raise UserError(f'`corruption_seed={seed}` without `corruption`: leave it out')
    return text
  asked = corruption_table.parse(corruption).in_protocol
  given = dict(parse(text).options)
  if given.keys() & {'corruption', 'corruption_seed'}:
    raise UserError(
      f'`corruption={corruption}` beside `protocol={text}`, which has one: leave one '
      'out'
    )
  of_seed = f',corruption_seed={seed}' if seed else ''
  return f'{text}{"," if given else ":"}corruption={asked}{of_seed}'


def with_tta(text: str, tta: str) -> str:
  """Returns a specification with views to average over.

  Args:
    text: the specification.
    tta: see `Protocol`.

  Raises:
    UserError: it says other views already.

  >>> with_tta('opencv:size=96', 'flip'), with_tta('published', 'none')
  ('opencv:size=96,tta=flip', 'published')
  """
  if tta == NO_TTA:
    return text
  spec = parse(text)
  there = dict(spec.options).get('tta', tta)
  if there != tta:
    raise UserError(f'`tta={tta}` contradicts `protocol={text}`: leave one out')
  if 'tta' in dict(spec.options):
    return text
  return f'{text}{"," if spec.options else ":"}tta={tta}'


def altered(base: Protocol, size: int, fields: Mapping[str, Any]) -> str:
  """Returns a specification of a protocol with other values of some fields.

  Args:
    base: the protocol.
    size: of the input, which the specification does not name.
    fields: by name. What follows of another library, kernel or crop follows of these.

  Raises:
    UserError: they contradict the rest.

  >>> altered(resolve('opencv', 224), 224, {'library': 'pillow', 'kernel': 'bilinear'})
  'opencv:library=pillow,kernel=bilinear,antialias=True'
  """
  options = dict(parse(base.spec).options)
  if 'library' in fields:
    options = {k: v for k, v in options.items() if k not in _OF_LIBRARY}
    if fields['library'] != 'pillow':  # Which has it by the kernel.
      fields = {'antialias': False, **fields}
  if fields.keys() & {'crop', 'resize'}:
    options = {k: v for k, v in options.items() if k not in ('crop', 'resize')}
  if fields.get('crop') == 'none':
    options = {k: v for k, v in options.items() if not k.startswith('crop')}
  given = ','.join(f'{k}={v}' for k, v in {**options, **fields}.items())
  text = f'{base.name}:{given}' if given else base.name
  return resolve(text, size).spec


def _check_values(protocol: Protocol) -> None:
  for field in dataclasses.fields(Protocol):
    value = getattr(protocol, field.name)
    if field.name == 'library' and str(value) == ENCODED:
      raise _wrong(protocol, 'library', f'that is protocol={ENCODED}, by itself')
    if field.name == 'library' and str(value) not in LIBRARIES:
      raise errors.unknown('preprocessing library', str(value), LIBRARIES)
    if field.name in _CHOICES and value not in _CHOICES[field.name]:
      raise _wrong(protocol, field.name, 'expected ' + ', '.join(_CHOICES[field.name]))
    if field.type is bool and not isinstance(value, bool):
      raise _wrong(protocol, field.name, 'expected true or false')
  size, padding, fraction = (
    protocol.size,
    protocol.crop_padding,
    protocol.crop_fraction,
  )
  if type(size) is not int or not 1 <= size <= _LARGEST_SIDE:
    raise _wrong(protocol, 'size', f'expected pixels from 1 to {_LARGEST_SIDE}')
  if type(padding) is not int or not 0 <= padding <= _LARGEST_SIDE:
    raise _wrong(protocol, 'crop_padding', f'expected pixels from 0 to {_LARGEST_SIDE}')
  if type(protocol.channels) is not int or not 1 <= protocol.channels <= _MOST_CHANNELS:
    raise _wrong(protocol, 'channels', f'expected a number from 1 to {_MOST_CHANNELS}')
  seed = protocol.corruption_seed
  if type(seed) is not int or not 0 <= seed < 2**63:
    raise _wrong(protocol, 'corruption_seed', 'expected a number from 0 on')
  if not _COLOUR.fullmatch(str(protocol.fill)):
    raise _wrong(protocol, 'fill', 'expected a colour such as #7c7468')
  most = _MOST_FRACTION if _may_be_filled(protocol) else 1
  if type(fraction) not in (int, float) or not 0 < fraction <= most:
    raise _wrong(protocol, 'crop_fraction', f'expected more than 0 and at most {most}')


def _may_be_filled(protocol: Protocol) -> bool:
  return protocol.library == 'pillow' and protocol.crop == 'after'


def _check_consistency(protocol: Protocol) -> None:
  library = protocol.library
  _check_side(protocol, 'crop_fraction', protocol.resize_side)
  if protocol.kernel not in _KERNELS[library]:
    raise _wrong(
      protocol, 'kernel', f'library={library} has {", ".join(_KERNELS[library])}'
    )
  if protocol.rounding not in _ROUNDINGS[library]:
    raise _wrong(
      protocol, 'rounding', f'library={library} has {", ".join(_ROUNDINGS[library])}'
    )
  if library == 'opencv' and protocol.kernel != 'cubic':
    if protocol.rounding != 'fixed_point':
      raise _wrong(protocol, 'rounding', f'kernel={protocol.kernel} is of uint8 alone')
  if protocol.channels != 3 and library != 'given':
    raise _wrong(protocol, 'channels', f'library={library} decodes to 3')
  dtype = 'float32' if protocol.rounding == 'none' else 'uint8'
  if protocol.dtype != dtype:
    raise _wrong(protocol, 'dtype', f'rounding={protocol.rounding} gives {dtype}')
  if protocol.antialias and protocol.kernel == 'nearest':
    raise _wrong(protocol, 'antialias', 'kernel=nearest has none')
  if protocol.antialias and library in ('opencv', 'tensorflow1'):
    raise _wrong(protocol, 'antialias', f'library={library} has none')
  if not protocol.antialias and library == 'pillow' and protocol.kernel != 'nearest':
    raise _wrong(protocol, 'antialias', f'Pillow always has it for {protocol.kernel}')
  if protocol.crop == 'none' and protocol.resize != 'squash':
    raise _wrong(protocol, 'crop', 'only resize=squash gives a square without')
  if protocol.crop.startswith('before') and protocol.resize != 'squash':
    raise _wrong(protocol, 'resize', f'crop={protocol.crop} needs squash')
  if protocol.resize == 'long_side' and library != 'pillow':
    raise _wrong(protocol, 'resize', 'only library=pillow fills what lacks of the crop')
  if not protocol.is_filled and protocol.fill != _DEFAULTS['fill']:
    raise _wrong(protocol, 'fill', 'only resize=long_side has something to fill')
  if library != 'pillow' and protocol.crop_at != _DEFAULTS['crop_at']:
    raise _wrong(protocol, 'crop_at', 'only library=pillow has a choice')
  if protocol.crops > 1:
    _check_crops(protocol)
  if protocol.is_corrupted:
    _check_corruption(protocol)
  elif protocol.corruption_seed:
    raise _wrong(protocol, 'corruption_seed', 'nothing is corrupted')
  if library in ('opencv', 'pillow') and protocol.crop.startswith('before'):
    raise _wrong(protocol, 'crop', f'library={library} crops after resizing')
  if protocol.crop != 'before_square' and protocol.decode == 'fast_crop':
    raise _wrong(protocol, 'decode', 'needs crop=before_square')
  if protocol.decode == 'fast_crop' and protocol.exif:
    raise _wrong(protocol, 'exif', 'decode=fast_crop decodes nothing to be turned')


def _check_crops(protocol: Protocol) -> None:
  """Checks that there are corners beside the centre of a resized image."""
  if protocol.library == 'given':
    raise _wrong(protocol, 'tta', 'nothing is resized, and there are no corners to cut')
  if protocol.crop.startswith('before'):
    raise _wrong(protocol, 'tta', f'crop={protocol.crop} leaves no corners to cut')
  if protocol.is_filled:
    raise _wrong(protocol, 'tta', 'the crop reaches beside the resized image')
  if protocol.resize == 'squash' and protocol.resize_side == protocol.size:
    raise _wrong(protocol, 'tta', 'resized it has the size of the crop: all are equal')


def _check_corruption(protocol: Protocol) -> None:
  corruption_table.parse(str(protocol.corruption))
  if protocol.library not in _KERNELS or protocol.library == 'given':
    raise _wrong(
      protocol, 'corruption', f'library={protocol.library} is of its own pixels'
    )
  if protocol.crops > 1:
    raise _wrong(protocol, 'tta', 'a corrupted image is its centre, without corners')


def _check_side(protocol: Protocol, field: str, side: int) -> None:
  if side > _LARGEST_SIDE:
    seen = side if side < 10**6 else f'{side:.0e}'
    raise _wrong(
      protocol,
      field,
      f'asks for {seen} pixels before the crop, at most {_LARGEST_SIDE}',
    )


def _wrong(protocol: Protocol, field: str, reason: str) -> UserError:
  return UserError(
    f'protocol {protocol.name}: {field}={getattr(protocol, field)!r}: {reason}'
  )
