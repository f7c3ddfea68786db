"""`tfeval.shift`."""

import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tfeval.api import around, checks, given, images_at_hand
from tfeval.utils import paths
from tfeval.utils.arguments import truth, whole_number
from tfeval.utils.errors import UserError
from tfeval.utils.progress import Progress

if TYPE_CHECKING:
  from tfeval.analysis.shift.diagnosis import Shift
  from tfeval.analysis.shift.images import ImageStatistics
  from tfeval.analysis.shift.measures import Options
  from tfeval.runs.run import Run

LEAST_PERMUTATIONS, LEAST_IMAGES = 19, 20


@dataclasses.dataclass(frozen=True)
class _Asked:
  """How a shift is told; see `shift`."""

  meant: tuple[str, str]
  options: 'Options'
  beside: Sequence[str]
  max_images: int
  images: bool
  where: dict[str, str | None]
  farthest: int
  progress: Progress


def shift(
  source: Any,
  target: Any,
  *,
  labels_of: str = 'original',
  metric: str = 'top1',
  beside: str | Sequence[str] = (),
  level: float = 0.05,
  permutations: int = 1000,
  seed: int = 0,
  max_images: int = 2000,
  images: bool = True,
  data_dir: given.Path | None = None,
  manual_dir: given.Path | None = None,
  farthest: int = 10,
  progress: bool | None = None,
) -> 'Shift':
  """Tells what changed between the images of two runs of a model, and of which kind.

  Args:
    source, target: runs, by their directories or as `Run`s; or folders of images, which
      no model has seen.
    labels_of, metric: what a hit is.
    beside: `'SOURCE,TARGET'`, directories of runs of another model on the same images,
      one or several.
    level: of significance; intervals cover 1 - level.
    permutations: of each test.
    seed: of all that is drawn.
    max_images: how many of each side at most, drawn by ids.
    images: whether to measure the images themselves, where they are at hand.
    data_dir, manual_dir: where prepared datasets of the runs, and what they are
      prepared from, lie.
    farthest: how many images that are farthest from the source are listed.
    progress: whether to show progress on stderr; by default if that is a terminal.

  Raises:
    UserError: the runs are not of one model, or store too little; or a value is none.
  """
  from tfeval.analysis.shift.measures import Options

  level = checks.level(level)
  permutations = whole_number('permutations', permutations, LEAST_PERMUTATIONS)
  asked = _Asked(
    (labels_of, checks.paired_metric(metric)),
    Options(level, permutations, checks.seed(seed)),
    [beside] if isinstance(beside, str) else list(beside),
    whole_number('max_images', max_images, LEAST_IMAGES),
    truth('images', images),
    {
      'data_dir': None if data_dir is None else os.fspath(data_dir),
      'manual_dir': None if manual_dir is None else os.fspath(manual_dir),
    },
    whole_number('farthest', farthest, 0),
    around.progress_of(progress),
  )
  sides = [_opened(one) for one in (source, target)]
  runs = [side for side in sides if not isinstance(side, str)]
  if len(runs) == 2:
    return _of_runs(asked, runs[0], runs[1])
  return _of_folders(asked, sides)


def _opened(one: Any) -> 'Run | str':
  """Returns a run, or the path of a folder of images."""
  from tfeval.runs import discovery

  if isinstance(one, str | os.PathLike):
    text = os.fspath(one)
    if not discovery.holds_runs(paths.path(text)) and os.path.isdir(
      os.path.expanduser(text)
    ):
      return text
  found = given.complete([one])
  if len(found) > 1:
    raise UserError(f'{one} holds {len(found)} runs: give one of them')
  return found[0]


def _of_runs(asked: _Asked, source: 'Run', target: 'Run') -> 'Shift':
  from tfeval.analysis.shift import diagnosis, from_runs
  from tfeval.runs import discovery

  remarks = from_runs.check_comparable(source, target)
  names = discovery.distinct_names([source, target])
  how = *asked.meant, asked.max_images
  sides = [
    from_runs.read(run, name, *how)
    for run, name in zip((source, target), names, strict=True)
  ]
  if not any(side.labelled.any() for side in sides):
    remarks.append(f'none of the images has labels {asked.meant[0]!r}')
  beside = from_runs.read_beside(asked.beside, sides, *how)
  found = diagnosis.diagnose(sides[0], sides[1], asked.options, asked.farthest, beside)
  statistics = []
  if asked.images:
    wanted = [(source, sides[0].ids.tolist()), (target, sides[1].ids.tolist())]
    try:
      measured = _measured(asked, wanted, names)
    except UserError as error:
      # What the model tells stands without them.
      remarks.append(f'images themselves are not compared: {error}')
    else:
      from tfeval.analysis.shift import images

      statistics = images.compare(*measured, asked.options)
      remarks += images_at_hand.left_out(measured)
  return dataclasses.replace(
    found,
    statistics=statistics,
    remarks=[*found.remarks, *remarks],
    classes=from_runs.column_names(source),
    runs=list(zip(names, (source, target), strict=True)),
  )


def _of_folders(asked: _Asked, sides: 'list[Run | str]') -> 'Shift':
  """Compares images alone: of one side there is no run."""
  from tfeval.analysis.shift import images
  from tfeval.analysis.shift.diagnosis import Shift
  from tfeval.datasets import sampling
  from tfeval.runs import discovery

  if not asked.images:
    raise UserError('without `images` a folder of images has nothing to compare')
  wanted: list[tuple[Run | str, list[str]]] = []
  names = []
  for side in sides:
    if isinstance(side, str):
      wanted.append((side, []))
      names.append(side)
      continue
    ids = side.to_arrow(['id'])['id'].to_pylist()
    chosen = sampling.chosen_positions(ids, asked.max_images)
    wanted.append((side, [ids[i] for i in chosen]))
    names += discovery.distinct_names([side])
  measured = _measured(asked, wanted, names)
  return Shift(
    (names[0], names[1]),
    (len(measured[0].ids), len(measured[1].ids)),
    asked.options,
    statistics=images.compare(*measured, asked.options),
    farthest=images.farthest(*measured, asked.farthest),
    remarks=[
      'no model has seen one of the sides: images alone are compared; farthest: from '
      'the median of the source, by its spread, in any of these statistics',
      *images_at_hand.left_out(measured),
    ],
    runs=[
      (name, side)
      for name, side in zip(names, sides, strict=True)
      if not isinstance(side, str)
    ],
  )


def _measured(
  asked: _Asked,
  wanted: 'Sequence[tuple[Run | str, list[str]]]',
  names: Sequence[str],
) -> 'tuple[ImageStatistics, ImageStatistics]':
  found = images_at_hand.measure(
    wanted, names, asked.where, asked.max_images, asked.progress
  )
  for one in found:
    if not one.ids:
      raise UserError(f'none of the images of {one.name} can be decoded')
  return found[0], found[1]
