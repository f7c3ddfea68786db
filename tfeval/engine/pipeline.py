"""From a dataset's examples to batches of pixels, and to the one that broke."""

import functools
import os

import tensorflow as tf

from tfeval import errors
from tfeval.datasets.base import Dataset
from tfeval.errors import UserError
from tfeval.preprocess import apply as apply_lib
from tfeval.preprocess.protocol import Protocol

# Compiling for the shapes that photos have takes some seconds, as much as it saves
# on about this many of them.
_WORTH_COMPILING = 1000
_MAGIC = {b'\xff\xd8\xff': 'JPEG', b'\x89PNG\r\n\x1a\n': 'PNG'}


@functools.cache
def _traced(protocol: Protocol, jit_compile: bool):
  """Returns the protocol as a function that is traced once in a process."""
  # No Python control flow depends on a tensor, and AutoGraph doubles the seconds
  # that tracing takes.
  function = tf.function(
      lambda image: apply_lib.apply(protocol, image, jit_compile), autograph=False)
  return function.get_concrete_function(tf.TensorSpec([], tf.string))


def apply(protocol: Protocol, image: tf.Tensor, jit_compile: bool) -> tf.Tensor:
  """Applies a protocol to one encoded image.

  Args:
    protocol: says what to do.
    image: scalar string, the encoded image.
    jit_compile: whether XLA compiles the resizing; changes the time, no value.

  Returns:
    uint8 [size, size, 3], RGB.
  """
  pixels = _traced(protocol, jit_compile)(image)
  return tf.ensure_shape(pixels, [protocol.size, protocol.size, 3])


def batches(dataset: Dataset, protocol: Protocol, batch_size: int) -> tf.data.Dataset:
  """Returns batches in the dataset's order.

  Args:
    dataset: where examples come from.
    protocol: makes pixels of them.
    batch_size: examples in a batch; the last one may be smaller.

  Returns:
    The examples' own entries, batched, and `pixels`: uint8 [n, size, size, 3].
  """
  jit_compile = dataset.expected_count >= _WORTH_COMPILING

  @tf.autograph.experimental.do_not_convert
  def add_pixels(example):
    return {**example, 'pixels': apply(protocol, example['image'], jit_compile)}

  cores = len(os.sched_getaffinity(0))
  pipeline = dataset.examples().map(
      add_pixels, num_parallel_calls=cores, deterministic=True)
  options = tf.data.Options()
  # One image is one thread's work: splitting its small operations costs more than
  # it gives, and threads of its own keep the input out of the model's way.
  options.threading.max_intra_op_parallelism = 1
  options.threading.private_threadpool_size = cores
  options.autotune.enabled = False
  return pipeline.batch(batch_size).prefetch(2).with_options(options)


def explain_failure(dataset: Dataset, protocol: Protocol, done: int,
                    error: tf.errors.OpError) -> UserError:
  """Finds the example that stopped a pipeline, which TensorFlow does not name.

  Args:
    dataset: what was read.
    protocol: what was applied.
    done: how many examples were read without an error.
    error: what stopped it.
  """
  examples = iter(dataset.examples().skip(done))
  while True:
    try:
      example = next(examples, None)
    except tf.errors.OpError as unreadable:
      return UserError(f'{dataset.name} cannot be read after {done} examples: '
                       f'{reason(unreadable)}: prepare the dataset again')
    if example is None:
      return UserError(f'reading {dataset.name} failed: {reason(error)}')
    try:
      apply(protocol, example['image'], jit_compile=False)
    except tf.errors.OpError as broken:
      return UserError(f'example {example["id"].numpy().decode()} is not a readable '
                       f'image: {_fault(example["image"].numpy(), broken)}: replace it')
    done += 1


def _fault(image: bytes, error: tf.errors.OpError) -> str:
  """Returns what is wrong with encoded bytes that could not be decoded."""
  if not image:
    return 'it is empty'
  for magic, kind in _MAGIC.items():
    if image.startswith(magic):
      return f'a truncated or damaged {kind} ({reason(error)})'
  return f'neither JPEG nor PNG, it starts with {image[:8]!r}'


def reason(error: tf.errors.OpError) -> str:
  """Returns what went wrong without where in the graph it did."""
  text = error.message.split('[[')[0].replace('{{function_node', ' ')
  return errors.one_line(ValueError(text.split('} ')[-1].split('[Op:')[0]))
