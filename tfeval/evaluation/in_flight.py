"""Batches on their way from the dataset to the store, several at once.

    read, place -> submit -> rows -> record -> whoever asks how far it is

Each arrow is a bounded queue, each step has threads of its own, and all of them keep
the order of the batches: no device waits until something is hashed, ranked or written,
and nothing that is stored depends on who was first.
"""

import collections
import dataclasses
import itertools
from collections.abc import Iterator
from concurrent import futures

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfeval.engine import batches, data_service
from tfeval.engine.batches import Batch
from tfeval.engine.corrupting import corrupted
from tfeval.engine.forward import InFlight
from tfeval.engine.options import RANKING_THREADS
from tfeval.evaluation.failures import Failures
from tfeval.evaluation.job import Job
from tfeval.evaluation.stopwatch import HOST, MODEL, Stopwatch
from tfeval.preprocess.protocol import Protocol
from tfeval.utils.ahead import THREAD_NAME, ahead

# Batches that wait for a step, on the devices already.
_READ_AHEAD = 2
# Steps that were started and not asked for.
_SUBMITTED = 2
# Batches that are ranked or written.
_RECORDED = 2
# An interruption waits so long for what is about to be stored, of wall time.
_SECONDS_TO_STORE = 1.0

_Rows = futures.Future[tuple[pa.RecordBatch, int]]
# A batch by protocol; where pixels are equal it is the same.
_Placed = dict[Protocol, Batch]
# A batch without its pixels, the rows of the models that lacked it and took this part
# of them, and whether it was the last part.
_Submitted = tuple[Batch, list[tuple[Job, _Rows]], bool]
# A part of a batch: pixels of some protocols, and whether it is the last.
_Part = tuple[_Placed, bool]
# The position after a batch, and what ends when its rows are stored.
_Recording = tuple[int, list[tuple[Job, futures.Future[None]]]]


def stored(
  jobs: list[Job], positions: range, failures: Failures, watch: Stopwatch
) -> Iterator[int]:
  """Evaluates models on the same images.

  When it is closed, or something is wrong, what was begun is stored if that takes no
  more than a second.

  Args:
    jobs: started, of one runtime and config; of several protocols such as
      `Runtime.read` makes of one decoded image, or that corrupt what one makes.
    positions: of the images, from a multiple of the batch size.
    failures: is given what is wrong with one of several models, which is left out then.
    watch: is told what takes how long.

  Yields:
    The position after a batch, once it is stored for all models; until then that of its
    first image whenever some of them have it.

  Raises:
    UserError: the data, the only model, or the disk are at fault.
  """
  if not positions:
    return
  recording: collections.deque[_Recording] = collections.deque()
  threads = _Threads(watch)
  submitted = ahead(_submitted(jobs, positions, failures, threads, watch), _SUBMITTED)
  try:
    for batch, answers, is_last in submitted:
      storing = [(job, threads.record(job, batch, rows)) for job, rows in answers]
      stop = batch.positions[-1] + 1 if is_last else batch.positions[0]
      recording.append((stop, storing))
      if len(recording) > _RECORDED:
        yield _recorded(recording.popleft(), failures)
      if not failures.without(jobs):
        return
    while recording:
      yield _recorded(recording.popleft(), failures)
  except Exception:
    # All before it is kept, however long it takes.
    futures.wait([done for _, storing in recording for _, done in storing])
    raise
  finally:
    submitted.close()
    threads.stop(done for _, storing in recording for _, done in storing)


def _recorded(recording: _Recording, failures: Failures) -> int:
  """Waits until a batch is stored; returns the position after it."""
  stop, storing = recording
  for job, done in storing:
    if job.request not in failures.found:
      with failures.of(job.request):
        done.result()
  return stop


class _Threads:
  """What ranks, in any order, and what writes, in order."""

  def __init__(self, watch: Stopwatch):
    self._watch = watch
    self._ranking = futures.ThreadPoolExecutor(RANKING_THREADS, THREAD_NAME)
    self._writing = futures.ThreadPoolExecutor(1, THREAD_NAME)
    self._failed: set[Job] = set()

  def rank(self, job: Job, batch: Batch, started: InFlight) -> _Rows:
    return self._ranking.submit(self._rank, job, batch, started)

  def _rank(
    self, job: Job, batch: Batch, started: InFlight
  ) -> tuple[pa.RecordBatch, int]:
    with self._watch.counting(MODEL):
      answers = job.answers(started)
    with self._watch.counting(HOST):
      return job.rows(batch, answers), answers.step_size

  def record(self, job: Job, batch: Batch, rows: _Rows) -> futures.Future[None]:
    return self._writing.submit(self._record, job, batch, rows)

  def _record(self, job: Job, batch: Batch, rows: _Rows) -> None:
    if job in self._failed:
      return  # Rows after a gap would say that there is none.
    try:
      found = rows.result()
      with self._watch.counting(HOST):
        job.recorder.append(batch, *found)
      self._watch.done(len(batch.ids))
    except BaseException:
      self._failed.add(job)
      raise

  def stop(self, recording: Iterator[futures.Future[None]]) -> None:
    """Waits a moment for what is being stored, and does nothing else any more."""
    futures.wait(list(recording), _SECONDS_TO_STORE)
    for pool in (self._ranking, self._writing):
      pool.shutdown(wait=False, cancel_futures=True)


def _submitted(
  jobs: list[Job],
  positions: range,
  failures: Failures,
  threads: _Threads,
  watch: Stopwatch,
) -> Iterator[_Submitted]:
  """Yields batches in order whose steps were started for the models that lack them."""
  first, of_protocol = jobs[0], {}
  for job in jobs:
    of_protocol.setdefault(job.protocol, job)
  protocols = tuple(of_protocol)
  plain = tuple(dict.fromkeys(one.before_corruption for one in protocols))
  corrupting = [one for one in protocols if one.is_corrupted]
  count = len(corrupting) + (len(corrupting) < len(protocols))
  what = first.batch_size, first.skip_errors, positions
  address = first.config.inputs.tf_data_service

  def parts(batch: Batch) -> Iterator[_Part]:
    """Yields a batch for the protocols that are read, and for each that corrupts it.

    One after the other: all corruptions of a batch would fill the memory.
    """
    found = _by_protocol(batch, plain)
    placed: dict[int, Batch] = {}
    for protocol, one in found.items():
      if protocol in of_protocol and id(one) not in placed:
        placed[id(one)] = of_protocol[protocol].place(one)
    several = {p: placed[id(one)] for p, one in found.items() if p in of_protocol}
    lacking = {
      job.protocol
      for job in failures.without(jobs)
      if batch.positions[0] >= job.recorder.remaining.start
    }
    due = [protocol for protocol in corrupting if protocol in lacking]
    if several:
      yield several, not due
    for protocol in due:
      clean = found[protocol.before_corruption]
      pixels = corrupted(protocol, clean.pixels, clean.ids)
      one = of_protocol[protocol].place(dataclasses.replace(clean, pixels=pixels))
      yield {protocol: one}, protocol == due[-1]

  def submit(part: _Part) -> _Submitted:
    placed, is_last = part
    answers: list[tuple[Job, _Rows]] = []
    begun: dict[tuple[int, int], _Rows] = {}
    seen = dataclasses.replace(next(iter(placed.values())), pixels=None)
    for job in failures.without(jobs):
      if job.protocol in placed and seen.positions[0] >= job.recorder.remaining.start:
        batch = placed[job.protocol]
        # The same pixels go once through the same model.
        key = id(job.step), id(batch)
        with failures.of(job.request):
          if key not in begun:
            with watch.counting(MODEL):
              started = job.submit(batch)
            begun[key] = threads.rank(job, seen, started)
          answers.append((job, begun[key]))
    return seen, answers, is_last

  if address is None:
    several = plain if len(plain) > 1 else plain[0]
    read = (
      part for batch in first.runtime.read(several, *what) for part in parts(batch)
    )
    yield from map(submit, watch.arriving(ahead(read, _READ_AHEAD)))
    return
  arriving = ahead(
    (
      ((start, number), part)
      for start, batch in batches.read_from_service(
        address, first.runtime.dataset, plain[0], *what
      )
      for number, part in itertools.zip_longest(
        range(count), parts(batch) if batch else ()
      )
    ),
    _READ_AHEAD,
  )
  # Answers are put into order, and not the pixels: they are far smaller.
  yield from data_service.in_order(
    (
      (place, submit(part) if part else None)
      for place, part in watch.arriving(arriving)
    ),
    [
      (start, number)
      for start in positions[:: first.batch_size]
      for number in range(count)
    ],
  )


def _by_protocol(batch: Batch, protocols: tuple[Protocol, ...]) -> _Placed:
  """Returns a batch by protocol, of those with equal pixels the same one."""
  if len(protocols) == 1:
    return {protocols[0]: batch}
  found: _Placed = {}
  for i, protocol in enumerate(protocols):
    pixels = batch.pixels[str(i)].numpy()
    equal = (one for one in found.values() if _are_equal(one.pixels, pixels))
    same = next(equal, None)
    found[protocol] = same or dataclasses.replace(batch, pixels=batch.pixels[str(i)])
  return found


def _are_equal(known: tf.Tensor, pixels: np.ndarray) -> bool:
  other = known.numpy()
  return (
    (other.dtype, other.shape) == (pixels.dtype, pixels.shape)
    and np.array_equal(other[0], pixels[0])  # Which tells most apart.
    and np.array_equal(other, pixels)
  )
