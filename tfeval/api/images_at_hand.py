"""Statistics of images themselves, where these are at hand."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tfeval.api import around
from tfeval.utils.errors import UserError, listed
from tfeval.utils.progress import Progress

if TYPE_CHECKING:
  from tfeval.analysis.shift.images import ImageStatistics
  from tfeval.runs.run import Run


def check_at_hand(run: 'Run', where: dict[str, str | None]) -> None:
  """Checks that the images of a run may be read.

  Args:
    run: the run.
    where: `data_dir` and `manual_dir`.

  Raises:
    UserError: they cannot.
  """
  section = run.result.dataset
  kind, _, directory = section.name.partition(':')
  if run.result.imported is not None:
    raise UserError(f'{run.path} was imported')
  if kind == 'folder':
    if not os.path.isdir(directory):
      raise UserError(f'{directory} is not there')
  elif not directory and not any(where.values()):
    raise UserError(
      f'{run.path} is of {section.name}: `data_dir` or `manual_dir` say where that lies'
    )


def measure(
  wanted: 'Sequence[tuple[Run | str, list[str]]]',
  names: Sequence[str],
  where: dict[str, str | None],
  most: int,
  progress: Progress,
) -> 'list[ImageStatistics]':
  """Measures images, those of a folder or those of a run with some ids.

  Args:
    wanted: runs with ids of their images, or folders.
    names: what each is called.
    where: `data_dir` and `manual_dir`.
    most: how many images of a folder at most.
    progress: is told how far it is.

  Raises:
    UserError: they are not at hand, or none can be decoded.
  """
  for side, _ in wanted:
    if not isinstance(side, str):
      check_at_hand(side, where)
  from tfeval.analysis.shift import from_runs

  found = []
  with around.tensorflow():
    from tfeval.evaluation import image_statistics  # TensorFlow: seconds.

    for (side, ids), name in zip(wanted, names, strict=True):
      with progress(f'images of {name}', len(ids) or most) as advance:
        if isinstance(side, str):
          of = image_statistics.of_folder(side, name, most, advance)
        else:
          hashes = from_runs.hashes(side, ids)
          section = side.result.dataset
          of = image_statistics.of_run(section, name, hashes, where, advance)
      found.append(of)
  return found


def left_out(measured: 'Sequence[ImageStatistics]') -> list[str]:
  """Says which images are left out of the statistics, and why."""
  return [
    f'{len(ids):,} images of {one.name} {why}: {listed(ids)}'
    for one in measured
    for ids, why in (
      (one.failed, 'cannot be decoded'),
      (one.changed, 'are no longer those of the run, and are left out of statistics'),
      (one.missing, 'are no longer there, and are left out of statistics'),
    )
    if ids
  ]
