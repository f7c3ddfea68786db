"""A run of its own of outputs that are adapted without another forward pass."""

import datetime
import time

from tfeval.analysis import output_adaptation
from tfeval.evaluation import asked_metrics, manifest
from tfeval.evaluation.adaptation.request import OfSource
from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.plans import ModelRequest, flagfile
from tfeval.runs import predictions, run, run_directory
from tfeval.runs.result_file import PREDICTIONS, Manifest
from tfeval.runs.summary import summarize_store
from tfeval.utils import locks, paths


def adapted_run(
  requested: ModelRequest, plain: run.Run, asked: OfSource, config: EvaluationConfig
) -> run.Run:
  """Returns the run of adapted outputs, made unless it is there.

  Args:
    requested: the model, with the directory of the adapted run.
    plain: its plain run, with all outputs stored.
    asked: how it is adapted, and by which run on the source.
    config: how the plain run was evaluated.

  Raises:
    UserError: the runs do not fit, or the directory cannot be written or holds
      something else.
  """
  source = run.load_run(str(asked.source))
  made = output_adaptation.adapted(plain, asked.NAME, source, asked.text)
  plainly = Manifest.from_json(manifest.read_manifest(plain.path))
  described = plainly.replaced(model=made.result.model)
  directory = paths.path(config.store.output_dir) / requested.directory
  with locks.locked(directory):
    overwrite = config.store.overwrite
    there = manifest.complete_run(directory, described, overwrite)
    if there is not None:
      return asked_metrics.added(there, asked_metrics.names(config), is_locked=True)
    flags = flagfile(requested, config)
    run_directory.begin_run(directory, described, flags, resumed=False)
    return _written(directory, described, made, asked_metrics.names(config))


def _written(
  directory: paths.Path,
  described: Manifest,
  made: output_adaptation.OutputAdaptedRun,
  metrics: tuple[str, ...],
) -> run.Run:
  started, classes = time.monotonic(), made.classes
  stored = described.store.logits
  writer = predictions.Writer(
    directory / PREDICTIONS,
    stored,
    described.store.rows_per_part or 1,
    classes.kept,
    (),
    len(classes.space),
    classes.outputs,
    classes.kept_by_rule,
  )
  for rows in made.parts():
    writer.write(rows)
  writer.flush()
  summary = summarize_store(
    directory / PREDICTIONS, classes, described.model.output, stored, metrics
  )
  dataset = made.result.dataset
  timing = {
    'finished': datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
    'seconds': time.monotonic() - started,
  }
  return run.finish(
    directory,
    described,
    summary,
    {one.id: one.reason for one in dataset.failed},
    timing,
    class_notes=dataset.class_notes or (),
  )
