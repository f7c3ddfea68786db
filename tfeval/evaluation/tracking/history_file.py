"""Evaluations of one training, in a JSON file that a later process continues."""

from collections.abc import Callable, Set
from typing import Any

from tfeval.utils import files
from tfeval.utils.errors import UserError
from tfeval.utils.paths import Path

_VERSION = 1
# What some of these say in words.
_OTHER = {
  'model.layers_sha256': 'the model had other layers or sizes of weights',
  'model.preprocess_sha256': 'the preprocessing did something else',
  'preprocess_sha256': 'the preprocessing did something else',
  'architecture_sha256': 'the model computed something else',
}
_NAME = 'model.name'
_DIGEST = '_sha256'  # How keys of what code does end.


def read_history(
  path: Path,
  identity: dict[str, Any] | None,
  keys: Set[str],
  is_entry: Callable[[dict[str, Any]], bool],
) -> list[dict[str, Any]]:
  """Returns the evaluations that a file holds, none where there is no file.

  Args:
    path: the file.
    identity: what is evaluated, for JSON: those of anything else are no part of this.
      None: that is not known yet.
    keys: what an evaluation is written with; each that is returned has all of them.
    is_entry: whether an object with these keys can be an evaluation.

  Raises:
    UserError: it is damaged, or of something else.
  """
  if not path.exists():
    return []
  found = files.read_json(path, path.parent)
  entries = found.get('evaluations') if isinstance(found, dict) else None
  if (
    not isinstance(entries, list)
    or found.get('version') != _VERSION
    or not isinstance(found.get('of'), dict)
    or not all(
      isinstance(one, dict) and one.keys() >= keys and is_entry(one) for one in entries
    )
  ):
    raise UserError(f'{path} is not what this tfeval writes: choose another output_dir')
  if identity is None:
    return entries
  there, here = flat(found['of']), flat(identity)
  for key in [*here, *there]:
    if key.endswith(_DIGEST) and key not in there:
      continue  # It was written before there were any.
    if there.get(key) == here.get(key):
      continue
    if key in _OTHER:
      raise UserError(
        f'{path} is of another evaluation: {_OTHER[key]} ({key} differs): choose '
        'another output_dir'
      )
    way = 'choose another output_dir'
    if key == _NAME:  # Keras counts names up in a process, a cell that is run again.
      way = f'give name={there.get(key)!r} if it is the same, or {way}'
    raise UserError(
      f'{path} is of another evaluation: {key} is '
      f'{str(there.get(key))[:80]} there and {str(here.get(key))[:80]} '
      f'here: {way}'
    )
  return entries


def write_history(
  path: Path, identity: dict[str, Any], entries: list[dict[str, Any]]
) -> None:
  """Writes the file, whole or not at all.

  Raises:
    UserError: it cannot be written.
  """
  files.write_json(path, {'version': _VERSION, 'of': identity, 'evaluations': entries})


def flat(values: dict[str, Any], above: str = '') -> dict[str, Any]:
  found = {}
  for key, value in values.items():
    found |= (
      flat(value, f'{above}{key}.') if isinstance(value, dict) else {above + key: value}
    )
  return found
