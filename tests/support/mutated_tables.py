"""Formats of tables and text for `mutations`: predictions, labels, lists, results."""

import pathlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from mutations import Format, of_json

from tfeval.datasets.labels import files, imagenet, sets
from tfeval.datasets.labels.files import LabelTable
from tfeval.runs.importing import readers
from tfeval.utils import files as json_files

ROWS = 60
_SPACE = imagenet.label_space()
_NAMES = [imagenet.validation_name(n + 1) for n in range(ROWS)]


def _classes(k: int) -> np.ndarray:
  """int64 [60, k], different in a row."""
  return (np.arange(ROWS)[:, None] * 7 + np.arange(k)) % 1000


def _scores(k: int) -> np.ndarray:
  return np.float32(0.5) ** np.arange(1, k + 1) * np.ones((ROWS, 1), np.float32)


# Predictions


def _read_predictions(path: pathlib.Path) -> list[Any]:
  """Returns all blocks as lists; they are ranked elsewhere."""
  found = []
  with readers.opened(path, None) as table:
    for block in table.blocks():
      n = len(block)
      for matrix in (block.classes, block.scores):
        assert matrix is None or (matrix.ndim == 2 and len(matrix) == n)
      if block.ids is not None:
        assert block.ids.type == pa.string() and len(block.ids) == n
        block.ids.validate(full=True)
      found.append(
        [
          None if one is None else one.tolist()
          for one in (block.ids, block.classes, block.scores)
        ]
      )
  return found


def _npy(directory: pathlib.Path) -> pathlib.Path:
  path = directory / 'model.npy'
  np.save(path, _classes(5))
  return path


def _npz(directory: pathlib.Path) -> pathlib.Path:
  path = directory / 'model.npz'
  np.savez_compressed(path, classes=_classes(5), probabilities=_scores(5))
  return path


def _csv(directory: pathlib.Path) -> pathlib.Path:
  path = directory / 'model.csv'
  lines = ['id,class_1,class_2,probability_1,probability_2']
  lines += [f'{name},{n},{n + 1},0.5,0.25' for n, name in enumerate(_NAMES)]
  path.write_text('\n'.join(lines) + '\n')
  return path


def _parquet(directory: pathlib.Path, **options: Any) -> pathlib.Path:
  path = directory / 'model.parquet'
  table = pa.table(
    {
      'id': _NAMES,
      'classes': _classes(5).tolist(),
      'log_probs': np.log(_scores(5)).tolist(),
    }
  )
  pq.write_table(table, path, **options)
  return path


def _flat_parquet(directory: pathlib.Path) -> pathlib.Path:
  path = directory / 'model.parquet'
  columns = {f'class_{k + 1}': _classes(3)[:, k] for k in range(3)}
  pq.write_table(pa.table({'id': _NAMES, **columns}), path, row_group_size=20)
  return path


# Labels and lists


def _read_labels(path: pathlib.Path) -> list[Any]:
  table = files.read_labels(path, _SPACE)
  assert isinstance(table, LabelTable) and table.sizes.sum() == len(table.values)
  assert table.values.min() >= 0 and table.values.max() < len(_SPACE)
  if table.ids is not None:
    assert len(table.ids) == len(table.sizes)
    table.ids.validate(full=True)
  ids = None if table.ids is None else table.ids.to_pylist()
  return [ids, table.values.tolist(), table.sizes.tolist()]


def _json_labels(directory: pathlib.Path) -> pathlib.Path:
  path = directory / 'labels.json'
  json_files.write_json(path, {name: [n, n + 1] for n, name in enumerate(_NAMES)})
  return path


def _csv_labels(directory: pathlib.Path) -> pathlib.Path:
  path = directory / 'labels.csv'
  lines = [
    f'{name},{n if n % 2 else _SPACE.class_ids[n]}' for n, name in enumerate(_NAMES)
  ]
  path.write_text('\n'.join(['id,label', *lines]) + '\n')
  return path


def _npy_labels(directory: pathlib.Path) -> pathlib.Path:
  path = directory / 'labels.npy'
  np.save(path, np.arange(imagenet.NUM_VALIDATION, dtype=np.int16) % 1000)
  return path


def _read_ids(path: pathlib.Path) -> list[str]:
  ids = sets.read_ids(path)
  ids.validate(full=True)
  assert len(ids)
  return ids.to_pylist()


def _ids(directory: pathlib.Path) -> pathlib.Path:
  path = directory / 'ids.txt'
  path.write_text('\n'.join(_NAMES))
  return path


def _json_ids(directory: pathlib.Path) -> pathlib.Path:
  path = directory / 'ids.json'
  json_files.write_json(path, _NAMES)
  return path


FORMATS = (
  Format('predictions.npy', _npy, _read_predictions),
  Format('predictions.npz', _npz, _read_predictions),
  Format('predictions.csv', _csv, _read_predictions),
  Format('predictions.parquet', _parquet, _read_predictions),
  Format('predictions.flat.parquet', _flat_parquet, _read_predictions),
  Format('labels.json', _json_labels, _read_labels, of_json),
  Format('labels.csv', _csv_labels, _read_labels),
  Format('labels.npy', _npy_labels, _read_labels),
  Format('ids.txt', _ids, _read_ids),
  Format('ids.json', _json_ids, _read_ids, of_json),
)
