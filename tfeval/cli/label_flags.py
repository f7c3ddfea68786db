"""The flags that say what rows are counted against, shared by several commands."""

from typing import TYPE_CHECKING, Any

from tfeval.api import given
from tfeval.api.given import MULTILABEL

if TYPE_CHECKING:
  from collections.abc import Sequence

  from tfeval.datasets.labels import sets, subsets
  from tfeval.datasets.labels.spaces import LabelSpace
  from tfeval.runs.run import Failure, Run


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


def given_values(flags) -> dict[str, Any]:
  """Returns what functions take that open labels: the values of these flags."""
  return {name: flags[name].value for name in ('labels', 'keep', 'omit', 'data_dir')}


def read_labels(
  flags, runs: 'Sequence[Run | Failure]'
) -> 'tuple[list[sets.LabelSource] | None, subsets.Subset | None]':
  """Opens the label sets, None where none are given, and the subset.

  Raises:
    UserError: something is wrong with them, or runs are of different classes.
  """
  return given.labels_and_subset(runs, *given_values(flags).values())


def open_labels(
  texts: list[str], data_dir: str | None, space: 'LabelSpace | None' = None
) -> 'list[sets.LabelSource]':
  """Opens the label sets of `--labels`; see `sets.open_labels`."""
  return given.labels(texts, data_dir, space)
