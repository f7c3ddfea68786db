"""`tfeval shift SOURCE TARGET`."""

import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tfeval.cli import compare, console, output
from tfeval.reports import formats
from tfeval.utils import paths, progress
from tfeval.utils.errors import UserError, listed

if TYPE_CHECKING:
  from tfeval.analysis.shift.diagnosis import Shift
  from tfeval.analysis.shift.images import ImageStatistics
  from tfeval.analysis.shift.measures import Options
  from tfeval.runs.run import Run

USAGE = """Usage: tfeval shift SOURCE TARGET [--flags]

  tfeval shift runs/ResNet50-val runs/ResNet50-mine
  tfeval shift runs/ResNet50-val PHOTOS

What changed between the images of two runs of a model, and of which kind it is:
covariate shift (other images), prior shift (other shares of classes), concept
shift (other labels for the same), or none told apart. Every measure stands
beside what it is between two halves of the source. Of runs with
--store_features features are compared, else outputs. Of the statistics of
images themselves where these are at hand; TARGET may be a folder of images,
which no model has seen, then of these alone.

How many images of the target may be hit is guessed without its labels: that is
no accuracy. MMD and Fréchet distances do not predict accuracy."""


def define_flags(define) -> None:
  define.string('labels_of', 'original', 'The label set that hits are counted by.')
  define.string('metric', 'top1', 'What a hit is.')
  define.multi_string(
    'beside',
    [],
    'SOURCE,TARGET: runs of another model on the same images, whose agreement is told; '
    'may be repeated.',
  )
  define.float('level', 0.05, 'Significance level; intervals cover 1 - level.')
  define.integer('permutations', 1000, 'Of each test.', lower_bound=19)
  define.integer('seed', 0, 'Of all that is drawn.', lower_bound=0)
  define.integer(
    'max_images', 2000, 'How many of each side at most, drawn by ids.', lower_bound=20
  )
  define.bool('images', True, 'Measure the images themselves, where they are at hand.')
  define.string('data_dir', None, 'Where prepared TFDS datasets of the runs lie.')
  define.string('manual_dir', None, 'Where ILSVRC2012_img_val.tar lies.')
  define.integer(
    'farthest', 10, 'List so many images that are farthest from the source.',
    lower_bound=0,
  )  # fmt: skip
  define.bool('json', False, 'Print a JSON object on stdout, nothing else.')


def run(flags, arguments: list[str]) -> int:
  if len(arguments) != 2:
    raise UserError(
      f'{len(arguments)} arguments were given: tfeval shift SOURCE TARGET'
    )
  compare.check_level(flags.level)
  compare.check_metric(flags.metric)
  # Arrow and SciPy, which help does not need.
  from tfeval.analysis.shift import from_runs
  from tfeval.analysis.shift.measures import Options

  options = Options(flags.level, flags.permutations, flags.seed)
  console.import_tensorflow_for(arguments)
  sides = [_open(text) for text in arguments]
  runs = [side for side in sides if not isinstance(side, str)]
  if len(runs) == 2:
    found = _of_runs(flags, runs[0], runs[1], options)
    classes = from_runs.column_names(runs[0])
  else:
    found, classes = _of_folders(flags, sides, options), []
  output.print_report(formats.SHIFT, flags.json, found, classes)
  return 0


def _open(text: str) -> 'Run | str':
  """Returns a run, or the path of a folder of images."""
  from tfeval.runs import discovery
  from tfeval.runs.run import Failure

  directory = paths.path(text)
  if not discovery.holds_runs(directory) and os.path.isdir(os.path.expanduser(text)):
    return text
  found = discovery.find_runs([text])
  if len(found) > 1:
    raise UserError(f'{text} holds {len(found)} runs: give one of them')
  if isinstance(found[0], Failure):
    raise UserError(found[0].reason)
  return found[0]


def _of_runs(flags, source: 'Run', target: 'Run', options: 'Options') -> 'Shift':
  from tfeval.analysis.shift import diagnosis, from_runs
  from tfeval.runs import discovery

  remarks = from_runs.check_comparable(source, target)
  names = discovery.distinct_names([source, target])
  how = flags.labels_of, flags.metric, flags.max_images
  sides = [
    from_runs.read(run, name, *how)
    for run, name in zip((source, target), names, strict=True)
  ]
  if not any(side.labelled.any() for side in sides):
    remarks.append(f'none of the images has labels {flags.labels_of!r}')
  beside = from_runs.read_beside(flags.beside, sides, *how)
  found = diagnosis.diagnose(sides[0], sides[1], options, flags.farthest, beside)
  statistics = []
  if flags.images:
    wanted = [(source, sides[0].ids.tolist()), (target, sides[1].ids.tolist())]
    try:
      measured = _measure(flags, wanted, names)
    except UserError as error:
      # What the model tells stands without them.
      remarks.append(f'images themselves are not compared: {error}')
    else:
      from tfeval.analysis.shift import images

      statistics = images.compare(*measured, options)
      remarks += _left_out(measured)
  return dataclasses.replace(
    found, statistics=statistics, remarks=[*found.remarks, *remarks]
  )


def _of_folders(flags, sides: 'list[Run | str]', options: 'Options') -> 'Shift':
  """Compares images alone: of one side there is no run."""
  from tfeval.analysis.shift import images
  from tfeval.analysis.shift.diagnosis import Shift
  from tfeval.datasets import sampling
  from tfeval.runs import discovery

  if not flags.images:
    raise UserError('without --images a folder of images has nothing to compare')
  wanted: list[tuple[Run | str, list[str]]] = []
  names = []
  for side in sides:
    if isinstance(side, str):
      wanted.append((side, []))
      names.append(side)
      continue
    ids = side.to_arrow(['id'])['id'].to_pylist()
    chosen = sampling.chosen_positions(ids, flags.max_images)
    wanted.append((side, [ids[i] for i in chosen]))
    names += discovery.distinct_names([side])
  measured = _measure(flags, wanted, names)
  return Shift(
    (names[0], names[1]),
    (len(measured[0].ids), len(measured[1].ids)),
    options,
    statistics=images.compare(*measured, options),
    farthest=images.farthest(*measured, flags.farthest),
    remarks=[
      'no model has seen one of the sides: images alone are compared; farthest: from '
      'the median of the source, by its spread, in any of these statistics',
      *_left_out(measured),
    ],
  )


def _measure(
  flags, wanted: 'Sequence[tuple[Run | str, list[str]]]', names: list[str]
) -> 'tuple[ImageStatistics, ImageStatistics]':
  """Measures images, those of a folder or those of a run with some ids.

  Raises:
    UserError: they are not at hand, or none can be decoded.
  """
  for side, _ in wanted:
    if not isinstance(side, str):
      check_at_hand(flags, side)
  from tfeval.analysis.shift import from_runs

  where = {'data_dir': flags.data_dir, 'manual_dir': flags.manual_dir}
  with console.quiet_tensorflow():
    from tfeval.evaluation import image_statistics  # TensorFlow: seconds.

    found = []
    for (side, ids), name in zip(wanted, names, strict=True):
      total = len(ids) or flags.max_images
      with progress.on_stderr(f'images of {name}', total) as advance:
        if isinstance(side, str):
          of = image_statistics.of_folder(side, name, flags.max_images, advance)
        else:
          hashes = from_runs.hashes(side, ids)
          section = side.result.dataset
          of = image_statistics.of_run(section, name, hashes, where, advance)
      found.append(of)
  for one in found:
    if not one.ids:
      raise UserError(f'none of the images of {one.name} can be decoded')
  return found[0], found[1]


def check_at_hand(flags, run: 'Run') -> None:
  """Checks that the images of a run may be read.

  Args:
    flags: with `--data_dir` and `--manual_dir`.
    run: the run.

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
  elif not directory and flags.data_dir is None and flags.manual_dir is None:
    raise UserError(
      f'{run.path} is of {section.name}: `data_dir` or `manual_dir` say where that lies'
    )


def _left_out(measured: 'tuple[ImageStatistics, ...]') -> list[str]:
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
