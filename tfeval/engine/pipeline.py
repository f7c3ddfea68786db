"""From a dataset's examples to batches of pixels, and to the one that broke."""

import os
import re
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from tfeval.datasets import image_files
from tfeval.datasets.base import ImageDataset
from tfeval.engine import traced
from tfeval.engine.placement import Pixels
from tfeval.preprocess import apply, device_canvas
from tfeval.preprocess.protocol import Protocol
from tfeval.utils import errors
from tfeval.utils.errors import DataError, UserError

# One protocol, or several whose pixels are made of one decoded image.
Protocols = Protocol | tuple[Protocol, ...]
# Compiling for the shapes that photos have takes some seconds, as much as it saves
# on about this many of them.
WORTH_COMPILING = 500
# Examples that are decoded one after the other where errors are skipped.
_CHUNK = 32


def preprocess_image(
  protocol: Protocols, image: tf.Tensor, image_id: tf.Tensor, jit_compile: bool
) -> Pixels:
  """Applies a protocol to one encoded image.

  Args:
    protocol: says what to do.
    image: scalar string, the encoded image.
    image_id: scalar string, which image it is: what is drawn hangs on it.
    jit_compile: whether XLA compiles the resizing; changes the time, no value.

  Returns:
    [size, size, channels] of the protocol's dtype, RGB; [] of encoded images. Of
    several protocols these by their number, `'0'`, `'1'`, ...
  """
  if isinstance(protocol, tuple):
    plain = tuple(dict.fromkeys(one.before_corruption for one in protocol))
    made = traced.several(plain, jit_compile)(image)
    return {
      str(i): _corrupted(one, made[str(plain.index(one.before_corruption))], image_id)
      for i, one in enumerate(protocol)
    }
  pixels = traced.pixels(protocol.before_corruption, jit_compile)(image)
  return _corrupted(protocol, pixels, image_id)


def _corrupted(protocol: Protocol, pixels: tf.Tensor, image_id: tf.Tensor) -> tf.Tensor:
  pixels = tf.ensure_shape(pixels, protocol.before_corruption.shape)
  if protocol.is_corrupted:
    return apply.corrupted(protocol, pixels, image_id)
  return pixels


def make_pipeline(
  dataset: ImageDataset,
  protocol: Protocols,
  batch_size: int,
  skip_errors: bool = False,
  positions: range | None = None,
  canvas: int | None = None,
) -> tf.data.Dataset:
  """Returns batches in the dataset's order.

  Args:
    dataset: where examples come from.
    protocol: makes pixels of them; several without a canvas or `skip_errors`.
    batch_size: examples in a batch; the last one may be smaller.
    skip_errors: whether images that cannot be decoded are skipped.
    positions: which examples, without a step; all by default.
    canvas: side of what the device is given to resize, in pixels; None where the
      host does it.

  Returns:
    The examples' own entries, batched, `position`: int64 [n], from 0, and
    `pixels`: [n, size, size, 3] of the protocol's dtype, or string [n], the encoded
    images, of `encoded`; with a canvas, in place of these what
    `device_canvas.batch` makes.
  """
  if positions is None:
    positions = range(dataset.num_examples)
  made = batched(
    dataset,
    protocol,
    batch_size,
    skip_errors,
    positions.start,
    positions.stop,
    canvas,
  )
  return made.prefetch(2).with_options(options())


def batched(
  dataset: ImageDataset,
  protocol: Protocols,
  batch_size: int,
  skip_errors: bool,
  start: int | tf.Tensor,
  stop: int | tf.Tensor,
  canvas: int | None = None,
) -> tf.data.Dataset:
  """Returns the batches of `make_pipeline`, as `decoded` takes its positions."""
  pipeline = decoded(dataset, protocol, start, stop, skip_errors, cores(), canvas)
  if canvas is None:
    return pipeline.batch(batch_size)
  return device_canvas.batch(pipeline, protocol, canvas, batch_size)


def cores() -> int:
  """Returns how many cores this process may use."""
  return len(os.sched_getaffinity(0))


def options() -> tf.data.Options:
  """Returns how batches are made on this host."""
  options = tf.data.Options()
  # One image is one thread's work: splitting its small operations costs more than
  # it gives, and threads of its own keep the input out of the model's way.
  options.threading.max_intra_op_parallelism = 1
  options.threading.private_threadpool_size = cores()
  options.autotune.enabled = False
  return options


def decoded(
  dataset: ImageDataset,
  protocol: Protocols,
  start: int | tf.Tensor,
  stop: int | tf.Tensor,
  skip_errors: bool,
  num_parallel_calls: int,
  canvas: int | None = None,
) -> tf.data.Dataset:
  """Returns examples with `position` and `pixels`, one by one, in order.

  Args:
    dataset, protocol, skip_errors: as for `make_pipeline`.
    start, stop: positions, from the first to before the last; integers, or int64 []
      inside a graph.
    num_parallel_calls: how many images are decoded at once.
    canvas: as for `make_pipeline`; there is what `device_canvas.decode` returns then,
      no `pixels`.
  """
  jit_compile = dataset.num_examples >= WORTH_COMPILING

  @tf.autograph.experimental.do_not_convert
  def add_pixels(position, example):
    found = (
      {
        'pixels': preprocess_image(
          protocol, example['image'], example['id'], jit_compile
        )
      }
      if canvas is None
      else traced.canvas(protocol, canvas, jit_compile)(example['image'])
    )
    return {**example, 'position': position, **found}

  read = dataset.examples(start, stop).enumerate(start)
  if skip_errors:
    return _without_broken(read, add_pixels, num_parallel_calls)
  return read.map(add_pixels, num_parallel_calls=num_parallel_calls, deterministic=True)


def _without_broken(
  read: tf.data.Dataset, add_pixels: Callable, cores: int
) -> tf.data.Dataset:
  """Maps examples in their order and leaves out those whose pixels fail."""
  # `ignore_errors` around all of it would ignore that data cannot be read as well,
  # for ever where a file is missing. A pipeline of its own for each example would
  # cost more than decoding it.
  return read.batch(_CHUNK).interleave(
    lambda *chunk: (
      tf.data.Dataset.from_tensor_slices(chunk).map(add_pixels).ignore_errors()
    ),
    cycle_length=cores,
    block_length=_CHUNK,
    num_parallel_calls=cores,
    deterministic=True,
  )


def by_position(batches: Iterator, batch_size: int) -> Iterator:
  """Yields batches that each start at a multiple of the batch size.

  An image that was skipped is then missing in its own batch and moves none of the
  others: which images are computed together does not depend on where reading began.

  Args:
    batches: those of `make_pipeline`, in order.
    batch_size: how many positions a batch covers.
  """
  rest = None
  for batch in batches:
    rest = (
      batch
      if rest is None
      else {key: tf.concat([rest[key], batch[key]], 0) for key in batch}
    )
    while rest is not None:
      numbers = rest['position'].numpy() // batch_size
      size = int((numbers == numbers[0]).sum())
      if size == len(numbers) < batch_size:
        break  # More of it may come.
      yield {key: value[:size] for key, value in rest.items()}
      rest = (
        {key: value[size:] for key, value in rest.items()}
        if size < len(numbers)
        else None
      )
  if rest is not None:
    yield rest


def explain_failure(
  dataset: ImageDataset,
  protocol: Protocols,
  done: int,
  error: tf.errors.OpError,
  hint: str = 'replace it, or give `on_error=skip`',
) -> UserError:
  """Finds the example that stopped a pipeline, which TensorFlow does not name.

  Not for a pipeline that skips errors: what stops that one is no example.

  Args:
    dataset: what was read.
    protocol: what was applied.
    done: up to which position there was no error.
    error: what stopped it.
    hint: what to do about an image that cannot be decoded.
  """
  examples = iter(dataset.examples(done))
  while True:
    try:
      example = next(examples, None)
    except tf.errors.OpError as unreadable:
      return unreadable_after(dataset, done, unreadable)
    if example is None:
      return DataError(f'reading {dataset.name} failed: {reason(error)}')
    protocols = protocol if isinstance(protocol, tuple) else (protocol,)
    faults = (fault(one, example['image']) for one in protocols)
    if found := next(filter(None, faults), None):
      return DataError(
        f'example {_id(example)} is not a readable image: {found}: {hint}'
      )
    done += 1


def unreadable_after(
  dataset: ImageDataset, done: int, error: tf.errors.OpError
) -> UserError:
  """Returns the error for data that cannot be read, whatever is in them."""
  what_to_do = (
    'check its files' if dataset.version is None else 'prepare the dataset again'
  )
  if dataset.looks is not None:
    what_to_do = 'correct what it yields'
  why = re.sub(r'^assertion failed: \[(.*)\]$', r'\1', reason(error))
  return DataError(
    f'{dataset.name} cannot be read after {done} examples: {why}: {what_to_do}'
  )


def failures(
  dataset: ImageDataset, protocol: Protocol, done: set[int]
) -> dict[str, str]:
  """Finds which examples were skipped, and why.

  Args:
    dataset: what was read.
    protocol: what was applied.
    done: positions of the examples that were not skipped.

  Returns:
    What is wrong with an example, by its id.

  Raises:
    UserError: the dataset cannot be read, or an image that was skipped can be
      decoded now.
  """
  missing = sorted(set(range(dataset.num_examples)) - done)
  if not missing:
    return {}
  skipped = tf.data.Dataset.from_tensor_slices(_ranges(missing)).flat_map(
    dataset.examples
  )
  found = {}
  try:
    for example in skipped:
      why = fault(protocol, example['image'])
      if not why:
        raise UserError(
          f'example {_id(example)} could not be decoded, and now it can: '
          'evaluate again, with a smaller `batch_size` if memory is '
          'short'
        )
      found[_id(example)] = why
  except tf.errors.OpError as error:
    raise unreadable_after(dataset, len(done) + len(found), error) from error
  return found


def _ranges(positions: list[int]) -> tuple[np.ndarray, np.ndarray]:
  """Returns where runs of successive positions start and stop, int64 [runs] each."""
  runs = np.split(positions, np.flatnonzero(np.diff(positions) > 1) + 1)
  return (
    np.array([run[0] for run in runs], np.int64),
    np.array([run[-1] + 1 for run in runs], np.int64),
  )


def _id(example) -> str:
  return example['id'].numpy().decode()


def fault(protocol: Protocol, encoded: tf.Tensor) -> str | None:
  """Returns what is wrong with an encoded image, None if nothing is."""
  try:
    # What is corrupted could be decoded.
    plain = protocol.before_corruption
    preprocess_image(plain, encoded, tf.constant(''), jit_compile=False)
    return None
  except tf.errors.OpError as broken:
    error = broken
  image = encoded.numpy()
  kind = image_files.kind_of(image)
  refused = re.search(r'assertion failed: \[(.*)\]', reason(error))
  if kind is None and refused and protocol.library == 'given':
    return f'pixels, but {refused[1]}'
  if kind is None:
    return image_files.not_an_image(image)
  if refused:
    return f'a {kind}, but {refused[1]}'
  small = ', or too small to be cropped' * protocol.crop.startswith('before')
  return f'a truncated or damaged {kind}{small} ({reason(error)})'


def reason(error: tf.errors.OpError) -> str:
  """Returns what went wrong without where in the graph it did."""
  # Of Python that a graph calls all that it went through stands behind what it raised.
  text = error.message.partition('\nTraceback (most recent')[0]
  text = text.split('[[')[0].replace('{{function_node', ' ')
  text = re.sub(
    r'Error in user-defined function passed to .*? iterator: \S+: ', '', text
  )
  text = re.sub(r'^(\S*Error: )?(\[Errno \d+\] )?', '', text.split('} ')[-1])
  return errors.one_line(ValueError(text.split('[Op:')[0]))
