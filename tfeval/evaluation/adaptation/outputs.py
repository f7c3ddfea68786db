"""A run of its own of outputs that are adapted without another forward pass."""

import datetime
import time

from tfeval.analysis import output_adaptation
from tfeval.evaluation import manifest
from tfeval.evaluation.adaptation.request import OfSource
from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.plans import ModelRequest, flagfile
from tfeval.runs import predictions, run, run_directory
from tfeval.runs.result_file import PREDICTIONS, Manifest
from tfeval.runs.summary import (
  SUMMARY_COLUMNS,
  SummaryRequest,
  columns_read,
  summarize,
)
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
      return there
    flags = flagfile(requested, config)
    run_directory.begin_run(directory, described, flags, resumed=False)
    return _written(directory, described, made)


def _written(
  directory: paths.Path,
  described: Manifest,
  made: output_adaptation.OutputAdaptedRun,
) -> run.Run:
  started, classes = time.monotonic(), made.classes
  writer = predictions.Writer(
    directory / PREDICTIONS,
    described.store.logits,
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
  columns = columns_read(SUMMARY_COLUMNS, classes)
  summary = summarize(
    predictions.read_parts(directory / PREDICTIONS, columns),
    request=SummaryRequest(classes=classes),
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
