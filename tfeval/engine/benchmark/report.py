"""What the stages of an evaluation cost, what holds it up, and what would help."""

import dataclasses

from tfeval.engine.options import RANKING_THREADS
from tfeval.utils.shown import Shown

READING, DECODING, PREPROCESSING, CACHED, CANVAS = (
  'reading',
  'decoding',
  'preprocessing',
  'from the cache',
  'for the device',
)
COPYING, FORWARD, RANKING, END_TO_END = (
  'copying',
  'forward pass',
  'ranking',
  'end to end',
)
# What may hold up all others and is no stage.
MAIN_THREAD = 'main thread'
# Below this share of the time, input is not worth saving.
_MATTERS = 0.1
# A thread that is busy for this share of the time holds others up.
_BUSY = 0.9


@dataclasses.dataclass(frozen=True)
class Stage:
  """What a stage costs.

  Attributes:
    name: `reading`; `decoding` whole images (reading included); three that each give
      what a model takes, reading, ids and SHA-256 included: `preprocessing` (decoding
      as far as the crop needs it), `from the cache` and `for the device`, which
      resizes (decoding and padding); of one batch over and over: `copying` it to the
      device, the `forward pass`, `ranking` its outputs into rows; `end to end`, all
      of it at the same time.
    images_per_second: of wall time.
    cpu_ms_per_image: CPU time of all threads of this process, and of that of a model
      of another framework, in milliseconds.
  """

  name: str
  images_per_second: float
  cpu_ms_per_image: float


@dataclasses.dataclass(frozen=True, repr=False)
class BenchmarkReport(Shown):
  """What was measured, and what follows from it.

  Attributes:
    model: the model's name.
    protocol: the protocol's specification.
    images: how many images each stage was measured over.
    batch_size: examples in a step over all replicas.
    cores: CPU cores this process may use.
    devices: types of the devices that compute, such as `('GPU', 'GPU')`; of another
      process one for all.
    replicas: of the model, each on a device.
    stages: in the order of the data.
    unmeasured: why a stage is not among them, by its name.
    input: the stage that gave the model its images end to end.
    waiting: share of the end-to-end time that the model waited for input, 0 to 1.
    main_thread_ms: CPU time of the thread that hands over, for an image end to end, in
      milliseconds.
    cache_bytes_per_image: what an image takes in a cache; None without one.
    bottleneck: `forward pass`, `main thread`, `ranking`, or what costs most in making
      input: `reading`, `decoding`, `preprocessing`, `copying`, or the input itself if
      it is from the cache or for the device.
    advice: what would help, in sentences.
    input_limit: images/s that this host's cores can give the model.
    forward_limit: images/s that the model can take.
    reached: share of the smaller one that end to end has; on a CPU, of what its cores
      can do of both.
  """

  DOCUMENT = 'tfeval.reports.page.of_benchmark:document'

  model: str
  protocol: str
  images: int
  batch_size: int
  cores: int
  devices: tuple[str, ...]
  replicas: int
  stages: tuple[Stage, ...]
  unmeasured: dict[str, str]
  input: str
  waiting: float
  main_thread_ms: float
  cache_bytes_per_image: int | None
  bottleneck: str = dataclasses.field(init=False)
  advice: str = dataclasses.field(init=False)
  input_limit: float = dataclasses.field(init=False)
  forward_limit: float = dataclasses.field(init=False)
  reached: float = dataclasses.field(init=False)

  def __post_init__(self) -> None:
    object.__setattr__(self, 'bottleneck', _bottleneck(self))
    object.__setattr__(self, 'advice', _advice(self))
    cost, seconds = self.cost(), self.seconds()
    limits = 1000 * self.cores / cost[self.input], 1 / seconds[FORWARD]
    object.__setattr__(self, 'input_limit', limits[0])
    object.__setattr__(self, 'forward_limit', limits[1])
    most = min(limits)
    if self.on_cpu:
      # Both take their time from the same cores.
      most = 1000 * self.cores / (cost[self.input] + cost[FORWARD])
    object.__setattr__(self, 'reached', 1 / seconds[END_TO_END] / most)

  @property
  def on_cpu(self) -> bool:
    """Whether the model takes its time from the cores that make its input."""
    return self.devices == ('CPU',)

  def cost(self) -> dict[str, float]:
    """Returns the CPU time of an image in milliseconds, by stage."""
    return {stage.name: stage.cpu_ms_per_image for stage in self.stages}

  def seconds(self) -> dict[str, float]:
    """Returns the wall time of an image in seconds, by stage."""
    return {stage.name: 1 / stage.images_per_second for stage in self.stages}


def _bottleneck(report: BenchmarkReport) -> str:
  """Returns the stage that holds an evaluation up."""
  cost, seconds = report.cost(), report.seconds()
  if report.on_cpu:
    # Input and model share the cores: waiting says nothing, what costs most does.
    is_input = cost[report.input] > cost[FORWARD]
  else:
    is_input = report.waiting >= _MATTERS
  if not is_input:
    return _beside_input(report)
  # Stages include those before them: what each one adds is its own cost, or a little
  # less for preprocessing, which decodes only what it needs.
  added = {READING: seconds[READING]}
  if report.input == PREPROCESSING:
    added |= {
      DECODING: seconds[DECODING] - seconds[READING],
      PREPROCESSING: seconds[PREPROCESSING] - seconds[DECODING],
    }
  else:
    added[report.input] = seconds[report.input] - seconds[READING]
  if seconds.get(COPYING, 0) > seconds[report.input]:
    return COPYING
  return max(added, key=added.get)


def _beside_input(report: BenchmarkReport) -> str:
  """Returns what holds the model up that does not wait for input, or the model."""
  seconds = report.seconds()
  if report.main_thread_ms / 1000 > _BUSY * seconds[END_TO_END]:
    return MAIN_THREAD
  if seconds.get(RANKING, 0) / RANKING_THREADS > _BUSY * seconds[END_TO_END]:
    return RANKING
  return FORWARD


def _advice(report: BenchmarkReport) -> str:
  """Returns what would help, in sentences."""
  if report.bottleneck == FORWARD:
    return _for_the_model(report)
  if report.bottleneck == COPYING:
    return 'Smaller pixels would help: a protocol of uint8, or `resize_on=device`.'
  if report.bottleneck in (MAIN_THREAD, RANKING):
    return 'Faster CPU cores would help, and `rank_on=device`, which ranks elsewhere.'
  if report.bottleneck == READING:
    # A cache holds pixels; images are read beside it, to know them.
    return f'A `data_dir` on a faster disk would help. {_together(report)}'
  # Only whole images come from a service.
  others = (
    ', or those of other hosts (`tf_data_service`)'
    if report.input == PREPROCESSING
    else ''
  )
  return ' '.join(
    [
      f'More than {report.cores} CPU cores would help{others}.',
      *_cheaper_input(report),
    ]
  )


def _for_the_model(report: BenchmarkReport) -> str:
  if report.on_cpu:
    cost = report.cost()
    share = cost[report.input] / (cost[report.input] + cost[FORWARD])
    if share < _MATTERS:
      return 'A GPU or a smaller model would help; no flag does.'
    return ' '.join(
      [
        'A GPU or a smaller model would help; so would cheaper input, '
        'for it shares the cores.',
        *_cheaper_input(report),
      ]
    )
  device, count = report.devices[0], len(report.devices)
  if count > report.replicas:
    return f'`strategy=mirrored` would use all {count} {device}s.'
  return f'A larger `batch_size` than {report.batch_size} may use the {device} better.'


def _cheaper_input(report: BenchmarkReport) -> list[str]:
  """Returns what would make input cheaper, a sentence each."""
  cost, found = report.cost(), [_together(report)]
  now = cost[report.input]
  if cost.get(CACHED, now) < now:
    found.append(
      f'`cache_dir`: {cost[CACHED]:.1f} ms instead of {now:.1f} once it is filled, '
      f'for {report.cache_bytes_per_image:,} bytes an image.'
    )
  # A CPU that is the device too would do what it saves, and more.
  if not report.on_cpu and cost.get(CANVAS, now) < now:
    found.append(f'`resize_on=device`: {cost[CANVAS]:.1f} ms instead of {now:.1f}.')
  return found


def _together(report: BenchmarkReport) -> str:
  now = report.cost()[report.input]
  return (
    f'Several `model` of one protocol and input size share the {now:.1f} ms of '
    f'CPU time that an image costs before the model: of k models each pays '
    f'{now:.1f} / k.'
  )
