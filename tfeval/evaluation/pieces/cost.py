"""What a study costs on many workers: how long it takes, and what it waits for.

Of N pieces in R runs of M models with I images, done by W workers that each do
`images_per_second` r, the wall time in seconds is

    start + plan + max(work + waiting + overhead, store, reading) + join

    work      I / (W r)                            what no arrangement saves
    waiting   ceil(N/W) (I/N) / r  -  work         some have a piece more than others
    start     start_s + load_s (1 + (M - 1) / W)   workers go on from piece to piece
    plan      operation_s + plan_run_s R           each worker reads it
    overhead  ceil(N/W) (piece_s + operations operation_s)
    store     (N operations + beats) / store_operations_per_s       for all together
    reading   I image_bytes / store_bytes_per_s                     for all together
    join      (R join_run_s + N (join_piece_s + join_operations operation_s)
              + I join_image_s) / J                                 J processes join

with r no more than `worker_bytes_per_s / image_bytes`. `operations` are small objects
that are asked for or written; `beats` are those of claims, see `claims`. Workers that
die cost the piece that they had, and `timeout` where nothing else is left to do.
"""

import dataclasses
import math

from tfeval.utils.errors import UserError

_PARTS = ('work', 'waiting', 'start', 'plan', 'overhead', 'store', 'reading', 'join')


@dataclasses.dataclass(frozen=True)
class Constants:
  """What a machine and a store do; the defaults were measured or are stated.

  Measured on two busy cores of a virtual machine with a local disk, in CPU seconds
  where others ran beside (`tests/benchmarks/clusters.py`, `evaluate` and `join` of
  MobileNet(0.25) on photos): `piece_s`, `plan_run_s`, `join_run_s`, `join_piece_s`,
  `join_image_s`. What a worker is decides `images_per_second`, `start_s` and `load_s`:
  give those of yours. The others are of a store: the documentation of Google Cloud
  Storage has 1,000 writes a second for new buckets ("Request rate and access
  distribution guidelines"), small objects are taken to answer in 20 ms, and 10 Gbit/s
  are what one file server gives. `operations` are counted in the code, on file systems
  of TensorFlow, where a file is written, renamed and its old name asked for.

  Attributes:
    images_per_second: of a worker, reading and decoding included.
    start_s: seconds until a worker can load a model: imports, devices.
    load_s: seconds until a model is loaded and its first batch is out.
    piece_s: seconds of a piece beside its images, on a store without latency.
    operation_s: seconds until a store answers for a small object.
    operations: of a piece, on the store.
    beat_s: seconds between two beats of a claim.
    store_operations_per_s: that a store does for all workers together.
    image_bytes: of an encoded image.
    worker_bytes_per_s: that one worker reads.
    store_bytes_per_s: that all workers read together.
    plan_run_s: seconds of reading a run of the plan.
    join_run_s: seconds of joining a run, beside its pieces and images.
    join_piece_s: seconds of a piece in the join, on a store without latency.
    join_operations: of a piece in the join, one after another.
    join_image_s: seconds of an image in the join.
  """

  images_per_second: float = 200.0
  start_s: float = 5.0
  load_s: float = 3.0
  piece_s: float = 0.05
  operation_s: float = 0.02
  operations: float = 13.0
  beat_s: float = 75.0
  store_operations_per_s: float = 1000.0
  image_bytes: float = 110_000.0
  worker_bytes_per_s: float = 100e6
  store_bytes_per_s: float = 1.25e9
  plan_run_s: float = 2e-5
  join_run_s: float = 0.1
  join_piece_s: float = 0.004
  join_operations: float = 1.1
  join_image_s: float = 2e-5

  def __post_init__(self):
    for field in dataclasses.fields(self):
      value = getattr(self, field.name)
      if not (math.isfinite(value) and value >= 0):
        raise UserError(f'`{field.name}={value}`: expected a number from 0')
    for name in ('images_per_second', 'beat_s', 'store_operations_per_s'):
      if not getattr(self, name):
        raise UserError(f'`{name}=0`: expected a number above 0')


@dataclasses.dataclass(frozen=True)
class Estimate:
  """How long a study takes.

  Attributes:
    workers: how many do it.
    seconds: of each part of the wall time, by name; see this module. `store` and
      `reading` have what they take beyond the work that goes on meanwhile.
  """

  workers: int
  seconds: dict[str, float]

  @property
  def wall_s(self) -> float:
    """Seconds from the start of the workers to the last joined run."""
    return sum(self.seconds.values())

  @property
  def efficiency(self) -> float:
    """Which part of the wall time is work that no arrangement saves, 0 to 1."""
    return self.seconds['work'] / self.wall_s if self.wall_s else 1.0

  @property
  def bottleneck(self) -> str:
    """The largest part."""
    return max(self.seconds, key=lambda name: self.seconds[name])


def estimate(
  pieces: int,
  runs: int,
  images: int,
  workers: int,
  constants: Constants | None = None,
  models: int = 1,
  joiners: int = 1,
) -> Estimate:
  """Returns how long a study takes.

  Args:
    pieces: N, of all runs.
    runs: R.
    images: I, of all runs together.
    workers: W.
    constants: None: the defaults.
    models: M.
    joiners: J, processes that join runs, each its own.

  Raises:
    UserError: a number is below 1.

  >>> alone = estimate(1000, 10, 500_000, 1)
  >>> alone.bottleneck, round(alone.efficiency, 2)
  ('work', 0.88)
  >>> estimate(1000, 10, 500_000, 1000).bottleneck  # Of one file server.
  'reading'
  """
  c = constants or Constants()
  given = {'pieces': pieces, 'runs': runs, 'images': images, 'workers': workers}
  for name, value in {**given, 'models': models, 'joiners': joiners}.items():
    if value < 1:
      raise UserError(f'`{name}={value}`: expected at least 1')
  rate = c.images_per_second
  if c.image_bytes:
    rate = min(rate, c.worker_bytes_per_s / c.image_bytes)
  # More workers than pieces have nothing to do.
  busy = min(workers, pieces)
  most = -(-pieces // workers)
  work = images / (rate * workers)
  slowest = most * images / pieces / rate
  overhead = most * (c.piece_s + c.operations * c.operation_s)
  # A beat reads nothing; on stores without renaming it is one write.
  beats = busy * (slowest + overhead) / c.beat_s
  traffic = (pieces * c.operations + beats) / c.store_operations_per_s
  reading = images * c.image_bytes / c.store_bytes_per_s if c.image_bytes else 0.0
  beside = slowest + overhead
  joined = (
    runs * c.join_run_s
    + pieces * (c.join_piece_s + c.join_operations * c.operation_s)
    + images * c.join_image_s
  )
  seconds = (
    work,
    slowest - work,
    c.start_s + c.load_s * (1 + (models - 1) / busy),
    c.operation_s + c.plan_run_s * runs,
    overhead,
    max(0.0, traffic - max(beside, reading)),
    max(0.0, reading - beside),
    joined / min(joiners, runs),
  )
  return Estimate(workers, dict(zip(_PARTS, seconds, strict=True)))


def useful_workers(
  pieces: int,
  runs: int,
  images: int,
  constants: Constants | None = None,
  models: int = 1,
  least: float = 0.5,
) -> int:
  """Returns how many workers are worth it.

  Args:
    pieces, runs, images, constants, models: as `estimate`.
    least: efficiency that is still worth it.

  Returns:
    The largest power of two, up to 16,384, with at least that efficiency; 1 if none.
  """
  counts = [1 << i for i in range(15)]
  efficient = [
    count
    for count in counts
    if estimate(pieces, runs, images, count, constants, models).efficiency >= least
  ]
  return max(efficient, default=1)
