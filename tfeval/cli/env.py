"""`tfeval env`."""

import os
import pathlib
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import tfeval
from tfeval.cli import console
from tfeval.reports import terminal
from tfeval.utils import errors, machine
from tfeval.utils.errors import UserError

USAGE = """Usage: tfeval env [--flags]

What a report of a fault needs: versions, devices, caches, the terminal, and the
variables that change what tfeval does. Of the environment nothing else is read,
and no password is shown; paths are."""

# What counts, and how much of it.
_PACKAGES = (
  *('tensorflow', 'keras', 'tensorflow-datasets', 'numpy', 'scipy', 'pyarrow', 'h5py'),
  *('protobuf', 'absl-py', 'rich', 'requests'),
)
_UNITS = ('bytes', 'kB', 'MB', 'GB', 'TB')


def define_flags(define) -> None:
  define.bool('json', False, 'Print JSON on stdout, nothing else.')


def run(flags, arguments: list[str]) -> int:
  if arguments:
    raise UserError(f'unexpected argument {arguments[0]!r}: tfeval env takes none')
  found = _without_tensorflow()
  if flags.json:
    found['devices'] = _devices()
    terminal.print_json(found)
    return 0
  terminal.print_lines(_lines(found))
  sys.stdout.flush()  # Whatever TensorFlow does next.
  terminal.print_lines(_section('devices', _told_devices(_devices())))
  return 0


def _without_tensorflow() -> dict[str, Any]:
  return {
    'tfeval': {
      'version': tfeval.__version__,
      'path': str(pathlib.Path(tfeval.__file__).parent),
    },
    'python': machine.python(),
    'packages': {name: machine.version(name) for name in _PACKAGES},
    'extras': machine.extras('tfeval'),
    'system': machine.system(),
    'caches': {name: machine.size_of(path) for name, path in _caches().items()},
    'variables': machine.variables(),
    'terminal': _terminal(),
  }


def _caches() -> dict[str, pathlib.Path]:
  """Returns where weights, prepared datasets and what starts keep lie."""
  home = os.environ.get
  places = {
    'keras': home('KERAS_HOME') or '~/.keras',
    'tfds': home('TFDS_DATA_DIR') or '~/tensorflow_datasets',
  }
  if home('TFEVAL_CACHE_HOME') != '':
    of_user = os.path.join(home('XDG_CACHE_HOME') or '~/.cache', 'tfeval')
    places['tfeval'] = home('TFEVAL_CACHE_HOME') or of_user
  return {name: pathlib.Path(path).expanduser() for name, path in places.items()}


def _terminal() -> dict[str, Any]:
  return {
    'stdout': 'terminal' if sys.stdout.isatty() else 'no terminal',
    'stderr': 'terminal' if sys.stderr.isatty() else 'no terminal',
    'columns': shutil.get_terminal_size().columns,
    'encoding': sys.stdout.encoding,
    'shell': os.path.basename(os.environ.get('SHELL', '')) or None,
  }


def _devices() -> dict[str, Any]:
  """Returns what TensorFlow sees, or why it cannot be imported."""
  try:
    with console.quiet_tensorflow():
      import tensorflow as tf  # TensorFlow, which takes seconds.

      from tfeval.engine import hardware

      return {
        **hardware.describe(),
        'cpu': hardware.cpu(),
        'seen': [
          {'name': one.name.removeprefix('/physical_device:'), **_details(tf, one)}
          for one in tf.config.list_physical_devices()
        ],
      }
  except Exception as error:  # Whatever a broken installation raises.
    return {'error': f'TensorFlow cannot be used: {errors.one_line(error)}'}


def _details(tf: Any, device: Any) -> dict[str, str]:
  if device.device_type != 'GPU':
    return {}
  found = tf.config.experimental.get_device_details(device)
  capability = found.get('compute_capability')
  return {
    'device': str(found.get('device_name', 'unknown')),
    **({'capability': '.'.join(map(str, capability))} if capability else {}),
  }


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
  system, python = found['system'], found['python']
  yield from _section(
    'versions',
    [
      ('tfeval', f'{found["tfeval"]["version"]} in {found["tfeval"]["path"]}'),
      ('python', f'{python["version"]} ({python["executable"]})'),
      *((name, _version(value)) for name, value in found['packages'].items()),
    ],
  )
  yield from _section('extras', _told_extras(found['extras']))
  yield from _section(
    'system',
    [
      ('os', f'{system["os"]}, {system["kernel"]}, {system["machine"]}'),
      ('libc', system['libc']),
      ('cpus', f'{system["may_use"]} of {system["cpus"]}'),
      ('memory', _size(system['memory'])),
      ('of it at most', _size(system['memory_limit'])),
    ],
  )
  yield from _section('caches', [*map(_told_cache, found['caches'].items())])
  yield from _section('variables', found['variables'].items())
  yield from _section('terminal', found['terminal'].items())


def _section(title: str, rows: Iterable[tuple[str, Any]]) -> Iterator[str]:
  """Yields a title and lines below it; what is not known is left out."""
  rows = [(name, str(value)) for name, value in rows if value is not None]
  width = max((len(name) for name, _ in rows), default=0)
  yield f'{title}:'
  if not rows:
    yield '  none'
  for name, value in rows:
    yield f'  {name:<{width}}  {value}'


def _version(value: str | None) -> str:
  return 'not installed' if value is None else value


def _told_extras(
  extras: Mapping[str, Mapping[str, str | None]],
) -> Iterator[tuple[str, str]]:
  if not extras:
    yield '?', 'tfeval is not installed as a package'
  for name, packages in extras.items():
    told = ', '.join(f'{one} {_version(value)}' for one, value in packages.items())
    yield name, told if any(packages.values()) else _version(None)


def _told_cache(item: tuple[str, Mapping[str, Any]]) -> tuple[str, str]:
  name, found = item
  if not found['exists']:
    return name, f'{found["path"]}, not there'
  more = '' if found['whole'] else 'more than '
  return (
    name,
    f'{found["path"]}, {more}{found["files"]:,} files, {_size(found["bytes"])}',
  )


def _told_devices(found: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
  for name in ('error', 'kind', 'name', 'cores', 'driver', 'cuda', 'cudnn'):
    yield name, found.get(name)
  for one in found.get('seen', ()):
    name, *details = one.values()
    yield name, ', '.join(details) or found['cpu']


def _size(count: int | None) -> str | None:
  if count is None:
    return None
  value, unit = float(count), 0
  while value >= 1000 and unit < len(_UNITS) - 1:
    value, unit = value / 1000, unit + 1
  return f'{value:,.0f} {_UNITS[unit]}' if not unit else f'{value:,.1f} {_UNITS[unit]}'
