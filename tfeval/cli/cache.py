"""`tfeval cache list|verify|prune CACHE_DIR`."""

import time

from tfeval.engine.cache import entries, pruning
from tfeval.engine.cache.entries import Entry
from tfeval.reports import terminal
from tfeval.utils import errors, progress
from tfeval.utils.errors import CheckFailed, UserError

USAGE = """Usage: tfeval cache list|verify|prune CACHE_DIR [--flags]

  tfeval cache list DIR      what is in it
  tfeval cache verify DIR    exit code 1 if files are torn or foreign
  tfeval cache prune DIR     remove these, and what was never finished"""
_PRUNING = ('older_than', 'all', 'dry_run')


def define_flags(define) -> None:
  text = 'prune: also what no run has used for so many days.'
  define.float('older_than', None, text, lower_bound=0)
  define.bool('all', False, 'prune: everything.')
  define.bool('dry_run', False, 'prune: say what would be removed, remove nothing.')
  define.bool('json', False, 'Print a list of JSON objects on stdout, nothing else.')


def run(flags, arguments: list[str]) -> int:
  actions = {'list': _list, 'verify': _verify, 'prune': _prune}
  if len(arguments) != 2:
    raise UserError(
      f'expected list, verify or prune and a directory, got '
      f'{" ".join(arguments) or "nothing"}'
    )
  action, directory = arguments
  if action not in actions:
    raise errors.unknown('action', action, actions, '(tfeval cache --help)')
  given = [name for name in _PRUNING if flags[name].present]
  if given and action != 'prune':
    raise UserError(f'--{given[0]} is for prune: leave it out')
  actions[action](directory, flags)
  return 0


def _list(directory: str, flags) -> None:
  found = [_described(entry) for entry in entries.listed(directory)]
  if flags.json:
    terminal.print_json(found)
    return
  if not found:
    terminal.print_line(f'{directory} holds no images')
    return
  titles = ('entry', 'dataset', 'protocol', 'size', 'images', 'of', 'MB', 'last used')
  rows = [
    (
      one['key'][:8],
      f'{one["dataset"]} {one["split"] or ""}'.strip() if one['dataset'] else '?',
      one['protocol'] or 'damaged',
      str(one['size'] or ''),
      f'{one["cached"]:,}',
      f'{one["images"]:,}' if one['images'] else '?',
      _megabytes(one['bytes']),
      one['last_used'] or '',
    )
    for one in found
  ]
  terminal.print_rows(titles, rows, numbers=(3, 4, 5, 6))
  whole = sum(one['complete'] for one in found)
  size = _megabytes(sum(one['bytes'] for one in found))
  terminal.print_line(f'{whole} of {len(found)} complete, {size} MB')


def _described(entry: Entry) -> dict:
  of = entry.description or {}
  protocol, dataset = of.get('protocol', {}), of.get('dataset', {})
  try:
    stat = (entry.directory / entries.ENTRY).stat()
    used = time.strftime('%Y-%m-%d', time.localtime(stat.st_mtime))
  except OSError:
    used = None
  return {
    'key': entry.key,
    'dataset': dataset.get('name'),
    'split': dataset.get('split'),
    'protocol': protocol.get('spec'),
    'size': protocol.get('size'),
    'dtype': protocol.get('dtype'),
    'cached': entry.images,
    'images': of.get('images'),
    'complete': entry.images == of.get('images'),
    'bytes': entry.bytes,
    'last_used': used,
    'made_by': of.get('made_by'),
  }


def _verify(directory: str, flags) -> None:
  found = entries.listed(directory)
  total = sum(len(entry.chunks) for entry in found)
  faults = []
  with progress.on_stderr('verify', sum(entry.images for entry in found)) as advance:
    for entry in found:
      for chunk in entry.chunks:
        why = entry.fault(chunk)
        if why:
          faults.append({'file': str(chunk.path), 'fault': why})
        advance(chunk.stop - chunk.start)
  if flags.json:
    terminal.print_json(faults)
  else:
    for one in faults:
      terminal.print_line(f'{one["file"]}: {one["fault"]}')
    terminal.print_line(f'{total - len(faults)} of {total} files are whole')
  if faults:
    raise CheckFailed(
      f'{len(faults)} of {total} files of {directory} cannot be used: '
      'tfeval cache prune removes them'
    )


def _prune(directory: str, flags) -> None:
  removed = pruning.prune(directory, flags.older_than, flags.all, flags.dry_run)
  if flags.json:
    terminal.print_json(
      [{'file': str(one.path), 'why': one.why, 'bytes': one.bytes} for one in removed]
    )
    return
  for one in removed:
    terminal.print_line(f'{one.path}: {one.why}')
  size = _megabytes(sum(one.bytes for one in removed))
  terminal.print_line(
    f'{len(removed)} files {"would be " * flags.dry_run}removed, {size} MB'
  )


def _megabytes(count: int) -> str:
  return f'{count / 1e6:,.1f}'
