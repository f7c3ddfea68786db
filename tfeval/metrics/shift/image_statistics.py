"""What can be measured of an image without a model."""

import numpy as np

# Of red, green and blue in grey: ITU-R BT.601, as JPEG has it.
_GREY = np.array([0.299, 0.587, 0.114])
# Of the luminance table in ITU-T T.81, K.1, row by row. Scaled by the quality it is
# what libjpeg writes.
_LUMINANCE = np.array(
  [
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
  ]
)
# Tables stand at the start of a file, behind what cameras and editors put there.
_HEAD = 1 << 20
_QUANTISATION, _SCAN, _END = 0xDB, 0xDA, 0xD9
_ALONE = {0x01, *range(0xD0, 0xD9)}


def of_pixels(image: np.ndarray) -> dict[str, float]:
  """Returns statistics of an image's pixels and shape.

  `brightness` and `contrast` are mean and standard deviation of its grey values,
  `sharpness` is the variance of their Laplacian (Pech-Pacheco et al., "Diatom
  autofocusing in brightfield microscopy", ICPR 2000), `aspect` is width by height.

  Args:
    image: uint8 [height, width, 3], RGB.
  """
  height, width = image.shape[:2]
  grey = image.astype(np.float32) @ _GREY.astype(np.float32)
  inner = grey[1:-1, 1:-1]
  laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
  laplacian = laplacian - 4 * inner
  return {
    'brightness': float(grey.mean(dtype=np.float64)),
    'contrast': float(grey.std(dtype=np.float64)),
    'sharpness': float(laplacian.var(dtype=np.float64)) if inner.size else 0.0,
    'width': float(width),
    'height': float(height),
    'aspect': width / height,
  }


def jpeg_quality(encoded: bytes) -> int | None:
  """Returns the quality whose table is nearest to a JPEG's, in libjpeg's scale.

  Args:
    encoded: the file.

  Returns:
    1 to 100; None of what is no JPEG, or has no table within its first megabyte.
  """
  table = luminance_table(encoded)
  if table is None:
    return None
  qualities = np.arange(1, 101)
  scale = np.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities)
  tables = np.clip((np.sort(_LUMINANCE) * scale[:, None] + 50) // 100, 1, 255)
  # The sum of differences; of equal ones the better quality.
  off = np.abs(tables - np.sort(table)).sum(axis=1)
  return int(qualities[::-1][np.argmin(off[::-1])])


def luminance_table(encoded: bytes) -> np.ndarray | None:
  """Returns a JPEG's first quantisation table, int64 [64] in the file's order.

  Source: ITU-T T.81, B.2.4.1. None as of `jpeg_quality`.
  """
  data = encoded[:_HEAD]
  if data[:2] != b'\xff\xd8':
    return None
  at = 2
  while at + 4 <= len(data) and data[at] == 0xFF:
    marker = data[at + 1]
    if marker == 0xFF or marker in _ALONE:
      at += 1 if marker == 0xFF else 2
      continue
    if marker in (_SCAN, _END):
      return None
    length = int.from_bytes(data[at + 2 : at + 4])
    if marker == _QUANTISATION:
      return _first_table(data[at + 4 : at + 2 + length])
    at += 2 + max(length, 2)
  return None


def _first_table(segment: bytes) -> np.ndarray | None:
  if not segment:
    return None
  width = 2 if segment[0] >> 4 else 1
  values = segment[1 : 1 + 64 * width]
  if len(values) < 64 * width:
    return None
  return np.frombuffer(values, '>u2' if width == 2 else 'u1').astype(np.int64)
