"""Formats of tables and text for `mutations`: predictions, labels, lists, results."""

import hashlib
import json
import pathlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.io
from mutations import Format, of_json

from tfeval.analysis import attributes
from tfeval.analysis.relabel import raters
from tfeval.cli import flagfiles
from tfeval.datasets.labels import (
  files,
  group_files,
  imagenet,
  matlab,
  sets,
  subsets,
)
from tfeval.datasets.labels.label_table import LabelTable
from tfeval.runs import discovery, predictions, run
from tfeval.runs.importing import importer, readers, sources
from tfeval.runs.importing.directory import ImportConfig
from tfeval.runs.predictions import resume
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


def _list_of_labels(directory: pathlib.Path) -> pathlib.Path:
  path = directory / 'labels.lst'
  lines = [f'{n}\t{n}.000000\tval/{name}' for n, name in enumerate(_NAMES)]
  path.write_text('\n'.join(lines) + '\n')
  return path


def _text_labels(directory: pathlib.Path) -> pathlib.Path:
  path = directory / 'labels.txt'
  lines = [f'{name} {_SPACE.class_ids[n]}' for n, name in enumerate(_NAMES)]
  path.write_text('\n'.join(lines) + '\n')
  return path


def _parquet_labels(directory: pathlib.Path) -> pathlib.Path:
  path = directory / 'labels.parquet'
  names = {'info': {'features': {'label': {'names': list(_SPACE.class_ids)}}}}
  labels = [[n, n + 1] for n in range(ROWS)]
  metadata = {'huggingface': json.dumps(names)}
  pq.write_table(pa.table({'id': _NAMES, 'label': labels}, metadata=metadata), path)
  return path


# Groups


def _read_groups(path: pathlib.Path) -> list[Any]:
  """Returns what is known of images, and the slices that are made of it."""
  found = group_files.read_groups(path)
  made = attributes.of_table(found)[0]
  for one in made:
    assert one.codes.shape == (len(found.ids),)
    assert one.codes.max() < len(one.slices)
  return [
    found.ids.to_pylist(),
    {name: texts.to_pylist() for name, texts in found.columns.items()},
  ]


def _groups() -> list[dict[str, Any]]:
  return [
    {'id': name, 'dark': n % 2, 'angle': n % 18, 'size': n / 7, 'kind': 'ab'[n % 2]}
    for n, name in enumerate(_NAMES)
  ]


def _csv_groups(directory: pathlib.Path) -> pathlib.Path:
  path = directory / 'groups.csv'
  rows = [[*_groups()[0]], *(row.values() for row in _groups())]
  path.write_text('\n'.join(','.join(map(str, row)) for row in rows) + '\n')
  return path


def _lines_of_groups(directory: pathlib.Path) -> pathlib.Path:
  path = directory / 'groups.jsonl'
  path.write_text('\n'.join(map(json.dumps, _groups())) + '\n')
  return path


def _parquet_groups(directory: pathlib.Path) -> pathlib.Path:
  path = directory / 'groups.parquet'
  pq.write_table(pa.Table.from_pylist(_groups()), path)
  return path


def _meta(directory: pathlib.Path) -> pathlib.Path:
  path = directory / 'meta.mat'
  synsets = np.zeros((ROWS, 1), [('ILSVRC2012_ID', object), ('WNID', object)])
  for n in range(ROWS):
    synsets[n, 0] = (float(n + 1), _SPACE.class_ids[n])
  scipy.io.savemat(path, {'synsets': synsets}, do_compression=True)
  return path


def _read_meta(path: pathlib.Path) -> list[Any]:
  found = matlab.read_ilsvrc_ids(path)
  assert all(type(n) is int and type(wnid) is str for n, wnid in found.items())
  return sorted(found.items())


def _read_ids(path: pathlib.Path) -> list[str]:
  ids = subsets.read_ids(path)
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


# Raters of ReaL


def _raters(directory: pathlib.Path, **arrays: np.ndarray) -> pathlib.Path:
  path = directory / 'raters.npz'
  info = np.array([[name, str(n)] for n, name in enumerate(_NAMES)])
  np.savez_compressed(path, info=info, **arrays)
  return path


def _votes(directory: pathlib.Path) -> pathlib.Path:
  tensor = np.zeros((3, ROWS, 3), np.float32)
  tensor[np.arange(3)[:, None], np.arange(ROWS), np.arange(ROWS) % 3] = 1
  return _raters(directory, ids=np.arange(3), tensor=tensor)


def _read_votes(path: pathlib.Path) -> list[Any]:
  found = raters.load_votes(path)
  assert found.votes.item.max() < len(found.pairs.image)
  assert 0 <= found.votes.answer.min() <= found.votes.answer.max() <= 2
  return [
    one.tolist()
    for one in (
      found.pairs.image,
      found.pairs.label,
      found.ids,
      found.votes.item,
      found.votes.answer,
    )
  ]


def _read_scores(path: pathlib.Path) -> list[Any]:
  found = raters.load_scores(path)
  assert len(found.score) == len(found.pairs.keys)
  assert 0 <= found.score.min() <= found.score.max() <= 1
  return [found.score.tolist(), found.pairs.keys.tolist()]


# Run directories


def _run(directory: pathlib.Path) -> pathlib.Path:
  """Imports predictions into a run directory."""
  (source,) = sources.find_sources(
    str(_parquet(directory)), None, str(directory / 'run')
  )
  labels = (sets.LabelSource('original'),)
  importer.import_predictions(source, ImportConfig(labels, partial=True))
  return directory / 'run'


def _part(directory: pathlib.Path) -> pathlib.Path:
  return _run(directory) / 'predictions' / 'part-00000.parquet'


def _part_of_all(directory: pathlib.Path) -> pathlib.Path:
  """Stores all outputs, as an evaluation does, with dictionaries as others may."""
  scores = np.linspace(-9, 9, 10 * 1000, dtype=np.float32).reshape(10, 1000)
  rows = predictions.make_rows(
    _NAMES[:10], [b'x' * 32] * 10, np.arange(10), [[1]] * 10, scores, 'logits', True
  )
  path = directory / 'part-00000.parquet'
  pq.write_table(pa.Table.from_batches([rows]), path, compression='zstd')
  return path


def _read_part(path: pathlib.Path) -> Any:
  content = path.read_bytes()
  part = {
    'file': path.name,
    'rows': 10 if len(content) > 20_000 else ROWS,
    'sha256': hashlib.sha256(content).hexdigest(),
  }
  table = predictions.read_part(path.parent, part, None)
  table.validate(full=True)
  assert len(table) == part['rows']
  if {'id', 'classes'} <= {*table.column_names}:
    assert table['id'].type == pa.string()
    classes = np.array(table['classes'].to_pylist())
    assert classes.min() >= 0 and classes.max() < len(_SPACE)
  return table


def _index(directory: pathlib.Path) -> pathlib.Path:
  return _run(directory) / 'predictions' / 'index.json'


def _read_index(path: pathlib.Path) -> Any:
  resume.whole_parts(path.parent, range(ROWS), gapless=False)
  return [len(part) for part in predictions.read_parts(path.parent)]


def _result(directory: pathlib.Path) -> pathlib.Path:
  return _run(directory) / 'result.json'


def _read_result(path: pathlib.Path) -> Any:
  found = run.load_run(path.parent)
  assert repr(found)
  return [found.result, found.score()]


def _manifest(directory: pathlib.Path) -> pathlib.Path:
  path = _run(directory) / 'manifest.json'
  (path.parent / 'result.json').unlink()
  return path


def _read_manifest(path: pathlib.Path) -> str:
  (found,) = discovery.find_runs([path.parent])
  assert isinstance(found, run.Failure)
  return found.name


def _parquet_2(directory: pathlib.Path) -> pathlib.Path:
  encodings = {'id': 'DELTA_BYTE_ARRAY', 'classes.list.element': 'DELTA_BINARY_PACKED'}
  return _parquet(
    directory,
    use_dictionary=False,
    column_encoding={**encodings, 'log_probs.list.element': 'BYTE_STREAM_SPLIT'},
    data_page_version='2.0',
    compression='gzip',
    write_page_checksum=True,
    write_page_index=True,
  )


def _flags(directory: pathlib.Path) -> pathlib.Path:
  path = directory / 'flags.txt'
  path.write_text(
    '# A run.\n--model=ResNet50\n--dataset=folder:photos\n--batch_size=32\n'
    '--labels:json="a\\nb"\n--noskip\n'
  )
  return path


def _read_flags(path: pathlib.Path) -> list[Any]:
  lines = flagfiles.read(str(path))
  assert all(isinstance(line.flag.text, str) for line in lines)
  return [(line.flag.name, line.flag.value) for line in lines]


FORMATS = (
  Format('predictions.npy', _npy, _read_predictions),
  Format('predictions.npz', _npz, _read_predictions),
  Format('predictions.csv', _csv, _read_predictions),
  Format('predictions.parquet', _parquet, _read_predictions),
  Format('predictions.flat.parquet', _flat_parquet, _read_predictions),
  Format('labels.json', _json_labels, _read_labels, of_json),
  Format('labels.csv', _csv_labels, _read_labels),
  Format('labels.npy', _npy_labels, _read_labels),
  Format('labels.lst', _list_of_labels, _read_labels),
  Format('labels.txt', _text_labels, _read_labels),
  Format('labels.parquet', _parquet_labels, _read_labels),
  Format('groups.csv', _csv_groups, _read_groups),
  Format('groups.jsonl', _lines_of_groups, _read_groups),
  Format('groups.parquet', _parquet_groups, _read_groups),
  Format('meta.mat', _meta, _read_meta),
  Format('ids.txt', _ids, _read_ids),
  Format('ids.json', _json_ids, _read_ids, of_json),
  Format('predictions.2.parquet', _parquet_2, _read_predictions),
  Format('part.parquet', _part, _read_part),
  Format('part.of_all.parquet', _part_of_all, _read_part),
  Format('index.json', _index, _read_index, of_json),
  Format('result.json', _result, _read_result, of_json),
  Format('manifest.json', _manifest, _read_manifest, of_json),
  Format('flags.txt', _flags, _read_flags),
  Format('raters.npz', _votes, _read_votes),
  Format(
    'scores.npz',
    lambda directory: _raters(directory, tensor=np.linspace(0, 1, ROWS)),
    _read_scores,
  ),
)
