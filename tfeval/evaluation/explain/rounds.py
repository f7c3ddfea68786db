"""A model's answers under departures, on more and more of the images."""

import contextlib
import hashlib
import logging
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from tfeval.analysis.alignment import AlignedPredictions
from tfeval.analysis.explanation import countings
from tfeval.datasets import subset
from tfeval.datasets.sampling import chosen_positions
from tfeval.engine.cluster import Cluster
from tfeval.evaluation import manifest, runtime
from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.departures import Cell
from tfeval.evaluation.plans import ModelRequest
from tfeval.evaluation.sweep import Sweep
from tfeval.preprocess.protocol import Protocol
from tfeval.runs.run import Failure
from tfeval.utils import files, paths
from tfeval.utils.errors import UserError
from tfeval.utils.progress import Progress

_LOG = logging.getLogger('tfeval')
# Of more classes the outputs of all images would be a great deal.
_MOST_LOGITS = 5000
# Of a search, in an output directory.
DIRECTORY = 'explain'
Answers = dict[Cell, AlignedPredictions]


class Rounds:
  """Cells of a sweep, each evaluated on as many images as it takes.

  Attributes:
    ids: of the dataset's images, in order.
    relative_paths: where each lies in a folder; None: nothing is known of it.
    space: the classes.
    failed: cells that the base or the model does not allow, and why.
  """

  def __init__(
    self, request: ModelRequest, config: EvaluationConfig, progress: Progress
  ):
    """Opens the dataset and loads the model.

    Args:
      request: the model.
      config: of the base; runs and lists of images are kept in its output directory.
      progress: is told how far it is.

    Raises:
      UserError: the data, the model or the base are at fault.
    """
    if paths.is_url(config.store.output_dir):
      raise UserError(
        f'`output_dir={config.store.output_dir}`: lists of images are kept in it: give '
        'a directory of a disk'
      )
    (opened,) = runtime.open_runtimes([config], Cluster(), progress)
    # Read once, where they are not known beforehand.
    self._dataset = subset.with_ids(opened.dataset)
    self.space = opened.dataset.label_space
    self.relative_paths = opened.dataset.relative_paths
    self.ids: Sequence[str] = list(subset.ids_of(self._dataset))
    keep = len(self.space) <= _MOST_LOGITS
    # Beside the runs that were asked for.
    directory = os.path.join(config.store.output_dir, DIRECTORY)
    self._on_what = f'{request.spec.text} on {config.dataset.name}'
    self._config = config.replace(store_logits=keep, output_dir=directory)
    self._whole = Sweep(request, self._config, opened)
    self._sweeps: dict[tuple[str, ...], Sweep] = {}
    self.failed: dict[Cell, str] = {}

  @property
  def base(self) -> Protocol:
    """The protocol that cells depart from."""
    return self._whole.base

  def title(self, labels: str, metric: str, what: str) -> str:
    """Returns what is explained, and of what, in a line."""
    return f'{self._on_what}, {labels} {metric}, base {self.base.spec}: {what}'

  def answers(self, cells: Iterable[Cell], ids: Sequence[str]) -> Answers:
    """Returns what the base and cells say of some images, sorted by id.

    Those that do what another one does, and those that cannot be, are left out.
    """
    asked = [cell for cell in cells if cell]
    _LOG.info(
      f'{len(asked) + 1:,} pipelines on {len(ids):,} of {len(self.ids):,} images'
    )
    with _without(manifest.FOUND):  # A line for each of dozens.
      swept = self._on(sorted(ids)).evaluate(asked)
    found: Answers = {}
    known = set()
    for one in swept:
      if isinstance(one.found, Failure):
        self.failed[one.cell] = one.found.reason
      elif one.found.path not in known:
        known.add(one.found.path)
        found[one.cell] = countings.aligned_of(one.found)
    return found

  def _on(self, ids: Sequence[str]) -> Sweep:
    key = tuple(ids)
    if key not in self._sweeps:
      self._sweeps[key] = self._sweep(ids)
    return self._sweeps[key]

  def _sweep(self, ids: Sequence[str]) -> Sweep:
    if len(ids) == len(self.ids):
      return self._whole.on(self._config, self._dataset)
    listed = '\n'.join(ids) + '\n'
    digest = hashlib.sha256(listed.encode()).hexdigest()[:8]
    directory = pathlib.Path(self._config.store.output_dir).expanduser() / 'images'
    files.make_directory(directory)
    path = directory / f'{len(ids)}-{digest}.txt'
    if not path.exists():
      files.write_atomically(path, listed.encode())
    config = self._config.replace(only=str(path), limit=None)
    return self._whole.on(config, subset.only(self._dataset, str(path)))


@contextlib.contextmanager
def _without(message: str) -> Iterator[None]:
  """Where a message is not logged, whatever is filled into it."""

  def is_another(record: logging.LogRecord) -> bool:
    return record.msg != message

  _LOG.addFilter(is_another)
  try:
    yield
  finally:
    _LOG.removeFilter(is_another)


def sampled(ids: Sequence[str], count: int) -> list[str]:
  """Returns a sample of ids; a smaller one lies within a larger one."""
  if count >= len(ids):
    return list(ids)
  return [ids[i] for i in chosen_positions(ids, count)]


def made(cell: Cell) -> float:
  """Returns how often all departures of a cell are made, relative to others."""
  # Two at once are made less often than their product says of one pipeline.
  return float(np.prod([one.made for one in cell]) * 0.3 ** max(len(cell) - 1, 0))
