"""The EXIF orientation that cv2.imread applies."""

import pytest
from images import BASE, BROKEN_EXIF, chunk, orientation, png, scene, tiff, with_exif
from parity import assert_equal, reference_decode


@pytest.mark.parametrize('order', '<>')
@pytest.mark.parametrize('value', range(10))
def test_exif_orientation(order, value):
  block = tiff(order, (0x100, 3, 1, 9, 0), orientation(value))
  assert_equal(with_exif(BASE, block))
  turned = reference_decode(with_exif(BASE, block)).shape != (300, 400, 3)
  assert turned == (5 <= value <= 8)
  picture = png(scene(30, 40), 40, 2, 8, chunk(b'eXIf', block))
  assert_equal(picture)


@pytest.mark.parametrize('name', BROKEN_EXIF)
def test_broken_exif_is_what_opencv_makes_of_it(name):
  assert_equal(with_exif(BASE, BROKEN_EXIF[name]))


def test_exif_segments():
  block, other = tiff('<', orientation(6)), tiff('>', orientation(3))
  assert_equal(with_exif(BASE, block, at=20))  # behind JFIF
  assert_equal(with_exif(BASE, block, head=b'Exif\0X'))
  assert_equal(with_exif(BASE, block, marker=0xE2))
  assert_equal(with_exif(with_exif(BASE, other), block))
  assert_equal(with_exif(with_exif(BASE, block), tiff('<')))
  xmp = b'http://ns.adobe.com/xap/1.0/\0<x/>'
  assert_equal(with_exif(with_exif(BASE, block), b'', head=xmp))
  # Behind 60 KB of other segments.
  assert_equal(with_exif(with_exif(BASE, block), bytes(60000), marker=0xED))
  # Behind the quantisation tables.
  tables = BASE.index(b'\xff\xdb')
  assert_equal(with_exif(BASE, block, at=tables))
  # In a comment: no block.
  assert_equal(with_exif(BASE, block, marker=0xFE))
