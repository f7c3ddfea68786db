"""The stages of an evaluation, and what they cost."""

import dataclasses

READING, DECODING, PREPROCESSING, CACHED, CANVAS, FORWARD, END_TO_END = (
  'reading',
  'decoding',
  'preprocessing',
  'from the cache',
  'for the device',
  'forward pass',
  'end to end',
)


@dataclasses.dataclass(frozen=True)
class Stage:
  """What a stage costs.

  Attributes:
    name: `reading`; `decoding` whole images (reading included); three that each give
      what a model takes, reading, ids and SHA-256 included: `preprocessing` (decoding
      as far as the crop needs it), `from the cache` and `for the device`, which
      resizes (decoding and padding); `forward pass` (alone); `end to end`.
    images_per_second: of wall time.
    cpu_ms_per_image: CPU time of all threads of this process, in milliseconds.
  """

  name: str
  images_per_second: float
  cpu_ms_per_image: float


@dataclasses.dataclass(frozen=True)
class Figures:
  """What was measured.

  Attributes:
    model: the model's name.
    protocol: the protocol's specification.
    images: how many images each stage was measured over.
    batch_size: examples in a step over all replicas.
    cores: CPU cores this process may use.
    devices: types of the devices that compute, such as `('GPU', 'GPU')`.
    replicas: of the model, each on a device.
    stages: in the order of the data.
    unmeasured: why a stage is not among them, by its name.
    input: the stage that gave the model its images end to end.
    waiting: share of the end-to-end time that the model waited for input, 0 to 1.
    cache_bytes_per_image: what an image takes in a cache; None without one.
  """

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
  cache_bytes_per_image: int | None

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
