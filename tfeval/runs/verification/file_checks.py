"""Whether the small files of a run directory are what tfeval writes."""

import collections
import functools
import json
import os
from typing import Any

from tfeval.runs import result_file
from tfeval.runs.verification.result_checks import Failed, hold
from tfeval.utils import budgets, files, flagfile, untrusted
from tfeval.utils.paths import Path

INDEX = f'{result_file.PREDICTIONS}/index.json'


def keys(directory: Path) -> str:
  """Checks that no key is there twice: readers differ in which of them counts."""
  looked_at = 0
  for name in (result_file.RESULT, result_file.MANIFEST, INDEX):
    path = directory / name
    try:
      content = untrusted.read_bytes(path, budgets.JSON_FILE, within=directory)
      json.loads(content, object_pairs_hook=functools.partial(_without_doubles, name))
    except (OSError, ValueError, RecursionError):
      continue  # For the checks of these files to say.
    looked_at += 1
  return f'of {looked_at} files, none twice'


def _without_doubles(name: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
  counts = collections.Counter(key for key, _ in pairs)
  double = [key for key, count in counts.items() if count > 1]
  hold(not double, f'{name} has the key {double[:1]} twice in an object')
  return dict(pairs)


def flags(directory: Path) -> str:
  """Checks that the flagfile repeats what the manifest says was run."""
  path = directory / result_file.FLAGS
  try:
    content = untrusted.read_bytes(path, budgets.FLAGFILES, within=directory)
    lines = list(flagfile.flags(content))
  except OSError as error:
    raise Failed(f'cannot read {result_file.FLAGS}: {error.strerror}') from error
  wrong = [line.text for line in lines if line.name is None]
  hold(
    bool(lines) and not wrong,
    f'{result_file.FLAGS} is no flagfile: {str(wrong[:1] or "empty")[:80]}',
  )
  flag, expected = _repeated(
    files.read_json(directory / result_file.MANIFEST, directory)
  )
  if flag == 'model' and any(line.name == 'name' for line in lines):
    flag = 'name'  # What the user calls it.
  given = [line.value for line in lines if line.name == flag]
  seen = [os.path.basename(one) if flag == 'predictions' else one for one in given]
  hold(
    seen == [expected],
    f'{result_file.FLAGS} has --{flag} {", ".join(given) or "not"}'
    f', {result_file.MANIFEST} is of {expected}'[:300],
  )
  asks = flagfile.suspicious(lines)
  warning = f'; {asks[0][:80]} can run code or reach a service' if asks else ''
  return f'{result_file.FLAGS} has {len(lines)} flags, --{flag} is {expected}{warning}'


def _repeated(manifest: dict[str, Any]) -> tuple[str, str]:
  """Returns the flag that says what a run is of, and what it should be."""
  try:
    # Of predictions the name alone: they may have been imported elsewhere.
    if 'imported' in manifest:
      return 'predictions', manifest['imported']['files'][0]['file']
    if 'ensemble' in manifest:
      return 'name', manifest['model']['name']
    return 'model', manifest['model']['name']
  except (KeyError, TypeError, IndexError) as error:
    raise Failed(f'{result_file.MANIFEST} does not say what was run') from error
