"""Reads the `result.json` of a run directory, be it anybody's, or being written."""

import hashlib
import shlex
from typing import Any

from tfeval.metrics.entry import COUNT
from tfeval.runs.result_file import (
  FLAGS,
  MANIFEST,
  RESULT,
  SCHEMA_VERSION,
  Result,
)
from tfeval.runs.verification import ranges
from tfeval.utils import budgets, files, flagfile, untrusted
from tfeval.utils.errors import BeingWritten, UserError, listed
from tfeval.utils.json_object import WrongType
from tfeval.utils.paths import Path

# What every reader of a result relies on.
_RELIED_ON = {
  'model': {'name'},
  'dataset': {'name', 'split', 'partial', 'expected', 'evaluated'},
  'protocol': {'name'},
  'metrics': {'name', 'labels', 'count', 'skipped', 'value'},
}
# And of what is counted; files of version 0.1 say no kind.
_OF_COUNTS = {'correct', 'interval'}


def read_result(directory: Path) -> Result:
  """Reads the `result.json` of a complete run.

  Args:
    directory: the run's.

  Raises:
    UserError: it is no run, an incomplete one, or of a newer tfeval.
  """
  if not (directory / RESULT).is_file():
    raise _not_complete(directory)
  try:
    content = read_content(directory)
  except UserError as error:
    if not (directory / RESULT).is_file():
      raise being_written(directory) from error
    raise
  version = content.get('schema_version') if isinstance(content, dict) else None
  if version != SCHEMA_VERSION or type(version) is not int:
    raise UserError(
      f'{directory / RESULT} has schema version {version}, this tfeval '
      f'reads {SCHEMA_VERSION}: upgrade tfeval'
    )
  _check_form(directory / RESULT, content)
  try:
    # Of what was scored: who hands on a run may say anything there.
    result = Result.from_json(content).replaced(subset=None, confusions=None)
    fault = ranges.fault(result)
  except WrongType as error:
    raise _damaged(directory, str(error)) from error
  if fault:
    raise _damaged(directory, fault)
  return result


def read_content(directory: Path) -> Any:
  """Reads what is in a `result.json`, whatever it is.

  Raises:
    UserError: it is missing, or no JSON that can be handed on; see
      `ranges.plain_fault`.
  """
  content = files.read_json(directory / RESULT, directory)
  if fault := ranges.plain_fault(content):
    raise _damaged(directory, f'.{fault}')
  return content


def _damaged(directory: Path, what: str) -> UserError:
  return UserError(f'{directory / RESULT} is damaged: {what[1:]}: evaluate again')


def stamp(directory: Path) -> str | None:
  """Returns which `result.json` a run directory has now, None where there is none.

  What is read between two looks that see the same belongs to it: a writer removes it
  before it changes anything else, and writes it last.
  """
  try:
    content = untrusted.read_bytes(directory / RESULT, budgets.JSON_FILE, directory)
  except (OSError, UserError):
    return None
  return hashlib.sha256(content).hexdigest()


def read_stamped(directory: Path) -> tuple[Result, str]:
  """Reads the `result.json` of a complete run; see `read_result` and `stamp`.

  Raises:
    BeingWritten: another process writes it at this moment.
    UserError: as `read_result`.
  """
  before = stamp(directory)
  try:
    result = read_result(directory)
  except UserError as error:
    if before != stamp(directory):
      raise being_written(directory) from error
    raise
  if before is None:
    raise being_written(directory)
  return result, before


def being_written(directory: Path) -> BeingWritten:
  """Returns the error of who read a run while another process wrote it."""
  return BeingWritten(
    f'{directory} is being written by another tfeval, or was while it was read: read '
    'it again once it is complete'
  )


def _not_complete(directory: Path) -> UserError:
  if not (directory / MANIFEST).is_file():
    return UserError(f'{directory} is not a run directory: it has no {RESULT}')
  # Of an import the run directory is given, of an evaluation what holds it.
  manifest = files.read_json(directory / MANIFEST, directory)
  imported = isinstance(manifest, dict) and 'imported' in manifest
  lock = directory / files.LOCK
  busy = lock.exists()
  if (directory / RESULT).is_file():
    return being_written(directory)
  # Twice: one writer may have ended, and the next one begun.
  busy = busy or lock.exists()
  flags, where = directory / FLAGS, directory if imported else directory.parent
  command = (
    f'tfeval {"import" if imported else "evaluate"} '
    f'--flagfile={shlex.quote(str(flags))} --output_dir={shlex.quote(str(where))}'
  )
  missing = f'run {directory} is not complete: it has no {RESULT}'
  unless = 'if no other tfeval is writing it, ' * busy
  try:
    asks = flagfile.suspicious(
      flagfile.flags(untrusted.read_bytes(flags, budgets.FLAGFILES, directory))
    )
  except FileNotFoundError:
    asks = []
  except (UserError, OSError) as error:
    # Of an OSError the words alone: its text names the file again.
    why = getattr(error, 'strerror', None) or error
    return UserError(f'{missing}: evaluate again, its {FLAGS} does not say how: {why}')
  if asks:
    return UserError(
      f'{missing}: its {FLAGS} asks for {asks[0][:200]}, which can run code or reach a '
      f'service: look at it, and if you trust whoever wrote it, run {command} '
      'with `trust_model`'
    )
  return UserError(f'{missing}: {unless}run {command}')


def _check_form(path: Path, content: dict[str, Any]) -> None:
  """Checks that what every reader relies on is there; see `from_json` for the rest."""
  kinds = {**dict.fromkeys(_RELIED_ON, dict), 'metrics': list}
  lacking = [key for key in kinds if not isinstance(content.get(key), kinds[key])]
  if lacking:
    raise UserError(f'{path} lacks {listed(lacking)}: evaluate again')
  for section, relied_on in _RELIED_ON.items():
    for entry in content[section] if section == 'metrics' else [content[section]]:
      counted = section == 'metrics' and _is_counted(entry)
      keys = relied_on | _OF_COUNTS if counted else relied_on
      whole = isinstance(entry, dict) and entry.keys() >= keys
      if not whole or entry['name'] is None:
        raise UserError(
          f'{path}: {section} lacks one of {", ".join(sorted(keys))}: evaluate again'
        )


def _is_counted(metric: Any) -> bool:
  return isinstance(metric, dict) and metric.get('kind', COUNT) == COUNT
