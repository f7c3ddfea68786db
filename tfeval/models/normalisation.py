"""Normalisation by value: `mean=0.485,0.456,0.406:std=0.229,0.224,0.225`, `unit`, ...

What is stated is computed in float32 in this order, each step rounded:

- `bgr`: the channels in the order blue, green, red; everything else is of these;
- `scale=S:offset=O`: x * S + O, as Keras' Rescaling has it; or `scale=1/255`: x / 255;
- `mean=M:std=D`: x / 255, less the mean, through the deviation, as torchvision's
  `to_tensor` and `normalize` have it. One number is of all channels. `mean255=M` is of
  values in [0, 255], which stay so. `std2=D` divides once more, as the processor of
  EfficientNet of Hugging Face's transformers does (`include_top`).
"""

import dataclasses
import functools
import importlib.resources
import re
import tomllib
from typing import Self

from tfeval.utils.errors import UserError

_KEYS = ('bgr', 'scale', 'offset', 'mean', 'std', 'mean255', 'std2')
_FORMS = 'unit, mean=M,M,M:std=D,D,D, scale=S:offset=O, bgr'
_NUMBER = re.compile(r'[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?')
_INVERSE = re.compile(r'1/(?P<divisor>.+)')


@dataclasses.dataclass(frozen=True)
class Normalisation:
  """What is done to pixels, in this order.

  Attributes:
    text: as it was given.
    bgr: whether red and blue are exchanged.
    divisor, factor: pixels are divided by the one, multiplied by the other; None: not.
    mean: is subtracted then, of each channel or of all.
    deviation: divides then.
    offset: is added then.
    second_deviation: divides what `deviation` divided, before `offset`; None: nothing.
  """

  text: str
  bgr: bool = False
  divisor: float | None = None
  factor: float | None = None
  mean: tuple[float, ...] | None = None
  deviation: tuple[float, ...] | None = None
  offset: tuple[float, ...] | None = None
  second_deviation: tuple[float, ...] | None = None

  @classmethod
  def parse(cls, text: str) -> Self:
    """Reads a normalisation.

    Raises:
      UserError: it is none.

    >>> Normalisation.parse('scale=0.5:offset=-1').factor
    0.5
    >>> Normalisation.parse('inception').deviation
    (0.5, 0.5, 0.5)
    """
    given = _parts(_named().get(text, text), text)
    if 'offset' in given and 'scale' not in given:
      raise UserError(f'preprocess {text!r} has an offset without a scale')
    if len(given.keys() & {'scale', 'mean', 'mean255'}) > 1:
      raise UserError(
        f'preprocess {text!r} has several of scale, mean and mean255: give one'
      )
    if 'std' in given and not given.keys() & {'mean', 'mean255'}:
      raise UserError(f'preprocess {text!r} has a std without a mean')
    if 'std2' in given and 'std' not in given:
      raise UserError(f'preprocess {text!r} has a std2 without a std')
    divisor, factor = _scaled(given.get('scale'), text)
    if 'mean' in given:
      divisor = 255.0
    mean = given.get('mean', given.get('mean255'))
    found = cls(
      text,
      'bgr' in given,
      divisor,
      factor,
      None if mean is None else _numbers(mean, text),
      _numbers(given['std'], text) if 'std' in given else None,
      _numbers(given['offset'], text) if 'offset' in given else None,
      _numbers(given['std2'], text) if 'std2' in given else None,
    )
    for deviation in (found.deviation, found.second_deviation):
      if deviation is not None and min(deviation) <= 0:
        raise UserError(f'preprocess {text!r} has a std of 0 or less')
    return found

  @property
  def channels(self) -> int | None:
    """How many channels it is for; None: any number."""
    of_channels = (self.mean, self.deviation, self.second_deviation, self.offset)
    counts = {len(one) for one in of_channels if one} - {1}
    return 3 if self.bgr else max(counts, default=None)


def is_value(text: str) -> bool:
  """Returns whether a text is a normalisation by value, right or wrong, or its name."""
  return text in _named() or any(
    part == 'bgr' or part.partition('=')[0] in _KEYS[1:] and '=' in part
    for part in text.split(':')
  )


def value(name: str) -> str:
  """Returns what a name stands for.

  >>> value('inception')
  'mean=0.5,0.5,0.5:std=0.5,0.5,0.5'
  """
  return _named()[name]


def names() -> tuple[str, ...]:
  """Returns the names of those that have one."""
  return tuple(_named())


@functools.cache
def _named() -> dict[str, str]:
  path = importlib.resources.files('tfeval.models') / 'normalisation.toml'
  found = tomllib.loads(path.read_text('utf-8'))
  return {name: entry['value'] for name, entry in found.items()}


def _parts(text: str, shown: str) -> dict[str, str]:
  found: dict[str, str] = {}
  for part in text.split(':'):
    key, equals, value = part.partition('=')
    if key not in _KEYS or bool(equals) == (key == 'bgr'):
      raise UserError(f'preprocess {shown!r}: {part!r} is none of {_FORMS}')
    if key in found:
      raise UserError(f'preprocess {shown!r} has {key} twice')
    found[key] = value
  return found


def _scaled(text: str | None, shown: str) -> tuple[float | None, float | None]:
  """Returns what divides and what multiplies."""
  if text is None:
    return None, None
  inverse = _INVERSE.fullmatch(text)
  (value,) = _numbers(inverse['divisor'] if inverse else text, shown, most=1)
  if value == 0:
    raise UserError(f'preprocess {shown!r} has a scale of 0, or by 0')
  return (value, None) if inverse else (None, value)


def _numbers(text: str, shown: str, most: int = 1024) -> tuple[float, ...]:
  parts = text.split(',')
  if len(parts) > most or not all(_NUMBER.fullmatch(one.strip()) for one in parts):
    raise UserError(
      f'preprocess {shown!r}: {text!r} is not '
      + ('a number' if most == 1 else 'a number, or one for each channel')
    )
  return tuple(map(float, parts))
