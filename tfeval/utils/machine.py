"""What a report of a fault says of the machine and of what is installed on it."""

import importlib.metadata
import os
import pathlib
import platform
import re
import sys
from typing import Any

# The variables that change what tfeval, TensorFlow or a terminal does. No other one is
# read: an environment holds keys and passwords.
VARIABLES = (
  *('KERAS_HOME', 'KERAS_BACKEND', 'TFDS_DATA_DIR', 'TFEVAL_CACHE_HOME'),
  *('XDG_CACHE_HOME', 'TF_CPP_MIN_LOG_LEVEL', 'TF_USE_LEGACY_KERAS'),
  *('TF_ENABLE_ONEDNN_OPTS', 'TF_FORCE_GPU_ALLOW_GROWTH', 'TF_XLA_FLAGS', 'XLA_FLAGS'),
  *('NVIDIA_TF32_OVERRIDE', 'CUDA_VISIBLE_DEVICES', 'LD_LIBRARY_PATH', 'LD_PRELOAD'),
  *('OMP_NUM_THREADS', 'MALLOC_ARENA_MAX', 'PYTHONPATH', 'PYTHONHASHSEED'),
  *('TPU_NAME', 'TPU_ACCELERATOR_TYPE', 'LANG', 'LC_ALL', 'TERM', 'COLUMNS'),
)
# Of these only that they are set: addresses, perhaps with a name and a password.
ONLY_WHETHER_SET = (
  'TF_CONFIG',
  'http_proxy',
  'https_proxy',
  'HTTP_PROXY',
  'HTTPS_PROXY',
)
# `NAME:PASSWORD@` of a URL in a path, such as PYTHONPATH's.
_CREDENTIALS = re.compile(r'(?<=://)[^/@\s]+@')
# The extra that a requirement is of, and what is asked for.
_EXTRA = re.compile(r"""extra\s*==\s*['"]([\w.-]+)['"]""")
_NAME = re.compile(r'[\w.-]+')
# More files are not counted: it would take minutes.
_MOST_FILES = 200_000


def system() -> dict[str, Any]:
  """Returns what this machine is, for JSON.

  Returns:
    `os`, `kernel`, `machine`, `libc`; `cpus` of the machine and those that this process
    `may_use`; `memory` in bytes, and `memory_limit` of its container, where it has one.
  """
  release = platform.freedesktop_os_release() if _has_release() else {}
  return {
    'os': release.get('PRETTY_NAME') or platform.system(),
    'kernel': platform.release(),
    'machine': platform.machine(),
    'libc': ' '.join(filter(None, platform.libc_ver())) or None,
    'cpus': os.cpu_count(),
    'may_use': len(os.sched_getaffinity(0)),
    'memory': _memory(),
    'memory_limit': _memory_limit(),
  }


def _has_release() -> bool:
  return any(map(os.path.isfile, ('/etc/os-release', '/usr/lib/os-release')))


def _memory() -> int | None:
  try:
    return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
  except (OSError, ValueError):
    return None


def _memory_limit() -> int | None:
  for path in (
    '/sys/fs/cgroup/memory.max',
    '/sys/fs/cgroup/memory/memory.limit_in_bytes',
  ):
    try:
      text = pathlib.Path(path).read_text('ascii').strip()
    except (OSError, ValueError):
      continue
    # Version 1 has a number near 2^63 where there is none.
    return int(text) if text.isdigit() and int(text) < 1 << 60 else None
  return None


def python() -> dict[str, Any]:
  """Returns which Python runs: `version`, `executable`, `environment`, for JSON."""
  is_virtual = sys.prefix != sys.base_prefix
  return {
    'version': platform.python_version(),
    'implementation': platform.python_implementation(),
    'executable': sys.executable,
    'environment': sys.prefix if is_virtual else None,
  }


def version(package: str) -> str | None:
  """Returns the version of an installed package, None of one that is not there.

  Nothing of it is imported.

  >>> version('no-such-package') is None
  True
  """
  try:
    return importlib.metadata.version(package)
  except importlib.metadata.PackageNotFoundError:
    return None


def extras(package: str) -> dict[str, dict[str, str | None]]:
  """Returns the versions of what each extra of a package asks for; empty: not known.

  Extras for tests, which ask for all others, are left out.
  """
  try:
    asked = importlib.metadata.requires(package) or ()
  except importlib.metadata.PackageNotFoundError:
    return {}
  found: dict[str, dict[str, str | None]] = {}
  for text in asked:
    extra, name = _EXTRA.search(text), _NAME.match(text)
    if extra and name and not extra[1].startswith('test'):
      found.setdefault(extra[1], {})[name[0]] = version(name[0])
  return found


def variables() -> dict[str, str]:
  """Returns `VARIABLES` that are set, without what could be a password."""
  found = {
    name: _CREDENTIALS.sub('...@', os.environ[name])
    for name in VARIABLES
    if name in os.environ
  }
  return found | {name: 'set' for name in ONLY_WHETHER_SET if os.environ.get(name)}


def size_of(folder: pathlib.Path) -> dict[str, Any]:
  """Returns what a folder holds, for JSON.

  Links are not followed, and what cannot be read is not counted.

  Returns:
    `path`; `exists`; `files` and their `bytes`; `whole`: whether these are all.
  """
  files = size = 0
  for parent, _, names in os.walk(folder):
    for name in names:
      if files == _MOST_FILES:
        return _folder(folder, files, size, whole=False)
      try:
        size += os.lstat(os.path.join(parent, name)).st_size
      except OSError:
        continue
      files += 1
  return _folder(folder, files, size, whole=True)


def _folder(path: pathlib.Path, files: int, size: int, whole: bool) -> dict[str, Any]:
  there = path.is_dir()
  return {
    'path': str(path),
    'exists': there,
    'files': files,
    'bytes': size,
    'whole': whole,
  }
