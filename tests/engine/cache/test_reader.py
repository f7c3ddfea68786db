"""Pixels from a cache are those without it, whatever has happened to the cache."""

import contextlib
import functools
import os
import pathlib
import shutil
import tempfile
import threading

import numpy as np
import pytest
import tensorflow as tf

from tfeval import datasets
from tfeval.datasets.labels import imagenet
from tfeval.engine import batches as reading
from tfeval.engine import pipeline
from tfeval.engine.cache import chunks, entries, pruning, reader, writer
from tfeval.preprocess import protocol as protocol_lib
from tfeval.utils import lock_file
from tfeval.utils.errors import UserError

# Of an integer and of a float protocol, quick to be traced.
UINT8 = protocol_lib.resolve('slim:rounding=nearest', 32)
OTHER = protocol_lib.resolve('slim:rounding=nearest,crop_fraction=0.5', 32)
FLOAT32 = protocol_lib.resolve('slim', 32)
IMAGES, SIZE = 50, 8
WHOLE = 7


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
  """Eight images in a chunk."""
  monkeypatch.setattr(chunks, 'images_per_chunk', lambda *_: SIZE)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """Not to be changed."""
  return make_folder(tmp_path_factory.mktemp('images') / 'images')


@pytest.fixture
def own_folder(folder, tmp_path):
  """A copy to be changed."""
  return pathlib.Path(shutil.copytree(folder, tmp_path / 'images'))


@pytest.fixture(scope='module')
def filled_once(folder, tmp_path_factory):
  directory = tmp_path_factory.mktemp('cache')
  with pytest.MonkeyPatch.context() as patched:
    patched.setattr(chunks, 'images_per_chunk', lambda *_: SIZE)
    read(directory / 'c', folder)
    read(directory / 'other', folder, OTHER, positions=range(16, 24))
  return directory


@pytest.fixture
def filled(filled_once, tmp_path):
  """A directory with a whole cache `c`, and `other` with a chunk of `OTHER`."""
  return pathlib.Path(shutil.copytree(filled_once, tmp_path / 'caches'))


def make_folder(directory):
  """Makes images that all have the same number of bytes."""
  directory.mkdir()
  random = np.random.default_rng(0)
  for number in range(1, IMAGES + 1):
    pixels = random.integers(0, 256, (37, 41, 3), np.uint8)
    image = tf.io.encode_jpeg(pixels).numpy()
    # What follows the end of a JPEG is no part of it.
    (directory / imagenet.validation_name(number)).write_bytes(
      image + bytes(8000 - len(image))
    )
  return directory


def opened(folder, limit=None):
  return datasets.open_dataset(f'folder:{folder}', limit=limit)


def read(
  cache_dir,
  folder,
  protocol=UINT8,
  batch_size=4,
  skip_errors=False,
  positions=None,
  limit=None,
):
  dataset = opened(folder, limit)
  return list(
    reader.read_cached(
      writer.Cache(str(cache_dir)),
      dataset,
      protocol,
      batch_size,
      skip_errors,
      positions or range(dataset.num_examples),
    )
  )


@functools.cache
def table(folder, protocol):
  """Returns what is known of each image without a cache, by position."""
  batches = reading.read_batches(opened(folder), protocol, IMAGES, skip_errors=True)
  return {
    position: (name, sha256, int(label), pixels.numpy().tobytes())
    for batch in batches
    for position, name, sha256, label, pixels in zip(
      batch.positions,
      batch.ids,
      batch.image_sha256,
      batch.labels,
      batch.pixels,
      strict=True,
    )
  }


def assert_same(batches, folder, protocol=UINT8, batch_size=4, positions=None):
  """Holds that batches are those that are read without a cache."""
  expected = table(folder, protocol)
  positions = positions or range(IMAGES)
  starts = range(positions.start, positions.stop, batch_size)
  wanted = [
    [
      position
      for position in range(start, min(start + batch_size, positions.stop))
      if position in expected
    ]
    for start in starts
  ]
  assert [batch.positions for batch in batches] == list(filter(None, wanted))
  for batch in batches:
    assert batch.real_labels is None
    assert batch.pixels.shape == (len(batch.ids), 32, 32, 3)
    assert batch.pixels.dtype == protocol.dtype
    for row in zip(
      batch.positions,
      batch.ids,
      batch.image_sha256,
      batch.labels,
      batch.pixels.numpy(),
      strict=True,
    ):
      position, name, sha256, label, pixels = row
      assert (name, sha256, label, pixels.tobytes()) == expected[position]


def files(cache_dir):
  return sorted(path for path in cache_dir.rglob('chunk-*'))


def contents(cache_dir):
  return [path.read_bytes() for path in files(cache_dir)]


def faults(cache_dir):
  return [
    entry.fault(chunk)
    for entry in entries.listed(str(cache_dir))
    for chunk in entry.chunks
    if entry.fault(chunk)
  ]


@contextlib.contextmanager
def nothing_is_decoded(monkeypatch):
  def refuse(*_):
    raise AssertionError('an image was decoded')

  with monkeypatch.context() as patched:
    patched.setattr(pipeline, 'decoded', refuse)
    yield


@pytest.mark.parametrize('protocol', [UINT8, FLOAT32], ids=['uint8', 'float32'])
def test_the_same_batches(folder, tmp_path, monkeypatch, protocol):
  assert protocol.dtype == ('float32' if protocol is FLOAT32 else 'uint8')
  assert_same(read(tmp_path / 'c', folder, protocol), folder, protocol)
  assert len(files(tmp_path / 'c')) == WHOLE and not faults(tmp_path / 'c')
  with nothing_is_decoded(monkeypatch):
    found = {
      (size, start): read(
        tmp_path / 'c', folder, protocol, size, positions=range(start, stop)
      )
      for size, start, stop in [(7, 0, 50), (64, 0, 50), (4, 20, 36), (1, 49, 50)]
    }
  for (size, start), batches in found.items():
    stop = batches[-1].positions[-1] + 1
    assert_same(batches, folder, protocol, size, positions=range(start, stop))


@pytest.mark.parametrize('size', [3, 4, 8, 20])
def test_some_are_cached(folder, filled, size):
  before = contents(filled / 'c')
  paths = files(filled / 'c')
  for gone in (0, 3, 4, 6):
    paths[gone].unlink()
  assert_same(read(filled / 'c', folder, batch_size=size), folder, batch_size=size)
  assert contents(filled / 'c') == before


def test_a_run_that_stops_and_one_that_goes_on(folder, tmp_path):
  cache = writer.Cache(str(tmp_path / 'c'))
  batches = reader.read_cached(cache, opened(folder), UINT8, 4, False, range(IMAGES))
  for _ in range(5):
    next(batches)
  batches.close()
  # Not its third, which was cut short.
  assert len(files(tmp_path / 'c')) == 2
  assert not list(tmp_path.rglob('*.tmp'))
  rest = range(20, IMAGES)
  assert_same(read(tmp_path / 'c', folder, positions=rest), folder, positions=rest)
  assert len(files(tmp_path / 'c')) == WHOLE - 1
  assert_same(read(tmp_path / 'c', folder), folder)
  assert len(files(tmp_path / 'c')) == WHOLE


def cut_short(path, other):
  path.write_bytes(path.read_bytes()[:-1])


def emptied(path, other):
  path.write_bytes(b'')


def one_bit(path, other):
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(content)


def of_another_protocol(path, other):
  """With a name that fits."""
  found = chunks.parse(other)
  path.unlink()
  shutil.copy(other, path.with_name(chunks.name(16, 24, found.sha256)))


def a_directory(path, other):
  path.unlink()
  path.mkdir()


@pytest.mark.parametrize(
  'harm, words',
  [
    (cut_short, 'bytes, expected'),
    (emptied, 'it has 0 bytes'),
    (one_bit, 'it was changed after it was written'),
    (of_another_protocol, 'it is of other images'),
    (a_directory, 'it is no file'),
  ],
  ids=lambda one: getattr(one, '__name__', None),
)
def test_a_chunk_that_is_torn_or_foreign(folder, filled, caplog, harm, words):
  caplog.set_level('INFO', 'tfeval')
  before = contents(filled / 'c')
  harm(files(filled / 'c')[2], files(filled / 'other')[0])
  assert_same(read(filled / 'c', folder), folder)
  said = caplog.messages
  assert 'chunk-00000016-00000024' in said[0] and words in said[0]
  if harm is a_directory:  # It stays in the way.
    assert 'images are not cached' in said[1]
  else:
    assert (len(said), contents(filled / 'c')) == (1, before)


def test_a_chunk_that_changes_after_it_was_checked(folder, filled, monkeypatch):
  one_bit(files(filled / 'c')[2], None)
  monkeypatch.setattr(chunks, 'fault', lambda *_: None)
  assert_same(read(filled / 'c', folder), folder)


def test_a_damaged_description(folder, filled, monkeypatch):
  (path,) = (filled / 'c').rglob('entry.json')
  before = path.read_bytes()
  path.write_text('{"images": ')
  with nothing_is_decoded(monkeypatch):
    read(filled / 'c', folder)
  assert path.read_bytes() == before


def test_other_content_under_the_same_names_and_sizes(own_folder, tmp_path, caplog):
  """No size tells that these data are others."""
  caplog.set_level('INFO', 'tfeval')
  folder = own_folder
  read(tmp_path / 'c', folder)
  names = sorted(folder.iterdir())
  for one, other in ((5, 22), (6, 49)):
    contents = names[one].read_bytes(), names[other].read_bytes()
    names[other].write_bytes(contents[0])
    names[one].write_bytes(contents[1])
  assert_same(read(tmp_path / 'c', folder), folder)
  assert caplog.text.count('it is of images with other content') == 3
  assert_same(read(tmp_path / 'c', folder), folder)
  assert (len(files(tmp_path / 'c')), faults(tmp_path / 'c')) == (WHOLE, [])


def test_images_that_are_skipped(own_folder, tmp_path):
  folder = own_folder
  for position in (0, 7, 8, 30):
    sorted(folder.iterdir())[position].write_bytes(b'')
  for size in (4, 7):
    for _ in range(2):
      assert_same(
        read(tmp_path / 'c', folder, UINT8, size, True), folder, batch_size=size
      )
      # Chunks with gaps are not kept.
      assert len(files(tmp_path / 'c')) == WHOLE - 3


def test_a_broken_image_is_named(own_folder, tmp_path):
  folder = own_folder
  sorted(folder.iterdir())[21].write_bytes(b'')
  for _ in range(2):
    with pytest.raises(ValueError, match='val_00000022.JPEG is not a readable image'):
      read(tmp_path / 'c', folder)
    assert len(files(tmp_path / 'c')) == 2


def test_a_file_that_is_gone(own_folder, tmp_path):
  folder = own_folder
  dataset = opened(folder)
  cache = writer.Cache(str(tmp_path / 'c'))
  list(reader.read_cached(cache, dataset, UINT8, 4, False, range(IMAGES)))
  sorted(folder.iterdir())[21].unlink()
  with pytest.raises(ValueError, match='cannot be read after 20|after 21 examples'):
    list(reader.read_cached(cache, dataset, UINT8, 4, False, range(IMAGES)))


def test_a_limit_that_grows(shared_data, tmp_path, monkeypatch):
  """Of TFDS, where a limit is a prefix of the same files."""
  dataset = datasets.open_dataset('sample')
  count = dataset.num_examples
  cache = writer.Cache(str(tmp_path))

  def pixels(limit):
    limited = datasets.open_dataset('sample', limit=limit)
    return b''.join(
      batch.pixels.numpy().tobytes()
      for batch in reader.read_cached(
        cache, limited, UINT8, 4, False, range(limited.num_examples)
      )
    )

  few = pixels(3)
  (entry,) = entries.listed(str(tmp_path))
  assert (entry.images, entry.description['images']) == (3, 3)
  every = pixels(None)
  (entry,) = entries.listed(str(tmp_path))
  assert entry.images == entry.description['images'] == count
  with nothing_is_decoded(monkeypatch):
    assert pixels(3) == few == every[: len(few)]
  assert len(files(tmp_path)) == -(-count // SIZE)


@contextlib.contextmanager
def unprivileged():
  """Where permissions hold for the superuser as well."""
  if os.geteuid():
    yield
    return
  os.seteuid(65534)
  try:
    yield
  finally:
    os.seteuid(0)


@pytest.mark.parametrize('there', [False, True])
def test_a_cache_that_cannot_be_written(caplog, monkeypatch, there):
  with tempfile.TemporaryDirectory() as name:
    root = pathlib.Path(name)
    folder, cache = make_folder(root / 'images'), root / 'c'
    read(cache, folder, positions=range(24 * there))
    for path in files(cache)[: 0 if there else None]:
      path.unlink()
    for path in (*root.rglob('*'), root):
      path.chmod(0o555 if path.is_dir() else 0o444)
    with unprivileged():
      assert_same(read(cache, folder), folder)
      (said,) = caplog.messages
      assert 'images are not cached' in said
      if there:
        with nothing_is_decoded(monkeypatch):
          read(cache, folder, positions=range(24))
    for path in (root, *root.rglob('*')):
      path.chmod(0o755)
    assert len(files(cache)) == 3 * there


def test_an_empty_directory_that_cannot_be_written(caplog):
  with tempfile.TemporaryDirectory() as name:
    pathlib.Path(name).chmod(0o555)
    with unprivileged():
      assert not writer.Cache(name).writable
  assert 'Permission denied' in caplog.text


def test_pruned_while_it_is_read_and_written(folder, filled):
  """What is taken away is made again; nothing waits, nothing changes."""
  over = threading.Event()

  def prune():
    while not over.wait(0.01):
      with contextlib.suppress(UserError):
        pruning.prune(str(filled / 'c'), None, everything=True, dry_run=False)

  thread = threading.Thread(target=prune)
  thread.start()
  try:
    for _ in range(3):
      assert_same(read(filled / 'c', folder), folder)
  finally:
    over.set()
    thread.join()


def test_what_killed_writers_left_is_removed(folder, filled):
  (entry,) = [path for path in (filled / 'c').iterdir() if path.is_dir()]
  for name in ('.chunk-00000000.a.tmp', '.entry.json.0123456789abcdef.tmp'):
    (entry / name).write_bytes(b'torn')
  written = lock_file.take(entry / '.chunk-00000008.b.tmp')
  assert pruning.prune(str(filled / 'c'), None, everything=True, dry_run=True)
  read(filled / 'c', folder)
  assert [one.name for one in entry.glob('.*')] == ['.chunk-00000008.b.tmp']
  pruning.prune(str(filled / 'c'), None, everything=True, dry_run=False)
  assert [one.name for one in entry.iterdir()] == ['.chunk-00000008.b.tmp']
  os.close(written)
