"""Resizing where the model runs: the answers are those of pixels from the host."""

import json

import pytest
import tensorflow as tf

from tfeval.preprocess import device_resize

MODEL = (
  'evaluate',
  '--model=MobileNet:alpha=0.25',
  '--preflight=off',
  '--batch_size=4',
)


@pytest.fixture(scope='module')
def photos(shared_data, tmp_path_factory):
  """Returns a folder of six photos, one of which needs more than the canvas."""
  folder = tmp_path_factory.mktemp('photos')
  images = sorted(
    (shared_data / 'images').glob('n*.JPEG'), key=lambda path: path.stat().st_size
  )
  for image in [*images[:5], images[-1]]:
    (folder / image.name[:9]).mkdir(exist_ok=True)
    (folder / image.name[:9] / image.name).symlink_to(image.resolve())
  return folder


@pytest.fixture(scope='module')
def on_host(photos, tmp_path_factory):
  from tfeval import cli

  output = tmp_path_factory.mktemp('host')
  assert cli.main([*MODEL, f'--dataset=folder:{photos}', f'--output_dir={output}']) == 0
  return rows(output)


def rows(output):
  (directory,) = output.iterdir()
  return (directory / 'predictions/part-00000.parquet').read_bytes()


@pytest.mark.parametrize(
  'more', [(), pytest.param(('--jit', '--canvas=384'), marks=pytest.mark.slow)]
)
def test_the_same_rows(tfeval, photos, on_host, tmp_path, more):
  code, out, err = tfeval(
    *MODEL,
    f'--dataset=folder:{photos}',
    '--json',
    '--resize_on=device',
    f'--output_dir={tmp_path}',
    *more,
  )
  assert code == 0, err
  (result,) = json.loads(out)
  assert result['compute']['resize_on'] == 'device'
  assert result['compute']['self_test']['off'] == 0
  assert result['compute']['self_test']['values'] > 1_000_000
  assert result['dataset']['resized_on_host'] == 1
  if '--jit' not in more:
    assert rows(tmp_path) == on_host


@pytest.mark.parametrize(
  'flags, words',
  [
    (('--protocol=pil',), 'protocol pil cannot be resized on the device'),
    (('--canvas=300',), '--canvas=300: give one of 256, 384'),
    (('--cache_dir=x',), 'contradicts --resize_on=device'),
    (('--tf_data_service=localhost:1',), 'contradicts --resize_on=device'),
  ],
)
def test_mistakes(tfeval, photos, tmp_path, flags, words):
  code, out, err = tfeval(
    *MODEL,
    f'--dataset=folder:{photos}',
    '--resize_on=device',
    f'--output_dir={tmp_path}',
    *flags,
  )
  assert (code, out) == (2, '')
  assert words in err.splitlines()[-1]


def test_a_device_that_is_not_exact_is_refused(tfeval, photos, tmp_path, monkeypatch):
  def in_bfloat16(a, b):
    return tf.cast(
      tf.matmul(tf.cast(a, tf.bfloat16), tf.cast(b, tf.bfloat16)), tf.float32
    )

  monkeypatch.setattr(device_resize, '_matmul', in_bfloat16)
  code, _, err = tfeval(
    *MODEL,
    f'--dataset=folder:{photos}',
    '--resize_on=device',
    f'--output_dir={tmp_path}',
  )
  assert code == 2 and 'of the values differ from the host, by up to' in err
  assert not any(tmp_path.rglob('part-*'))
