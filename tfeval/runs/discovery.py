"""Runs by their directories, or by the folders that hold them."""

import contextlib
import os
from collections.abc import Iterable, Sequence

from tfeval.runs.result_file import MANIFEST, RESULT
from tfeval.runs.run import Failure, Run, load_run
from tfeval.runs.run_key import RunKey, directory_names
from tfeval.utils import files, paths
from tfeval.utils.errors import UserError


def find_runs(given: Iterable[str | os.PathLike[str]]) -> list[Run | Failure]:
  """Finds runs, complete or not.

  Args:
    given: of each the directory of a run, or a folder of such, as OUTPUT_DIR is; where
      it holds none itself, those in its folders count, as what a callback or a loop
      has for each step.

  Returns:
    The runs in the order of `given`, those of a folder sorted; for one that is not
    complete or cannot be read what is wrong with it.

  Raises:
    UserError: a path is neither, or a run is named twice.
  """
  directories = [found for path in given for found in _run_directories(path)]
  real = [directory.resolve() for directory in directories]
  for at, directory in enumerate(directories):
    if real[at] in real[:at]:
      raise UserError(f'run {directory} was given twice')
  return [_load_or_failure(directory) for directory in directories]


def expand(given: Iterable[str]) -> list[str]:
  """Returns paths of runs: of a folder of runs those in it, of all else what it is.

  >>> expand(['no/such/run'])
  ['no/such/run']
  """
  found: list[str] = []
  for text in given:
    directory = paths.path(text)
    inside: list[str] = []
    with contextlib.suppress(OSError):
      if directory.is_dir() and not _holds_run(directory):
        inside = [str(one) for one in _runs_inside(directory)]
    found += inside or [text]
  return found


def distinct_names(runs: Sequence[Run | Failure]) -> list[str]:
  """Returns what readers call runs: the models, where that tells them apart.

  Else the directories' own names where the models' are in these, or both.
  """
  names = [run.key.model_name for run in runs]
  double = {
    i: run.path
    for i, run in enumerate(runs)
    if isinstance(run, Run) and names.count(names[i]) > 1
  }
  where = _relative([paths.absolute(str(path)) for path in double.values()])
  for (i, path), text in zip(double.items(), where, strict=True):
    told = text == path.name and directory_names([RunKey(names[i])])[0] in text
    names[i] = text if told else f'{names[i]} ({text})'
  return names


def _relative(absolute: list[str]) -> list[str]:
  """Returns paths from what is above all of them; URLs are left as they are."""
  if not absolute or any(map(paths.is_url, absolute)):
    return absolute
  above = os.path.commonpath([os.path.dirname(path) for path in absolute])
  return [os.path.relpath(path, above) for path in absolute]


def _run_directories(path: str | os.PathLike[str]) -> list[paths.Path]:
  directory = paths.path(path)
  if _holds_run(directory):
    return [directory]
  try:
    found = _runs_inside(directory)
  except OSError as error:
    raise UserError(
      f'cannot read {directory}: {error.strerror}: expected a run '
      'directory, or a folder of such'
    ) from error
  if not found:
    raise UserError(
      f'{directory} is no run directory and holds none: there is no '
      f'{MANIFEST} and no {RESULT}'
    )
  return found


def _runs_inside(folder: paths.Path) -> list[paths.Path]:
  """Returns the runs in a folder, sorted; if there are none, those in its folders.

  Raises:
    OSError: it cannot be read.
  """
  inside: list[paths.Path] = sorted(one for one in folder.iterdir())
  found = [one for one in inside if _holds_run(one)]
  if not found:
    for one in inside:
      if one.is_dir() and not files.is_leftover(one):
        found += sorted(deeper for deeper in one.iterdir() if _holds_run(deeper))
  return found


def holds_runs(directory: paths.Path) -> bool:
  """Whether a path is a run directory or a folder of such."""
  if _holds_run(directory):
    return True
  with contextlib.suppress(OSError):
    return directory.is_dir() and bool(_runs_inside(directory))
  return False


def _holds_run(directory: paths.Path) -> bool:
  return any((directory / name).is_file() for name in (MANIFEST, RESULT))


def _load_or_failure(directory: paths.Path) -> Run | Failure:
  try:
    return load_run(directory)
  except UserError as error:
    return Failure(_model_name(directory), str(error))


def _model_name(directory: paths.Path) -> str:
  """Returns the name in a manifest, or the directory's where there is none."""
  try:
    name = files.read_json(directory / MANIFEST, directory)['model']['name']
  except (UserError, LookupError, TypeError):
    return directory.resolve().name
  return name if isinstance(name, str) else directory.resolve().name
