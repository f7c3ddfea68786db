"""A run: one model's evaluation on one dataset, as its directory holds it.

    OUTPUT_DIR/MODEL/manifest.json        what is run
    OUTPUT_DIR/MODEL/flags.txt            a flagfile that repeats it
    OUTPUT_DIR/MODEL/predictions/         a row for each example
    OUTPUT_DIR/MODEL/result.json          what came out; there when it is complete

Nothing here imports TensorFlow.
"""

import dataclasses
import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from tfeval import files, predictions
from tfeval.errors import UserError
from tfeval.label_sets import Labels, Subset
from tfeval.summary import SUMMARY_COLUMNS, Summary, summarize

SCHEMA_VERSION = 1
# What every reader of a result relies on.
_SHOWN = {
    'model': {'name'},
    'dataset': {'name', 'split', 'partial', 'expected', 'evaluated'},
    'protocol': {'name'},
    'metrics': {'name', 'labels', 'correct', 'count', 'skipped', 'value', 'interval'},
}
MANIFEST, FLAGS, RESULT, PREDICTIONS = (
    'manifest.json', 'flags.txt', 'result.json', 'predictions')


@dataclasses.dataclass(frozen=True)
class Failure:
  """A model that could not be evaluated, among others that could.

  Attributes:
    name: the model's.
    reason: what was wrong and what to do.
  """

  name: str
  reason: str


@dataclasses.dataclass(frozen=True)
class Run:
  """A complete run.

  Attributes:
    path: its directory.
    result: the content of `result.json`.
  """

  path: pathlib.Path
  result: dict[str, Any]

  @property
  def metrics(self) -> list[dict[str, Any]]:
    """The metrics, as `result.json` holds them."""
    return self.result['metrics']

  def parts(self, columns: list[str] | None = None) -> Iterable[pa.Table]:
    """Yields the stored rows; see `predictions.schema`."""
    return predictions.read_parts(self.path / PREDICTIONS, columns)

  def rows(self) -> pa.Table:
    """Returns the stored rows with `SUMMARY_COLUMNS`, checked as `summary` does.

    Raises:
      UserError: the rows are not those that the result was made of.
    """
    parts = list(self.parts(SUMMARY_COLUMNS))
    self._check(summarize(parts, labels=()))
    if not parts:
      raise UserError(f'{self.path} stores no rows: evaluate again')
    return pa.concat_tables(parts)

  def score(self, labels: Sequence[Labels] | None = None,
            subset: Subset | None = None) -> list[dict[str, Any]]:
    """Computes the metrics again from the stored rows; see `summary`."""
    return self.summary(labels, subset).metrics()

  def summary(self, labels: Sequence[Labels] | None = None,
              subset: Subset | None = None) -> Summary:
    """Adds up the stored rows.

    Args:
      labels: what to count against; by default what the rows carry.
      subset: images to count once more by themselves.

    Raises:
      UserError: the rows are not those that the result was made of: some are
        missing, double or changed; a label set has no label for any of them; the
        subset names other images or leaves none.
    """
    found = summarize(self.parts(SUMMARY_COLUMNS), labels, subset)
    self._check(found)
    found.check_labels(labels or (), self.path)
    if subset is not None:
      subset.check(found.column('id'))
      if not found.subset:
        raise UserError(f'--keep and --omit leave none of the {len(found.ids)} images '
                        f'of {self.path}')
    return found

  def _check(self, summary: Summary) -> None:
    """Holds that rows are those that the result was made of."""
    ids, dataset = summary.ids, self.result['dataset']
    if len(set(ids)) != len(ids) or len(ids) != dataset.get('evaluated'):
      raise UserError(f'{self.path} stores {len(set(ids))} examples in {len(ids)} '
                      f'rows, its {RESULT} says {dataset.get("evaluated")}: evaluate '
                      'again')
    for name, value in summary.digests().items():
      if value != dataset.get(name):
        raise UserError(f'{self.path}: the stored rows are not those of its {RESULT} '
                        f'({name} differs): evaluate again')


def find_runs(paths: Iterable[str | os.PathLike[str]]) -> list[Run | Failure]:
  """Finds runs, complete or not.

  Args:
    paths: of each the directory of a run, or a folder of such, as OUTPUT_DIR is.

  Returns:
    The runs in the order of `paths`, those of a folder sorted; for one that is not
    complete or cannot be read what is wrong with it.

  Raises:
    UserError: a path is neither, or a run is named twice.
  """
  directories = [found for path in paths for found in _run_directories(path)]
  real = [directory.resolve() for directory in directories]
  for at, directory in enumerate(directories):
    if real[at] in real[:at]:
      raise UserError(f'run {directory} was given twice')
  return [_load_or_failure(directory) for directory in directories]


def _run_directories(path: str | os.PathLike[str]) -> list[pathlib.Path]:
  directory = pathlib.Path(path).expanduser()
  if _holds_run(directory):
    return [directory]
  try:
    found = sorted(inside for inside in directory.iterdir() if _holds_run(inside))
  except OSError as error:
    raise UserError(f'cannot read {directory}: {error.strerror}: expected a run '
                    'directory, or a folder of such') from error
  if not found:
    raise UserError(f'{directory} is no run directory and holds none: there is no '
                    f'{MANIFEST} and no {RESULT}')
  return found


def _holds_run(directory: pathlib.Path) -> bool:
  return any((directory / name).is_file() for name in (MANIFEST, RESULT))


def _load_or_failure(directory: pathlib.Path) -> Run | Failure:
  try:
    return load_run(directory)
  except UserError as error:
    return Failure(_model_name(directory), str(error))


def _model_name(directory: pathlib.Path) -> str:
  """Returns the name in a manifest, or the directory's where there is none."""
  try:
    name = files.read_json(directory / MANIFEST)['model']['name']
  except (UserError, LookupError, TypeError):
    return directory.resolve().name
  return name if isinstance(name, str) else directory.resolve().name


def load_run(path: str | os.PathLike[str]) -> Run:
  """Loads a complete run.

  Args:
    path: its directory.

  Raises:
    UserError: it is no run, an incomplete one, or of a newer tfeval.
  """
  directory = pathlib.Path(path)
  if not (directory / RESULT).is_file():
    if (directory / MANIFEST).is_file():
      # Of an import the run directory is given, of an evaluation what holds it.
      manifest = files.read_json(directory / MANIFEST)
      imported = isinstance(manifest, dict) and 'imported' in manifest
      raise UserError(f'run {directory} is not complete: it has no {RESULT}: run '
                      f'tfeval {"import" if imported else "evaluate"} '
                      f'--flagfile={directory / FLAGS} '
                      f'--output_dir={directory if imported else directory.parent}')
    raise UserError(f'{directory} is not a run directory: it has no {RESULT}')
  result = files.read_json(directory / RESULT)
  version = result.get('schema_version') if isinstance(result, dict) else None
  if version != SCHEMA_VERSION:
    raise UserError(f'{directory / RESULT} has schema version {version}, this tfeval '
                    f'reads {SCHEMA_VERSION}: upgrade tfeval')
  sections = {'model': dict, 'dataset': dict, 'protocol': dict, 'metrics': list}
  lacking = [key for key, kind in sections.items()
             if not isinstance(result.get(key), kind)]
  if lacking:
    raise UserError(f'{directory / RESULT} lacks {", ".join(lacking)}: evaluate again')
  for section, keys in _SHOWN.items():
    entries = result[section] if section == 'metrics' else [result[section]]
    for entry in entries:
      if not isinstance(entry, dict) or not entry.keys() >= keys:
        raise UserError(f'{directory / RESULT}: {section} lacks one of '
                        f'{", ".join(sorted(keys))}: evaluate again')
  return Run(directory, result)


def finish(directory: pathlib.Path, manifest: dict[str, Any], summary: Summary,
           failed: dict[str, str], timing: dict[str, Any],
           published: dict[str, Any] | None = None) -> Run:
  """Writes `result.json`, which makes a run complete.

  Args:
    directory: the run's.
    manifest: what was run.
    summary: of the stored rows.
    failed: what is wrong with images that were skipped, by their ids.
    timing: seconds and rates.
    published: what `published.compare` found.
  """
  result = {
      **manifest,
      'dataset': {**manifest['dataset'], 'evaluated': len(summary.ids),
                  'failed': [{'id': name, 'reason': failed[name]}
                             for name in sorted(failed)],
                  **summary.digests()},
      'metrics': summary.metrics(),
      'published': published,
      'timing': timing,
  }
  files.write_json(directory / RESULT, result)
  return Run(directory, result)
