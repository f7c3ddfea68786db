"""Small files that stand for gigabytes, or never end, for every reader of tables.

`python tests/support/hostile_tables.py DIRECTORY` reads those that `make` has written,
with as much memory as it has by then and 1 GiB more, and prints what each reader says.
"""

import base64
import dataclasses
import hashlib
import json
import os
import pathlib
import resource
import struct
import sys
import time
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import mutated_tables
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfeval.analysis.relabel import raters
from tfeval.datasets.labels import imagenet
from tfeval.runs import predictions, result_reader
from tfeval.utils import files
from tfeval.utils.errors import UserError

MEMORY = 1 << 30


@dataclasses.dataclass(frozen=True)
class Case:
  """A file that does harm where it is believed.

  Attributes:
    file: its name, inside of a directory of its own.
    make: writes it.
    read: reads it.
    said: a pattern of what is said of it.
  """

  file: str
  make: Callable[[pathlib.Path], Any]
  read: Callable[[pathlib.Path], Any]
  said: str


def _write(table: pa.Table, **options: Any) -> Callable[[pathlib.Path], None]:
  options = {'compression': 'zstd', **options}
  return lambda path: pq.write_table(table, path, **options)


def _text(text: bytes, times: int = 1, end: bytes = b'') -> Callable[..., None]:
  return lambda path: path.write_bytes(text * times + end)


# Predictions


def _one_id_for_all(path: pathlib.Path) -> None:
  ids = pa.DictionaryArray.from_arrays(np.zeros(1000, np.int32), ['x' * 10_000_000])
  pq.write_table(
    pa.table({'id': ids, 'class_1': range(1000)}), path, compression='zstd'
  )


def _rows(count: int) -> pa.Table:
  ids = pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int8)), ['a'])
  return pa.table({'id': ids, 'class_1': np.zeros(count, np.int8)})


def _id_after_id(path: pathlib.Path) -> None:
  table = pa.table({'id': ['x' * 100_000] * 500, 'class_1': range(500)})
  encoding = {'id': 'DELTA_BYTE_ARRAY', 'class_1': 'PLAIN'}
  pq.write_table(table, path, use_dictionary=False, column_encoding=encoding)


def _id_in_each_group(path: pathlib.Path) -> None:
  table = pa.table({'id': ['x' * 10_000_000], 'class_1': [1]})
  with pq.ParquetWriter(
    path, table.schema, compression='zstd', use_dictionary=False
  ) as writer:
    for _ in range(40):
      writer.write_table(table)


def _one_long_list(path: pathlib.Path) -> None:
  values = pa.nulls(40_000_000, pa.int8())
  lists = pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)
  pq.write_table(pa.table({'id': ['a'], 'classes': lists}), path)


def _nulls_of_a_million(path: pathlib.Path) -> None:
  """Says that lists, all of them null, are of a fixed size."""
  fixed = pa.schema({'id': pa.string(), 'classes': pa.list_(pa.int32(), 1_000_000)})
  lists = pa.array([None] * 1000, pa.list_(pa.int32()))
  table = pa.table({'id': [str(n) for n in range(1000)], 'classes': lists})
  with pq.ParquetWriter(path, table.schema, store_schema=False) as writer:
    writer.write_table(table)
    text = base64.b64encode(fixed.serialize()).decode()
    writer.add_key_value_metadata({'ARROW:schema': text})


def _large_footer(path: pathlib.Path) -> None:
  path.write_bytes(b'PAR1' + b'\0' * 1000 + (10**8).to_bytes(4, 'little') + b'PAR1')


def _npz(
  content: bytes, method: int = zipfile.ZIP_DEFLATED, name: str = 'a.npy'
) -> Callable[[pathlib.Path], None]:
  def make(path: pathlib.Path) -> None:
    with zipfile.ZipFile(path, 'w', method) as archive:
      archive.writestr(name, content)

  return make


def _array(header: bytes, size: int = 0) -> bytes:
  return b'\x93NUMPY\2\0' + len(header).to_bytes(4, 'little') + header + bytes(size)


def _shape(shape: str, order: str = 'False', kind: str = '<f4') -> bytes:
  return (
    f"{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
  )


# Labels


def _different_labels(path: pathlib.Path) -> None:
  path.write_text('id,label\n' + ''.join(f'a,0x{n}\n' for n in range(1_000_000)))


def _labels_of(count: int) -> pa.Table:
  return _rows(count).rename_columns(['id', 'label'])


def _one_label_for_all(path: pathlib.Path) -> None:
  labels = pa.DictionaryArray.from_arrays(np.zeros(1000, np.int32), ['x' * 10_000_000])
  ids = [str(n) for n in range(1000)]
  pq.write_table(pa.table({'id': ids, 'label': labels}), path, compression='zstd')


def _ground_truth(
  make_meta: Callable[[pathlib.Path], Any],
) -> Callable[[pathlib.Path], None]:
  """Writes ids of the development kit, and what says which classes they are."""

  def make(path: pathlib.Path) -> None:
    path.write_text(''.join(f'{n % 1000 + 1}\n' for n in range(50_000)))
    make_meta(path.with_name('meta.mat'))

  return make


def _mat(element: bytes) -> bytes:
  return b'MATLAB 5.0'.ljust(124) + b'\0\1IM' + element


def _packed_mat(path: pathlib.Path) -> None:
  packed = zlib.compress(bytes(100_000_000))
  path.write_bytes(_mat(struct.pack('<II', 15, len(packed)) + packed))


def _mat_of_cells(path: pathlib.Path) -> None:
  flags = struct.pack('<IIII', 6, 8, 1, 0)
  shape = struct.pack('<IIII', 5, 8, 1 << 15, 1 << 15)
  name = struct.pack('<II', 1, 7) + b'synsets\0'
  body = flags + shape + name
  path.write_bytes(_mat(struct.pack('<II', 14, len(body)) + body))


# Run directories


def _index(path: pathlib.Path, rows: int) -> None:
  content = path.read_bytes()
  part = {
    'file': path.name,
    'rows': rows,
    'sha256': hashlib.sha256(content).hexdigest(),
  }
  files.write_json(path.parent / 'index.json', {'schema_version': 1, 'parts': [part]})


def _part(rows: int, listed: int) -> Callable[[pathlib.Path], None]:
  def make(path: pathlib.Path) -> None:
    schema = predictions.schema(False)
    lists = pa.FixedSizeListArray.from_arrays(
      pa.array(np.zeros(20 * rows, np.int32)), 20
    )
    columns = {'id': pa.array([''] * rows), 'classes': lists}
    table = pa.Table.from_arrays(
      [
        columns.get(field.name, None) or pa.nulls(rows, field.type)
        for field in schema
        if field.name != 'log_probs'
      ],
      schema=pa.schema([field for field in schema if field.name != 'log_probs']),
    )
    pq.write_table(table, path, compression='zstd')
    _index(path, listed)

  return make


def _many_small_parts(path: pathlib.Path) -> None:
  part = {'rows': 1_000_000, 'sha256': '0' * 64}
  parts = [{'file': f'part-{n:05d}.parquet', **part} for n in range(3)]
  files.write_json(path, {'schema_version': 1, 'parts': parts})


def _read_store(path: pathlib.Path) -> Any:
  columns = ['id', 'classes']
  return [len(part) for part in predictions.read_parts(path.parent, columns)]


def _read_result(path: pathlib.Path) -> Any:
  return result_reader.read_result(path.parent)


# What is no regular file


def _pipe(path: pathlib.Path) -> None:
  os.mkfifo(path)


def _endless(path: pathlib.Path) -> None:
  path.symlink_to('/dev/zero')


def _pipe_as_part(path: pathlib.Path) -> None:
  path.write_bytes(b'')
  _index(path, 60)
  path.unlink()
  os.mkfifo(path)


def _part_elsewhere(path: pathlib.Path) -> None:
  path.write_bytes(b'')
  _index(path, 60)
  path.unlink()
  path.symlink_to(mutated_tables.__file__)


_NO_FILE = 'is a named pipe|is a device|is not a file|no file'
_predictions = mutated_tables._read_predictions
_labels = mutated_tables._read_labels
_ids = mutated_tables._read_ids
_groups = mutated_tables._read_groups
_NESTED = b'[[],' + b'[],' * 2_500_000 + b'[]]'

CASES = {
  'one id for all rows': Case(
    'x.parquet', _one_id_for_all, _predictions, 'an id of 10,000,000 bytes'
  ),
  'equal rows': Case(
    'x.parquet', _write(_rows(2_500_000)), _predictions, '2,500,000 rows'
  ),
  'ids by the one before': Case(
    'x.parquet', _id_after_id, _predictions, 'an id of 100,000 bytes'
  ),
  'an id in each row group': Case(
    'x.parquet', _id_in_each_group, _predictions, 'bytes in column id'
  ),
  'a list of 40 million': Case(
    'x.parquet', _one_long_list, _predictions, 'bytes in a row group once decoded'
  ),
  'lists of a million nulls': Case(
    'x.parquet', _nulls_of_a_million, _predictions, 'bytes in a row group once decoded'
  ),
  'a footer of 100 MB': Case(
    'x.parquet', _large_footer, _predictions, 'a footer of 100,000,000'
  ),
  'a header of 20 MB in an archive': Case(
    'x.npz', _npz(_array(b' ' * 20_000_000)), _predictions, 'not a NumPy array'
  ),
  'an archive packed by LZMA': Case(
    'x.npz',
    _npz(_array(_shape('(2, 5)'), 40), zipfile.ZIP_LZMA),
    _predictions,
    'packed otherwise',
  ),
  'an archive of a trillion rows': Case(
    'x.npz',
    _npz(_array(_shape('(1000000000000, 1000)'))),
    _predictions,
    'has 1,000,000,000,000 rows',
  ),
  'an archive of columns': Case(
    'x.npz',
    _npz(_array(_shape('(1900000, 1000)', 'True'))),
    _predictions,
    'in Fortran order has 7600000000 bytes',
  ),
  'rows of nothing': Case(
    'x.npy',
    _text(_array(_shape('(1000000000000, 0)', kind='<i8'))),
    _predictions,
    'expected',
  ),
  'a million columns': Case(
    'x.csv', _text(b'class_1,', 1_000_000, b'\n1'), _predictions, 'a header of'
  ),
  'a cell of 20 MB': Case(
    'x.csv', _text(b'id,class_1\n' + b'x' * 20_000_000), _predictions, 'cannot be read'
  ),
  'ids of a megabyte': Case(
    'x.csv',
    _text(b'id,class_1\n', 1, (b'x' * 1_000_000 + b',1\n') * 9),
    _predictions,
    'an id of 1,000,000 bytes',
  ),
  'labels in a million columns': Case(
    'x.csv', _text(b'id,' * 1_000_000 + b'\n', 3), _labels, 'a header of'
  ),
  'labels in too many rows': Case(
    'x.csv', _text(b'id,label\n', 1, b'a,1\n' * 2_500_000), _labels, '2,000,000 rows'
  ),
  'groups in a million columns': Case(
    'x.csv', _text(b'id,' * 1_000_000 + b'\n', 3), _groups, 'a header of'
  ),
  'groups in too many rows': Case(
    'x.csv', _text(b'id,kind\n', 1, b'a,1\n' * 2_500_000), _groups, '2,000,000 rows'
  ),
  'groups of empty lists': Case(
    'x.jsonl', _text(_NESTED), _groups, '2,500,004 lists and objects'
  ),
  'groups in too many lines': Case(
    'x.jsonl', _text(b'{}\n', 2_500_000), _groups, '2,000,000 rows'
  ),
  'equal groups of all rows': Case(
    'x.parquet', _write(_rows(2_500_000)), _groups, '2,500,000 rows'
  ),
  'labels of empty lists': Case(
    'x.json', _text(_NESTED), _labels, '2,500,003 lists and objects'
  ),
  'labels of 9 million numbers': Case(
    'x.json', _text(b'[1', 1, b',1' * 9_000_000 + b']'), _labels, '9,000,001 values'
  ),
  'labels in labels': Case(
    'x.json', _text(b'[' * 900, 1, b']' * 900), _labels, 'levels deep|recursion'
  ),
  'labels of a long number': Case(
    'x.json', _text(b'[' + b'9' * 10_000_000 + b']'), _labels, 'is not JSON'
  ),
  'too many lines of labels': Case(
    'x.txt', _text(b'a 1\n', 2_500_000), _labels, '2,000,000 rows'
  ),
  'a line of 20 MB of labels': Case(
    'x.txt', _text(b'a ', 10_000_000), _labels, 'a header of'
  ),
  'labels behind a line of words': Case(
    'x.txt', _text(b'a 1\n' + b'a ' * 10_000_000), _labels, 'an id of'
  ),
  'a million different labels': Case(
    'x.csv', _different_labels, _labels, 'the label of a is .0x0.'
  ),
  'equal labels': Case(
    'x.parquet', _write(_labels_of(2_500_000)), _labels, '2,500,000 rows'
  ),
  'one label for all': Case(
    'x.parquet', _one_label_for_all, _labels, 'an id of 10,000,000 bytes'
  ),
  'a packed meta.mat': Case(
    'x.txt', _ground_truth(_packed_mat), _labels, 'unpacks to more than'
  ),
  'a meta.mat of a billion cells': Case(
    'x.txt', _ground_truth(_mat_of_cells), _labels, '1,073,741,824 values in'
  ),
  'a pipe as meta.mat': Case('x.txt', _ground_truth(os.mkfifo), _labels, _NO_FILE),
  'too many ids': Case('x.txt', _text(b'a\n', 2_500_000), _ids, '2,000,000 rows'),
  'an id of 20 MB': Case('x.txt', _text(b'a', 20_000_000), _ids, 'an id of'),
  'texts of raters': Case(
    'x.npz',
    _npz(_array(_shape('(1000000, 2)', kind='<U64')), name='info.npy'),
    raters.load_scores,
    'ends too early',
  ),
  'raters of a trillion': Case(
    'x.npz',
    _npz(_array(_shape('(1000000000000, 2)', kind='<U28')), name='info.npy'),
    raters.load_votes,
    'expected',
  ),
  'ReaL labels of empty lists': Case(
    'real.json', _text(_NESTED), imagenet.load_real_labels, 'lists and objects'
  ),
  'a part of more rows than are listed': Case(
    'part-00000.parquet', _part(400_000, 60), _read_store, 'index says 60 rows'
  ),
  'a part of too many rows': Case(
    'part-00000.parquet',
    _part(1_800_000, 1_800_000),
    _read_store,
    'bytes once decoded',
  ),
  'parts of too many rows': Case(
    'index.json', _many_small_parts, _read_store, 'lists 3,000,000 rows'
  ),
  'an index of empty lists': Case(
    'index.json', _text(_NESTED), _read_store, 'lists and objects'
  ),
  'a result of empty lists': Case(
    'result.json', _text(_NESTED), _read_result, 'lists and objects'
  ),
  'a pipe as part': Case('part-00000.parquet', _pipe_as_part, _read_store, _NO_FILE),
  'a part elsewhere': Case(
    'part-00000.parquet', _part_elsewhere, _read_store, 'is a link out of'
  ),
  'a pipe as index': Case('index.json', _pipe, _read_store, _NO_FILE),
  'an endless index': Case('index.json', _endless, _read_store, 'is a link out of'),
  'an endless result': Case('result.json', _endless, _read_result, 'is not a run'),
  **{
    f'a {kind} as {name}': Case(name, make, read, _NO_FILE)
    for kind, make in (('pipe', _pipe), ('device', _endless))
    for name, read in (
      ('x.json', _labels),
      ('x.csv', _labels),
      ('x.npy', _labels),
      ('ids.txt', _ids),
      ('ids.json', _ids),
      ('real.json', imagenet.load_real_labels),
      ('raters.npz', raters.load_votes),
      ('predictions.parquet', _predictions),
      ('predictions.npz', _predictions),
    )
  },
}


def make(directory: pathlib.Path) -> None:
  """Writes the files of all cases, each into a directory called by its number."""
  for number, case in enumerate(CASES.values()):
    path = directory / str(number) / 'predictions' / case.file
    path.parent.mkdir(parents=True)
    case.make(path)


def main() -> None:
  directory = pathlib.Path(sys.argv[1])
  imagenet.label_space()
  with open('/proc/self/statm', encoding='ascii') as file:
    pages = int(file.read().split()[0])
  limit = pages * os.sysconf('SC_PAGE_SIZE') + MEMORY
  resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
  for number, (name, case) in enumerate(CASES.items()):
    path = directory / str(number) / 'predictions' / case.file
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
    try:
      said = f'read: {str(case.read(path))[:80]}'
    except UserError as error:
      said = f'refused: {error}'
      if isinstance(error.__cause__, MemoryError):
        said = f'memory ran out: {error}'
    except Exception as error:
      said = f'{type(error).__name__}: {error}'
    after = resource.getrusage(resource.RUSAGE_SELF)
    word = {
      'name': name,
      'said': said,
      'seconds': round(time.monotonic() - started, 2),
      'mib': (after.ru_maxrss - before.ru_maxrss) // 1024,
    }
    print(json.dumps(word), flush=True)


if __name__ == '__main__':
  main()
