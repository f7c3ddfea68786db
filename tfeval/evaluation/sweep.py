"""One model under many protocols: each cell an ordinary run, the images read once."""

import dataclasses
import logging
from collections.abc import Iterator, Sequence

from tfeval.engine import batch_size, forward
from tfeval.engine.cluster import Cluster
from tfeval.evaluation import loop, resolve, runtime
from tfeval.evaluation.config import OFF, EvaluationConfig
from tfeval.evaluation.departures import Cell, config_of
from tfeval.evaluation.failures import Failures
from tfeval.evaluation.job import Job
from tfeval.evaluation.plans import ModelRequest, directory_name
from tfeval.evaluation.runtime import Runtime
from tfeval.models import feeding, fitting
from tfeval.models.model import Model
from tfeval.preprocess.protocol import Protocol
from tfeval.runs.run import Failure, Run
from tfeval.utils.errors import UserError
from tfeval.utils.progress import Progress

_LOG = logging.getLogger('tfeval')
# Of the pixels of a batch, under all protocols that are made of one decoded image.
_MOST_BYTES = 192 << 20


@dataclasses.dataclass(frozen=True)
class SweptCell:
  """A cell and what came of it.

  Attributes:
    cell: what was done otherwise.
    found: its run, or why there is none.
  """

  cell: Cell
  found: Run | Failure


def sweep(
  request: ModelRequest,
  config: EvaluationConfig,
  cells: Sequence[Cell],
  progress: Progress,
) -> list[SweptCell]:
  """Evaluates a model under departures from its protocol.

  Files are read and decoded once for each group of cells; cells whose pixels are equal
  share the forward pass. Rows are those of `evaluate` with the same options.

  Args:
    request: the model.
    config: of the base, in which nothing is done otherwise.
    cells: the first of them the base, `()`.
    progress: is told how far it is.

  Returns:
    For each cell its run; of one that the base or the model does not allow why.

  Raises:
    UserError: the data, the model or the base are at fault.
    Interrupted: what was evaluated is kept.
  """
  config = config.replace(preflight=OFF)  # Which would refuse what is asked for.
  (opened,) = runtime.open_runtimes([config], Cluster(), progress)
  made = _Models(request, config, opened)
  base = resolve.resolve_protocol(request, config, made.loaded(config))
  failures = Failures(several=True)
  requests, jobs = {}, {}
  for cell in cells:
    label = ', '.join(one.text for one in cell) or 'base'
    requests[cell] = dataclasses.replace(request, label=label, directory=label)
    with failures.of(requests[cell]):
      asked = config_of(cell, config, base)
      directory = directory_name(request, asked)
      # What is done anyway is the run of the base.
      if directory not in jobs:
        jobs[directory] = made.job(
          dataclasses.replace(requests[cell], directory=directory), asked
        )
      requests[cell] = jobs[directory].request
  _check_base(requests[()], failures)
  left = [job for job in jobs.values() if job.find_run() is None]
  for group in _readings(left):
    loop.run_group(group, failures)
  return [
    SweptCell(cell, failures.found.get(one) or jobs[one.directory].result())
    for cell, one in requests.items()
  ]


def _check_base(request: ModelRequest, failures: Failures) -> None:
  if request in failures.found:
    raise UserError(failures.found[request].reason)


class _Models:
  """The models of a sweep: one for each size and dtype, one step for each feeding."""

  def __init__(self, request: ModelRequest, config: EvaluationConfig, opened: Runtime):
    self._request, self._config, self._runtime = request, config, opened
    self._models: dict[tuple[int | None, str], Model] = {}
    self._steps: dict[tuple[int | None, str, str | None], forward.ForwardPass] = {}

  def loaded(self, config: EvaluationConfig) -> Model:
    """Returns the model for the size and dtype of a config, fed as it wants."""
    key = config.model.input_size, config.model.dtype
    if key not in self._models:
      with self._runtime.strategy.scope():
        own = config.replace(feed=None)
        self._models[key] = resolve.load_model(self._request, own)
    return self._models[key]

  def job(self, request: ModelRequest, config: EvaluationConfig) -> Job:
    """Returns what evaluates a cell; cells of one model and feeding have one step."""
    known, opened = config.model, self._runtime
    model = self.loaded(config)
    protocol = resolve.resolve_protocol(request, config, model)
    key = known.input_size, known.dtype, known.feed
    if key not in self._steps:
      dataset = opened.dataset
      fed = feeding.otherwise(model, known.feed)
      fitted = fitting.fit(fed, dataset.label_space, dataset.own_classes)
      size = batch_size.of_host(config.devices, fitted, protocol, opened.strategy)
      self._steps[key] = forward.ForwardPass(
        fitted, opened.strategy, size, config.devices.jit
      )
    step = self._steps[key]
    return Job(request, step.model, protocol, config, opened, step)


def _readings(jobs: Sequence[Job]) -> Iterator[list[Job]]:
  """Yields jobs in groups whose pixels, made of one decoded image, fit into memory."""
  group: list[Job] = []
  taken: dict[Protocol, int] = {}
  for job in jobs:
    needed = job.batch_size * _bytes_of(job.protocol)
    alone = job.skip_errors  # An image may be broken for one protocol alone.
    total = sum(taken.values()) + needed * (job.protocol not in taken)
    if group and (alone or total > _MOST_BYTES):
      if job.protocol not in taken or len(taken) > 1:
        yield group
        group, taken = [], {}
    group.append(job)
    taken[job.protocol] = needed
  if group:
    yield group


def _bytes_of(protocol: Protocol) -> int:
  values = protocol.size**2 * protocol.channels
  return values * (4 if protocol.dtype == 'float32' else 1)
