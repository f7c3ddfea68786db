"""A run made complete: its stored rows counted, and `result.json` written."""

import dataclasses
import datetime
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from tfeval.datasets import base
from tfeval.datasets.options import SKIP
from tfeval.engine import pipeline
from tfeval.engine.options import DEVICE
from tfeval.evaluation import competition
from tfeval.evaluation.plans import ModelRequest
from tfeval.models import published
from tfeval.preprocess.protocol import Protocol
from tfeval.runs import predictions, run
from tfeval.runs.result_file import PREDICTIONS, Manifest
from tfeval.runs.run_classes import RunClasses
from tfeval.runs.summary import Summary, summarize_store
from tfeval.utils import paths
from tfeval.utils.errors import DataError

_LOG = logging.getLogger('tfeval')


@dataclasses.dataclass(frozen=True)
class Stored:
  """An evaluation whose rows are all stored.

  Attributes:
    directory: of the run.
    manifest: what was run.
    classes: of its dataset and its model.
    dataset: what it was evaluated on.
    protocol: that made pixels.
    request: which model it is.
    feed: how it was fed otherwise, see `ModelOptions.feed`.
    metrics: that are asked for beside those of every result.
    findings: of the preflight.
    hardware: what computed it, None where that is not known.
  """

  directory: paths.Path
  manifest: Manifest
  classes: RunClasses
  dataset: base.ImageDataset
  protocol: Protocol
  request: ModelRequest
  feed: str | None
  metrics: Sequence[str]
  findings: Sequence[str]
  hardware: Mapping[str, Any] | None


def complete(
  stored: Stored, positions: Sequence[int], timing: Mapping[str, Any]
) -> run.Run:
  """Makes a run complete.

  Args:
    stored: all of it but its result.
    positions: of the stored rows.
    timing: seconds and rates.

  Raises:
    DataError: no image could be evaluated.
    UserError: rows are not those of the dataset, or nothing can be written.
  """
  manifest, dataset, failed = stored.manifest, stored.dataset, {}
  if manifest.dataset.on_error == SKIP:
    failed = pipeline.failures(dataset, stored.protocol, set(positions))
  summary = summarize_store(
    stored.directory / PREDICTIONS,
    stored.classes,
    manifest.model.output,
    manifest.store.logits,
    stored.metrics,
  )
  base.check_coverage(dataset, summary.ids, list(failed))
  if not summary.ids:
    name, why = next(iter(failed.items()))
    raise DataError(
      f'none of the {len(failed)} images can be evaluated; the first, {name}: {why}'
    )
  finished = datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')
  return run.finish(
    stored.directory,
    _counted(stored),
    summary,
    failed,
    {'finished': finished, **timing},
    published.compare(
      stored.request.spec,
      stored.request.weights,
      stored.protocol,
      dataset.name,
      summary.ids,
      summary.metrics(),
      stored.feed,
      manifest.model.adaptation is not None,
    ),
    stored.findings,
    stored.hardware,
    _class_notes(stored, summary),
  )


def _counted(stored: Stored) -> Manifest:
  """Returns the manifest with what was counted while images were resized."""
  compute, dataset = stored.manifest.compute, stored.manifest.dataset
  if compute.resize_on != DEVICE:
    return stored.manifest
  parts = predictions.listed_parts(stored.directory / PREDICTIONS)
  count = sum(len(part.get('resized_on_host', ())) for part in parts)
  if count:
    _LOG.info(
      '%d images did not fit the canvas of %s pixels: the host resized them',
      count,
      compute.canvas,
    )
  return stored.manifest.replaced(dataset=dataset.replaced(resized_on_host=count))


def _class_notes(stored: Stored, summary: Summary) -> list[str]:
  found = competition.unsaid_notes(stored.classes, summary)
  if stored.manifest.dataset.partial:
    found += competition.absent_notes(stored.classes, summary)
  return found
