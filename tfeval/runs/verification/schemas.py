"""The published JSON Schemas of a run directory's files.

They are open: readers ignore keys that they do not know.
"""

import importlib.resources
import json
from typing import Any


def read_schema(name: str) -> dict[str, Any]:
  """Returns a JSON Schema (draft 2020-12).

  Args:
    name: `'result'` (of result.json) or `'index'` (of predictions/index.json).
  """
  path = importlib.resources.files('tfeval.runs.verification') / f'{name}.schema.json'
  return json.loads(path.read_text('utf-8'))


def fault(name: str, content: Any) -> str | None:
  """Returns where JSON does not follow a schema, in a line; None: it does.

  Args:
    name: the schema's.
    content: as `json.load` returns it.
  """
  # An extra: no other command needs it.
  import jsonschema

  schema = read_schema(name)
  known = schema['properties']['schema_version']['const']
  version = content.get('schema_version') if isinstance(content, dict) else None
  if type(version) is int and version > known:
    return (
      f'$.schema_version: {version} is newer than {known}, which this tfeval '
      'knows: upgrade tfeval'
    )
  validator = jsonschema.Draft202012Validator(schema)
  errors = sorted(validator.iter_errors(content), key=lambda error: error.json_path)
  if not errors:
    return None
  error = jsonschema.exceptions.best_match(errors)
  more = f' (and {len(errors) - 1} more)' if len(errors) > 1 else ''
  return f'{error.json_path}: {_shortened(error.message)}{more}'


def _shortened(message: str, limit: int = 200) -> str:
  text = ' '.join(message.split())
  return (
    text if len(text) <= limit else f'{text[: limit // 2]} ... {text[-limit // 2 :]}'
  )
