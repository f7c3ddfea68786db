"""What `tfeval verify` finds in runs that were changed."""

import hashlib
import json
import pathlib
import re
import shutil

import jsonschema
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfeval.datasets.labels import imagenet, sets
from tfeval.metrics import registry
from tfeval.models import published, table
from tfeval.preprocess import protocol
from tfeval.runs import predictions, result_reader
from tfeval.runs.importing import importer, sources
from tfeval.runs.run import load_run
from tfeval.runs.verification import schemas, verify
from tfeval.utils import flagfile
from tfeval.utils.errors import UserError

ROWS = 20
NAMES = [imagenet.validation_name(n) for n in range(101, 101 + ROWS)]
TRUTH = np.array(imagenet.original_validation_labels()[100 : 100 + ROWS])
CHECKS = [
  'result',
  'manifest',
  'flags',
  'index',
  'keys',
  'parts',
  'rows',
  'ids',
  'counts',
  'positions',
  'digests',
  'metrics',
  'intervals',
  'published',
]


@pytest.fixture(scope='module')
def whole(tmp_path_factory) -> pathlib.Path:
  """A run of 20 images, with original and ReaL labels and those of a file."""
  folder = tmp_path_factory.mktemp('whole')
  scores = np.random.default_rng(0).normal(size=(ROWS, 1000)).astype(np.float32)
  scores[np.arange(0, ROWS, 2), TRUTH[::2]] += 9
  np.save(folder / 'mine.npy', scores)
  (folder / 'ids').write_text('\n'.join(NAMES))
  for name in ('real', 'mine'):
    (folder / f'{name}.json').write_text(
      json.dumps({one: [int(TRUTH[i]), 7] for i, one in enumerate(NAMES[:15])})
    )
  (source,) = sources.find_sources(str(folder / 'mine.npy'), None, str(folder / 'run'))
  texts = ['original', str(folder / 'real.json'), str(folder / 'mine.json')]
  importer.import_predictions(
    source,
    importer.ImportConfig(
      tuple(sets.open_labels(texts)),
      str(folder / 'ids'),
      partial=True,
      store_logits=True,
    ),
  )
  return folder / 'run'


@pytest.fixture
def copy(whole, tmp_path) -> pathlib.Path:
  shutil.copytree(whole, tmp_path / 'run')
  return tmp_path / 'run'


def edit(path: pathlib.Path, change) -> None:
  content = json.loads(path.read_text())
  change(content)
  path.write_text(json.dumps(content))


def states(directory) -> dict[str, str]:
  return {check.name: check.state for check in verify.verify(directory)}


def only_failed(directory, *names) -> str:
  """Holds which checks fail; returns what the first of them has seen."""
  found = verify.verify(directory)
  assert [check.name for check in found] == CHECKS
  failed = [check for check in found if check.state == verify.FAILED]
  assert [check.name for check in failed] == list(names), found
  return failed[0].seen


def test_a_whole_run(whole):
  found = {check.name: check for check in verify.verify(str(whole))}
  assert list(found) == CHECKS
  assert {check.state for check in found.values()} == {'ok'}
  assert found['metrics'].seen == (
    '4 of 6 computed again; not computed again, labels are not stored: mine'
  )


def test_whole_numbers_that_are_written_as_fractions(copy):
  edit(copy / 'result.json', lambda result: result['metrics'][0].update(skipped=0.0))
  seen = only_failed(copy, 'result')
  assert seen == "$.metrics[0].skipped: expected a whole number, found '0.0'"


def test_the_schemas_are_schemas_and_know_what_is_required():
  for name in ('result', 'index'):
    jsonschema.Draft202012Validator.check_schema(schemas.read_schema(name))
  required = set(schemas.read_schema('result')['required'])
  assert set(result_reader._RELIED_ON) | {'schema_version'} <= required


def test_results_of_evaluations(whole):
  """With what imports do not have: limits, failed images, published figures."""
  validator = jsonschema.Draft202012Validator(schemas.read_schema('result'))
  result = json.loads((whole / 'result.json').read_text())
  del result['imported']
  result['model'].update(
    weights='imagenet',
    weights_sha256='a' * 64,
    parameters=25,
    input_size=224,
    preprocess='tf',
    output='logits',
  )
  result['dataset'].update(
    limit=20,
    partial=True,
    real_labels='dataset',
    on_error='skip',
    failed=[{'id': 'x', 'reason': 'cut'}],
  )
  result['preflight'] = ['no class order fits']
  result['published'] = {
    'source': 's',
    'protocol': None,
    'same_protocol': False,
    'metrics': [
      {
        'name': 'top1',
        'published': 0.7,
        'measured': 0.6,
        'difference': -0.1,
        'inside': True,
      }
    ],
  }
  validator.validate(result)
  with pytest.raises(jsonschema.ValidationError):
    validator.validate({**result, 'preflight': 'text'})


def test_what_score_prints_follows_the_schema(whole):
  loaded = load_run(whole)
  metrics = loaded.score(metrics=registry.METRICS)
  assert {m['kind'] for m in metrics} == {'count', 'value'}
  assert any('unavailable' in m for m in metrics)
  jsonschema.Draft202012Validator(schemas.read_schema('result')).validate(
    {**loaded.result, 'metrics': metrics}
  )


@pytest.mark.parametrize(
  'change, said',
  [
    (lambda r: r.pop('timing'), "$: 'timing' is a required property"),
    (
      lambda r: r.update(schema_version=2),
      '$.schema_version: 2 is newer than 1, which this tfeval knows: upgrade tfeval',
    ),
    (lambda r: r.update(schema_version=0), '$.schema_version: 1 was expected'),
    (lambda r: r['metrics'][0].update(correct='9'), '$.metrics[0].correct'),
    (lambda r: r['metrics'][0].update(correct=True), '$.metrics[0].correct'),
    (lambda r: r['metrics'][0].pop('interval'), "'interval' is a required property"),
    (lambda r: r['metrics'][0].update(kind='value', value=None), "'unavailable' is"),
    (lambda r: r['dataset'].update(label_digest='x'), '$.dataset.label_digest'),
    (lambda r: r['model'].update(output='softmax'), '$.model.output'),
    (lambda r: r.update(metrics={}), '$.metrics: {} is not of type'),
  ],
)
def test_a_result_of_another_form(copy, change, said):
  edit(copy / 'result.json', change)
  assert said in only_failed(copy, 'result')
  assert states(copy)['metrics'] == verify.NOT_CHECKED
  assert states(copy)['parts'] == verify.OK


@pytest.mark.parametrize('content', ['', '[1]', '{', '{"a": NaN}', '[' * 10**5])
def test_a_result_that_is_none(copy, content):
  (copy / 'result.json').write_text(content)
  only_failed(copy, 'result')


@pytest.mark.parametrize(
  'change, names, said',
  [
    (lambda r: r['model'].update(name='better'), ['manifest'], 'differ in model'),
    (lambda r: r['dataset'].update(split='train'), ['manifest'], 'differ in dataset'),
    (
      lambda r: r['dataset'].update(evaluated=19),
      ['counts', 'intervals'],
      '20 rows are stored, evaluated is 19',
    ),
    (
      lambda r: r['dataset'].update(failed=[{'id': NAMES[0], 'reason': ''}]),
      ['counts'],
      f"1 images failed and have a row: ['{NAMES[0]}']",
    ),
    (
      lambda r: r['dataset'].update(failed=[{'id': 'x', 'reason': ''}]),
      ['counts'],
      '20 evaluated and 1 failed of 20',
    ),
    (
      lambda r: r['dataset'].update(label_digest='0' * 64),
      ['digests'],
      'label_digest is 000000000000..., of the rows it is ',
    ),
    (
      lambda r: r['dataset'].update(content_digest='0' * 64),
      ['digests'],
      'content_digest is',
    ),
    (
      lambda r: r['metrics'][0].update(correct=11),
      ['metrics', 'intervals'],
      'original/top1: correct is 11, the rows give 10',
    ),
    (
      lambda r: r['metrics'][0].update(value=0.51),
      ['metrics', 'intervals'],
      'original/top1: value is 0.51, the rows give 0.5',
    ),
    (
      lambda r: r['metrics'][0]['interval'].update(low=0.1),
      ['metrics', 'intervals'],
      'original/top1: interval is',
    ),
    (lambda r: r['metrics'].pop(0), ['metrics'], 'original/top1 is missing'),
    (lambda r: r['metrics'].append(r['metrics'][0]), ['metrics'], 'is there twice'),
    (
      lambda r: r['metrics'].append({**r['metrics'][0], 'rule': 'mine'}),
      ['metrics'],
      'original/top1@mine is there, the rows do not give it',
    ),
    # Of labels that lie in a file.
    (
      lambda r: r['metrics'][4].update(correct=14),
      ['intervals'],
      'mine/top1: value is',
    ),
    (lambda r: r['metrics'][4].update(correct=16), ['intervals'], '16 correct of 15'),
    (
      lambda r: r['metrics'][4].update(skipped=4),
      ['intervals'],
      'mine/top1: 19 counted and skipped of 20 evaluated',
    ),
  ],
)
def test_a_result_that_is_not_of_its_rows(copy, change, names, said):
  edit(copy / 'result.json', change)
  assert said in only_failed(copy, *names)


def test_a_limit_that_is_not_partial(copy):
  for file in ('result.json', 'manifest.json'):
    edit(copy / file, lambda r: r['dataset'].update(limit=20, partial=False))
  assert 'limit is 20, partial is false' in only_failed(copy, 'counts')


@pytest.mark.parametrize(
  'change, said',
  [
    ({'measured': 0.4}, 'top1: measured is 0.4, the metrics give 0.5'),
    ({'difference': 0.2}, 'top1: difference is 0.2, the metrics give -0.1999'),
    ({'inside': False}, 'top1: inside is False, the metrics give True'),
    ({}, None),
  ],
)
def test_published_figures(copy, change, said):
  figure = {
    'name': 'top1',
    'published': 0.7,
    'measured': 0.5,
    'difference': -0.2,
    'inside': True,
    **change,
  }
  edit(
    copy / 'result.json',
    lambda r: r.update(
      published={
        'source': 's',
        'protocol': None,
        'same_protocol': True,
        'metrics': [figure],
      }
    ),
  )
  if said is None:
    assert set(states(copy).values()) == {'ok'}
  else:
    assert said in only_failed(copy, 'published')


def test_files_that_are_missing(copy):
  (copy / 'flags.txt').unlink()
  assert 'cannot read flags.txt: No such file' in only_failed(copy, 'flags')
  (copy / 'manifest.json').unlink()
  only_failed(copy, 'manifest', 'flags')
  (copy / 'predictions' / 'index.json').unlink()
  only_failed(copy, 'manifest', 'flags', 'index')


@pytest.mark.parametrize('content', [b'', b'rm -rf', b'\xff', b'--a=1\nb'])
def test_a_flagfile_that_is_none(copy, content):
  (copy / 'flags.txt').write_bytes(content)
  only_failed(copy, 'flags')


def test_a_part_that_was_changed(copy):
  (part,) = copy.rglob('part-*.parquet')
  content = bytearray(part.read_bytes())
  content[len(content) // 2] ^= 1
  part.write_bytes(content)
  assert 'part-00000.parquet was changed' in only_failed(copy, 'parts')
  assert states(copy)['metrics'] == verify.NOT_CHECKED
  assert states(copy)['intervals'] == verify.OK
  part.unlink()
  assert 'No such file' in only_failed(copy, 'parts')


def test_an_index_of_another_form(copy):
  index = copy / 'predictions' / 'index.json'
  edit(index, lambda i: i['parts'][0].update(file='../x.parquet'))
  assert '$.parts[0].file' in only_failed(copy, 'index')
  assert states(copy)['parts'] == verify.NOT_CHECKED


def rewrite(run: pathlib.Path, rows: pa.Table) -> None:
  """Replaces the stored rows, in an index that lists the new part."""
  store = run / 'predictions'
  with pa.BufferOutputStream() as buffer:
    pq.write_table(rows, buffer)
    content = buffer.getvalue().to_pybytes()
  (store / 'part-00000.parquet').write_bytes(content)
  (store / 'index.json').write_text(
    json.dumps(
      {
        'schema_version': 1,
        'parts': [
          {
            'file': 'part-00000.parquet',
            'rows': len(rows),
            'sha256': hashlib.sha256(content).hexdigest(),
          }
        ],
      }
    )
  )


def test_other_rows(copy):
  """Rows that are whole in themselves: one twice, one relabelled."""
  table = load_run(copy).to_arrow()

  rewrite(copy, pa.concat_tables([table, table.slice(0, 1)]))
  assert '21 rows have 20 different ids' in only_failed(
    copy, 'ids', 'counts', 'digests', 'metrics'
  )
  column = pa.array([3, *table['label'].to_pylist()[1:]], pa.int32())
  rewrite(copy, table.set_column(table.column_names.index('label'), 'label', column))
  # Its probability is that of the label before.
  only_failed(copy, 'rows', 'digests', 'metrics')


def replaced(rows: pa.Table, name: str, values) -> pa.Table:
  at = rows.column_names.index(name)
  return rows.set_column(at, name, pa.array(values, rows[name].type))


@pytest.mark.parametrize('name', predictions.schema(True).names)
def test_a_column_that_is_missing(copy, name):
  table = load_run(copy).to_arrow()
  rewrite(copy, table.drop_columns([name]))
  found = {check.name: check for check in verify.verify(copy)}
  failed = next(c for c in found.values() if c.state == verify.FAILED)
  assert f'lacks the columns {name}, it has ' in failed.seen
  assert 'the index says' not in failed.seen
  # What the summary of the rows does not need is missed later.
  later = name in ('log_probs', 'label_log_prob', 'logits')
  assert failed.name == ('rows' if later else 'parts')


# Row 0 has its label first, row 1 has it nowhere (its classes are random).
@pytest.mark.parametrize(
  'name, row, change, said',
  [
    ('log_probs', 0, lambda v: [*v[:3], float('nan'), *v[4:]], 'log_probs has NaN'),
    ('log_probs', 0, lambda v: [0.5, *v[1:]], 'log_probs has values from .* to 0.5'),
    (
      'log_probs',
      3,
      lambda v: [*v[:3], v[4], v[3], *v[5:]],
      f'1 rows have log_probs that do not descend, such as {NAMES[3]}',
    ),
    ('classes', 0, lambda v: [*v[:5], v[4], *v[6:]], '1 rows have a class twice'),
    ('classes', 0, lambda v: [*v[:5], 1000, *v[6:]], 'classes has values from'),
    ('label_log_prob', 0, lambda v: v - 1e-5, 'not the one beside its label'),
    ('label_log_prob', 0, lambda v: None, 'not the one beside its label'),
    ('label_log_prob', 0, lambda v: float('nan'), 'label_log_prob has NaN'),
    ('label_log_prob', 1, lambda v: -0.01, 'above those of its classes'),
    ('label', 0, lambda v: None, 'a label_log_prob without a label'),
  ],
)
def test_rows_that_contradict_themselves(copy, name, row, change, said):
  table = load_run(copy).to_arrow()
  assert TRUTH[0] == table['classes'][0].as_py()[0]
  assert TRUTH[1] not in table['classes'][1].as_py()
  values = table[name].to_pylist()
  values[row] = change(values[row])
  rewrite(copy, replaced(table, name, values))
  found = {check.name: check for check in verify.verify(copy)}
  failed = next(c for c in found.values() if c.state == verify.FAILED)
  assert failed.name in ('parts', 'rows')
  assert re.search(said, failed.seen), failed


def test_rows_that_may_be(copy):
  """Ties, probabilities of zero, and classes without any probability."""
  table = load_run(copy).to_arrow()
  values = table['log_probs'].to_pylist()
  values[1][10:] = [values[1][10]] * 5 + [-np.inf] * 5
  of_label = table['label_log_prob'].to_pylist()
  of_label[1] = -np.inf
  values[2] = of_label[2] = of_label[0] = None
  values[0] = None
  rewrite(
    copy, replaced(replaced(table, 'log_probs', values), 'label_log_prob', of_label)
  )
  assert states(copy)['rows'] == verify.OK


def test_a_part_that_is_not_listed(copy):
  shutil.copy(
    copy / 'predictions/part-00000.parquet', copy / 'predictions/part-00007.parquet'
  )
  assert only_failed(copy, 'parts') == (
    'index.json does not list 1 files, such as part-00007.parquet'
  )


def test_a_store_that_is_not_as_the_result_says(copy):
  for file in ('result.json', 'manifest.json'):
    edit(copy / file, lambda r: r['store'].update(classes=5))
  assert '20 classes are stored, result.json says 5' in only_failed(copy, 'rows')


@pytest.mark.parametrize(
  'flags, said',
  [
    ('--predictions=/other/place/mine.npy', None),
    (
      '--predictions=/other/place/better.npy',
      '--predictions /other/place/better.npy, manifest.json is of mine.npy',
    ),
    ('--predictions=mine.npy\n--predictions=b.npy', '--predictions mine.npy, b.npy'),
    ('--model=mine', '--predictions not, '),
  ],
)
def test_flags_of_other_predictions(copy, flags, said):
  (copy / 'flags.txt').write_text(flags + '\n--partial\n')
  if said is None:
    assert states(copy)['flags'] == verify.OK
  else:
    assert said in only_failed(copy, 'flags')


def test_flags_of_another_model(copy):
  for file in ('result.json', 'manifest.json'):
    edit(copy / file, lambda r: r.pop('imported'))
  (copy / 'flags.txt').write_text('--model=mine\n--weights=x\n')
  assert states(copy)['flags'] == verify.OK
  (copy / 'flags.txt').write_text('--model=ResNet50\n--weights=x\n')
  assert '--model ResNet50, manifest.json is of mine' in only_failed(copy, 'flags')
  (copy / 'manifest.json').write_text('[]')
  assert (
    'does not say what was run'
    in {c.name: c.seen for c in verify.verify(copy)}['flags']
  )


def test_what_is_no_run(copy, tmp_path):
  with pytest.raises(UserError, match='is not a run directory'):
    verify.verify(tmp_path)
  (copy / 'result.json').unlink()
  with pytest.raises(UserError, match='is not complete'):
    verify.verify(copy)


def test_without_jsonschema(whole, monkeypatch):
  monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
  with pytest.raises(UserError, match=r"pip install 'tfeval\[verify\]'"):
    verify.verify(whole)


# Where rows stand in the dataset


def positioned(copy, **changes) -> None:
  """Gives the one part of a run positions, as an evaluation does."""

  def change(index):
    index['parts'][0].update({'positions': [[0, 12], [12, ROWS]], **changes})

  edit(copy / 'predictions' / 'index.json', change)


def test_positions_that_are_right(copy):
  positioned(copy, resized_on_host=[3, 19])
  found = {check.name: check for check in verify.verify(copy)}
  assert found['positions'].seen == '20 of 20, none twice'
  assert {check.state for check in found.values()} == {'ok'}


@pytest.mark.parametrize(
  ('changes', 'said'),
  [
    ({'positions': [[0, 19]]}, '19 positions of 20 rows'),
    ({'positions': [[0, 10], [9, 19]]}, 'position 9 is there twice'),
    ({'positions': [[10, 20], [0, 10]]}, 'position 0 is there twice, or not in its'),
    ({'positions': [[0, 25], [25, 20]]}, 'positions 25 to 20 are none'),
    ({'positions': [[1, 21]]}, 'position 20 is there, the dataset has 20'),
    ({'resized_on_host': [20]}, 'position 20 was resized on the host and is not there'),
  ],
)
def test_positions_that_cannot_be(copy, changes, said):
  positioned(copy, **changes)
  assert said in only_failed(copy, 'positions')


def test_images_that_were_resized_elsewhere_are_counted(copy):
  positioned(copy, resized_on_host=[3])
  for file in ('result.json', 'manifest.json'):
    edit(copy / file, lambda r: r['dataset'].update(resized_on_host=2))
  assert only_failed(copy, 'positions') == '1 images were resized on the host, not 2'


def test_parts_do_not_share_positions(copy):
  table = load_run(copy).to_arrow()
  store = copy / 'predictions'
  writer = predictions.Writer(store, True, 10)
  for start in (0, 10):
    (batch,) = table.slice(start, 10).combine_chunks().to_batches()
    writer.write(batch, list(range(start, start + 10)))
  writer.flush()
  assert set(states(copy).values()) == {'ok'}
  edit(store / 'index.json', lambda i: i['parts'][1].update(positions=[[5, 15]]))
  assert 'position 5 is there twice' in only_failed(copy, 'positions')
  edit(store / 'index.json', lambda i: i['parts'][1].pop('positions'))
  assert only_failed(copy, 'positions') == '1 of 2 parts have positions'


# Keys and flags


@pytest.mark.parametrize(
  'name', ['result.json', 'manifest.json', 'predictions/index.json']
)
def test_a_key_that_is_there_twice(copy, name):
  text = (copy / name).read_text()
  assert text.startswith('{')
  (copy / name).write_text('{"schema_version": 1, ' + text[1:])
  assert only_failed(copy, 'keys') == (
    f"{name} has the key ['schema_version'] twice in an object"
  )


def test_flags_that_can_run_code_are_pointed_out(copy):
  flags = (copy / 'flags.txt').read_text()
  (copy / 'flags.txt').write_text(f'{flags}--model=os:system:command=x\n')
  (seen,) = (check.seen for check in verify.verify(copy) if check.name == 'flags')
  assert seen.endswith('; --model=os:system:command=x can run code or reach a service')


def test_a_name_with_a_line_feed_is_one_flag(copy):
  name = 'a\n--overwrite\n b.npy '
  for file in ('result.json', 'manifest.json'):
    edit(copy / file, lambda r: r['imported']['files'][0].update(file=name))
  line = flagfile.line('predictions', f'/x/{name}')
  (copy / 'flags.txt').write_text(f'{line}\n')
  assert states(copy)['flags'] == verify.OK


# Published figures, looked up again


@pytest.fixture
def compared(copy) -> pathlib.Path:
  """A run that says to be of ResNet50 with its published weights."""
  facts = table.known_models()['ResNet50']
  for file in ('result.json', 'manifest.json'):
    edit(
      copy / file,
      lambda r: (
        r.pop('imported'),
        r['model'].update(
          name='ResNet50',
          weights='imagenet',
          input_size=facts.input_size,
          parameters=facts.parameters,
        ),
        r.update(protocol=protocol.resolve('opencv', 224).describe()),
      ),
    )
  (copy / 'flags.txt').write_text('--model=ResNet50\n')
  result = load_run(copy).result
  again = published.recompute(result, NAMES)
  assert again['metrics'][0]['published'] == facts.published_top1 / 100
  edit(copy / 'result.json', lambda r: r.update(published=again))
  return copy


def verified(directory) -> verify.Check:
  found = verify.verify(directory, published.recompute)
  assert [c.name for c in found if c.state != verify.OK] in ([], ['published'])
  return next(check for check in found if check.name == 'published')


def test_figures_that_are_those_of_the_model(compared):
  check = verified(compared)
  assert (
    check.seen == 'figures looked up, and the comparison with the metrics made, again'
  )


@pytest.mark.parametrize(
  ('change', 'said'),
  [
    (
      lambda p: p['metrics'][0].update(published=0.5, difference=0.0, inside=True),
      'top1: published is 0.5, of this model it is 0.7',
    ),
    (lambda p: p.update(same_protocol=not p['same_protocol']), 'same_protocol is'),
    (lambda p: p.update(figures='native'), 'figures is native, of this model'),
    (lambda p: p.update(protocol='pil'), 'protocol is pil, of this model it is'),
  ],
)
def test_figures_of_another_model(compared, change, said):
  edit(compared / 'result.json', lambda r: change(r['published']))
  assert said in verified(compared).seen
  assert states(compared)['published'] == verify.OK  # Nobody looked them up.


def test_figures_of_a_model_of_which_none_are_known(compared):
  for file in ('result.json', 'manifest.json'):
    edit(compared / file, lambda r: r['model'].update(weights='none'))
  assert verified(compared).seen == (
    'figures are compared, none are known of such a run'
  )
