"""Protocols that an earlier process has traced: the same values, and no stale ones."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tfeval.engine import traced
from tfeval.preprocess import protocol
from tfeval.utils import start_cache

SPECS = ('opencv', 'pil', 'tf')


@pytest.fixture
def home(tmp_path, monkeypatch):
  monkeypatch.setenv('TFEVAL_CACHE_HOME', str(tmp_path / 'kept'))
  yield tmp_path
  for function in (traced.pixels, traced.canvas):
    function.cache_clear()


def _image() -> tf.Tensor:
  pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
  return tf.io.encode_jpeg(pixels)


def test_what_was_kept_gives_the_same_values_beside_what_is_traced(home):
  image = _image()
  fresh = {}
  for spec in SPECS:
    traced.pixels.cache_clear()
    fresh[spec] = traced.pixels(protocol.resolve(spec, 224), False)
  assert len(list((home / 'kept/graphs').iterdir())) == len(SPECS)
  for spec in SPECS:
    traced.pixels.cache_clear()
    kept = traced.pixels(protocol.resolve(spec, 224), False)
    assert kept is not fresh[spec]
    found, expected = kept(image), fresh[spec](image)
    assert found.dtype == expected.dtype and found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)


def test_canvases_are_kept_with_all_their_entries(home):
  image, of = _image(), protocol.resolve('opencv', 224)
  expected = traced.canvas(of, 512, False)(image)
  traced.canvas.cache_clear()
  found = traced.canvas(of, 512, False)(image)
  assert sorted(found) == sorted(expected)
  for name, value in expected.items():
    np.testing.assert_array_equal(found[name], value)


def test_a_broken_image_is_refused_by_what_was_kept(home):
  of = protocol.resolve('opencv', 224)
  traced.pixels(of, False)
  traced.pixels.cache_clear()
  with pytest.raises(tf.errors.InvalidArgumentError, match='not a JPEG or PNG'):
    traced.pixels(of, False)(tf.constant(b'GIF89a'))


@pytest.mark.parametrize('content', [b'', b'{}', b'{"input": "a"}\n\xff\xff'])
def test_what_is_no_graph_is_traced_again(home, content):
  of = protocol.resolve('opencv', 224)
  expected = traced.pixels(of, False)(_image())
  (path,) = (home / 'kept/graphs').iterdir()
  start_cache.write('graphs', path.name, content)
  traced.pixels.cache_clear()
  np.testing.assert_array_equal(traced.pixels(of, False)(_image()), expected)


def test_operations_of_debugging_are_not_kept(home):
  tf.debugging.enable_check_numerics()
  try:
    traced.pixels(protocol.resolve('opencv', 224), False)
  finally:
    tf.debugging.disable_check_numerics()
  assert not list((home / 'kept/graphs').iterdir())


def test_other_code_has_other_keys(home, monkeypatch):
  of = protocol.resolve('opencv', 224)
  traced.pixels(of, False)
  monkeypatch.setattr(traced, '_code_sha256', lambda: 'other')
  traced.pixels.cache_clear()
  traced.pixels(of, False)
  assert len(list((home / 'kept/graphs').iterdir())) == 2


def test_another_process_takes_it(home):
  code = (
    'import sys\n'
    'from tfeval.preprocess import apply, protocol\n'
    'from tfeval.engine import traced\n'
    'if len(sys.argv) > 1: apply.apply = None\n'
    'image = open("image", "rb").read()\n'
    'function = traced.pixels(protocol.resolve("opencv", 224), False)\n'
    'print(int(function(image).numpy().astype(int).sum()))\n'
  )
  pathlib.Path(home / 'image').write_bytes(_image().numpy())
  sums = [
    subprocess.run(
      [sys.executable, '-c', code, *flag],
      cwd=home,
      capture_output=True,
      text=True,
      check=True,
    ).stdout
    for flag in ([], ['kept'])
  ]
  assert sums[0] == sums[1] and int(sums[0]) > 0
