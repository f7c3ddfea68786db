"""The typed result, its JSON Schema, and runs that an earlier version has written."""

import json
import pathlib
import typing

import pytest

import tfeval
from tfeval import cli
from tfeval.runs import result_reader
from tfeval.runs.result_file import Result
from tfeval.runs.verification import schemas
from tfeval.utils import json_object
from tfeval.utils.errors import UserError

OLD = pathlib.Path(__file__).resolve().parents[1] / 'data' / 'runs_0.1'
RUNS = sorted(path.name for path in OLD.iterdir())
NAMES = {
  str: 'string',
  int: 'integer',
  float: 'number',
  bool: 'boolean',
  dict: 'object',
}
SCHEMA = schemas.read_schema('result')


def resolved(schema: dict) -> list[dict]:
  """Returns the alternatives of a schema, references followed."""
  if '$ref' in schema:
    schema = SCHEMA['$defs'][schema['$ref'].rpartition('/')[2]]
  if 'anyOf' in schema:
    return [found for one in schema['anyOf'] for found in resolved(one)]
  return [schema]


def types_of(schema: dict) -> set[str]:
  """Returns the JSON types that a schema allows."""
  found = set()
  for one in resolved(schema):
    if 'type' in one:
      found |= {one['type']} if isinstance(one['type'], str) else {*one['type']}
    values = one.get('enum', [one['const']] if 'const' in one else [])
    found |= {'null' if value is None else NAMES[type(value)] for value in values}
  return found


def types_of_field(kind) -> set[str]:
  if typing.get_origin(kind) is list:
    return {'array'}
  if typing.get_args(kind) and typing.get_origin(kind) is not dict:
    return {name for one in typing.get_args(kind) for name in types_of_field(one)}
  if json_object.object_class(kind) is not None or typing.get_origin(kind) is dict:
    return {'object'}
  return {'null' if kind is type(None) else NAMES[kind]}


def properties_of(schema: dict) -> dict[str, dict]:
  """Returns the properties of a schema, those under a condition included."""
  return {**schema['properties'], **schema.get('then', {}).get('properties', {})}


def pairs(cls=Result, schema=SCHEMA, where='$'):
  """Yields every class with the schema of its objects."""
  yield where, cls, schema
  properties = properties_of(schema)
  for key, kind in json_object.kinds(cls).items():
    inner = json_object.object_class(kind)
    for one in resolved(properties.get(key, {})) if inner else ():
      for item in resolved(one.get('items', one)):
        if 'properties' in item:
          yield from pairs(inner, item, f'{where}.{key}')


@pytest.mark.parametrize('where, cls, schema', pairs(), ids=lambda one: str(one)[:40])
def test_the_schema_and_the_classes_say_the_same(where, cls, schema):
  properties = properties_of(schema)
  kinds = json_object.kinds(cls)
  assert set(kinds) == set(properties)
  required = {
    key for key, default in cls.defaults.items() if default is json_object.REQUIRED
  }
  assert required == set(schema['required'])
  for key, kind in kinds.items():
    # What is not required is None where it is missing.
    optional = set() if key in required else {'null'}
    assert types_of_field(kind) | optional == types_of(properties[key]) | optional, key


def test_every_class_was_compared():
  compared = {cls for _, cls, _ in pairs()}
  pending, found = [Result], set()
  while pending:
    cls = pending.pop()
    found.add(cls)
    inner = map(json_object.object_class, json_object.kinds(cls).values())
    pending += {one for one in inner if one is not None} - found
  assert compared == found


def test_further_keys_are_kept():
  content = json.loads((OLD / 'photos' / 'result.json').read_text())
  content['new'] = content['model']['new'] = content['metrics'][0]['new'] = {'a': [1]}
  result = Result.from_json(content)
  assert result.further == result.model.further == {'new': {'a': [1]}}
  again = result.to_json()
  assert again['metrics'][0]['new'] == again['new'] == {'a': [1]}


@pytest.mark.parametrize('name', RUNS)
def test_a_result_is_what_its_file_says(name):
  content = json.loads((OLD / name / 'result.json').read_text())
  run = tfeval.load_run(OLD / name)
  for entry in content['metrics']:
    entry['rule'] = 'all'
  assert run.result == run.result.to_json() == content
  counts = [(m['labels'], m['name'], m['correct'], m['count']) for m in run.metrics]
  assert counts == [
    (m['labels'], m['name'], m['correct'], m['count']) for m in content['metrics']
  ]
  assert run.score() == run.metrics
  assert run.result.dataset.evaluated == run.to_arrow(['id']).num_rows


@pytest.mark.parametrize('name', RUNS)
def test_commands_read_it(name, capsys):
  path = str(OLD / name)
  for command in ('score', 'leaderboard', 'verify'):
    assert cli.main([command, path, '--json']) == 0, command
    shown = json.loads(capsys.readouterr().out)
    if command == 'score':
      assert shown[0]['metrics'] == tfeval.load_run(path).metrics
    if command == 'verify':
      assert {check['state'] for check in shown[0]['checks']} == {'ok'}


def test_compare_reads_them(capsys):
  runs = [str(OLD / name) for name in ('photos', 'logits')]
  assert cli.main(['compare', *runs, '--common', '--json']) == 0
  shown = json.loads(capsys.readouterr().out)
  assert shown['images'] == 4 and shown['agreement'] == [[4, 4], [4, 4]]


def test_stored_outputs_are_scored():
  (brier,) = tfeval.load_run(OLD / 'logits').score('original', metrics='brier')
  assert brier.unavailable is None and 0 < brier.value < 2


@pytest.mark.parametrize(
  'section, key, value, said',
  [
    (None, 'compute', -1, "compute: expected an object, found '-1'"),
    ('compute', 'dtype', [], r"compute.dtype: expected a text, found '\[\]'"),
    ('protocol', 'spec', 1, "protocol.spec: expected a text, found '1'"),
    ('dataset', 'notes', 'x', "dataset.notes: expected a list, found 'x'"),
    ('dataset', 'failed', [1], r"dataset.failed\[0\]: expected an object, found '1'"),
    ('model', 'name', None, 'model lacks one of name'),
  ],
)
def test_values_of_other_types_are_one_line(tmp_path, section, key, value, said):
  content = json.loads((OLD / 'photos/result.json').read_text())
  (content if section is None else content[section])[key] = value
  (tmp_path / 'result.json').write_text(json.dumps(content))
  with pytest.raises(UserError, match=said):
    result_reader.read_result(tmp_path)
