"""tfeval export: read back by the libraries whose files it writes."""

import csv
import io
import json
import re

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from tfeval.reports.exchange import hub, metric_rows, yaml_text
from tfeval.reports.exchange.export import Request
from tfeval.runs.run import load_run
from tfeval.utils import printable

yaml = pytest.importorskip('yaml', reason='needs PyYAML: tfeval[hub]')
HOSTILE = 'evil: [x] #"\'\x1b[31m\n- b\u202e<script>|`$\udcff é 名'
VERSIONS = {'versions': {'tfeval': '0.1.0', 'keras': '3.15.1'}}


@pytest.fixture
def stored(store_run):
  """Stores a run of four photos: 3 hits of 4, by ReaL labels 2 of 3."""

  def store(name='net', **more):
    dataset = {'name': 'imagenet2012_real', 'split': 'validation', 'version': '1.0.0'}
    run = store_run(
      name,
      [[start + i for i in range(5)] for start in (1, 2, 3, 4)],
      [1, 2, 3, 9],
      [[1], [7], None, [4, 8]],
      **{
        'where': 'runs/' + more.pop('where', 'net'),
        **more,
        'dataset': {**dataset, **more.pop('dataset', {})},
        'model': {
          'weights': 'imagenet',
          'weights_sha256': 'ab',
          **more.pop('model', {}),
        },
      },
    )
    return run.path

  return store


def exported(tfeval, *arguments):
  code, out, err = tfeval('export', *arguments)
  assert code == 0, err
  return out, err


def by_score(tfeval, path):
  code, out, err = tfeval('score', path, '--json')
  assert code == 0, err
  return {(m['labels'], m['name']): m for m in json.loads(out)[0]['metrics']}


def test_csv_says_what_score_says(tfeval, stored):
  path = stored()
  out, err = exported(tfeval, path, '--to=csv')
  rows = list(csv.DictReader(io.StringIO(out)))
  expected = by_score(tfeval, path)
  assert not err and len(rows) == len(expected) == 4
  for row in rows:
    metric = expected[row['labels'], row['metric']]
    assert int(row['correct']) == metric['correct']
    assert int(row['count']) == metric['count']
    assert int(row['skipped']) == metric['skipped']
    assert row['value'] == printable.decimal_text(metric['value'])
    assert row['interval_low'] == f'{metric["interval"]["low"]:.10f}'.rstrip('0')
    assert row['protocol'] == 'opencv' and row['partial'] == 'false'
  assert (rows[0]['correct'], rows[0]['count'], rows[0]['value']) == ('3', '4', '0.75')


def test_a_cell_is_no_formula(tfeval, stored):
  out, _ = exported(tfeval, stored('=cmd()'), '--to=csv')
  assert next(csv.DictReader(io.StringIO(out)))['model'] == "'=cmd()"


def test_parquet_has_types_and_says_what_columns_mean(tfeval, stored, tmp_path):
  from pyarrow import parquet

  file = tmp_path / 'results.parquet'
  path = stored(HOSTILE)
  out, err = exported(tfeval, path, '--to=parquet', f'--output={file}')
  assert not out and err.endswith(f'written: {file}\n')
  table = parquet.read_table(file)
  for column in metric_rows.columns():
    field = table.schema.field(column.name)
    assert str(field.type) == column.type
    assert field.metadata[b'meaning'].decode() == column.meaning
  assert table['correct'].to_pylist() == [3, 3, 2, 2]
  assert table['value'].to_pylist()[0] == 0.75
  assert table['model'].to_pylist()[0] == HOSTILE.replace('\udcff', '\\udcff')
  assert table['partial'].to_pylist() == [False] * 4


def test_the_guide_has_every_column():
  from documents import GUIDES

  (guide,) = [path for path in GUIDES if path.stem == 'exchange']
  rows = re.findall(r'^\| `(\w+)` \| (\w+) \| (.*) \|$', guide.read_text('utf-8'), re.M)
  assert rows == [tuple(column) for column in metric_rows.columns()]


def test_the_hub_reads_the_model_index(tfeval, stored, tmp_path):
  huggingface_hub = pytest.importorskip('huggingface_hub', reason='tfeval[hub]')
  path, file = stored(), tmp_path / 'README.md'
  exported(tfeval, path, '--to=model_index', f'--output={file}', '--model_name=me/net')
  card = huggingface_hub.ModelCard.load(file)
  assert card.data.model_name == 'me/net'
  expected = by_score(tfeval, path)
  assert len(card.data.eval_results) == len(expected) == 4
  for result in card.data.eval_results:
    metric = expected[result.metric_args['labels'], f'top{result.metric_args["k"]}']
    assert result.task_type == 'image-classification'
    assert result.dataset_type == 'ILSVRC/imagenet-1k'
    assert result.dataset_split == 'validation'
    assert result.metric_value == metric['value']
    assert result.metric_args['correct'] == metric['correct']
    assert result.metric_args['interval_high'] == metric['interval']['high']
    assert result.verified is False
  first = card.data.eval_results[0]
  assert (first.metric_type, first.metric_name) == ('accuracy', 'top-1')
  # What it writes again is the same.
  again = huggingface_hub.ModelCard(f'---\n{card.data.to_yaml()}\n---\n')
  assert again.data.eval_results == card.data.eval_results


def test_one_card_has_several_test_sets_of_a_model(tfeval, stored):
  stored(where='one')
  stored(where='two', dataset={'name': 'imagenet_sketch', 'split': 'test'})
  stored(where='three', dataset={'partial': True, 'limit': 4}, protocol={'spec': 'pil'})
  path = stored(where='four').parent
  content = yaml.safe_load(exported(tfeval, path, '--to=model_index')[0])
  (index,) = content['model-index']
  kinds = [one['dataset']['type'] for one in index['results']]
  assert sorted(kinds) == ['ILSVRC/imagenet-1k'] * 3 + ['songweig/imagenet_sketch']
  named = [one['metrics'][0]['name'] for one in index['results']]
  assert named.count('top-1 (the first 4 examples only)') == 1


@pytest.mark.parametrize('to', ['model_index', 'eval_results'])
def test_one_card_is_of_one_model(tfeval, stored, to):
  stored('one', where='one')
  path = stored('two', where='two', model={'weights_sha256': 'cd'}).parent
  code, out, err = tfeval('export', path, f'--to={to}')
  assert code == 2 and not out
  assert 'a model card is of one model, these runs are of 2' in err
  assert exported(tfeval, path, '--to=csv')[0].count('\n') == 9
  assert exported(tfeval, path, '--to=markdown')[0].count('| two |') == 4


def test_the_hub_reads_eval_results(tfeval, stored):
  huggingface_hub = pytest.importorskip('huggingface_hub', reason='tfeval[hub]')
  path = stored(timing={'finished': '2026-11-28T08:56:17+00:00', 'seconds': 1.0})
  arguments = ('--task_id=top1', '--hub_dataset=ILSVRC/imagenet-1k@4a2c')
  source = ('--source_url=https://example.org/run', '--source_name=Rows')
  out, err = exported(tfeval, path, '--to=eval_results', *arguments, *source)
  assert '--task_id=top1 of ILSVRC/imagenet-1k' in err
  (entry,) = huggingface_hub.parse_eval_result_entries(yaml.safe_load(out))
  assert (entry.dataset_id, entry.task_id) == ('ILSVRC/imagenet-1k', 'top1')
  assert (entry.value, entry.dataset_revision) == (0.75, '4a2c')
  assert entry.date == '2026-11-28T08:56:17+00:00'
  assert (entry.source_url, entry.source_name) == ('https://example.org/run', 'Rows')
  for part in (
    'top1 of original labels',
    'class rule all',
    '3 of 4 images',
    '95 % interval 30.06 to 95.44 % (wilson)',
    'protocol opencv at 224 pixels',
  ):
    assert part in entry.notes
  # Nothing beside what huggingface_hub itself writes.
  rewritten = huggingface_hub.eval_result_entries_to_yaml([entry])
  assert rewritten == yaml.safe_load(out)


# hub-docs, eval_results.yaml and docs/hub/eval-results.md, as of November 2026.
ENTRY = {
  'type': 'array',
  'items': {
    'type': 'object',
    'required': ['dataset', 'value'],
    'additionalProperties': False,
    'properties': {
      'dataset': {
        'type': 'object',
        'required': ['id', 'task_id'],
        'additionalProperties': False,
        'properties': {
          'id': {'type': 'string', 'pattern': '^[\\w.-]+/[\\w.-]+$'},
          'task_id': {'type': 'string'},
          'revision': {'type': 'string'},
        },
      },
      'value': {'type': 'number'},
      'verifyToken': {'type': 'string'},
      'date': {'type': 'string', 'pattern': '^\\d{4}-\\d\\d-\\d\\d'},
      'notes': {'type': 'string'},
      'source': {
        'type': 'object',
        'required': ['url'],
        'properties': {key: {'type': 'string'} for key in ('url', 'name', 'user')},
      },
    },
  },
}
# hub-docs, modelcard.md.
INDEX = {
  'type': 'array',
  'items': {
    'type': 'object',
    'required': ['name', 'results'],
    'properties': {
      'results': {
        'type': 'array',
        'minItems': 1,
        'items': {
          'required': ['task', 'dataset', 'metrics'],
          'properties': {
            'task': {'required': ['type']},
            'dataset': {'required': ['type', 'name']},
            'metrics': {
              'type': 'array',
              'minItems': 1,
              'items': {
                'required': ['type', 'value'],
                'properties': {
                  'value': {'type': 'number'},
                  'verified': {'const': False},
                },
              },
            },
          },
        },
      }
    },
  },
}


def test_files_hold_to_the_published_specs(tfeval, stored):
  jsonschema = pytest.importorskip('jsonschema', reason='tfeval[verify]')
  path = stored(timing={'finished': '2026-11-28T08:56:17+00:00', 'seconds': 1.0})
  values = ('--value=original/top1', '--value=real/top5')
  out, err = exported(tfeval, path, '--to=eval_results', '--percent', *values)
  found = yaml.safe_load(out)
  jsonschema.validate(found, ENTRY)
  assert [one['value'] for one in found] == [75, 200 / 3]
  assert 'several values are of one task' in err
  out, _ = exported(tfeval, path, '--to=model_index')
  jsonschema.validate(yaml.safe_load(out)['model-index'], INDEX)


@hypothesis.given(st.text(st.characters()) | st.just(HOSTILE))
@hypothesis.example('no')
@hypothesis.example('1e3')
@hypothesis.example('a' * 300 + ' \x85 b\n\n c')
def test_texts_survive_yaml(text):
  written = yaml_text.dump({'name': text, 'again': [text, text]})
  assert yaml.safe_load(written) == {'name': text, 'again': [text, text]}
  assert printable.printable(written, keep='\n') == written
  written.encode()


@pytest.mark.parametrize('to', ['csv', 'markdown', 'model_index', 'eval_results'])
def test_hostile_names_reach_no_terminal(tfeval, stored, to):
  out, err = exported(tfeval, stored(HOSTILE), f'--to={to}')
  assert '\x1b' not in out + err and '\u202e' not in out + err
  if to == 'model_index':
    assert yaml.safe_load(out)['model-index'][0]['name'] == HOSTILE
  if to == 'markdown':
    assert '<script>' not in out


def test_markdown_has_counts_protocol_caveats_and_flags(tfeval, stored):
  path = stored('net', dataset={'partial': True, 'limit': 4})
  (path / 'flags.txt').write_text(
    '--model=/home/me/models/net.keras\n--dataset=folder:/data/me/val\n'
    '--name=a```b\n--nojit\n--protocol=opencv\n'
  )
  out, _ = exported(tfeval, path, '--to=markdown')
  where = 'imagenet2012_real validation (partial)'
  row = f'| net | {where} | top-1 | 3 | 4 | 75.00 % | 30.06 - 95.44 % |'
  assert row in out.replace('\\_', '_').splitlines()
  assert 'Behind the accuracy table of keras-applications' in out
  assert 'PARTIAL: the first 4 examples only' in out
  block = out.split('````')[1].strip().splitlines()
  assert block == [
    '--model=net.keras',
    '--dataset=folder:val',
    '--name=a```b',
    '--nojit',
    '--protocol=opencv',
  ]
  assert 'net on imagenet2012\\_real, for `tfeval evaluate`:' in out
  assert '/home' not in out and '/data' not in out


def test_metrics_without_a_value_are_left_out_and_named(tfeval, stored):
  out, err = exported(tfeval, stored(), '--to=csv', '--metrics=top1,nll')
  assert [row['metric'] for row in csv.DictReader(io.StringIO(out))] == ['top1', 'top1']
  assert 'left out nll: needs probabilities' in err
  assert 'left out ReaL nll: needs one label for each image, 1 have several' in err


def test_labels_and_a_list_of_images_are_scored(tfeval, stored, tmp_path):
  (tmp_path / 'keep.txt').write_text('0000.JPEG\n0003.JPEG\n')
  (tmp_path / 'mine.csv').write_text('0000.JPEG,1\n0003.JPEG,4\n0001.JPEG,5\n')
  arguments = (f'--labels={tmp_path}/mine.csv', f'--keep={tmp_path}/keep.txt')
  out, _ = exported(tfeval, stored(), '--to=csv', '--metrics=top1', *arguments)
  rows = csv.DictReader(io.StringIO(out))
  found = {row['labels']: (row['correct'], row['count']) for row in rows}
  assert found == {'mine': ('2', '3'), 'mine@subset': ('2', '2')}


def test_a_file_is_not_overwritten(tfeval, stored, tmp_path):
  file = tmp_path / 'results.csv'
  file.write_text('mine')
  path = stored()
  code, _, err = tfeval('export', path, '--to=csv', f'--output={file}')
  assert code == 2 and 'or --overwrite' in err and file.read_text() == 'mine'
  exported(tfeval, path, '--to=csv', f'--output={file}', '--overwrite')
  assert file.read_text().startswith('run,model,')
  assert [one.name for one in tmp_path.iterdir() if one.name.startswith('.')] == []


@pytest.mark.parametrize(
  ('arguments', 'said'),
  [
    ([], '--to is missing'),
    (['--to=yaml'], "unknown export format 'yaml'"),
    (['--to=parquet'], 'give --output=FILE'),
    (['--to=csv', '--hub_dataset=a b'], '--hub_dataset=a b'),
    (['--to=eval_results', '--hub_dataset=x=a/b'], 'no run is on it'),
    (['--to=eval_results', '--value=real/top9'], 'real/top1'),
    (['--to=eval_results', '--source_name=x'], '--source_name needs --source_url'),
    (['--to=eval_results', '--source_url=ftp://x'], 'is no address'),
    (['--to=csv', '--output=.'], 'is a folder'),
  ],
)
def test_mistakes(tfeval, stored, arguments, said):
  code, out, err = tfeval('export', stored(), *arguments)
  assert code == 2 and not out and said in err and err.count('\n') == 1


def test_a_dataset_that_the_hub_has_not(tfeval, stored):
  path = stored(dataset={'name': 'folder:/data/val', 'split': ''})
  code, _, err = tfeval('export', path, '--to=eval_results')
  assert code == 2 and 'is on folder:val' in err and '--hub_dataset=' in err
  out, _ = exported(
    tfeval, path, '--to=eval_results', '--hub_dataset=folder:/data/val=me/val'
  )
  assert yaml.safe_load(out)[0]['dataset']['id'] == 'me/val'


def test_a_result_that_contradicts_its_rows_is_told(tfeval, stored):
  path = stored()
  result = json.loads((path / 'result.json').read_text())
  result['metrics'][0].update(correct=2, value=0.5)
  (path / 'result.json').write_text(json.dumps(result))
  out, err = exported(tfeval, path, '--to=csv')
  assert next(csv.DictReader(io.StringIO(out)))['correct'] == '3'
  assert 'top1' in err


def test_the_rule_of_the_authors_is_the_value(stored):
  path = stored(dataset={'name': 'imagenet_v2', 'config': 'matched-frequency'})
  run = load_run(path)
  found = hub.dataset_of(run, Request())
  assert (found.id, found.name) == (
    'vaishaal/ImageNetV2',
    'ImageNet-V2 matched-frequency validation',
  )
  assert np.isclose(hub.value(run.metrics[0], Request(percent=True)), 75)


def test_a_format_of_another_package(tfeval, stored, monkeypatch):
  from tfeval.reports import formats
  from tfeval.reports.exchange.export import Export

  def lines(runs, request):
    return Export(f'{len(runs)} {request.model_name}\n'.encode(), ['told'])

  monkeypatch.setitem(formats.EXPORTS.entries, 'lines', lines)
  out, err = exported(tfeval, stored(), '--to=lines', '--model_name=mine')
  assert (out, err) == ('1 mine\n', 'tfeval: told\n')
