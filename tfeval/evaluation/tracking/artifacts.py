"""The files of a run that a tracker stores beside its values."""

import contextlib
import logging
import pathlib
import tempfile
from collections.abc import Iterator

from tfeval.reports.page import render, whole
from tfeval.runs.result_file import FLAGS, MANIFEST, PREDICTIONS, RESULT
from tfeval.runs.run import Run
from tfeval.utils import files
from tfeval.utils.errors import UserError
from tfeval.utils.paths import Path

_LOG = logging.getLogger('tfeval')
REPORT = 'report.html'


def _report(run: Run) -> bytes | None:
  """Returns the report of a run in HTML; None: there is none.

  All trackers get it from here. Why there is none is logged.
  """
  try:
    return render.page(whole.of_one(run)).encode(errors='backslashreplace')
  except UserError as error:
    _LOG.info('no report of %s: %s', run.path.name, error)
    return None


@contextlib.contextmanager
def of_run(run: Run) -> Iterator[dict[str, pathlib.Path]]:
  """Yields files on this machine by their names in the run.

  That are `result.json`, `manifest.json`, `flags.txt`, the stored predictions, and
  `report.html`. Those of a run at a URL are copied while the context lasts.
  """
  with tempfile.TemporaryDirectory(prefix='tfeval-artifacts-') as folder:
    copies = pathlib.Path(folder)
    found = {
      name: _local(path, copies / name) for name, path in _files(run.path).items()
    }
    report = _report(run)
    if report is not None:
      (copies / REPORT).write_bytes(report)
      found[REPORT] = copies / REPORT
    yield found


def _files(directory: Path) -> dict[str, Path]:
  alone = [directory / name for name in (RESULT, MANIFEST, FLAGS)]
  found = {path.name: path for path in alone if path.is_file()}
  for path in sorted((directory / PREDICTIONS).iterdir(), key=lambda one: one.name):
    if path.is_file() and not files.is_leftover(path):
      found[f'{PREDICTIONS}/{path.name}'] = path
  return found


def _local(path: Path, copy: pathlib.Path) -> pathlib.Path:
  if isinstance(path, pathlib.Path):
    return path
  copy.parent.mkdir(parents=True, exist_ok=True)
  copy.write_bytes(path.read_bytes())
  return copy
