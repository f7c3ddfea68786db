"""Makes runs of pieces: the same bytes as one process would have written.

A run is made in a folder of this machine and then copied, its result last: whoever is
ended on the way, or joins the same pieces at the same time, leaves the same files.
"""

import functools
import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from tfeval import datasets
from tfeval.datasets.base import ImageDataset
from tfeval.evaluation import asked_metrics, completing, plans
from tfeval.evaluation import manifest as manifests
from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.pieces import (
  gathering,
  missing,
  publishing,
  records,
  trust,
  worker,
)
from tfeval.evaluation.pieces.places import Places
from tfeval.evaluation.pieces.plan_values import config_of
from tfeval.evaluation.pieces.planned import Plan
from tfeval.evaluation.pieces.records import PieceDone
from tfeval.evaluation.pieces.standing import Standing
from tfeval.preprocess import protocol
from tfeval.runs import run_classes, run_directory
from tfeval.runs.result_file import Manifest
from tfeval.runs.run import Failure, Run, load_run
from tfeval.utils import files, untrusted
from tfeval.utils.errors import UserError, one_line
from tfeval.utils.paths import Path
from tfeval.utils.progress import Progress


class Joiner:
  """Joins runs of a plan, one after another; datasets are opened once."""

  def __init__(
    self,
    plan: Plan,
    places: Places,
    overwrite: bool = False,
    given: Mapping[str, Any] | None = None,
  ):
    """Opens nothing yet.

    Args:
      plan, places: what was done, and where it is written.
      overwrite: whether other runs of the same names are replaced.
      given: options of this process, such as `data_dir`, by name.

    Raises:
      UserError: the plan was made by another code.
    """
    worker.check_code(plan)
    self._plan, self._places, self._overwrite = plan, places, overwrite
    self._standing = Standing(plan, places)
    self._given = dict(given or {})
    self._opened = functools.lru_cache(maxsize=4)(self._open)

  def join(self, number: int) -> Run:
    """Joins a run, unless it is there.

    Args:
      number: which of the plan's.

    Raises:
      UserError: pieces are missing or do not belong together, or the run cannot be
        written.
    """
    directory = self._places.output_dir / self._plan.runs[number].directory
    untrusted.check_inside(directory, self._places.output_dir)
    if (found := self._joined(number, directory)) is not None:
      return found
    begun = records.read_begun(self._places, number)
    if begun is None:
      raise missing.not_begun(self._plan, self._places, number)
    manifest = begun.manifest
    found = self._find(directory, manifest)
    if found is not None:
      return found
    try:
      with tempfile.TemporaryDirectory(prefix='tfeval-') as scratch:
        made = pathlib.Path(scratch)
        self._make(number, begun, made)
        with publishing.locked(directory):
          # Somebody may have joined it meanwhile.
          found = self._joined(number, directory) or self._find(directory, manifest)
          return found or publishing.publish(made, directory, self._overwrite)
    except UserError:
      # And have removed its pieces.
      if (found := self._joined(number, directory)) is not None:
        return found
      raise

  def _joined(self, number: int, directory: Path) -> Run | None:
    """Returns the run if it is joined already and whole, whatever is to be replaced."""
    if not self._standing.is_joined(number):
      return None
    found = load_run(directory)
    for _ in found.parts(['id']):
      pass
    return found

  def _find(self, directory: Path, manifest: Manifest) -> Run | None:
    """Returns the run if it is complete."""
    return manifests.complete_run(directory, manifest, self._overwrite)

  def _make(
    self, number: int, begun: records.RunBegun, directory: pathlib.Path
  ) -> None:
    """Makes the run in a folder of this machine."""
    manifest = begun.manifest
    done = gathering.records_of(self._plan, self._places, number, manifest)
    planned = self._plan.runs[number]
    request, (config, dataset) = planned.request, self._opened(planned.config)
    worker.check_images(dataset, planned)
    flags = plans.flagfile(request, config.replace(strategy=begun.strategy))
    run_directory.begin_run(directory, manifest, flags, resumed=False)
    positions = gathering.write_rows(self._places, done, manifest, directory)
    described = manifest.protocol
    if not self._given.get('trust_model'):
      trust.check_protocol(described.text, self._places.begun(number))
    stored = completing.Stored(
      directory,
      manifest,
      run_classes.of(manifest),
      dataset,
      protocol.resolve(described.text, described.size or 0),
      request,
      config.model.feed,
      asked_metrics.names(config),
      [finding for one in done for finding in one.findings],
      _hardware(done),
    )
    seconds, rows = sum(one.seconds for one in done), sum(one.rows for one in done)
    timing = {'seconds': seconds, 'images_per_second': rows / seconds if seconds else 0}
    completing.complete(stored, positions, timing)

  def _open(self, number: int) -> tuple[EvaluationConfig, ImageDataset]:
    """Returns a config of the plan and its dataset."""
    planned = self._plan.file.configs[number]
    config = config_of(planned.options, **self._given)
    dataset = datasets.open_dataset(**vars(config.dataset))
    worker.check_data(dataset, planned)
    return config, dataset


def join(
  joiner: Joiner, plan: Plan, progress: Progress, chosen: range | None = None
) -> list[Run | Failure]:
  """Joins runs of a plan.

  Args:
    joiner: of the plan.
    plan: the plan.
    progress: is told how far it is.
    chosen: which runs; None: all.

  Returns:
    For each run it, or why there is none, in the order in which they are reported:
    those of a dataset together.
  """
  found: dict[int, Run | Failure] = {}
  chosen = range(len(plan.runs)) if chosen is None else chosen
  with progress('join', sum(plan.runs[number].images for number in chosen)) as advance:
    for number in chosen:
      run = plan.runs[number]
      try:
        found[number] = joiner.join(number)
      except UserError as error:
        if len(chosen) == 1:
          raise
        reason = one_line(error, None).removeprefix(f'{run.directory}: ')
        found[number] = Failure(run.directory, reason)
      advance(run.images)
  return [found[number] for number in reporting_order(plan) if number in found]


def remove_pieces(
  places: Places, found: Sequence[Run | Failure], late: bool = True
) -> bool:
  """Removes the pieces of a plan if all its runs are complete; returns whether.

  Args:
    places: of the plan.
    found: what became of its runs.
    late: whether workers may still come: what tells them which runs are joined stays.
  """
  if any(isinstance(one, Failure) for one in found):
    return False
  for folder in (places.all_done, places.claims) if late else (places.root,):
    files.remove_tree(folder)
  return True


def reporting_order(plan: Plan) -> list[int]:
  """Returns the runs in the order of `evaluate`: by dataset, then by model."""
  return sorted(range(len(plan.runs)), key=lambda i: (plan.runs[i].config, i))


def _hardware(done: Sequence[PieceDone]) -> dict[str, Any] | None:
  """Returns what computed a run: that of the first piece, and the names of others."""
  told = [one.hardware for one in done if one.hardware is not None]
  if not told:
    return None
  each = sorted({str(one.get('name')) for one in told})
  return told[0] if len(each) == 1 else {**told[0], 'name': ', '.join(each)}
