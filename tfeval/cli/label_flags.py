"""The flags that say what rows are counted against, shared by several commands."""

import dataclasses
import pathlib
from typing import TYPE_CHECKING

from tfeval.cli import console
from tfeval.utils.errors import UserError

if TYPE_CHECKING:
  from collections.abc import Sequence

  from tfeval.datasets.labels import sets, subsets
  from tfeval.datasets.labels.spaces import LabelSpace
  from tfeval.runs.run import Failure, Run

MULTILABEL = 'imagenet2012_multilabel'


def define_labels(definer, default: list[str], by_default: str) -> None:
  """Defines `--labels`.

  Args:
    definer: defines flags.
    default: its value where it is not given.
    by_default: what that means.
  """
  definer.multi_string(
    'labels',
    default,
    'original (of the TFDS package), real (that the rows carry), label_errors (the '
    'original ones, corrected as people voted), the path of a file of labels (.csv, '
    '.tsv, .txt, .lst, .json, .npy, .parquet) by file name or in validation order, '
    'such as real.json, or '
    f'{MULTILABEL} (that TFDS has prepared); {by_default}.',
  )
  definer.string(
    'data_dir', None, f'Where {MULTILABEL} lies, if not where TFDS puts it.'
  )


def define(definer, by_default: str) -> None:
  """Defines the flags that `read` reads: `--labels`, `--keep` and `--omit`."""
  define_labels(definer, [], by_default)
  definer.string(
    'keep',
    None,
    'A list of ids, one on each line: metrics of these images alone, beside those of '
    'all.',
  )
  definer.string(
    'omit',
    None,
    'A list of ids, or label_errors, the 2,916 validation images whose label was voted '
    'down: metrics without these images, beside those of all.',
  )


def read_labels(
  flags, runs: 'Sequence[Run | Failure]'
) -> 'tuple[list[sets.LabelSource] | None, subsets.Subset | None]':
  """Opens the label sets, None where none are given, and the subset.

  Raises:
    UserError: something is wrong with them, or runs are of different classes.
  """
  from tfeval.datasets.labels import subsets  # Arrow, which help does not need.
  from tfeval.runs.same_classes import one_space

  space = one_space(runs) if flags.labels else None
  labels = open_labels(flags.labels, flags.data_dir, space) or None
  return labels, subsets.open_subset(flags.keep, flags.omit)


def open_labels(
  texts: list[str], data_dir: str | None, space: 'LabelSpace | None' = None
) -> 'list[sets.LabelSource]':
  """Opens the label sets of `--labels`; see `sets.open_labels`."""
  from tfeval.datasets.labels import sets  # Arrow, which help does not need.

  prepared = {}
  if MULTILABEL in texts:
    with console.quiet_tensorflow():
      from tfeval.datasets.labels import multilabel  # TensorFlow, which takes seconds.

      prepared[MULTILABEL] = multilabel.load(data_dir)
  return sets.open_labels(texts, space, prepared)


def classes_path(flags) -> 'pathlib.Path | None':
  """Returns the file of `--classes`."""
  return None if flags.classes is None else pathlib.Path(flags.classes).expanduser()


def open_import_labels(flags) -> 'tuple[sets.LabelSource, ...]':
  """Opens the label sets of an import; of other classes the first is the original one.

  Raises:
    UserError: something is wrong with them, or with `--classes`.
  """
  from tfeval.datasets.labels import class_lists, sets

  path = classes_path(flags)
  if path is None:
    return tuple(open_labels(flags.labels, flags.data_dir))
  space = class_lists.read_space(path)
  if sets.ORIGINAL in flags.labels or sets.REAL in flags.labels:
    raise UserError(
      f'--classes={path}: the labels original and real are of ILSVRC2012: give '
      '--labels=FILE with the labels of these images'
    )
  first, *others = open_labels(flags.labels, flags.data_dir, space)
  return dataclasses.replace(first, name=sets.ORIGINAL), *others
