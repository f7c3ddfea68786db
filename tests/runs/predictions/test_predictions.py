"""The prediction store: what is read is what was written, or an error."""

import errno
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pyarrow as pa
import pytest
import scipy.special

from tfeval.runs import predictions
from tfeval.utils import arrow
from tfeval.utils.errors import UserError

ROWS = 23


def examples(n: int = ROWS, seed: int = 0) -> dict:
  """Arguments of `make_rows`; some examples lack labels or have several."""
  rng = np.random.default_rng(seed)
  ids = [f'é {i:03d}.JPEG' for i in range(n)]
  return {
    'ids': ids,
    'hashes': [hashlib.sha256(name.encode()).digest() for name in ids],
    'labels': np.where(np.arange(n) % 5 == 0, -1, rng.integers(0, 1000, n)),
    'real_labels': [rng.integers(0, 1000, i % 4).tolist() for i in range(n)],
    # Coarse, so that scores tie at every place of the ranking.
    'scores': np.round(rng.normal(size=(n, 1000)) * 4).astype(np.float32),
  }


def rows(
  given: dict,
  part: slice = slice(None),
  output: str = 'logits',
  store_logits: bool = False,
) -> pa.RecordBatch:
  cut = {key: value if value is None else value[part] for key, value in given.items()}
  return predictions.make_rows(**cut, output=output, store_logits=store_logits)


def write(
  directory: pathlib.Path,
  given: dict,
  batch: int = ROWS,
  rows_per_part: int = 10,
  **options,
) -> None:
  writer = predictions.Writer(
    directory, options.get('store_logits', False), rows_per_part
  )
  for start in range(0, len(given['ids']), batch):
    writer.write(rows(given, slice(start, start + batch), **options))
  writer.flush()


def read(directory: pathlib.Path, columns=None) -> pa.Table:
  return pa.concat_tables(predictions.read_parts(directory, columns))


@pytest.fixture
def store(tmp_path) -> pathlib.Path:
  """A store of three parts: 10, 10 and 3 rows."""
  directory = tmp_path / 'run' / 'predictions'
  write(directory, examples(), batch=1)
  return directory


def edit_index(directory: pathlib.Path, edit) -> None:
  path = directory / 'index.json'
  index = json.loads(path.read_text())
  edit(index)
  path.write_text(json.dumps(index))


def refusal(directory: pathlib.Path) -> str:
  """Reads a store that must be refused; returns the message, a single line."""
  with pytest.raises(UserError) as error:
    read(directory)
  assert '\n' not in str(error.value).strip()
  return str(error.value)


# What was written comes back


def ranked_by_loop(scores: np.ndarray) -> list[list[int]]:
  return [
    sorted(range(1000), key=lambda c: (-row[c], c))[:20] for row in scores.tolist()
  ]


@pytest.mark.parametrize('store_logits', [False, True])
@pytest.mark.parametrize('output', ['logits', 'probabilities'])
def test_round_trip(tmp_path, output, store_logits):
  given = examples()
  if output == 'probabilities':
    given['scores'] = scipy.special.softmax(given['scores'], axis=1)
  write(tmp_path, given, output=output, store_logits=store_logits)
  table = read(tmp_path)
  assert table.schema == predictions.schema(store_logits)
  assert table['id'].to_pylist() == given['ids']
  assert table['image_sha256'].to_pylist() == given['hashes']
  labels = [None if label < 0 else label for label in given['labels'].tolist()]
  assert table['label'].to_pylist() == labels
  assert table['real_labels'].to_pylist() == given['real_labels']
  ranked = ranked_by_loop(given['scores'])
  assert table['classes'].to_pylist() == ranked
  expected = (
    scipy.special.log_softmax(given['scores'].astype(np.float64), axis=1)
    if output == 'logits'
    else np.log(given['scores'].astype(np.float64))
  )
  np.testing.assert_allclose(
    arrow.matrix(table['log_probs']),
    np.take_along_axis(expected, np.array(ranked), axis=1),
    rtol=1e-6,
  )
  for i, (label, log_prob) in enumerate(
    zip(labels, table['label_log_prob'].to_pylist(), strict=True)
  ):
    if label is None:
      assert log_prob is None
    else:
      assert log_prob == pytest.approx(expected[i, label], rel=1e-6)
  if store_logits:
    np.testing.assert_array_equal(arrow.matrix(table['logits']), given['scores'])


def test_no_real_labels_are_not_empty_real_labels(tmp_path):
  given = examples(3)
  for name, real in (('none', None), ('empty', [[], [], []])):
    write(tmp_path / name, {**given, 'real_labels': real})
    assert read(tmp_path / name)['real_labels'].to_pylist() == (real or [None] * 3)


def test_a_probability_of_zero_is_minus_infinity(tmp_path):
  scores = np.zeros((2, 1000), np.float32)
  scores[0, 7] = 1
  scores[1, [3, 5]] = 0.25, 0.75
  given = {**examples(2), 'scores': scores, 'labels': np.array([9, 5])}
  write(tmp_path, given, output='probabilities')
  table = read(tmp_path)
  ranked = table['classes'].to_pylist()
  assert ranked[0][:4] == [7, 0, 1, 2]
  assert ranked[1][:4] == [5, 3, 0, 1]
  log_probs = arrow.matrix(table['log_probs'])
  np.testing.assert_allclose(log_probs[:, 0], np.log([1, 0.75]), rtol=1e-6)
  assert log_probs[1, 1] == pytest.approx(np.log(0.25))
  assert np.all(log_probs[0, 1:] == -np.inf) and np.all(log_probs[1, 2:] == -np.inf)
  assert table['label_log_prob'].to_pylist() == [-np.inf, pytest.approx(np.log(0.75))]


@pytest.mark.parametrize('batch', [1, 4, 7, ROWS])
@pytest.mark.parametrize('rows_per_part', [1, 5, 10, 2000])
def test_batches_do_not_change_the_rows(tmp_path, batch, rows_per_part):
  given = examples()
  write(tmp_path, given, batch, rows_per_part)
  parts = list(predictions.read_parts(tmp_path))
  # A part is written as soon as so many rows are there; the last takes the rest.
  assert all(rows_per_part <= len(p) < rows_per_part + batch for p in parts[:-1])
  assert pa.concat_tables(parts).combine_chunks() == pa.table(rows(given))


def test_some_columns(store):
  table = read(store, ['label', 'id'])
  assert sorted(table.column_names) == ['id', 'label']
  assert table['id'].to_pylist() == examples()['ids']


def test_a_directory_named_like_a_partition_adds_no_column(tmp_path):
  directory = tmp_path / 'MobileNet_alpha=0.25' / 'label=7'
  write(directory, examples())
  assert read(directory) == pa.table(rows(examples()))


def test_matrix_of_a_slice():
  values = np.arange(12, dtype=np.int32)
  column = pa.FixedSizeListArray.from_arrays(pa.array(values), 3)
  for array in (column[1:3], pa.chunked_array([column[1:2], column[2:3]])):
    np.testing.assert_array_equal(arrow.matrix(array), values.reshape(4, 3)[1:3])


def test_no_rows_are_no_part(tmp_path):
  writer = predictions.Writer(tmp_path, store_logits=False)
  writer.flush()
  writer.write(rows(examples(0)))
  writer.flush()
  assert list(predictions.read_parts(tmp_path)) == []
  assert os.listdir(tmp_path) == ['index.json']


# What was damaged is refused


def test_a_torn_part(store):
  path = store / 'part-00001.parquet'
  content = path.read_bytes()
  for size in (0, 8, len(content) // 2, len(content) - 1):
    path.write_bytes(content[:size])
    assert 'part-00001.parquet was changed' in refusal(store)


def test_a_changed_part(store):
  path = store / 'part-00001.parquet'
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(content)
  assert 'part-00001.parquet was changed' in refusal(store)


def test_parts_that_changed_places(store):
  other = store / 'other'
  (store / 'part-00000.parquet').rename(other)
  (store / 'part-00001.parquet').rename(store / 'part-00000.parquet')
  other.rename(store / 'part-00001.parquet')
  assert 'part-00000.parquet was changed' in refusal(store)


def test_a_missing_part(store):
  (store / 'part-00002.parquet').unlink()
  message = refusal(store)
  assert 'part-00002.parquet' in message and 'No such file' in message


def test_parts_before_a_damaged_one_are_read(store):
  (store / 'part-00001.parquet').unlink()
  parts = predictions.read_parts(store)
  assert next(parts)['id'].to_pylist() == examples()['ids'][:10]
  with pytest.raises(UserError, match='part-00001.parquet'):
    next(parts)


def test_a_part_that_is_not_listed_is_not_read(store):
  shutil.copy(store / 'part-00000.parquet', store / 'part-00003.parquet')
  (store / 'part-00004.parquet').write_bytes(b'torn')
  assert read(store)['id'].to_pylist() == examples()['ids']


def test_a_new_writer_discards_what_was_there(store):
  (store / '.part-00003.parquet.1.tmp').write_bytes(b'torn')
  writer = predictions.Writer(store, store_logits=False)
  assert os.listdir(store) == ['index.json']
  assert list(predictions.read_parts(store)) == []
  writer.write(rows(examples(), slice(0, 2)))
  writer.flush()
  assert read(store)['id'].to_pylist() == examples()['ids'][:2]


def test_no_store(tmp_path):
  assert 'No such file' in refusal(tmp_path)


@pytest.mark.parametrize(
  'content, said',
  [
    ('', 'is not JSON'),
    ('[]', 'does not list parts'),
    ('{"schema_version": 1}', 'does not list parts'),
    ('{"schema_version": 1, "parts": {}}', 'does not list parts'),
    ('{"schema_version": 2, "parts": []}', 'has schema version 2, this tfeval reads 1'),
    ('{"parts": []}', 'has schema version None'),
  ],
)
def test_an_index_that_is_none(store, content, said):
  (store / 'index.json').write_text(content)
  assert said in refusal(store)


@pytest.mark.parametrize('file', ['../../etc/x', 'absolute', '..', '.', '', None])
def test_an_index_does_not_lead_out_of_its_directory(store, file):
  # What it leads to is a part that would be read, were it inside.
  outside = store.parent.parent / 'etc' / 'x'
  outside.parent.mkdir()
  (store / 'part-00000.parquet').rename(outside)
  if file == 'absolute':
    file = str(outside)
  edit_index(store, lambda index: index['parts'][0].update(file=file))
  assert 'is damaged' in refusal(store)


@pytest.mark.parametrize(
  'content', [b'', b'not Parquet', b'PAR1' + bytes(100) + b'\x20\0\0\0PAR1']
)
def test_a_listed_file_that_is_not_parquet(store, content):
  path = store / 'part-00000.parquet'
  path.write_bytes(content)
  digest = hashlib.sha256(content).hexdigest()
  edit_index(store, lambda index: index['parts'][0].update(sha256=digest))
  assert str(path) in refusal(store)


@pytest.mark.parametrize('count', [9, 11, None, '10'])
def test_a_part_of_another_number_of_rows(store, count):
  edit_index(store, lambda index: index['parts'][0].update(rows=count))
  message = refusal(store)
  assert 'has 10 rows' in message and f'the index says {count} rows' in message


def test_a_column_that_is_not_stored(store):
  with pytest.raises(UserError, match='part-00000.parquet'):
    read(store, ['id', 'logits'])


# Writing that fails


@pytest.mark.parametrize('done', range(7))
def test_a_failure_at_any_step_leaves_whole_parts(tmp_path, monkeypatch, done):
  # The steps: the index, then three times a part and the index.
  replace, given, calls = os.replace, examples(), []

  def fail_after(source, target):
    calls.append(target)
    if len(calls) > done:
      raise OSError(errno.ENOSPC, 'No space left on device')
    replace(source, target)

  monkeypatch.setattr(os, 'replace', fail_after)
  with pytest.raises(UserError, match='No space left on device'):
    write(tmp_path, given, batch=1)
  assert not list(tmp_path.glob('.*'))
  if done == 0:
    assert os.listdir(tmp_path) == []
  else:
    parts = list(predictions.read_parts(tmp_path))
    assert len(parts) == (done - 1) // 2
    ids = [name for part in parts for name in part['id'].to_pylist()]
    assert ids == given['ids'][: 10 * len(parts)]


FULL_DISK = textwrap.dedent("""
    import pathlib, resource, signal, sys
    import numpy as np
    from tfeval.runs import predictions
    from tfeval.utils.errors import UserError

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limit = int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    rng = np.random.default_rng(0)
    try:
      writer = predictions.Writer(pathlib.Path(sys.argv[1]), True, rows_per_part=1)
      for n in (10, 100):
        writer.write(predictions.make_rows(
            [str(i) for i in range(n)], [bytes(32)] * n, np.zeros(n, np.int64), None,
            rng.normal(size=(n, 1000)).astype(np.float32), 'logits', True))
    except UserError as error:
      print(error)
      sys.exit(2)
    """)


@pytest.mark.parametrize(
  'limit, left',
  [
    (100_000, ['index.json', 'part-00000.parquet']),  # the second part does not fit
    (10, []),  # not even the index does
  ],
)
def test_a_full_disk(tmp_path, limit, left):
  pytest.importorskip('resource')
  done = subprocess.run(
    [sys.executable, '-c', FULL_DISK, tmp_path, str(limit)],
    capture_output=True,
    text=True,
    check=False,
  )
  assert (done.returncode, done.stderr) == (2, '')
  assert done.stdout.startswith(f'cannot write {tmp_path}')
  assert 'File too large' in done.stdout
  assert done.stdout.count('\n') == 1
  assert sorted(os.listdir(tmp_path)) == left
  if left:
    assert read(tmp_path)['id'].to_pylist() == [str(i) for i in range(10)]


def test_a_directory_that_cannot_be(tmp_path):
  (tmp_path / 'file').write_text('')
  with pytest.raises(UserError, match='cannot write'):
    predictions.Writer(tmp_path / 'file' / 'predictions', store_logits=False)
