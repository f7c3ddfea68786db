"""One model under many protocols: each cell an ordinary run, the images read once."""

import dataclasses
from collections.abc import Iterator, Sequence

from tfeval.datasets.base import ImageDataset
from tfeval.engine import batch_size, forward
from tfeval.engine.cluster import Cluster
from tfeval.evaluation import loop, resolve, runtime
from tfeval.evaluation.config import OFF, EvaluationConfig
from tfeval.evaluation.departures import Cell, config_of, weights_of
from tfeval.evaluation.failures import Failures
from tfeval.evaluation.job import Job
from tfeval.evaluation.plans import ModelRequest, directory_name
from tfeval.evaluation.runtime import Runtime
from tfeval.models import feeding, fitting
from tfeval.models.model import Model
from tfeval.preprocess.protocol import Protocol, requested_size
from tfeval.runs.run import Failure, Run
from tfeval.utils.errors import UserError, one_line
from tfeval.utils.progress import Progress

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
  """Evaluates a model under departures from its protocol; see `Sweep`.

  Returns:
    For the base, and then for each cell, its run; of one that the base or the model
    does not allow why.
  """
  (opened,) = runtime.open_runtimes([config], Cluster(), progress)
  return Sweep(request, config, opened).evaluate(cells)


class Sweep:
  """A model, a protocol and a dataset.

  Files are read and decoded once for each group of cells; cells whose pixels are equal
  share the forward pass. Rows are those of `evaluate` with the same options.

  Attributes:
    base: the protocol that cells depart from, at the size of the model's input.
  """

  def __init__(
    self,
    request: ModelRequest,
    config: EvaluationConfig,
    opened: Runtime,
    models: '_Models | None' = None,
  ):
    """Loads the model.

    Args:
      request: the model.
      config: of the base, in which nothing is done otherwise.
      opened: where, and on what.
      models: of a sweep on other images of the dataset.

    Raises:
      UserError: the model or the base are at fault.
    """
    self._request, self._config, self._runtime = request, config, opened
    self._models = models or _Models(opened)
    self._runs: dict[tuple[object, ...], Run] = {}
    loaded = self._models.loaded(request, config)
    self.base = resolve.resolve_protocol(request, config, loaded)
    self._departing = _departing(request, config, loaded, self.base)

  def on(self, config: EvaluationConfig, dataset: ImageDataset) -> 'Sweep':
    """Returns the same on other images of the dataset, where nothing is looked for.

    Args:
      config: of the base there.
      dataset: these images.
    """
    opened = dataclasses.replace(self._runtime, dataset=dataset, pipelines={})
    config = config.replace(preflight=OFF)
    return Sweep(self._request, config, opened, self._models)

  def evaluate(self, cells: Sequence[Cell]) -> list[SweptCell]:
    """Evaluates the base and cells.

    Args:
      cells: what is done otherwise; the base, `()`, among them or not.

    Returns:
      For the base, and then for each cell, its run; of one that the base or the model
      does not allow why.

    Raises:
      UserError: the data, the model or the base are at fault.
      Interrupted: what was evaluated is kept.
    """
    request = self._request
    first = self._job(request, self._config)
    if _what(first) not in self._runs:
      self._runs[_what(first)] = loop.run_one(first)
    failures = Failures(several=True)
    jobs = {_what(first): first}
    requests: dict[Cell, ModelRequest] = {(): first.request}
    for cell in cells:
      label = ', '.join(one.text for one in cell)
      weights = weights_of(cell, request.weights)
      named = dataclasses.replace(
        request, weights=weights, label=label, directory=label
      )
      requests.setdefault(cell, named)
      with failures.of(requests[cell]):
        job = self._job(named, self._config_of(cell)) if cell else first
        # What is done anyway is the run of the base.
        requests[cell] = jobs.setdefault(_what(job), job).request
    _run([job for what, job in jobs.items() if what not in self._runs], failures)
    for what, job in jobs.items():
      if what not in self._runs and job.request not in failures.found:
        self._runs[what] = job.result()
    whats = {job.request: what for what, job in jobs.items()}
    return [
      SweptCell(cell, failures.found.get(one) or self._runs[whats[one]])
      for cell, one in requests.items()
    ]

  def runs_of(
    self, cells: Sequence[Cell]
  ) -> dict[Cell, tuple[ModelRequest, EvaluationConfig] | Failure]:
    """Returns the ordinary runs that the base and cells are, and evaluates nothing.

    Args:
      cells: as of `evaluate`.

    Returns:
      By cell its run, which is that of another cell where both do the same; or why the
      base or the model does not allow it.

    Raises:
      UserError: the model or the base are at fault.
    """
    found: dict[Cell, tuple[ModelRequest, EvaluationConfig] | Failure] = {}
    runs: dict[tuple[object, ...], tuple[ModelRequest, EvaluationConfig]] = {}
    for cell in ((), *cells):
      label = ', '.join(one.text for one in cell)
      try:
        weights = weights_of(cell, self._request.weights)
        request = dataclasses.replace(self._request, weights=weights)
        config = self._config_of(cell) if cell else self._config
        model = self._models.loaded(request, config)
        protocol = resolve.resolve_protocol(request, config, model)
      except UserError as error:
        if not cell:
          raise
        found[cell] = Failure(label, one_line(error, None))
        continue
      name = directory_name(request, config)
      request = dataclasses.replace(request, directory=name, label=label or name)
      what = protocol, config.model.feed, config.model.dtype, weights
      found[cell] = runs.setdefault(what, (request, config))
    return found

  def _config_of(self, cell: Cell) -> EvaluationConfig:
    return config_of(cell, self._departing, self.base)

  def _job(self, request: ModelRequest, config: EvaluationConfig) -> Job:
    return self._models.job(request, config, self._runtime)


def _what(job: Job) -> tuple[object, ...]:
  """Returns what tells the cells of a sweep apart."""
  given = job.config.model
  return job.protocol, given.feed, given.dtype, job.request.weights


def _departing(
  request: ModelRequest, config: EvaluationConfig, loaded: Model, base: Protocol
) -> EvaluationConfig:
  """Returns the config that departures are changes of.

  Its protocol is by name, so that only the size is left of what `published` or the text
  of the base says; nothing is looked for that is asked for.
  """
  text = resolve.protocol_text(request, config, loaded)
  size = config.model.input_size if requested_size(text) is None else base.size
  return config.replace(protocol=base.spec, input_size=size, preflight=OFF)


def _run(jobs: Sequence[Job], failures: Failures) -> None:
  """Evaluates what is not there already."""
  left = []
  for job in jobs:
    with failures.of(job.request):
      if job.find_run() is None:
        left.append(job)
  for group in _readings(left):
    loop.run_group(group, failures)


class _Models:
  """The models of a sweep by size, dtype and weights, and a step for each feeding."""

  def __init__(self, opened: Runtime):
    self._strategy = opened.strategy
    self._models: dict[tuple[object, ...], Model] = {}
    self._steps: dict[tuple[object, ...], forward.ForwardPass] = {}

  def loaded(self, request: ModelRequest, config: EvaluationConfig) -> Model:
    """Returns the model for the size and dtype of a config, fed as it wants."""
    key = request.weights, config.model.input_size, config.model.dtype
    if key not in self._models:
      with self._strategy.scope():
        own = config.replace(feed=None)
        self._models[key] = resolve.load_model(request, own)
    return self._models[key]

  def job(
    self, request: ModelRequest, config: EvaluationConfig, opened: Runtime
  ) -> Job:
    """Returns what evaluates a cell; cells of one model and feeding have one step."""
    known = config.model
    model = self.loaded(request, config)
    protocol = resolve.resolve_protocol(request, config, model)
    key = request.weights, known.input_size, known.dtype, known.feed, protocol.tta
    if key not in self._steps:
      dataset = opened.dataset
      fed = feeding.otherwise(model, known.feed)
      fitted = fitting.fit(fed, dataset.label_space, dataset.own_classes)
      size = batch_size.of_host(config.devices, fitted, protocol, opened.strategy)
      self._steps[key] = forward.ForwardPass(
        fitted,
        opened.strategy,
        size,
        config.devices.jit,
        tap=resolve.resolve_features(config, fitted),
        tta=protocol.tta,
      )
    step = self._steps[key]
    named = dataclasses.replace(request, directory=directory_name(request, config))
    return Job(named, step.model, protocol, config, opened, step)


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
  values = protocol.crops * protocol.size**2 * protocol.channels
  return values * (4 if protocol.dtype == 'float32' else 1)
