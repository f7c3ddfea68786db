"""Runs, labels and images as they are given: by paths, or as what was opened before."""

import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tfeval.api import around
from tfeval.utils.arguments import path_text, several, shown
from tfeval.utils.errors import UserError

if TYPE_CHECKING:
  from tfeval.datasets.labels.sets import LabelSource
  from tfeval.datasets.labels.spaces import LabelSpace
  from tfeval.datasets.labels.subsets import Subset
  from tfeval.runs.run import Failure, Run

MULTILABEL = 'imagenet2012_multilabel'
Path = str | os.PathLike[str]
# What stands for runs: a directory, a folder of such, a run, or several of these.
Runs = 'Path | Run | Iterable[Path | Run]'


def found(runs: Sequence[Any]) -> 'list[Run | Failure]':
  """Finds runs, complete or not.

  Args:
    runs: of each the directory of a run, a folder of such, a `Run`, or a list of these.

  Returns:
    The runs in their order; for one that is not complete or cannot be read what is
    wrong with it.

  Raises:
    UserError: there is none, or one is given twice.
  """
  from tfeval.runs import discovery
  from tfeval.runs.run import Run

  result: list[Run | Failure] = []
  for one in _flat(runs):
    result += [one] if isinstance(one, Run) else discovery.find_runs([one])
  if not result:
    raise UserError('no runs were given: give run directories, or folders of such')
  places = [str(one.path) for one in result if isinstance(one, Run)]
  for at, place in enumerate(places):
    if place in places[:at]:
      raise UserError(f'run {place} was given twice')
  return result


def complete(runs: Sequence[Any]) -> 'list[Run]':
  """Finds runs, each of which has to be complete; see `found`.

  Raises:
    UserError: one is not.
  """

  return all_complete(found(runs))


def all_complete(runs: 'Sequence[Run | Failure]') -> 'list[Run]':
  """Returns runs of which each is complete.

  Raises:
    UserError: one is not.
  """
  from tfeval.runs.run import Run

  for run in runs:
    if not isinstance(run, Run):
      raise UserError(run.reason)
  return [run for run in runs if isinstance(run, Run)]


def directories(runs: Sequence[Any]) -> list[str]:
  """Returns paths of runs, of folders those in them; none of them need be readable.

  Raises:
    UserError: there is none.
  """
  from tfeval.runs import discovery
  from tfeval.runs.run import Run

  texts = [
    str(one.path) if isinstance(one, Run) else os.fspath(one) for one in _flat(runs)
  ]
  if not texts:
    raise UserError('no runs were given: give run directories, or folders of such')
  return discovery.expand(texts)


def _flat(runs: Sequence[Any]) -> 'Iterator[Path | Run]':
  from tfeval.runs.run import Run
  from tfeval.utils.remote_path import RemotePath

  for one in runs:
    if isinstance(one, str | os.PathLike | Run):
      yield one
    elif isinstance(one, RemotePath):
      yield str(one)
    elif isinstance(one, Iterable) and not isinstance(one, bytes | dict):
      yield from _flat(list(one))
    else:
      raise UserError(
        f'`runs` has {shown(one)}, expected run directories, folders of such, or what '
        'tfeval.load_run and tfeval.evaluate return'
      )


def labels(
  given: Any, data_dir: Path | None = None, space: 'LabelSpace | None' = None
) -> 'list[LabelSource]':
  """Opens label sets.

  Args:
    given: names of label sets, paths of label files, what was opened before, or several
      of these; None or nothing: no sets.
    data_dir: where TFDS has prepared the multi-label set; None: where it puts it.
    space: the classes; None: those of ILSVRC2012.

  Raises:
    UserError: something is wrong with one.
  """
  from tfeval.datasets.labels import sets

  if given is None:
    return []
  kinds = str | os.PathLike | sets.LabelSource
  listed = several(
    'labels',
    [given] if isinstance(given, kinds) else given,
    kinds,
    "'original', 'real' or paths of label files",
  )
  texts = [os.fspath(one) if isinstance(one, os.PathLike) else one for one in listed]
  prepared = {}
  if MULTILABEL in texts:
    with around.tensorflow():
      from tfeval.datasets.labels import multilabel  # TensorFlow, which takes seconds.

      prepared[MULTILABEL] = multilabel.load(
        None if data_dir is None else str(data_dir)
      )
  return sets.open_labels(texts, space, prepared)


def labels_and_subset(
  runs: 'Sequence[Run | Failure]',
  given: Any,
  keep: Path | None,
  omit: Path | None,
  data_dir: Path | None,
) -> 'tuple[list[LabelSource] | None, Subset | None]':
  """Opens the label sets of runs, None where none are given, and the subset.

  Raises:
    UserError: something is wrong with them, or runs are of different classes.
  """
  from tfeval.datasets.labels import sets, subsets
  from tfeval.runs.same_classes import one_space

  if given is not None and not isinstance(given, str | os.PathLike | sets.LabelSource):
    given = several('labels', given, object, 'label sets')
  paths = [path_text(name, one) for name, one in (('keep', keep), ('omit', omit))]
  path_text('data_dir', data_dir)
  space = None if given is None or given == [] else one_space(runs)
  opened = labels(given, data_dir, space) or None
  return opened, subsets.open_subset(*paths)


def texts(name: str, given: Any) -> list[str]:
  """Returns several texts, of which one may be given alone.

  Raises:
    UserError: these are none.
  """
  return several(name, [given] if isinstance(given, str) else given, str, 'texts')


def groups(by: str) -> str:
  """Returns what slices are made by, which no image is looked at for.

  Raises:
    UserError: it is measured of the images themselves.
  """
  if by == 'images':
    raise UserError(
      '`by=images` is measured by `tfeval score`, which writes it with `write_groups`: '
      'give that file as `by`'
    )
  return by


def file_path(name: str, given: Any) -> pathlib.Path | None:
  """Returns a path of this machine, `~` expanded; None for None.

  Raises:
    UserError: it is no path.
  """
  if given is None:
    return None
  if not isinstance(given, str | os.PathLike) or not os.fspath(given):
    raise UserError(f'`{name}={shown(given)}`: expected a path')
  return pathlib.Path(given).expanduser()
