"""What XLA has compiled for the CPU, kept for the next command.

XLA writes programs into a directory that `TF_XLA_FLAGS` names, and takes them from
there without looking whether they are whole. So each is sealed with its digest by the
command that made it, and what is not as it was sealed is removed before another starts.
"""

import contextlib
import hashlib
import importlib.util
import os
import pathlib

from tfeval.utils import files, start_cache, untrusted
from tfeval.utils.errors import UserError

_FLAG = '--tf_xla_persistent_cache_directory'
_SEAL = '.sha256'
# Of a program, which is about 30 kB, and of a model with `--jit` some MB.
_MOST_BYTES = 256 << 20
# What has to fit on the disk: where XLA cannot write, it fails.
_PROBE_BYTES = 1 << 20


def keep() -> None:
  """Has XLA keep its programs, if the environment does not say where already.

  To be called before TensorFlow is imported.
  """
  flags = os.environ.get('TF_XLA_FLAGS', '')
  if _FLAG in flags or (flags and not flags.lstrip().startswith('-')):
    return  # The user's own, or those of a file.
  found = start_cache.directory(f'xla-{_key()}')
  if found is None or any(map(str.isspace, str(found))):
    return
  try:
    _check_writable(found)
    _remove_unsealed(found)
    start_cache.prune(found)
  except (OSError, UserError):
    return
  os.environ['TF_XLA_FLAGS'] = f'{flags} {_FLAG}={found}'.strip()


def seal() -> None:
  """Says of the programs that there are now that they are whole."""
  _, _, place = os.environ.get('TF_XLA_FLAGS', '').rpartition(f'{_FLAG}=')
  found = start_cache.directory(f'xla-{_key()}') if place else None
  if found is None or place != str(found):
    return
  with contextlib.suppress(OSError, UserError):
    for path in found.glob('*.pb'):
      if not _seal_of(path).exists():
        files.write_atomically(_seal_of(path), _digest(path).encode())


def _key() -> str:
  """Returns what programs depend on beyond what XLA knows them by."""
  tensorflow = importlib.util.find_spec('tensorflow')
  origin = pathlib.Path(tensorflow.origin if tensorflow and tensorflow.origin else '')
  parts = [
    str(origin),
    str(origin.stat().st_mtime_ns),
    os.environ.get('XLA_FLAGS', ''),
    os.environ.get('TF_XLA_FLAGS', '').partition(_FLAG)[0].strip(),
    start_cache.processor(),
  ]
  return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _check_writable(found: pathlib.Path) -> None:
  probe = found / f'probe-{os.getpid()}'
  try:
    probe.write_bytes(bytes(_PROBE_BYTES))
  finally:
    probe.unlink(missing_ok=True)


def _remove_unsealed(found: pathlib.Path) -> None:
  for path in found.glob('*.pb'):
    try:
      sealed = untrusted.read_bytes(_seal_of(path), 2 * hashlib.sha256().digest_size)
      whole = sealed.decode('ascii', 'replace') == _digest(path)
    except (OSError, UserError):
      whole = False
    if not whole:
      path.unlink(missing_ok=True)
      _seal_of(path).unlink(missing_ok=True)


def _seal_of(path: pathlib.Path) -> pathlib.Path:
  return path.with_name(path.name + _SEAL)


def _digest(path: pathlib.Path) -> str:
  return hashlib.sha256(untrusted.read_bytes(path, _MOST_BYTES)).hexdigest()
