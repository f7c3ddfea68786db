"""A run: one model's evaluation on one dataset, as its directory holds it.

OUTPUT_DIR/MODEL/manifest.json        what is run
OUTPUT_DIR/MODEL/flags.txt            a flagfile that repeats it
OUTPUT_DIR/MODEL/predictions/         a row for each example
OUTPUT_DIR/MODEL/result.json          what came out; there when it is complete
"""

import dataclasses
import functools
import importlib.util
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfeval.datasets.labels import sets
from tfeval.datasets.labels.sets import LabelSource
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.datasets.labels.subsets import Subset
from tfeval.metrics import registry
from tfeval.metrics.entry import ALL, RESTRICTED, MetricEntry
from tfeval.runs import (
  contradictions,
  display,
  predictions,
  result_reader,
  run_classes,
)
from tfeval.runs.result_file import PREDICTIONS, RESULT, Result
from tfeval.runs.run_classes import RunClasses
from tfeval.runs.run_key import RunKey
from tfeval.runs.summary import (
  SUMMARY_COLUMNS,
  Summary,
  SummaryRequest,
  columns_read,
  summarize,
)
from tfeval.utils import arrow, files, paths
from tfeval.utils.arguments import of_kind, several
from tfeval.utils.errors import UserError
from tfeval.utils.remote_path import RemotePath
from tfeval.utils.shown import HasPage

if TYPE_CHECKING:
  import pandas


@dataclasses.dataclass(frozen=True)
class Failure:
  """A model that could not be evaluated, among others that could, or a missing set.

  Attributes:
    name: the model's, or the dataset's.
    reason: what was wrong and what to do.
    is_missing: whether it is a dataset of a suite that is not on this machine.
  """

  name: str
  reason: str
  is_missing: bool = False

  @property
  def key(self) -> RunKey:
    """What it is called."""
    return RunKey(self.name)


@dataclasses.dataclass(frozen=True, repr=False)
class Run(HasPage):
  """A complete run: what every evaluation returns and `load_run` reads.

  >>> import tfeval
  >>> run = tfeval.load_run('runs/mine')
  >>> run
  Run('runs/mine')
  mine on imagenet2012 validation, protocol unknown
    PARTIAL: some 4 examples only
    imported predictions
    top-1        75.00 %  (3 of 4)
    top-5       100.00 %  (4 of 4)
    ReaL top-1   66.67 %  (2 of 3)
    ReaL top-5  100.00 %  (3 of 3)

  What `result.json` holds is there as attributes, and by its keys; other metrics and
  other labels are scored from the stored rows, without evaluating again:

  >>> run.metrics[0].correct, run.metrics[0]['count'], run.result.dataset.evaluated
  (3, 4, 4)
  >>> nll, brier = run.score(labels='original', metrics=['nll', 'brier'])
  >>> round(nll.value, 4)
  0.6578
  >>> brier.value, brier.unavailable
  (None, 'needs all outputs, which --store_logits keeps')

  The rows themselves:

  >>> run.to_arrow(['id', 'label']).num_rows
  4
  >>> run.to_pandas()['label'].tolist()
  [65, 970, 230, 809]

  Attributes:
    path: its directory.
    result: the content of `result.json`.
    stamp: which file that was, see `result_reader.stamp`; None: rows are not held
      against it.
  """

  DOCUMENT = 'tfeval.reports.page.of_run:document'

  path: paths.Path
  result: Result
  stamp: str | None = dataclasses.field(default=None, compare=False)

  def __repr__(self) -> str:
    return f'Run({str(self.path)!r})\n{display.text(self.result)}'

  @property
  def key(self) -> RunKey:
    """What it measured, and is called."""
    return RunKey.of(self.result)

  @property
  def label_space(self) -> LabelSpace:
    """The classes of its labels.

    Raises:
      UserError: they are damaged.
    """
    return self.classes.dataset

  @functools.cached_property
  def classes(self) -> RunClasses:
    """The classes of its labels and of its predictions.

    Raises:
      UserError: they are damaged.
    """
    try:
      return run_classes.of(self.result)
    except UserError as error:
      raise UserError(f'{self.path / RESULT}: {error}') from error

  @functools.cached_property
  def features(self) -> np.ndarray | None:
    """The stored features, float16 [n, d], None where `store_features` kept none.

    In the order of the rows, that of `to_arrow`; finite.

    Raises:
      UserError: rows are missing or changed, or have not as many as the result says.
    """
    kept = self.result.store.features
    if kept is None:
      return None
    found = arrow.matrix(self.to_arrow([predictions.FEATURES])[predictions.FEATURES])
    if found.shape != (self.result.dataset.evaluated, kept.dimension):
      raise UserError(
        f'{self.path} stores features {found.shape}, its {RESULT} says '
        f'{(self.result.dataset.evaluated, kept.dimension)}: evaluate again'
      )
    return found

  @property
  def features_layer(self) -> str | None:
    """Which layer they are of: `penultimate`, a name, or None where none are kept."""
    kept = self.result.store.features
    return None if kept is None else kept.layer

  @property
  def metrics(self) -> list[MetricEntry]:
    """The metrics, as `result.json` holds them."""
    return self.result.metrics

  def parts(self, columns: list[str] | None = None) -> Iterable[pa.Table]:
    """Yields the stored rows; see `predictions.schema`.

    Raises:
      BeingWritten: at the end, or as soon as rows cannot be read: another process has
        written the run since its result was read.
      UserError: rows are missing or changed, or `columns` are no names.
    """
    if columns is not None:
      columns = several('columns', columns, str, 'a list of names of columns')
    try:
      yield from predictions.read_parts(self.path / PREDICTIONS, columns)
    except UserError as error:
      self._check_unwritten(error)
      raise
    self._check_unwritten()

  def _check_unwritten(self, cause: UserError | None = None) -> None:
    if self.stamp not in (None, result_reader.stamp(self.path)):
      raise result_reader.being_written(self.path) from cause

  def to_arrow(self, columns: list[str] | None = None) -> pa.Table:
    """Returns all stored rows.

    Args:
      columns: by default all, see `predictions.schema`; with `logits` that is 4 kB
        for each example.

    Raises:
      UserError: there are none, or some are missing or changed.
    """
    parts = list(self.parts(columns))
    if not parts:
      raise UserError(f'{self.path} stores no rows: evaluate again')
    return pa.concat_tables(parts)

  def sorted_rows(self) -> pa.Table:
    """Returns `SUMMARY_COLUMNS` in the order of the ids, checked as `summary` does.

    Raises:
      UserError: there are none, or they are not those that the result was made of.
    """
    columns = columns_read(SUMMARY_COLUMNS, self.classes)
    table = self.to_arrow(columns).combine_chunks()
    table = table.take(pc.sort_indices(table['id']))
    self._check(summarize([table], labels=()))
    return table

  def contradiction(self, computed: Iterable[MetricEntry]) -> str | None:
    """Says in which metrics the result is not what its rows give; None: in none.

    Args:
      computed: from the rows, by the labels that they carry. A result may have more:
        of labels that lie in a file.
    """
    return contradictions.found(self.path, self.metrics, computed)

  def to_pandas(self, columns: list[str] | None = None) -> 'pandas.DataFrame':
    """Returns all stored rows as a frame; see `to_arrow`.

    Raises:
      UserError: pandas is not installed, or as `to_arrow`.
    """
    if importlib.util.find_spec('pandas') is None:
      raise UserError("to_pandas needs pandas: pip install 'tfeval[pandas]'")
    return self.to_arrow(columns).to_pandas()

  def score(
    self,
    labels: str | Sequence[str | LabelSource] | None = None,
    subset: Subset | None = None,
    metrics: str | Sequence[str] | None = None,
  ) -> list[MetricEntry]:
    """Computes metrics from the stored rows.

    Args:
      labels: what to score against: `original`, `real`, paths of label files (see
        `labels.files.read_labels`); by default what the rows carry.
      subset: images to score once more by themselves.
      metrics: see `registry.get_metric`; by default top-1 and top-5.

    Returns:
      An entry for each label set and metric. Where the rows do not give a metric its
      `value` is None, and `unavailable` says why.

    Raises:
      UserError: a metric is not known, or as `summary`.
    """
    if labels is not None:
      one = str | os.PathLike | LabelSource
      labels = several(
        'labels',
        [labels] if isinstance(labels, one) else labels,
        one,
        "'original', 'real' or paths of label files",
      )
      labels = sets.open_labels(
        [os.fspath(x) if isinstance(x, os.PathLike) else x for x in labels],
        self.label_space,
      )
    metrics = [metrics] if isinstance(metrics, str) else metrics
    return self.summary(labels, subset, metrics).metrics()

  def summary(
    self,
    labels: Sequence[LabelSource] | None = None,
    subset: Subset | None = None,
    metrics: Sequence[str] | None = None,
    keep_predictions: bool = False,
  ) -> Summary:
    """Adds up the stored rows.

    Args:
      labels: what to score against; by default what the rows carry.
      subset: images to score once more by themselves.
      metrics: see `registry.get_metric`; by default top-1 and top-5.
      keep_predictions: whether to keep them, for tables by class.

    Raises:
      UserError: the rows are not those that the result was made of: some are
        missing, double or changed; a label set has no label for any of them; the
        subset names other images or leaves none.
    """
    if labels is not None:
      labels = several('labels', labels, LabelSource, 'opened label sets')
    if metrics is not None:
      metrics = several('metrics', metrics, str, 'names of metrics')
    of_kind('subset', subset, Subset | None, 'what `subsets.open_subset` returns')
    names = registry.check_names(registry.DEFAULT if metrics is None else metrics)
    only_original = [one.name for one in labels or ()] == [sets.ORIGINAL]
    stored_outputs = self.result.store.logits is True
    columns = registry.required_columns(names, only_original, stored_outputs)
    self._check_rules(names)
    found = summarize(
      self.parts(columns_read(SUMMARY_COLUMNS + columns, self.classes)),
      labels,
      subset,
      SummaryRequest(
        metrics=None if metrics is None else names,
        output=self.result.model.output,
        keep_predictions=keep_predictions,
        classes=self.classes,
      ),
    )
    self._check(found)
    found.check_labels(labels or (), self.path)
    if subset is not None:
      subset.check(found.column('id'), self.path)
    return found

  def _check_rules(self, names: Sequence[str]) -> None:
    """Checks that metrics are of rules that the rows have."""
    for name in names:
      rule = name.partition('@')[2] or ALL
      if self.classes.has(rule):
        continue
      if rule == RESTRICTED:
        raise UserError(
          f'{self.path} has no metrics of the rule restricted: the model can say no '
          'classes but those of the dataset: leave @restricted out'
        )
      raise UserError(
        f'{self.path} has no rule {rule} for {name}: it has '
        f"{', '.join(self.classes.competition.rules)}; of ImageNet's validation images "
        'evaluate again, or a run with `store_logits`'
      )

  def _check(self, summary: Summary) -> None:
    """Checks that rows are those that the result was made of."""
    ids, dataset = summary.ids, self.result.dataset
    if len(set(ids)) != len(ids) or len(ids) != dataset.evaluated:
      raise UserError(
        f'{self.path} stores {len(set(ids))} examples in {len(ids)} rows, its {RESULT} '
        f'says {dataset.evaluated}: evaluate again'
      )
    for name, value in summary.digests().items():
      if value != getattr(dataset, name):
        raise UserError(
          f'{self.path}: the stored rows are not those of its {RESULT} '
          f'({name} differs): evaluate again'
        )


def load_run(path: str | os.PathLike[str] | paths.Path) -> Run:
  """Loads a complete run.

  Args:
    path: its directory.

  Raises:
    BeingWritten: another process writes it at this moment.
    UserError: it is no run, an incomplete one, or of a newer tfeval.
  """
  expected = 'the path of a run directory'
  directory = paths.path(
    of_kind('path', path, str | os.PathLike | RemotePath, expected)
  )
  return Run(directory, *result_reader.read_stamped(directory))


def finish(
  directory: paths.Path,
  manifest: Mapping[str, Any],
  summary: Summary,
  failed: dict[str, str],
  timing: dict[str, Any],
  published: Mapping[str, Any] | None = None,
  preflight: Sequence[str] = (),
  hardware: Mapping[str, Any] | None = None,
  class_notes: Sequence[str] = (),
) -> Run:
  """Writes `result.json`, which makes a run complete.

  Args:
    directory: the run's.
    manifest: what was run.
    summary: of the stored rows.
    failed: what is wrong with images that were skipped, by their ids.
    timing: seconds and rates.
    published: what `published.compare` found.
    preflight: what was found before the run, and did not stop it.
    hardware: what computed it; None where nothing was.
    class_notes: of classes without images or outputs.
  """
  dataset = {
    **manifest['dataset'],
    'evaluated': len(summary.ids),
    'failed': [{'id': name, 'reason': failed[name]} for name in sorted(failed)],
    **summary.digests(),
    **({'class_notes': list(class_notes)} if class_notes else {}),
  }
  result = Result.from_json(
    {
      **manifest,
      'dataset': dataset,
      'metrics': summary.metrics(),
      'published': published,
      'preflight': list(preflight),
      'timing': timing,
      **({} if hardware is None else {'hardware': hardware}),
    }
  )
  files.write_json(directory / RESULT, result)
  return Run(directory, result, result_reader.stamp(directory))
