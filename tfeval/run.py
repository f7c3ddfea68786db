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

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfeval import files, predictions
from tfeval import labels as labels_lib
from tfeval.errors import UserError
from tfeval.metrics import accuracy

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

  def score(self) -> list[dict[str, Any]]:
    """Computes the metrics again from the stored rows.

    Raises:
      UserError: the rows are not those that the result was made of: some are
        missing, double or changed.
    """
    summary = summarize(self.parts(SUMMARY_COLUMNS))
    dataset = self.result['dataset']
    if len(set(summary.ids)) != len(summary.ids) or (
        len(summary.ids) != dataset.get('evaluated')):
      raise UserError(f'{self.path} stores {len(set(summary.ids))} examples in '
                      f'{len(summary.ids)} rows, its {RESULT} says '
                      f'{dataset.get("evaluated")}: evaluate again')
    for name, value in summary.digests().items():
      if value != dataset.get(name):
        raise UserError(f'{self.path}: the stored rows are not those of its {RESULT} '
                        f'({name} differs): evaluate again')
    return summary.metrics()


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
      raise UserError(f'run {directory} is not complete: it has no {RESULT}: run '
                      f'tfeval evaluate --flagfile={directory / FLAGS} '
                      f'--output_dir={directory.parent}')
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


SUMMARY_COLUMNS = ['id', 'image_sha256', 'label', 'real_labels', 'classes']


@dataclasses.dataclass
class Summary:
  """What stored rows add up to.

  Attributes:
    counts: by (metric's name, label set's name).
    labels: (id, original label or None) of each example.
    hashes: (id, SHA-256 of the encoded image) of each example.
  """

  counts: dict[tuple[str, str], accuracy.Count]
  labels: list[tuple[str, int | None]]
  hashes: list[tuple[str, str]]

  @property
  def ids(self) -> list[str]:
    return [name for name, _ in self.labels]

  def metrics(self) -> list[dict[str, Any]]:
    """Returns the entries of `result.json`."""
    return [count.entry(*key) for key, count in self.counts.items()]

  def digests(self) -> dict[str, str]:
    """Returns what tells two data sets apart: their labels and their content."""
    return {'label_digest': labels_lib.digest(self.labels),
            'content_digest': labels_lib.digest(self.hashes)}


def summarize(parts: Iterable[pa.Table]) -> Summary:
  """Adds up stored rows, part by part.

  Args:
    parts: tables with `SUMMARY_COLUMNS`.
  """
  summary = Summary({}, [], [])
  for part in parts:
    ids = part['id'].to_pylist()
    summary.labels += zip(ids, part['label'].to_pylist(), strict=True)
    summary.hashes += [(name, value.hex() if value else '') for name, value in
                       zip(ids, part['image_sha256'].to_pylist(), strict=True)]
    ranked = predictions.matrix(part['classes'])
    for name, label_sets in label_columns(part).items():
      for k in (1, 5):
        count = accuracy.top_k_hits(ranked, label_sets, k)
        key = (f'top{k}', name)
        summary.counts[key] = summary.counts.get(
            key, accuracy.Count(0, 0, 0)) + count
  return summary


def label_columns(part: pa.Table) -> dict[str, accuracy.LabelSets]:
  """Returns the label sets that stored rows carry, by name.

  `original` is always there; `real` where the dataset has ReaL labels, that is,
  where the column is not null (an empty list is an image without a label).
  """
  found = {'original': accuracy.LabelSets.from_single(
      part['label'].fill_null(-1).to_numpy())}
  real = part['real_labels'].combine_chunks()
  if len(real) and real.null_count < len(real):
    found['real'] = accuracy.LabelSets(
        real.flatten().to_numpy(zero_copy_only=False),
        np.asarray(pc.list_value_length(real).fill_null(0)))
  return found


def finish(directory: pathlib.Path, manifest: dict[str, Any], summary: Summary,
           failed: dict[str, str], timing: dict[str, Any],
           published: dict[str, Any] | None = None,
           preflight: Sequence[str] = ()) -> Run:
  """Writes `result.json`, which makes a run complete.

  Args:
    directory: the run's.
    manifest: what was run.
    summary: of the stored rows.
    failed: what is wrong with images that were skipped, by their ids.
    timing: seconds and rates.
    published: what `published.compare` found.
    preflight: what was found before the run, and did not stop it.
  """
  result = {
      **manifest,
      'dataset': {**manifest['dataset'], 'evaluated': len(summary.labels),
                  'failed': [{'id': name, 'reason': failed[name]}
                             for name in sorted(failed)],
                  **summary.digests()},
      'metrics': summary.metrics(),
      'published': published,
      'preflight': list(preflight),
      'timing': timing,
  }
  files.write_json(directory / RESULT, result)
  return Run(directory, result)
