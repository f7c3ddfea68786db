"""A run's job, done piece by piece: rows of one piece at a time, in a folder here."""

from typing import Any

from tfeval.evaluation import manifest, recorder
from tfeval.evaluation.config import OFF
from tfeval.evaluation.job import Job
from tfeval.evaluation.plans import ModelRequest
from tfeval.models.model import Model
from tfeval.runs import run
from tfeval.runs.result_file import PREDICTIONS
from tfeval.utils.errors import UserError
from tfeval.utils.paths import Path


class PieceJob(Job):
  """A job that keeps its model; `take` tells what is to be done next.

  Attributes:
    findings: of the preflight, where the piece began with it.
    seconds: that the piece took, once it is done.
  """

  def __init__(self, request: ModelRequest, model: Model, *args: Any):
    """Plans the run; see `Job`.

    Raises:
      UserError: as `Job`, or workers could not tell that their models are the same.
    """
    super().__init__(request, model, *args)
    why = manifest.why_unidentifiable(self.manifest)
    if why is not None:
      raise UserError(
        f'{model.name}: {why}: workers could not tell that theirs is the same'
      )
    self._preflight = self.config.preflight

  def take(self, positions: range, scratch: Path, looks: bool) -> None:
    """Says what is done next.

    Args:
      positions: of the images.
      scratch: a new folder of this machine.
      looks: whether the model is looked at first.
    """
    self.shard, self.directory = positions, scratch
    preflight = self._preflight if looks else OFF
    self.config = self.config.replace(preflight=preflight)
    self.recorder, self._findings, self.seconds = None, [], 0.0

  @property
  def findings(self) -> list[str]:
    return self._findings

  @property
  def hardware(self) -> dict[str, Any] | None:
    """What computes the model."""
    return self._hardware

  @property
  def goes_on(self) -> bool:
    # A piece is done as a whole, or again.
    return False

  def flush(self) -> str:
    return 'the piece is done again, all before it are kept'

  def find_run(self) -> run.Run | None:
    return None

  def _open_store(self) -> None:
    store = self.directory / PREDICTIONS
    self.recorder = recorder.Recorder(store, [], self.manifest, self.shard)

  def finalize(self) -> None:
    """Writes what the recorder was given."""
    self.recorder.flush()
    self.seconds = self._elapsed()

  def close(self) -> None:
    """Lets go of the folder; the model stays for the next piece."""
    if self.recorder:
      self.recorder.close()
    self._unlock()

  def release(self) -> None:
    """Lets go of the model."""
    super().close()
