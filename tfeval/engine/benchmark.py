"""Where an evaluation spends its time: each stage alone, then all together."""

import dataclasses
import itertools
import os
import time
from collections.abc import Callable, Iterator

import tensorflow as tf

from tfeval.datasets.base import Dataset
from tfeval.engine import pipeline, predict
from tfeval.models.model import Model
from tfeval.preprocess import decode
from tfeval.preprocess.protocol import Protocol

READING, DECODING, PREPROCESSING, FORWARD, END_TO_END = (
    'reading', 'decoding', 'preprocessing', 'forward pass', 'end to end')
# Fewer batches than are read ahead would measure nothing.
FEWEST_BATCHES = 4
# Five stages, each once to warm up and once to measure.
RUNS = 10
# Below this share of waiting the input keeps up with the model.
_WAITING_MATTERS = 0.1


@dataclasses.dataclass(frozen=True)
class Stage:
  """What a stage costs.

  Attributes:
    name: `reading`; `decoding` whole images (reading included); `preprocessing`
      (reading included, and decoding as far as the crop needs it); `forward pass`
      (alone); `end to end`.
    images_per_second: of wall time.
    cpu_ms_per_image: CPU time of all threads of this process, in milliseconds.
  """

  name: str
  images_per_second: float
  cpu_ms_per_image: float


@dataclasses.dataclass(frozen=True)
class Report:
  """What `measure` found.

  Attributes:
    model: the model's name.
    protocol: the protocol's specification.
    images: how many images each stage was measured over.
    batch_size: examples in a step over all replicas.
    cores: CPU cores this process may use.
    devices: types of the devices that compute, such as `['GPU', 'GPU']`.
    stages: in the order of the data.
    waiting: share of the end-to-end time that the model waited for input, 0 to 1.
    bottleneck: `reading`, `decoding`, `preprocessing` or `forward pass`.
    advice: what would help, a sentence.
  """

  model: str
  protocol: str
  images: int
  batch_size: int
  cores: int
  devices: tuple[str, ...]
  stages: tuple[Stage, ...]
  waiting: float
  bottleneck: str
  advice: str


def measure(dataset: Dataset, protocol: Protocol, model: Model,
            strategy: tf.distribute.Strategy, batch_size: int, images: int,
            advance: Callable[[int], None], jit: bool = False) -> Report:
  """Measures each stage over the images of a dataset, repeated as needed.

  Args:
    dataset: examples.
    protocol: makes pixels of them.
    model: loaded under the strategy's scope.
    strategy: where it runs.
    batch_size: a multiple of the strategy's replicas.
    images: how many to measure over, whole batches.
    advance: is told of each batch, `RUNS * images` in all.
    jit: whether XLA compiles the model.

  Returns:
    The report. Each stage first runs as many images again, unmeasured: tracing
    and compiling happen there.

  Raises:
    UserError: an image is broken, or the model cannot take the images.
  """
  steps = images // batch_size
  inputs = _inputs(dataset, protocol, batch_size)
  forward = predict.Forward(model, strategy, batch_size, jit)
  try:
    def stage(name, batches, model=lambda batch: None):
      return _stage(name, batches, model, steps, batch_size, advance)

    # An iterator of its own for each stage, gone with it: none works ahead.
    stages = [stage(name, iter(batches))[0] for name, batches in inputs.items()]
    batch = next(iter(inputs[PREPROCESSING]))
    stages.append(stage(FORWARD, itertools.repeat(batch), forward)[0])
    total, waiting = stage(END_TO_END, iter(inputs[PREPROCESSING]), forward)
  except tf.errors.OpError as error:
    raise pipeline.explain_failure(
        dataset, protocol, 0, error, hint='replace it') from error
  devices = tuple(d.device_type for d in tf.config.list_logical_devices()
                  if d.device_type != 'CPU') or ('CPU',)
  bottleneck = _bottleneck(stages, waiting, devices)
  cores = len(os.sched_getaffinity(0))
  return Report(
      model.name, protocol.spec, steps * batch_size, batch_size, cores, devices,
      (*stages, total), waiting, bottleneck,
      _advice(bottleneck, devices, cores, batch_size, strategy.num_replicas_in_sync))


def _inputs(dataset: Dataset, protocol: Protocol,
            batch_size: int) -> dict[str, tf.data.Dataset]:
  """Returns endless batches of what each stage of the input gives."""
  def decoded_shape(image):
    return tf.shape(decode.decode(
        image, fast=protocol.decode != 'accurate', exif_orientation=protocol.exif))

  # A long run is what is measured, so that it is compiled for one.
  repeated = dataclasses.replace(
      dataset, examples=lambda *shard: dataset.examples(*shard).repeat(),
      expected_count=max(dataset.expected_count, pipeline.WORTH_COMPILING))
  read = repeated.examples().map(lambda example: example['image'])
  pixels = pipeline.batches(repeated, protocol, batch_size)
  # The same threads as the real input, or the figures could not be compared.
  decoded = read.map(decoded_shape, num_parallel_calls=len(os.sched_getaffinity(0)))
  return {
      READING: read.batch(batch_size).with_options(pixels.options()),
      DECODING: decoded.batch(batch_size).prefetch(2).with_options(pixels.options()),
      PREPROCESSING: pixels.map(lambda batch: batch['pixels']),
  }


def _stage(name: str, batches: Iterator, forward: Callable, steps: int,
           batch_size: int, advance: Callable[[int], None]) -> tuple[Stage, float]:
  """Returns a stage, and the share of its time that was spent on input."""
  for _ in range(steps):
    forward(next(batches))
    advance(batch_size)
  waited = 0.0
  wall, cpu = time.perf_counter(), time.process_time()
  for _ in range(steps):
    start = time.perf_counter()
    batch = next(batches)
    waited += time.perf_counter() - start
    forward(batch)
    advance(batch_size)
  wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
  images = steps * batch_size
  return Stage(name, images / wall, 1000 * cpu / images), waited / wall


def _bottleneck(stages: list[Stage], waiting: float, devices: tuple[str, ...]) -> str:
  cost = {stage.name: stage.cpu_ms_per_image for stage in stages}
  if devices == ('CPU',):
    # Input and model share the cores: waiting says nothing, what costs most does.
    is_input = cost[PREPROCESSING] > cost[FORWARD]
  else:
    is_input = waiting >= _WAITING_MATTERS
  if not is_input:
    return FORWARD
  seconds = {stage.name: 1 / stage.images_per_second for stage in stages}
  # Stages include those before them: what each one adds is its own cost, or a little
  # less for preprocessing, which decodes only what it needs.
  added = {READING: seconds[READING],
           DECODING: seconds[DECODING] - seconds[READING],
           PREPROCESSING: seconds[PREPROCESSING] - seconds[DECODING]}
  return max(added, key=added.get)


def _advice(bottleneck: str, devices: tuple[str, ...], cores: int, batch_size: int,
            replicas: int) -> str:
  if bottleneck == READING:
    return 'A --data_dir on a faster disk would help.'
  if bottleneck in (DECODING, PREPROCESSING):
    return (f'More than {cores} CPU cores would help; no flag does: all of them are '
            'used.')
  if devices == ('CPU',):
    return 'A GPU or a smaller model would help; no flag does.'
  if len(devices) > replicas:
    return f'--strategy=mirrored would use all {len(devices)} {devices[0]}s.'
  return f'A larger --batch_size than {batch_size} may use the {devices[0]} better.'
