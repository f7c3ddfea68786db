"""Where an evaluation spends its time: each stage alone, then all together."""

import contextlib
import dataclasses
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator

import tensorflow as tf

from tfeval.datasets.base import ImageDataset
from tfeval.engine import batches, pipeline, strategies
from tfeval.engine.batches import Batch
from tfeval.engine.benchmark.report import (
  CACHED,
  CANVAS,
  COPYING,
  DECODING,
  END_TO_END,
  FORWARD,
  PREPROCESSING,
  RANKING,
  READING,
  BenchmarkReport,
  Stage,
)
from tfeval.engine.cache import chunks, reader, writer
from tfeval.engine.forward import Answers, ForwardPass
from tfeval.engine.options import DEVICE, DeviceConfig
from tfeval.metrics.competition import ALL
from tfeval.models.model import Model
from tfeval.preprocess import decode, device_canvas
from tfeval.preprocess.protocol import Protocol
from tfeval.runs import predictions
from tfeval.utils.ahead import ahead
from tfeval.utils.errors import UserError

# Fewer batches than are read ahead would measure nothing.
FEWEST_BATCHES = 4
# Nine stages, each once to warm up and once to measure, and filling the cache.
RUNS = 19
# Batches that are placed, and steps that are started, before they are asked for.
_STEPS_AHEAD = 2
# Images are cached up to so many, which are then read again.
_MOST_CACHED_BYTES = 512 << 20


def measure_stages(
  dataset: ImageDataset,
  protocol: Protocol,
  model: Model,
  strategy: tf.distribute.Strategy,
  batch_size: int,
  images: int,
  advance: Callable[[int], None],
  config: DeviceConfig,
  cache_dir: str | None,
) -> BenchmarkReport:
  """Measures each stage over the images of a dataset, repeated as needed.

  Args:
    dataset: examples.
    protocol: makes pixels of them.
    model: loaded under the strategy's scope.
    strategy: where it runs.
    batch_size: a multiple of the strategy's replicas.
    images: how many to measure over, whole batches.
    advance: is told of each batch, `RUNS * images` in all.
    config: how devices are used.
    cache_dir: a cache of preprocessed images; None for one while this runs.

  Returns:
    The report. Each stage first runs as many images again, unmeasured: tracing
    and compiling happen there.

  Raises:
    UserError: an image is broken, or the model cannot take the images.
  """
  used = (
    CANVAS if config.resize_on == DEVICE else CACHED if cache_dir else PREPROCESSING
  )
  cpu_elsewhere = model.backend.cpu_seconds
  meter = _Meter(images // batch_size, batch_size, advance, cpu_elsewhere)
  forward = ForwardPass(
    model,
    strategy,
    batch_size,
    config.jit,
    used == CANVAS,
    ALL if config.rank_on == DEVICE else None,
    tta=protocol.tta,
  )
  devices = tuple(
    d.device_type for d in tf.config.list_logical_devices() if d.device_type != 'CPU'
  ) or ('CPU',)
  with tempfile.TemporaryDirectory(prefix='tfeval-cache-') as temporary:
    try:
      inputs = _inputs(dataset, protocol, batch_size)
      # An iterator of its own for each stage, gone with it: none works ahead.
      stages = [meter.stage(name, iter(inputs[name])) for name in (READING, DECODING)]
      cache_bytes, unmeasured = _add_other_inputs(
        inputs, dataset, protocol, meter, config.canvas, cache_dir or temporary, devices
      )

      def read(name):
        return (batches.make_batch(dataset, batch) for batch in inputs[name])

      for name in (PREPROCESSING, CACHED, CANVAS):
        if name in inputs:
          stages.append(meter.stage(name, read(name)))
      used = used if used in inputs else PREPROCESSING
      stages += _of_model(meter, next(read(used)), forward, strategy)
      waiting = _Waiting()
      with contextlib.closing(_overlapped(read(used), forward, waiting)) as answers:
        total = meter.stage(END_TO_END, answers, waiting.restart)
    except tf.errors.OpError as error:
      raise pipeline.explain_failure(
        dataset, protocol, 0, error, hint='replace it'
      ) from error
  return BenchmarkReport(
    model=model.name,
    protocol=protocol.spec,
    images=images,
    batch_size=batch_size,
    cores=pipeline.cores(),
    devices=_of_another(model) or devices,
    replicas=strategy.num_replicas_in_sync,
    stages=(*stages, total),
    unmeasured=unmeasured,
    input=used,
    # It goes on to wait for a few images after the last that is measured.
    waiting=min(1.0, waiting.seconds * total.images_per_second / images),
    main_thread_ms=1000 * meter.main_thread_seconds / images,
    cache_bytes_per_image=cache_bytes,
  )


def _of_another(model: Model) -> tuple[str, ...]:
  """Returns the type of the device of another process, where it computes a model."""
  found = model.backend.hardware()
  return (found['kind'],) if found else ()  # Of this one, or nobody knows.


def _of_model(
  meter: '_Meter', batch: Batch, forward: ForwardPass, strategy: tf.distribute.Strategy
) -> list[Stage]:
  """Measures what is done with one batch, over and over."""
  stages = []
  if strategies.accelerators(strategy):

    def copied(batch):
      # A copy is there when something of it can be read.
      first = tf.nest.flatten(forward.place(batch).inputs)[0]
      return strategy.experimental_local_results(first)[0][:1, ..., :1].numpy()

    again = itertools.repeat(batch)
    stages.append(meter.stage(COPYING, map(copied, again)))
  else:
    meter.leave_out([COPYING])
  placed = itertools.repeat(forward.place(batch))
  # As in an evaluation, steps are started before those before them have ended.
  started = ahead(map(forward.submit, placed), _STEPS_AHEAD)
  with contextlib.closing(started):
    stages.append(meter.stage(FORWARD, map(forward.result, started)))
  answers = forward.result(forward.submit(next(placed)))
  if 'scores' in answers.values:

    def ranked(scores):
      return predictions.make_rows(
        batch.ids,
        batch.image_sha256,
        batch.labels,
        batch.real_labels,
        scores,
        forward.model.output,
        False,
      )

    again = itertools.repeat(answers.values['scores'])
    stages.append(meter.stage(RANKING, map(ranked, again)))
  else:
    meter.leave_out([RANKING])
  return stages


class _Waiting:
  """How long the model waits for input.

  Attributes:
    seconds: of wall time.
  """

  def __init__(self) -> None:
    self.seconds, self._since = 0.0, 0.0

  def restart(self) -> None:
    self.seconds, self._since = 0.0, time.perf_counter()

  def elements(self, source: Iterator) -> Iterator:
    """Yields elements, and counts until they come."""
    while True:
      started = time.perf_counter()
      element = next(source)
      # Another thread counts: it may have begun to wait before.
      self.seconds += time.perf_counter() - max(started, self._since)
      yield element


def _overlapped(
  read: Iterator[Batch], forward: ForwardPass, waiting: _Waiting
) -> Iterator[Answers]:
  """Yields the answers of a model as an evaluation has them: all at the same time."""
  placed = waiting.elements(ahead(map(forward.place, read), _STEPS_AHEAD))
  for started in ahead(map(forward.submit, placed), _STEPS_AHEAD):
    yield forward.result(started)


def _endless(dataset: ImageDataset) -> ImageDataset:
  """Returns a dataset over and over."""
  # A long run is what is measured, so that it is compiled for one.
  return dataclasses.replace(
    dataset,
    examples=lambda *shard: dataset.examples(*shard).repeat(),
    num_examples=max(dataset.num_examples, pipeline.WORTH_COMPILING),
  )


def _inputs(
  dataset: ImageDataset, protocol: Protocol, batch_size: int
) -> dict[str, tf.data.Dataset]:
  """Returns endless batches of what each stage of the usual input gives."""

  def decoded_shape(image):
    return tf.shape(
      decode.decode(
        image, fast=protocol.decode != 'accurate', exif_orientation=protocol.exif
      )
    )

  repeated = _endless(dataset)
  read = repeated.examples().map(lambda example: example['image'])
  # The same threads as the real input, or the figures could not be compared.
  decoded = read.map(decoded_shape, num_parallel_calls=pipeline.cores())
  options = pipeline.options()
  return {
    READING: read.batch(batch_size).with_options(options),
    DECODING: decoded.batch(batch_size).prefetch(2).with_options(options),
    PREPROCESSING: pipeline.make_pipeline(repeated, protocol, batch_size),
  }


def _add_other_inputs(
  inputs: dict[str, tf.data.Dataset],
  dataset: ImageDataset,
  protocol: Protocol,
  meter: '_Meter',
  side: int | None,
  cache_dir: str,
  devices: tuple[str, ...],
) -> tuple[int | None, dict[str, str]]:
  """Adds the inputs of `--cache_dir` and `--resize_on=device` that there can be.

  Returns:
    The bytes of an image in the cache, None without one, and why an input was not
    added, by its name.
  """
  cache_bytes, unmeasured = None, {}
  cache = writer.Cache(cache_dir)
  filled = _fill(cache, dataset, protocol, meter)
  if filled:
    inputs[CACHED], cache_bytes = filled
  else:
    unmeasured[CACHED] = f'{cache.root} cannot be written'
  try:
    canvas = side or device_canvas.DEFAULT_CANVAS
    device_canvas.check_protocol(
      protocol, canvas, meter.batch_size, devices == ('CPU',)
    )
    inputs[CANVAS] = pipeline.make_pipeline(
      _endless(dataset), protocol, meter.batch_size, canvas=canvas
    )
  except UserError as error:
    # What is wrong, without what to do: nothing has to be done.
    unmeasured[CANVAS] = str(error).partition(': ')[0]
  meter.leave_out(unmeasured)
  return cache_bytes, unmeasured


def _fill(
  cache: writer.Cache, dataset: ImageDataset, protocol: Protocol, meter: '_Meter'
) -> tuple[tf.data.Dataset, int] | None:
  """Returns what `cache.reader.filled` does, of the first images."""
  bytes_of_image = chunks.image_bytes(protocol.size, protocol.dtype, protocol.crops)
  room = max(1, _MOST_CACHED_BYTES // bytes_of_image)
  images = min(dataset.num_examples, meter.images, room)
  found = reader.filled(
    cache,
    dataclasses.replace(dataset, num_examples=images),
    protocol,
    meter.batch_size,
    meter.advance,
  )
  meter.advance(meter.images - images)
  return found


class _Meter:
  """Measures stages over so many batches.

  Attributes:
    batch_size: images in a batch.
    images: over which each stage is measured.
    advance: is told of images.
    main_thread_seconds: of CPU time, that this thread took for the last stage.
  """

  def __init__(
    self,
    steps: int,
    batch_size: int,
    advance: Callable[[int], None],
    cpu_elsewhere: Callable[[], float],
  ):
    self.batch_size, self.images = batch_size, steps * batch_size
    self.advance, self._steps = advance, steps
    self._cpu_elsewhere = cpu_elsewhere
    self.main_thread_seconds = 0.0

  def leave_out(self, stages) -> None:
    """Counts stages as done."""
    self.advance(2 * self.images * len(stages))

  def stage(
    self, name: str, elements: Iterator, warm: Callable[[], None] = lambda: None
  ) -> Stage:
    """Measures a stage.

    Args:
      name: of the stage.
      elements: one for each batch.
      warm: is called when what is not measured is over.
    """
    for _ in range(self._steps):
      next(elements)
      self.advance(self.batch_size)
    warm()
    wall, cpu = time.perf_counter(), self._cpu_seconds()
    own = time.thread_time()
    for _ in range(self._steps):
      next(elements)
      self.advance(self.batch_size)
    self.main_thread_seconds = time.thread_time() - own
    wall, cpu = time.perf_counter() - wall, self._cpu_seconds() - cpu
    return Stage(name, self.images / wall, 1000 * cpu / self.images)

  def _cpu_seconds(self) -> float:
    return time.process_time() + self._cpu_elsewhere()
