"""What does pieces: devices, datasets, models and pipelines are kept in between."""

import logging
import os
import pathlib
import platform
import tempfile
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from tfeval.datasets.base import ImageDataset
from tfeval.engine.cluster import Cluster
from tfeval.engine.forward import ForwardPass
from tfeval.evaluation import fingerprint, loop, resolve, runtime
from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.failures import Failures
from tfeval.evaluation.pieces import planning, records
from tfeval.evaluation.pieces.piece_job import PieceJob
from tfeval.evaluation.pieces.piece_runtime import PieceRuntime
from tfeval.evaluation.pieces.places import Places
from tfeval.evaluation.pieces.plan_values import config_of
from tfeval.evaluation.pieces.planned import Piece, Plan, PlannedConfig, PlannedRun
from tfeval.evaluation.pieces.standing import Standing
from tfeval.evaluation.plans import ModelRequest
from tfeval.models import published
from tfeval.models.model import Model
from tfeval.preprocess.protocol import requested_size
from tfeval.utils import freed_memory
from tfeval.utils.errors import UserError
from tfeval.utils.progress import Progress

_LOG = logging.getLogger('tfeval')
# So long a run is not begun again that could not be begun.
_SECONDS_UNFIT = 60.0
# A model, and its steps by what they hang on.
_Loaded = tuple[Model, dict[Hashable, ForwardPass]]


class Worker:
  """Does pieces of a plan, in any order; close it when there are no more.

  Attributes:
    name: what records call it.
  """

  def __init__(
    self,
    plan: Plan,
    places: Places,
    progress: Progress,
    given: Mapping[str, Any] | None = None,
  ):
    """Loads nothing yet.

    Args:
      plan, places: what to do, and where it is written.
      progress: is told how far a piece is.
      given: options of this process, such as `cache_dir`, by name.

    Raises:
      UserError: the plan was made by another code.
    """
    check_code(plan)
    self.name = f'{platform.node()}-{os.getpid()}'
    self._plan, self._places, self._progress = plan, places, progress
    self._given = dict(given or {})
    self._standing = Standing(plan, places)
    self._open: Callable[[EvaluationConfig], runtime.Runtime] | None = None
    self._runtimes: dict[int, PieceRuntime] = {}
    self._models: dict[Hashable, _Loaded] = {}
    self._current: tuple[int, PieceJob] | None = None
    # Why a run could not be begun here, and when.
    self._unfit: dict[int, tuple[UserError, float]] = {}

  def is_done(self, number: int) -> bool:
    """Returns whether nothing is to be done for a piece."""
    return self._standing.is_done(number)

  def do(self, number: int, is_open: bool = False) -> records.PieceDone | None:
    """Does a piece.

    Args:
      number: of the piece.
      is_open: whether the caller has just seen that it is not done.

    Returns:
      What is known of it; None: it was done already.

    Raises:
      UserError: the plan, the data, the model or the store are at fault.
      Interrupted: Ctrl-C or SIGTERM.
    """
    piece = self._plan.piece(number)
    if not is_open and self.is_done(number):
      return None
    job = self._prepared(piece.run)
    if job is None:
      return None
    looks = self._plan.runs[piece.run].preflight and not piece.start
    with tempfile.TemporaryDirectory(prefix='tfeval-') as scratch:
      folder = pathlib.Path(scratch)
      job.take(piece.positions, folder, looks)
      loop.run_group([job], Failures(several=False))
      return self._publish(piece, folder, job)

  def _publish(
    self, piece: Piece, folder: pathlib.Path, job: PieceJob
  ) -> records.PieceDone:
    done = records.PieceDone(
      plan=self._plan.id,
      piece=piece.number,
      start=piece.start,
      stop=piece.stop,
      manifest_sha256=records.digest(job.manifest),
      parts=[],
      rows=0,
      seconds=job.seconds,
      worker=self.name,
      findings=job.findings,
      hardware=job.hardware,
    )
    return records.publish(self._places, piece, folder, done)

  def _prepared(self, run: int) -> PieceJob | None:
    """Returns `_job`; what failed a moment ago is not tried for each piece of a run."""
    error, when = self._unfit.get(run, (None, 0.0))
    if error is not None and time.monotonic() - when < _SECONDS_UNFIT:
      raise error
    try:
      return self._job(run)
    except UserError as error:
      self._unfit[run] = error, time.monotonic()
      raise

  def _job(self, run: int) -> PieceJob | None:
    """Returns what does the pieces of a run; None of one that is joined already."""
    if self._current is not None and self._current[0] == run:
      return self._current[1]
    self._leave_run()
    planned = self._plan.runs[run]
    request = planned.request
    config = config_of(self._plan.file.configs[planned.config].options, **self._given)
    planning.check_values(config)
    opened = self._runtime(planned.config, config)
    check_images(opened.dataset, planned)
    for other in self._runtimes.values():
      if other is not opened:
        other.close()
    model, steps = self._model(request, config, opened)
    protocol = resolve.resolve_protocol(request, config, model)
    job = PieceJob(request, model, protocol, config, opened, None, steps)
    if self._plan.file.piece_images % job.batch_size:
      raise UserError(
        f'pieces of {self._plan.file.piece_images} images are no whole batches of '
        f'{job.batch_size}, which the devices here compute at once: plan with '
        f'`batch_size={job.batch_size}`'
      )
    begun = records.RunBegun(job.manifest, opened.strategy_name)
    records.agree(self._places, self._plan, run, begun)
    if self._standing.is_joined(run):
      job.release()
      return None
    if self._standing.holds_result(run):
      _LOG.warning(
        '%s holds another run: its pieces are done, to join them needs `overwrite`',
        self._places.output_dir / planned.directory,
      )
    self._current = run, job
    return job

  def _leave_run(self) -> None:
    if self._current is not None:
      self._current[1].release()
    self._current = None

  def _runtime(self, number: int, config: EvaluationConfig) -> PieceRuntime:
    if self._open is None:
      self._open = runtime.opener(config, Cluster(), self._progress)
    if number not in self._runtimes:
      opened = PieceRuntime.of(self._open(config))
      check_data(opened.dataset, self._plan.file.configs[number])
      self._runtimes[number] = opened
    return self._runtimes[number]

  def _model(
    self, request: ModelRequest, config: EvaluationConfig, opened: runtime.Runtime
  ) -> _Loaded:
    """Returns a model, loaded once for all of its runs."""
    key = (
      *(request.spec, request.weights, request.name, config.model),
      _size(request, config),
    )
    found = self._models.pop(key, None)
    if found is None:
      for oldest in list(self._models)[: 1 - config.max_loaded_models or None]:
        del self._models[oldest]
        freed_memory.give_back()
      with opened.strategy.scope():
        found = resolve.load_model(request, config), {}
    self._models[key] = found
    return found

  def close(self) -> None:
    """Lets go of models and pipelines."""
    self._leave_run()
    for opened in self._runtimes.values():
      opened.close()
    self._models.clear()


def _size(request: ModelRequest, config: EvaluationConfig) -> Hashable:
  """Returns which size the protocol asks a model for, as far as that can be known."""
  try:
    text = published.protocol_text(
      config.protocol, request.spec, weights=request.weights
    )
    return requested_size(text)
  except UserError:
    return config.protocol  # Of what the model tells itself.


def check_code(plan: Plan) -> None:
  """Checks that a plan was made by the code that runs here.

  Raises:
    UserError: it was not: numbers could be of two arithmetics.
  """
  here = fingerprint.code_sha256()
  if plan.file.code_sha256 != here:
    raise UserError(
      f'the plan was made by tfeval {plan.file.tfeval} with code '
      f'{plan.file.code_sha256[:12]}, here it is {here[:12]}: install the same tfeval '
      'on all workers, or make the plan again'
    )


def check_images(dataset: ImageDataset, planned: PlannedRun) -> None:
  """Checks that a plan cuts all images of a dataset.

  Raises:
    UserError: it has another number of them.
  """
  if dataset.num_examples != planned.images:
    raise UserError(
      f'the plan has {planned.images:,} images of {planned.directory}, '
      f'{dataset.name} has {dataset.num_examples:,}: make the plan again'
    )


def check_data(dataset: ImageDataset, planned: PlannedConfig) -> None:
  """Checks that a dataset is what it was when the plan was made.

  Raises:
    UserError: it is another one.
  """
  here, there = planning.described(dataset), planned.dataset
  for key in here.keys() | there.keys():
    if here.get(key) != there.get(key):
      raise UserError(
        f'{dataset.name} is not what the plan was made of: {key} was '
        f'{str(there.get(key))[:100]} and is {str(here.get(key))[:100]}: use the same '
        'data, or make the plan again'
      )
