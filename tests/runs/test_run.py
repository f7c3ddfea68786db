"""A run's directory: complete or not, and what its rows add up to."""

import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

import documents
import numpy as np
import pyarrow as pa
import pytest

import tfeval
from tfeval.runs import predictions, result_file, run, summary
from tfeval.utils import files
from tfeval.utils.errors import UserError

ROWS = 40
MANIFEST = {
  'schema_version': 1,
  'model': {'name': 'ResNet50'},
  'dataset': {
    'name': 'imagenet2012_real',
    'split': 'validation',
    'partial': False,
    'expected': 40,
  },
  'protocol': {'name': 'opencv'},
}


def examples(real: bool = True) -> dict:
  """Arguments of `make_rows`: about a third of the answers are right."""
  rng = np.random.default_rng(0)
  scores = rng.normal(size=(ROWS, 1000)).astype(np.float32)
  labels = np.where(rng.random(ROWS) < 0.1, -1, rng.integers(0, 1000, ROWS))
  for i in np.flatnonzero(rng.random(ROWS) < 0.5):
    scores[i, labels[i]] += rng.uniform(2, 5)
  sets = [
    np.argsort(-row)[rng.integers(0, 12, rng.integers(0, 4))].tolist() for row in scores
  ]
  ids = [f'{i:02d}.JPEG' for i in range(ROWS)]
  return {
    'ids': ids,
    'hashes': [hashlib.sha256(n.encode()).digest() for n in ids],
    'labels': labels,
    'real_labels': sets if real else None,
    'scores': scores,
  }


def reordered(given: dict, order) -> dict:
  return {
    key: value[order] if isinstance(value, np.ndarray) else [value[i] for i in order]
    for key, value in given.items()
  }


def make_run(
  directory: pathlib.Path,
  given: dict,
  batch: int = 9,
  rows_per_part: int = 10,
  **finish,
) -> run.Run:
  writer = predictions.Writer(directory / 'predictions', False, rows_per_part)
  for start in range(0, len(given['ids']), batch):
    part = {
      key: value if value is None else value[start : start + batch]
      for key, value in given.items()
    }
    writer.write(predictions.make_rows(**part, output='logits', store_logits=False))
  writer.flush()
  (directory / 'manifest.json').write_text(json.dumps(MANIFEST))
  rows = run.summarize(predictions.read_parts(directory / 'predictions'))
  arguments = {'failed': {}, 'timing': {'seconds': 1.5}, **finish}
  return run.finish(directory, MANIFEST, rows, **arguments)


def counted_by_loop(given: dict) -> dict:
  """(correct, count, skipped) by metric and label set."""
  singles = [[label] if label >= 0 else [] for label in given['labels'].tolist()]
  found = {}
  for name, sets in (('original', singles), ('real', given['real_labels'])):
    for k in (1, 5) if sets is not None else ():
      hits = [
        any(c in right for c in np.argsort(-row, kind='stable')[:k].tolist())
        for row, right in zip(given['scores'], sets, strict=True)
      ]
      count = sum(map(bool, sets))
      found[f'top{k}', name] = sum(hits), count, len(sets) - count
  return found


def counts(metrics: list[dict]) -> dict:
  return {
    (m['name'], m['labels']): (m['correct'], m['count'], m['skipped']) for m in metrics
  }


@pytest.mark.parametrize('real', [True, False])
def test_metrics_against_a_loop(tmp_path, real):
  expected = counted_by_loop(examples(real))
  assert len(expected) == (4 if real else 2)
  assert all(0 < correct < count < ROWS for correct, count, _ in expected.values())
  assert counts(make_run(tmp_path, examples(real)).metrics) == expected


def test_a_loaded_run_scores_what_its_result_says(tmp_path):
  made = make_run(tmp_path, examples())
  loaded = run.load_run(str(tmp_path))
  assert loaded == made
  assert loaded.score() == loaded.metrics
  assert [len(part) for part in loaded.parts(['id'])] == [18, 18, 4]


def test_result_holds_the_manifest_and_what_came_out(tmp_path):
  failed = {'b': 'it is empty', 'a': 'cut'}
  result = make_run(tmp_path, examples(), failed=failed).result
  assert result.model.name == result['model']['name'] == MANIFEST['model']['name']
  assert result['dataset']['name'] == 'imagenet2012_real'
  assert result['dataset']['evaluated'] == ROWS
  assert result['dataset']['failed'] == [
    {'id': 'a', 'reason': 'cut'},
    {'id': 'b', 'reason': 'it is empty'},
  ]
  assert result.timing.seconds == result['timing']['seconds'] == 1.5
  assert json.loads((tmp_path / 'result.json').read_text()) == result


@pytest.mark.parametrize('batch, rows_per_part', [(1, 1), (7, 10), (ROWS, 2000)])
def test_parts_do_not_change_the_result(tmp_path, batch, rows_per_part):
  whole = make_run(tmp_path / 'whole', examples())
  split = make_run(tmp_path / 'split', examples(), batch, rows_per_part)
  assert split.result == whole.result


def test_row_order_does_not_change_the_result(tmp_path):
  expected = make_run(tmp_path / 'ordered', examples()).result
  for seed in range(5):
    order = np.random.default_rng(seed).permutation(ROWS)
    shuffled = make_run(tmp_path / str(seed), reordered(examples(), order))
    assert [name for part in shuffled.parts() for name in part['id'].to_pylist()] != (
      examples()['ids']
    )
    assert shuffled.result == expected


def test_digests_by_hand(tmp_path):
  given = examples()
  dataset = make_run(tmp_path, given).result['dataset']
  labels = content = ''
  for name, label, value in zip(
    given['ids'], given['labels'], given['hashes'], strict=True
  ):
    labels += f'{name}\t{"" if label < 0 else label}\n'
    content += f'{name}\t{value.hex()}\n'
  assert dataset['label_digest'] == hashlib.sha256(labels.encode()).hexdigest()
  assert dataset['content_digest'] == hashlib.sha256(content.encode()).hexdigest()


def test_digests_tell_labels_and_content_apart(tmp_path):
  given = examples()
  was = make_run(tmp_path / 'a', given).result['dataset']
  given['labels'] = np.where(np.arange(ROWS) == 3, 0, given['labels'])
  relabelled = make_run(tmp_path / 'b', given).result['dataset']
  assert relabelled['label_digest'] != was['label_digest']
  assert relabelled['content_digest'] == was['content_digest']
  given = examples()
  given['hashes'][3] = bytes(32)
  changed = make_run(tmp_path / 'c', given).result['dataset']
  assert changed['label_digest'] == was['label_digest']
  assert changed['content_digest'] != was['content_digest']


def test_label_columns_by_hand():
  types = {'label': pa.int32(), 'real_labels': pa.list_(pa.int32())}
  part = pa.table(
    {'label': [7, None, 0], 'real_labels': [[3, 4], [], None]}, schema=pa.schema(types)
  )
  found = {
    name: (sets.values.tolist(), sets.sizes.tolist())
    for name, sets in summary.label_columns(part).items()
  }
  assert found == {'original': ([7, 0], [1, 0, 1]), 'real': ([3, 4], [2, 0, 0])}
  assert summary.label_columns(part.slice(2)).keys() == {'original'}
  assert summary.label_columns(part.slice(1)).keys() == {'original', 'real'}


# What a reader sees of it


def test_the_package_has_it_without_arrow_or_tensorflow():
  code = (
    'import sys, tfeval\n'
    'assert not {"pyarrow", "tensorflow", "keras"} & {*sys.modules}\n'
    'assert {"Run", "load_run"} <= {*dir(tfeval), *tfeval.__all__}\n'
    'tfeval.load_run, tfeval.Run\n'
    'assert not {"tensorflow", "keras"} & {*sys.modules}'
  )
  subprocess.run([sys.executable, '-c', code], check=True)
  assert tfeval.load_run is run.load_run and tfeval.Run is run.Run
  with pytest.raises(AttributeError, match="has no attribute 'load_runs'"):
    tfeval.load_runs  # noqa: B018


def test_rows_as_one_table(tmp_path):
  made = make_run(tmp_path, examples())
  table = made.to_arrow()
  assert table.schema == predictions.schema(store_logits=False)
  assert table['id'].to_pylist() == examples()['ids']
  assert made.to_arrow(['label']).column_names == ['label']
  frame = made.to_pandas(['id', 'label', 'classes'])
  assert list(frame.columns) == ['id', 'label', 'classes']
  assert frame['id'].tolist() == examples()['ids']
  assert frame['classes'][3].tolist() == table['classes'][3].as_py()


def test_without_pandas(tmp_path, monkeypatch):
  made = make_run(tmp_path, examples())
  monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
  with pytest.raises(UserError, match=r"pip install 'tfeval\[pandas\]'"):
    made.to_pandas()


def test_no_rows(tmp_path):
  made = make_run(tmp_path, examples())
  predictions.Writer(tmp_path / 'predictions', False)
  with pytest.raises(UserError, match='stores no rows'):
    made.to_arrow()


def test_repr(tmp_path):
  made = make_run(tmp_path, examples(real=False), failed={'x': 'cut'})
  top1 = made.metrics[0]
  first, title, caveat, *metrics = repr(made).splitlines()
  assert first == f"Run('{tmp_path}')"
  assert title == 'ResNet50 on imagenet2012_real validation, protocol opencv'
  assert caveat == '  FAILED and not counted: 1 of 40 images: x'
  assert len(metrics) == 2
  assert metrics[0].split() == [
    'top-1',
    f'{100 * top1["correct"] / top1["count"]:.2f}',
    '%',
    f'({top1["correct"]}',
    'of',
    f'{top1["count"]})',
  ]


def test_html_is_escaped(tmp_path):
  evil = '<script>alert(1)</script>"&'
  made = make_run(tmp_path, examples())
  result = json.loads(
    json.dumps(made.result).replace('ResNet50', 'NAME').replace('opencv', 'NAME')
  )
  for section in ('model', 'protocol'):
    result[section]['name'] = evil
  result['dataset'].update(name=evil, split=evil)
  result['metrics'] = [
    {
      'name': evil,
      'labels': evil,
      'kind': 'value',
      'count': 1,
      'skipped': 0,
      'value': None,
      'unavailable': evil,
    }
  ]
  typed = result_file.Result.from_json(result)
  shown = run.Run(pathlib.Path(evil), typed)._repr_html_()
  assert '<script' not in shown and '"&' not in shown
  # In the title twice, and its split, protocol; the path; the metric and why not.
  assert shown.count('&lt;script&gt;alert(1)&lt;/script&gt;') >= 6
  assert set(re.findall(r'</?(\w+)', shown)) <= documents.CELL_TAGS


# Runs that cannot be loaded


def test_an_incomplete_run(tmp_path):
  make_run(tmp_path, examples())
  (tmp_path / 'result.json').unlink()
  with pytest.raises(UserError, match='is not complete') as error:
    run.load_run(tmp_path)
  assert f'--flagfile={tmp_path / "flags.txt"}' in str(error.value)
  assert f'--output_dir={tmp_path.parent}' in str(error.value)


@pytest.mark.parametrize(
  ('line', 'asks'),
  [
    ('--model=ResNet50', None),
    ('--model=os:system:command=reboot', '--model=os:system:command=reboot'),
    ('--model:json="os:system\\n"', '--model=os:system\n'),
    ('--trust_model', '--trust_model'),
    ('--flagfile=/tmp/other', '--flagfile=/tmp/other'),
  ],
)
def test_flags_that_run_code_are_not_recommended_as_they_stand(tmp_path, line, asks):
  directory = tmp_path / 'a; b\n'
  make_run(directory, examples())
  (directory / 'result.json').unlink()
  (directory / 'flags.txt').write_text(f'--limit=3\n{line}\n')
  with pytest.raises(UserError, match='is not complete') as error:
    run.load_run(directory)
  message = str(error.value)
  # As a shell takes it: a name cannot end the command and begin another.
  assert f"run tfeval evaluate '--flagfile={directory}/flags.txt'" in message or (
    f"--flagfile='{directory}/flags.txt'" in message
  )
  assert ('look at it' in message) == (asks is not None)
  if asks:
    assert f'its flags.txt asks for {asks}, which can run code' in message
    assert message.endswith('with `trust_model`')


def test_flags_that_cannot_be_read_are_not_recommended(tmp_path):
  make_run(tmp_path, examples())
  (tmp_path / 'result.json').unlink()
  os.mkfifo(tmp_path / 'flags.txt')
  with pytest.raises(UserError, match='a named pipe, expected a file') as error:
    run.load_run(tmp_path)
  assert '--flagfile' not in str(error.value)


def test_ids_with_tabs_and_line_feeds_are_told_apart(tmp_path):
  """`a<TAB>1<LF>b` of class 2 is not a of class 1 and b of class 2."""
  given = examples()
  names = ['a\t1\nb', 'c\\d', 'e\tf'] + given['ids'][3:]
  made = make_run(tmp_path, {**given, 'ids': names}).result.dataset
  labels = [None if label < 0 else int(label) for label in given['labels']]
  expected = files.digest_of_pairs(zip(names, labels, strict=True))
  assert made.label_digest == expected
  hashes = [value.hex() for value in given['hashes']]
  assert made.content_digest == files.digest_of_pairs(zip(names, hashes, strict=True))
  assert run.load_run(tmp_path).score() == run.load_run(tmp_path).metrics


def test_what_is_not_a_run(tmp_path):
  (tmp_path / 'file').write_text('')
  for path in (tmp_path, tmp_path / 'missing', tmp_path / 'file'):
    with pytest.raises(UserError, match='is not a run directory'):
      run.load_run(path)


@pytest.mark.parametrize(
  'change, said',
  [
    ({'schema_version': 2}, 'has schema version 2, this tfeval reads 1: upgrade'),
    ({'schema_version': None}, 'has schema version None'),
    ({'metrics': ...}, 'lacks metrics'),
    ({'protocol': ..., 'model': ...}, 'lacks model, protocol'),
  ],
)
def test_a_result_of_another_form(tmp_path, change, said):
  result = {**make_run(tmp_path, examples()).result, **change}
  result = {key: value for key, value in result.items() if value is not ...}
  (tmp_path / 'result.json').write_text(json.dumps(result))
  with pytest.raises(UserError, match=said) as error:
    run.load_run(tmp_path)
  assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize('content', ['', '[1]', '"x"', '{'])
def test_a_result_that_is_none(tmp_path, content):
  (tmp_path / 'result.json').write_text(content)
  with pytest.raises(UserError, match='result.json'):
    run.load_run(tmp_path)


def test_damaged_rows_are_not_scored(tmp_path):
  make_run(tmp_path, examples())
  (tmp_path / 'predictions' / 'part-00001.parquet').write_bytes(b'torn')
  loaded = run.load_run(tmp_path)
  with pytest.raises(UserError, match='part-00001.parquet was changed'):
    loaded.score()


def test_a_result_that_json_cannot_hold_completes_nothing(tmp_path):
  with pytest.raises(ValueError) as error:
    make_run(tmp_path, examples(), timing={'images_per_second': float('nan')})
  assert not isinstance(error.value, UserError)
  with pytest.raises(UserError, match='is not complete'):
    run.load_run(tmp_path)
