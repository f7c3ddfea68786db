"""The self-test of devices: what it measures, and what it refuses."""

import subprocess
import sys

import pytest
import tensorflow as tf

from tfeval.engine import self_test, strategies
from tfeval.preprocess import device_resize, gathers, protocol
from tfeval.utils.errors import UserError


def measure(spec='opencv', size=224, canvas=512, batch_size=8):
  return self_test.self_test(
    strategies.make_strategy('default'),
    protocol.resolve(spec, size),
    canvas,
    batch_size,
  )


def bfloat16(a, b):
  """Products and sums of a unit that returns bfloat16."""
  return tf.cast(
    tf.matmul(tf.cast(a, tf.bfloat16), tf.cast(b, tf.bfloat16)), tf.float32
  )


def bfloat16_operands(a, b):
  """Operands in bfloat16, sums in float32, as a TPU does by default."""
  a, b = (tf.cast(tf.cast(x, tf.bfloat16), tf.float32) for x in (a, b))
  return tf.matmul(a, b)


def ten_bits(x):
  """Rounds a mantissa to the 10 bits of TF32."""
  bits = tf.bitcast(x, tf.int32) + (1 << 12)
  return tf.bitcast(tf.bitwise.bitwise_and(bits, -(1 << 13)), tf.float32)


def tf32_operands(a, b):
  """Operands in TF32, sums in float32, as a GPU does."""
  return tf.matmul(ten_bits(a), ten_bits(b))


def tf32(a, b):
  return ten_bits(tf.matmul(a, b))


@pytest.mark.parametrize(
  'spec, size, batch_size',
  [
    ('opencv', 224, 8),
    ('opencv', 224, 3),
    ('opencv:crop_fraction=1.0', 224, 16),
    ('opencv', 299, 16),
  ],
)
def test_the_cpu_is_exact(spec, size, batch_size):
  found = measure(spec, size, batch_size=batch_size)
  assert (found.off, found.largest, found.share) == (0, 0, 0)
  # 16 pictures, in whole batches; enough to see a share of 1e-5.
  assert found.values == -(-16 // batch_size) * batch_size * size * size * 3
  assert found.values * self_test.MOST_OFF > 10


@pytest.mark.parametrize('planted', [bfloat16, tf32])
def test_a_matmul_of_reduced_precision_is_refused(planted, monkeypatch):
  monkeypatch.setattr(device_resize, '_matmul', planted)
  with pytest.raises(
    UserError,
    match=(
      r'resized on the device, 0\.\d+ of the values differ from the host, by up to '
      r'\d+ .*: it computes in reduced precision; give `resize_on=host'
    ),
  ) as error:
    measure()
  assert '\n' not in str(error.value)


@pytest.mark.parametrize('planted', [bfloat16_operands, tf32_operands])
def test_operands_of_reduced_precision_change_nothing(planted, monkeypatch):
  """Halves of weights have few bits."""
  monkeypatch.setattr(device_resize, '_matmul', planted)
  assert measure().off == 0


def test_whole_weights_in_bfloat16_are_refused(monkeypatch):
  monkeypatch.setattr(device_resize, '_matmul', bfloat16_operands)
  monkeypatch.setattr(device_resize, '_HALF', 1)
  with pytest.raises(UserError, match=r'0\.0\d+ of the values differ'):
    measure()


def test_fused_multiply_adds_are_seen(monkeypatch):
  """XLA fuses them where nothing hides that a zero is one."""
  monkeypatch.setattr(gathers, 'hidden_zero', lambda indices: tf.constant(0))
  found = measure()
  # Two in a million, where the processor has the instruction.
  assert found.off < 10 and found.largest <= 1


def test_off_by_more_than_one_is_refused_however_few(monkeypatch):
  real = device_resize.resize

  def wrong(inputs):
    pixels = real(inputs)
    once = tf.one_hot(tf.range(8) * 0, 8, dtype=tf.uint8)[0][:, None, None, None]
    place = tf.one_hot(0, 224, dtype=tf.uint8)
    return pixels ^ (
      100
      * once
      * place[:, None, None]
      * place[:, None]
      * tf.constant([1, 0, 0], tf.uint8)
    )

  monkeypatch.setattr(device_resize, 'resize', wrong)
  with pytest.raises(UserError, match=r'by up to \d\d+ \(at most 1e-05 may, by 1\)'):
    measure()


def test_a_canvas_larger_than_the_devices_memory(monkeypatch):
  def full(inputs):
    raise tf.errors.ResourceExhaustedError(None, None, 'OOM when allocating tensor')

  # What TensorFlow raises; memory that is really full would be all tests'.
  monkeypatch.setattr(device_resize, 'compiled', lambda: full)
  with pytest.raises(
    UserError,
    match='8 canvases of 512 x 512 pixels do not fit into '
    "the device's memory: give a smaller `batch",
  ):
    measure()


@pytest.mark.slow
def test_on_several_devices():
  code = (
    'from tfeval.engine import self_test, strategies\n'
    'from tfeval.preprocess import protocol\n'
    'mirrored = strategies.make_strategy("mirrored", 2)\n'
    'local, devices = mirrored.experimental_local_results, set()\n'
    'def results(outputs):\n'
    '  devices.update(one.device for one in local(outputs))\n'
    '  return local(outputs)\n'
    'mirrored.experimental_local_results = results\n'
    'found = self_test.self_test(\n'
    '    mirrored, protocol.resolve("opencv", 224), 512, 8)\n'
    'print(found.values, found.off, len(devices))'
  )
  # A process of its own: TensorFlow decides once how many devices there are.
  done = subprocess.run(
    [sys.executable, '-c', code],
    capture_output=True,
    text=True,
    timeout=120,
    check=True,
  )
  assert done.stdout.split() == [str(2 * 16 * 224 * 224 * 3), '0', '2']
