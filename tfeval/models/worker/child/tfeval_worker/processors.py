"""What processors of Hugging Face's transformers do, in the words of tfeval.

Nothing is believed of their attributes: these only say what to try. A recipe is told if
the processor itself, run on images made for it, returns the same values, every bit.
"""

import numpy as np
from tfeval_worker import recipes

# PIL.Image.Resampling, of which `pil` has three.
_KERNELS = {0: 'nearest', 2: 'bilinear', 3: 'cubic'}
_OTHERS = {1: 'lanczos', 4: 'box', 5: 'hamming'}
# Heights and widths: even and odd remains, up and down, long and narrow.
_SIDES = ((331, 250), (250, 437), (603, 1201), (57, 63), (64, 401))


def told_by(processor):
  """Returns `input_size`, `preprocess` and `protocol`, or `no_...`, why there is none.

  Args:
    processor: one that takes PIL images and computes with Pillow and NumPy.
  """
  try:
    text, normalise = _normalisation(processor)
  except _Unknown as error:
    side = _side(processor)
    return {'input_size': side, 'no_preprocess': str(error), 'no_protocol': str(error)}
  told = {'preprocess': text}
  try:
    told['input_size'], told['protocol'] = _protocol(processor, normalise)
  except _Unknown as error:
    told.update(input_size=_side(processor), no_protocol=str(error))
    if told['input_size'] is None:
      told['no_input_size'] = str(error)
  return told


class _Unknown(Exception):
  """Why what a processor does cannot be said here."""


def _run(processor, image, **changed):
  """Returns float32 [height, width, 3] of what a processor makes of an image."""
  from PIL import Image

  try:
    made = processor(images=Image.fromarray(image), return_tensors='np', **changed)
    made = np.asarray(made['pixel_values'])
  except Exception as error:
    raise _Unknown(
      f'its {_name(processor)} fails: {type(error).__name__}: {recipes.line(error)}'
    ) from error
  if made.ndim != 4 or made.shape[:2] != (1, 3):
    raise _Unknown(f'its {_name(processor)} returns {made.shape}, no image')
  if made.dtype == np.uint8:  # Neither rescaled nor normalised.
    made = made.astype(np.float32)
  return made[0].transpose(1, 2, 0)


def _normalisation(processor):
  """Returns how pixels become values: as a text, and as a function of NumPy."""
  # All values, in each channel at another place.
  ramp = np.arange(256, dtype=np.uint8)
  image = np.stack([ramp, np.roll(ramp, 85), ramp[::-1]], 1).reshape(16, 16, 3)
  whole = {'do_resize': False, 'do_center_crop': False, 'do_pad': False}
  expected = _run(processor, image, **whole)
  for text, function in _candidates(processor):
    if _is_same(function(image), expected):
      return text, function
  stated = {
    key: getattr(processor, key)
    for key in ('do_rescale', 'rescale_factor', 'do_normalize', 'image_mean')
    if hasattr(processor, key)
  }
  raise _Unknown(
    f'the values that its {_name(processor)} makes are none that preprocess can state '
    f'({recipes.line(stated)})'
  )


def _candidates(processor):
  """Yields normalisations that it may have: in float32, a step at a time."""
  factor = getattr(processor, 'rescale_factor', None) or 1 / 255
  mean, std = (
    _three(getattr(processor, key, None)) for key in ('image_mean', 'image_std')
  )
  divisor = round(1 / factor, 6)
  plain = [
    ('identity', []),
    ('unit', [(np.divide, 255)]),
    (f'scale=1/{divisor:g}', [(np.divide, divisor)]),
    (f'scale={factor!r}', [(np.multiply, factor)]),
    (f'scale=1/{divisor:g}:offset=-1', [(np.divide, divisor), (np.add, -1)]),
    (f'scale={factor!r}:offset=-1', [(np.multiply, factor), (np.add, -1)]),
  ]
  if mean is not None and std is not None:
    own = recipes.values(mean, std)
    again = ','.join(repr(one) for one in std)
    steps = [(np.divide, 255), (np.subtract, mean), (np.divide, std)]
    plain += [
      (own, steps),
      (f'{own}:std2={again}', [*steps, (np.divide, std)]),
      (own.replace('mean=', 'mean255='), steps[1:]),
    ]
  for text, steps in plain:
    yield text, _Steps(steps, False)
    flipped = 'bgr' if text == 'identity' else f'bgr:{text}'
    if text == 'unit':
      flipped = 'bgr:scale=1/255'
    yield flipped, _Steps(steps, True)


class _Steps:
  """Operations in float32 one after the other, each rounded."""

  def __init__(self, steps, is_bgr):
    self._steps, self._is_bgr = steps, is_bgr

  def __call__(self, pixels):
    found = pixels.astype(np.float32)
    if self._is_bgr:
      found = found[..., ::-1]
    for operation, by in self._steps:
      found = operation(found, np.float32(by))
    return found


def _three(values):
  """Returns a number for each channel, None where there are none."""
  if isinstance(values, (int, float)):
    return [float(values)] * 3
  if isinstance(values, (list, tuple)) and len(values) == 3:
    return [float(one) for one in values]
  return None


def _protocol(processor, normalise):
  """Returns side and recipe of the images that it makes."""
  resample = getattr(processor, 'resample', None)
  resample = 2 if resample is None else int(resample)
  if resample in _OTHERS:
    raise _Unknown(
      f'its {_name(processor)} resizes by {_OTHERS[resample]}, tfeval as Pillow by '
      f'{", ".join(_KERNELS.values())}'
    )
  random = np.random.default_rng(0)
  images = [random.integers(0, 256, (*sides, 3), np.uint8) for sides in _SIDES]
  expected = [_run(processor, image) for image in images]
  shapes = {one.shape[:2] for one in expected}
  if len(shapes) > 1 or len(set(next(iter(shapes)))) > 1:
    both = ' and '.join(f'{h} x {w}' for h, w in sorted(shapes)[:2])
    raise _Unknown(f'its {_name(processor)} makes images of {both}: expected a square')
  side = expected[0].shape[0]
  for resize, is_squashed in _resizes(processor, side, images[0]):
    made = (_made(one, resample, resize, is_squashed, side) for one in images)
    if all(
      _is_same(normalise(one), other) for one, other in zip(made, expected, strict=True)
    ):
      more = ['resize=squash'] if is_squashed else []
      # Of squares without a remainder there is nothing to choose.
      more += ['crop_at=floor'] * (not is_squashed or (resize - side) % 2 == 1)
      share = recipes.fraction(side, resize)
      return side, recipes.protocol(_KERNELS[resample], share, *more)
  raise _Unknown(
    f'its {_name(processor)} resizes or crops as no protocol of tfeval does'
  )


def _resizes(processor, side, image):
  """Yields what it may resize to: the short side, or both (True), in pixels."""
  size = getattr(processor, 'size', None)
  size = dict(size) if size else {}
  found = [size.get('shortest_edge'), size.get('height')]
  share = getattr(processor, 'crop_pct', None)
  if share:
    found += [int(one / share) for one in found if one]
  try:  # What it resizes to where it does not crop.
    found.append(min(_run(processor, image, do_center_crop=False).shape[:2]))
  except _Unknown:
    pass
  for one in dict.fromkeys([*found, side]):
    if one:
      yield from ((int(one), False), (int(one), True))


def _made(image, resample, resize, is_squashed, side):
  """Returns uint8 pixels as `pil` with these fields makes them."""
  from PIL import Image

  sides = [one * resize // min(image.shape[:2]) for one in image.shape[:2]]
  if is_squashed:
    sides = [resize, resize]
  resized = np.asarray(Image.fromarray(image).resize(sides[::-1], resample))
  found = np.zeros((side, side, 3), np.uint8)
  top, left = ((one - side) // 2 for one in sides)
  inside = resized[max(top, 0) :, max(left, 0) :][:side, :side]
  at = max(-top, 0), max(-left, 0)
  found[at[0] : at[0] + inside.shape[0], at[1] : at[1] + inside.shape[1]] = inside
  return found


def _side(processor):
  """Returns the side of its images, if these are squares of one size."""
  try:
    shapes = {
      _run(processor, np.zeros((*one, 3), np.uint8)).shape[:2] for one in _SIDES[:2]
    }
  except _Unknown:
    return None
  (height, width) = next(iter(shapes))
  return height if len(shapes) == 1 and height == width else None


def _is_same(found, expected):
  return (
    expected.dtype == np.float32
    and found.shape == expected.shape
    and np.array_equal(found, expected)
  )


def _name(processor):
  return type(processor).__name__.removesuffix('Pil')
