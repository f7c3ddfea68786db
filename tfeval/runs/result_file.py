"""The files of a run directory, and what every reader of `result.json` relies on.

Nothing here imports TensorFlow.
"""

from typing import Any

from tfeval.utils import files
from tfeval.utils.errors import UserError
from tfeval.utils.paths import Path

SCHEMA_VERSION = 1
# What every reader of a result relies on.
_SHOWN = {
  'model': {'name'},
  'dataset': {'name', 'split', 'partial', 'expected', 'evaluated'},
  'protocol': {'name'},
  'metrics': {'name', 'labels', 'correct', 'count', 'skipped', 'value', 'interval'},
}
MANIFEST, FLAGS, RESULT, PREDICTIONS = (
  'manifest.json',
  'flags.txt',
  'result.json',
  'predictions',
)
# Of several hosts, inside the run directory, until they are joined.
HOSTS, DONE = 'hosts', 'done.json'


def read(directory: Path) -> dict[str, Any]:
  """Reads the `result.json` of a complete run.

  Args:
    directory: the run's.

  Raises:
    UserError: it is no run, an incomplete one, or of a newer tfeval.
  """
  if not (directory / RESULT).is_file():
    if (directory / MANIFEST).is_file():
      # Of an import the run directory is given, of an evaluation what holds it.
      manifest = files.read_json(directory / MANIFEST)
      imported = isinstance(manifest, dict) and 'imported' in manifest
      raise UserError(
        f'run {directory} is not complete: it has no {RESULT}: run '
        f'tfeval {"import" if imported else "evaluate"} '
        f'--flagfile={directory / FLAGS} '
        f'--output_dir={directory if imported else directory.parent}'
      )
    raise UserError(f'{directory} is not a run directory: it has no {RESULT}')
  result = files.read_json(directory / RESULT)
  version = result.get('schema_version') if isinstance(result, dict) else None
  if version != SCHEMA_VERSION:
    raise UserError(
      f'{directory / RESULT} has schema version {version}, this tfeval '
      f'reads {SCHEMA_VERSION}: upgrade tfeval'
    )
  sections = {'model': dict, 'dataset': dict, 'protocol': dict, 'metrics': list}
  lacking = [
    key for key, kind in sections.items() if not isinstance(result.get(key), kind)
  ]
  if lacking:
    raise UserError(f'{directory / RESULT} lacks {", ".join(lacking)}: evaluate again')
  for section, keys in _SHOWN.items():
    entries = result[section] if section == 'metrics' else [result[section]]
    for entry in entries:
      if not isinstance(entry, dict) or not entry.keys() >= keys:
        raise UserError(
          f'{directory / RESULT}: {section} lacks one of '
          f'{", ".join(sorted(keys))}: evaluate again'
        )
  return result
