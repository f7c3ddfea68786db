"""Image files as they are named on the command line."""

import os

import pytest

from tfeval.datasets import image_files
from tfeval.utils.errors import UserError

JPEG = b'\xff\xd8\xff\xe0'


def test_kinds():
  assert image_files.kind_of(JPEG) == 'JPEG'
  assert image_files.kind_of(b'\x89PNG\r\n\x1a\nrest') == 'PNG'
  for other in (b'', b'\xff\xd8', b'GIF89a', b'BM'):
    assert image_files.kind_of(other) is None


@pytest.mark.parametrize(
  'suffix, kind', [('webp', 'WebP'), ('gif', 'GIF'), ('bmp', 'BMP'), ('tiff', 'TIFF')]
)
def test_kinds_that_are_not_decoded(suffix, kind, tmp_path):
  with open(tmp_path / 'photo.jpg', 'wb') as file:
    pytest.importorskip('PIL.Image').new('RGB', (2, 2)).save(file, suffix)
  for named in (tmp_path, tmp_path / 'photo.jpg'):
    with pytest.raises(UserError, match=f'photo.jpg .*: it is {kind}, neither JPEG'):
      image_files.find_images([str(named)])


def test_texts_are_no_images_of_other_kinds():
  for text in (b'BMW and others are cars', b'II', b'RIFF of a text file', b'', b'GIF'):
    assert image_files.other_kind(text) is None


def test_images_by_their_first_bytes(tmp_path):
  for name in ('a', 'b.jfif', 'c.data', 'd.txt', 'e.jpg.part', '._f.jpg', 'Thumbs.db'):
    (tmp_path / name).write_bytes(JPEG)
  (tmp_path / 'g').write_bytes(b'a text')
  found = image_files.find_images([str(tmp_path)])
  assert [path.name for path in found] == ['a', 'b.jfif', 'c.data']


def test_order(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv('HOME', str(tmp_path))
  (tmp_path / 'folder').mkdir()
  for name in ('z.jpg', 'folder/2.jpg', 'folder/10.JPEG', 'no_suffix'):
    (tmp_path / name).write_bytes(JPEG)
  found = image_files.find_images(['z.jpg', 'folder', 'no_suffix', '~/z.jpg'])
  assert [str(path) for path in found] == [
    'z.jpg',
    'folder/10.JPEG',
    'folder/2.jpg',
    'no_suffix',
    f'{tmp_path}/z.jpg',
  ]


def test_names_that_cannot_be_printed(tmp_path):
  path = os.fsdecode(os.fsencode(tmp_path) + b'/\xff.jpg')
  with open(path, 'wb') as file:
    file.write(JPEG)
  for named in (path, tmp_path):
    with pytest.raises(UserError, match='not UTF-8: rename it') as caught:
      image_files.find_images([named])
    str(caught.value).encode()


def test_unreadable_files(tmp_path, monkeypatch):
  path = tmp_path / 'a.jpg'
  path.write_bytes(JPEG)

  def refuse(*_):
    raise PermissionError(13, 'Permission denied')

  monkeypatch.setattr('os.open', refuse)
  with pytest.raises(UserError, match='cannot read .*a.jpg: Permission denied'):
    image_files.find_images([str(path)])
