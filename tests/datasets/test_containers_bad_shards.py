"""Tar shards that are refused."""

import io
import tarfile

import container_writers as writers
import pytest
from refusals import IMAGE, LABELS, NAMES, PHOTOS, refused

from tfeval.datasets import open_dataset


def shard(tmp_path, *members):
  return f'webdataset:{writers.write_tar(tmp_path / "0.tar", members)}'


def test_shards_that_are_cut_off(tmp_path):
  path = writers.write_shard(tmp_path / '0.tar', PHOTOS, LABELS)
  whole = path.read_bytes()
  # In a member, in a header, between two, and before the end mark.
  end = len(whole.rstrip(b'\0')) + 512 & ~511
  for size in (1000, 3000, 300, 512, end):
    path.write_bytes(whole[:size])
    refused('0.tar ends too early: it was cut off: copy it again', f'webdataset:{path}')
  path.write_bytes(b'')
  refused('0.tar is empty', f'webdataset:{path}')
  path.write_bytes(whole + whole)
  refused('goes on behind its end', f'webdataset:{path}')
  path.write_bytes(b'no tar at all' * 100)
  refused('0.tar is not a whole tar file', f'webdataset:{path}')


def test_packed_and_nested_shards(tmp_path):
  path = tmp_path / '0.tar'
  writers.write_tar(path, [('a.jpg', IMAGE), ('a.cls', b'0')], 'w:gz')
  refused('0.tar is packed with gzip, expected a tar file', f'webdataset:{path}')
  refused(
    "holds another archive, 'b/inner.tar': unpack it",
    shard(tmp_path, ('a.jpg', IMAGE), ('a.cls', b'0'), ('b/inner.tar', b'x')),
  )


@pytest.mark.parametrize(
  'name', ['../a.jpg', '/etc/a.jpg', 'a/../../b.jpg', '..\\a.jpg', 'a/..']
)
def test_names_that_lead_out_of_the_archive(tmp_path, name):
  refused('leads out of the archive', shard(tmp_path, (name, IMAGE)))


@pytest.mark.parametrize(
  'kind', [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, b'S']
)
def test_members_that_are_no_files(tmp_path, kind):
  text = refused("'a.jpg' is", shard(tmp_path, ('a.jpg', kind.decode())))
  assert 'expected plain files' in text


def test_headers_that_claim_much(tmp_path):
  path = tmp_path / '0.tar'
  with tarfile.open(path, 'w') as tar:
    info = tarfile.TarInfo('a.jpg')
    info.size = 1 << 50
    tar.addfile(info)
  refused('ends too early', f'webdataset:{path}')
  with tarfile.open(path, 'w') as tar:
    info = tarfile.TarInfo('a')
    info.type, info.size = tarfile.XHDTYPE, 1 << 20
    tar.addfile(info, io.BytesIO(bytes(1 << 20)))
  refused('has a header of 1,048,576 bytes', f'webdataset:{path}')
  for record in (b'99 path=a\n', b'x path=a\n', b'9 path=\xff\n', b'11 size=-5\n'):
    with tarfile.open(path, 'w') as tar:
      info = tarfile.TarInfo('a')
      info.type, info.size = tarfile.XHDTYPE, len(record)
      tar.addfile(info, io.BytesIO(record))
      info = tarfile.TarInfo('a.jpg')
      tar.addfile(info)
    refused('not a whole tar file|ends too early', f'webdataset:{path}')


def test_keys_twice_in_two_shards(tmp_path):
  for number in range(2):
    writers.write_shard(tmp_path / f'{number}.tar', PHOTOS[:2], LABELS[:2])
  refused('2 keys have two images, .*: 00, 01: name', f'webdataset:{tmp_path}')
  refused(
    '1 keys have two images',
    shard(tmp_path / 'x', ('a.jpg', IMAGE), ('a.png', IMAGE), ('a.cls', b'0')),
  )
  twice = [
    ('ILSVRC2012_val_00000001.jpg', IMAGE),
    ('ILSVRC2012_val_00000001.cls', b'65'),
  ]
  text = refused(
    '1 validation images twice',
    shard(tmp_path / 'x', *twice, *((f'a/{n}', c) for n, c in twice)),
  )
  assert 'ILSVRC2012_val_00000001.JPEG' in text


def test_images_and_labels_without_the_other(tmp_path):
  images = [(f'{n:02d}.jpg', IMAGE) for n in range(12)]
  refused(
    r'12 images without label|has no labels: give them by :labels=FILE',
    shard(tmp_path, *images),
  )
  text = refused(
    '11 images without label: 01.jpg', shard(tmp_path, *images, ('00.cls', b'0'))
  )
  assert '10.jpg, ...' in text and '11.jpg' not in text
  labels = [(f'{n:02d}.cls', b'0') for n in range(14)]
  refused('2 labels without image: 12, 13', shard(tmp_path, *images, *labels))
  refused('holds no images', shard(tmp_path, ('a.txt', b'')))


def test_labels_of_shards(tmp_path):
  def of(*labels):
    found = [(f'a.{suffix}', content) for suffix, content in labels]
    return shard(tmp_path, ('a.jpg', IMAGE), *found)

  refused('two labels, 0 and 1', of(('cls', b'0'), ('json', b'{"cls": 1}')))
  refused('expected one number or name', of(('cls', b'')))
  refused('expected one number or name', of(('cls', b'0\n1')))
  refused('expected one number or name', of(('json', b'{"label": [1, 2]}')))
  refused('expected one number or name', of(('json', b'{"label": 1.5}')))
  refused('not JSON', of(('json', b'{"label": ')))
  refused('not UTF-8', of(('cls', b'\xff')))
  refused('65,537 bytes, expected at most 65,536', of(('cls', b'0' * 65537)))
  refused('no labels', of(('json', b'{"url": "a"}')))
  refused('has no labels', of(('cls', b'-1')))
  refused('at most 262,144 classes', of(('cls', b'9' * 5000)))
  assert open_dataset(of(('cls', b'0'), ('json', b'{"cls": 0}'))).num_examples == 1


def test_labels_outside_of_the_classes(tmp_path):
  (tmp_path / 'names.txt').write_text('ant\nbee')
  name = f'webdataset:{writers.write_shard(tmp_path / "a.tar", PHOTOS, LABELS)}'
  text = f'{name}:classes={tmp_path}/names.txt'
  refused('2 labels outside of the classes: 2 of 02.jpg, 2 of 05.jpg', text)
  words = [NAMES[n] for n in LABELS]
  writers.write_shard(tmp_path / 'a.tar', PHOTOS, words)
  refused('2 labels outside of the classes: cat of 02.jpg', text)
  (tmp_path / 'names.txt').write_text('ant\nbee\nbee')
  refused("two classes that are called 'bee'", text)
  (tmp_path / 'names.txt').write_text('')
  refused('names 0 classes', text)
  refused('cannot read .*no.txt', f'{name}:classes={tmp_path}/no.txt')
