"""Protocols: what happens to an image before a model's own preprocessing."""

import dataclasses
import hashlib
import json
from typing import Any

from tfeval import errors


@dataclasses.dataclass(frozen=True)
class Protocol:
  """How an encoded image becomes pixels of the model's input size.

  Attributes:
    name: the protocol's name.
    decode: `jpeg_islow`: libjpeg's accurate integer DCT with smooth chroma
      upsampling, EXIF orientation applied, as cv2.imread does.
    resize: `opencv_cubic`: cubic convolution, A = -0.75, on uint8 in fixed point,
      as cv2.resize(INTER_CUBIC) does.
    rounding: `fixed_point`: coefficients of 11 bits, OpenCV's own arithmetic; its
      x86 wheels use IPP's float coefficients unless that is switched off, and 3 %
      of the values then differ by 1.
    resize_side: the short side after resizing, in pixels; the long side follows
      by integer division.
    crop: `center_floor`: starts at `side // 2 - size // 2`.
    size: side of the square crop, in pixels.
    dtype: of the pixels handed to the model's preprocessing.
  """

  name: str
  decode: str
  resize: str
  rounding: str
  resize_side: int
  crop: str
  size: int
  dtype: str

  def describe(self) -> dict[str, Any]:
    """Returns every parameter and their hash, for a manifest."""
    parameters = dataclasses.asdict(self)
    canonical = json.dumps(parameters, sort_keys=True).encode()
    return {**parameters, 'hash': hashlib.sha256(canonical).hexdigest()}


def resolve(name: str, size: int) -> Protocol:
  """Returns a protocol for a model's input size.

  Args:
    name: `'opencv'`, the protocol behind the accuracy table of keras-applications
      (short side 256 for 224, 341 for 299, 378 for 331: `size * 8 // 7`).
    size: side of the model's input, in pixels.

  Raises:
    UserError: the name is not known.

  >>> resolve('opencv', 299).resize_side
  341
  """
  if name != 'opencv':
    raise errors.unknown('protocol', name, ['opencv'])
  return Protocol('opencv', decode='jpeg_islow', resize='opencv_cubic',
                  rounding='fixed_point', resize_side=size * 8 // 7,
                  crop='center_floor', size=size, dtype='uint8')
