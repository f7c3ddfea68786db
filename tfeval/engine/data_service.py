"""Host input through tf.data service: batches that other machines decode.

https://www.tensorflow.org/api_docs/python/tf/data/experimental/service

The service is given the first position of each batch, and its workers read and decode
what lies there. Which worker made a batch, and when, changes nothing in it: whole
batches come back, in any order, and some again where a worker has ended.
"""

import logging
import socket
from collections.abc import Hashable, Iterable, Iterator
from typing import TypeVar

import tensorflow as tf

from tfeval.datasets.base import ImageDataset
from tfeval.engine import deadline, pipeline
from tfeval.engine.options import service_address
from tfeval.preprocess.protocol import Protocol
from tfeval.utils.errors import DataError, UserError

_LOG = logging.getLogger('tfeval')
# Nothing in TensorFlow limits how long it waits for a service, for a worker that ended
# neither.
ANSWER_SECONDS = 30
BATCH_SECONDS = 60
# Beside these, of one image of the slowest protocol on a slow core.
_IMAGE_SECONDS = 0.1
# Images that a worker decodes at once, in whole batches, so that it waits for no file.
_IN_FLIGHT = 1024
_MOST_BATCHES = 16

_T = TypeVar('_T')
_Key = TypeVar('_Key', bound=Hashable)


def check_service(address: str) -> None:
  """Checks that a service answers, and that it has a worker.

  Args:
    address: HOST:PORT of its dispatcher.

  Raises:
    UserError: nothing answers within a limit of time.
  """
  start = (
    'start a dispatcher there with configs/tf_data_service.py, or give another '
    '`tf_data_service`'
  )
  try:
    socket.create_connection(service_address(address), ANSWER_SECONDS).close()
  except OSError as error:
    raise UserError(
      f'nothing answers at `tf_data_service={address}` '
      f'({error.strerror or error}): {start}'
    ) from error
  try:
    probe = _begun(tf.data.Dataset.range(1), address, 1)
  except (TimeoutError, tf.errors.OpError) as error:
    raise UserError(
      f'what listens at `tf_data_service={address}` is no tf.data '
      f'service ({_reason(error)}): {start}'
    ) from error
  try:
    deadline.within(ANSWER_SECONDS, lambda: next(probe))
  except (TimeoutError, tf.errors.OpError) as error:
    raise UserError(
      f'no worker of the tf.data service at {address} answers '
      f'({_reason(error)}): start one with configs/tf_data_service.py'
    ) from error


def batches(
  address: str,
  dataset: ImageDataset,
  protocol: Protocol,
  batch_size: int,
  skip_errors: bool,
  positions: range,
) -> Iterator[tuple[int, dict[str, tf.Tensor] | None]]:
  """Yields every batch once, in any order.

  Args:
    address: HOST:PORT of the dispatcher; its workers see the dataset's files under the
      same paths.
    dataset, protocol, skip_errors: as for `pipeline.make_pipeline`.
    batch_size: positions that a batch covers.
    positions: which examples, without a step.

  Yields:
    The batch's first position, and what `pipeline.make_pipeline` yields for it; None
    where all of it was skipped.

  Raises:
    UserError: an image is broken, workers cannot read the data, or nothing comes any
      more, for a minute and 0.1 s for each image of a batch.
  """
  due = dict.fromkeys(range(positions.start, positions.stop, batch_size))
  seconds = BATCH_SECONDS + _IMAGE_SECONDS * batch_size
  at_once = max(2, min(_MOST_BATCHES, _IN_FLIGHT // batch_size))
  while due:
    before = len(due)
    work = _work(
      dataset, protocol, batch_size, skip_errors, list(due), positions.stop, at_once
    )
    try:
      arriving = _begun(work, address, at_once)
      while due:
        found = deadline.within(seconds, lambda: next(arriving, None))  # noqa: B023
        if found is None:
          break
        start, batch = int(found[0]), found[1]
        if start not in due:
          continue  # A worker that was thought to have ended.
        del due[start]
        yield start, batch if len(batch['position']) else None
      why = 'its workers have no more'
    except TimeoutError as error:
      why = str(error)
    except tf.errors.OpError as error:
      raise _failure(
        address, dataset, protocol, min(due), skip_errors, error
      ) from error
    if len(due) == before:
      raise DataError(
        f'{before} batches did not come from the tf.data service at '
        f'{address} ({why}): see that it has workers, then run the same '
        'command again to go on'
      )
    if due:
      _LOG.warning(
        f'{len(due)} batches did not come from the tf.data '
        f'service at {address} ({why}): has a worker ended? Asking again'
      )


def in_order(
  arriving: Iterable[tuple[_Key, _T | None]], starts: Iterable[_Key]
) -> Iterator[_T]:
  """Yields what arrives in the order of its starts.

  What has overtaken others is held until they are here.

  Args:
    arriving: a start, and what is there or None for nothing.
    starts: each of them, in order.

  >>> list(in_order([(4, 'b'), (0, 'a'), (12, 'c'), (8, None)], range(0, 16, 4)))
  ['a', 'b', 'c']
  """
  held: dict[_Key, _T | None] = {}
  source = iter(arriving)
  for start in starts:
    while start not in held:
      key, value = next(source)
      held[key] = value
    found = held.pop(start)
    if found is not None:
      yield found


def _work(
  dataset: ImageDataset,
  protocol: Protocol,
  batch_size: int,
  skip_errors: bool,
  starts: list[int],
  stop: int,
  at_once: int,
) -> tf.data.Dataset:
  """Returns pairs of a start and the batch there, of all starts, in any order."""

  def batch_at(start):
    examples = pipeline.decoded(
      dataset,
      protocol,
      start,
      tf.minimum(start + batch_size, stop),
      skip_errors,
      tf.data.AUTOTUNE,
    )
    # Also where all was skipped: what does not come is lost.
    none = tf.nest.map_structure(
      lambda spec: tf.zeros([0, *spec.shape], spec.dtype), examples.element_spec
    )
    batch = (
      examples.batch(batch_size).concatenate(tf.data.Dataset.from_tensors(none)).take(1)
    )
    return tf.data.Dataset.zip((tf.data.Dataset.from_tensors(start), batch))

  work = tf.data.Dataset.from_tensor_slices(tf.constant(starts, tf.int64)).interleave(
    batch_at, cycle_length=at_once, num_parallel_calls=at_once, deterministic=False
  )
  options = tf.data.Options()
  options.threading.max_intra_op_parallelism = 1
  # Without it all cores of a worker are used, however many it has.
  options.autotune.enabled = False
  return work.with_options(options)


def _begun(work: tf.data.Dataset, address: str, at_once: int) -> Iterator:
  """Returns an iterator over work that a service does.

  Raises:
    TimeoutError: there is no answer.
  """
  service = tf.data.experimental.service
  distribute = service.distribute(
    # Each start to one worker. No name: hosts that share a service share no work.
    processing_mode=service.ShardingPolicy.DYNAMIC,
    service=f'grpc://{address}',
    max_outstanding_requests=at_once,
    # Pixels hardly shrink.
    compression=None,
  )
  return deadline.within(ANSWER_SECONDS, lambda: iter(work.apply(distribute)))


def _failure(
  address: str,
  dataset: ImageDataset,
  protocol: Protocol,
  first: int,
  skip_errors: bool,
  error: tf.errors.OpError,
) -> UserError:
  """Returns what to tell of an error on a worker, or on the way to it."""
  if isinstance(error, tf.errors.InvalidArgumentError) and not skip_errors:
    # All before the first that is missing were decoded.
    return pipeline.explain_failure(dataset, protocol, first, error)
  return DataError(
    f'the tf.data service at {address} failed ({_reason(error)}): its '
    f'workers have to read {dataset.name} under the same path; then the '
    'same command goes on'
  )


def _reason(error: TimeoutError | tf.errors.OpError) -> str:
  return pipeline.reason(error) if isinstance(error, tf.errors.OpError) else str(error)
