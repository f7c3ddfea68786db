"""Makers of encoded images of every kind, for tests and benchmarks."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def scene(height, width, channels=3, seed=0):
  """Smooth areas, hard edges and noise: overshoot and both clips occur."""
  rng = np.random.default_rng(seed)
  coarse = rng.integers(0, 256, (height // 16 + 2, width // 16 + 2, channels))
  image = coarse.repeat(16, 0).repeat(16, 1)[:height, :width]
  image[height // 3 : height // 2] = 255 * (np.arange(width) // 3 % 2)[:, None]
  noise = rng.normal(0, 12, image.shape) * (np.arange(width) > width // 3)[:, None]
  return np.clip(image + noise, 0, 255).astype(np.uint8)


def encode(array, file_format='JPEG', mode=None, **options):
  """Encodes uint8 [height, width, channels]; four channels make a CMYK JPEG."""
  if array.shape[-1] == 1:
    array = array[..., 0]
  image = Image.fromarray(array)
  if array.ndim == 3 and array.shape[-1] == 4 and file_format == 'JPEG':
    image = Image.frombytes('CMYK', array.shape[1::-1], array.tobytes())
  if mode:
    image = image.convert(mode)
  buffer = io.BytesIO()
  image.save(buffer, file_format, **options)
  return buffer.getvalue()


def chunk(name, content):
  """A chunk of a PNG, with its checksum."""
  body = name + content
  return struct.pack('>I', len(content)) + body + struct.pack('>I', zlib.crc32(body))


def png(rows, width, color_type, depth, *chunks):
  """A PNG by hand: Pillow does not write every kind."""
  header = struct.pack('>IIBBBBB', width, len(rows), depth, color_type, 0, 0, 0)
  pixels = zlib.compress(b''.join(b'\0' + row.tobytes() for row in rows))
  return (
    b'\x89PNG\r\n\x1a\n'
    + chunk(b'IHDR', header)
    + b''.join(chunks)
    + (chunk(b'IDAT', pixels) + chunk(b'IEND', b''))
  )


def tiff(order, *entries, count=None, magic=42, start=8):
  """A TIFF block of (tag, type, count, two 16-bit values) entries."""
  block = struct.pack(order + 'HI', magic, start) + struct.pack(
    order + 'H', len(entries) if count is None else count
  )
  for entry in entries:
    block += struct.pack(order + 'HHIHH', *entry)
  return (b'II' if order == '<' else b'MM') + block


def with_exif(jpeg, block, head=b'Exif\0\0', marker=0xE1, at=2):
  """A JPEG with one more segment, at a byte between two others."""
  content = head + block
  segment = struct.pack('>BBH', 0xFF, marker, len(content) + 2) + content
  return jpeg[:at] + segment + jpeg[at:]


def orientation(value):
  """The EXIF entry of an orientation, for `tiff`."""
  return (0x112, 3, 1, value, 0)


def deep_png(color_type, height=90, width=120):
  """A PNG of 16 bits per channel, with something in the lower eight."""
  channels = {0: 1, 2: 3, 4: 2, 6: 4}[color_type]
  image = scene(height, width, channels).astype('>u2') * 257
  return png(
    (image ^ np.arange(width)[:, None].astype('>u2')).astype('>u2'),
    width,
    color_type,
    16,
  )


def palette_png(depth, transparent=False):
  """A PNG with a palette of 2**depth colours."""
  colors = 2**depth
  chunks = [chunk(b'PLTE', bytes((7 * i + i // 3) % 256 for i in range(3 * colors)))]
  if transparent:
    chunks.append(chunk(b'tRNS', bytes(range(colors))))
  return png(scene(90, 120 * depth // 8, 1), 120, 3, depth, *chunks)


def cmyk_jpeg(transform):
  """A CMYK (transform 0) or YCCK (2) JPEG."""
  data = bytearray(encode(scene(100, 120, 4)))
  data[data.index(b'Adobe') + 11] = transform
  return bytes(data)


def claims(height, width, file_format):
  """A file of a few bytes whose header claims a size."""
  if file_format == 'PNG':
    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return (
      b'\x89PNG\r\n\x1a\n'
      + chunk(b'IHDR', header)
      + (chunk(b'IDAT', b'\x78\x9c') + chunk(b'IEND', b''))
    )
  size = BASE.index(b'\xff\xc0') + 5
  return BASE[:size] + struct.pack('>HH', height, width) + BASE[size + 4 :]


def arithmetic_jpeg():
  """An arithmetic-coded JPEG: any bytes are a valid scan, these make noise."""
  return BASE.replace(b'\xff\xc0', b'\xff\xc9', 1)


# A photo for what is wrong or odd around the pixels.
BASE = encode(scene(300, 400), subsampling='4:2:0')


_OUTSIDE = (0x10F, 2, 99, 60000, 60000)  # a string outside the block
BROKEN_EXIF = {
  'no magic': tiff('<', orientation(6), magic=43),
  'count too large': tiff('<', orientation(6), count=40000),
  'count too small': tiff('<', orientation(6), count=0),
  'directory outside': tiff('>', orientation(6), start=70000),
  'directory at 2**32 - 1': tiff('>', orientation(6), start=2**32 - 1),
  'string outside before': tiff('<', _OUTSIDE, orientation(6)),
  'string outside after': tiff('<', orientation(6), _OUTSIDE),
  'cut in the value': tiff('<', orientation(6))[:-3],
  'cut behind the value': tiff('<', orientation(6))[:-2],
  'long': tiff('<', (0x112, 4, 1, 6, 0)),
  'long, big endian': tiff('>', (0x112, 4, 1, 0, 6)),
  'twice': tiff('<', orientation(3), orientation(6)),
  'first is invalid': tiff('<', orientation(9), orientation(6)),
  'unknown order': b'XX' + tiff('>', orientation(6))[2:],
  'empty': b'',
  'one byte': b'I',
}
