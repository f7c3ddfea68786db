"""What every source of examples offers to the engine."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.utils import files, paths
from tfeval.utils.errors import DataError, UserError


@dataclasses.dataclass(frozen=True)
class ImageDataset:
  """Examples with an identity, in a fixed order.

  Attributes:
    name: TFDS name, or `folder:DIR`.
    config: TFDS config, or None.
    version: TFDS version, or None.
    split: TFDS split or slice; '' for a folder.
    label_space: the classes that its labels are indices of.
    num_examples: how many examples there must be.
    expected_ids: their ids where these are known beforehand, else None.
    limit: only so many examples of the split are taken; None for all.
    notes: what a reader of the result must know about the data.
    has_real_labels: whether examples carry ReaL labels.
    real_labels: ReaL labels by id where they do not come with the examples.
    real_labels_digest: `'dataset'`, the SHA-256 of `real.json`, or None.
    size_digest: digest over the sizes of the files that hold the images, and their
      labels where these are known beforehand: tells without reading them that data
      have changed, not that they have not.
    examples: makes a `tf.data.Dataset` of dicts: `id` string, `image` string
      (encoded bytes), `label` int64 (-1 for none) and, with ReaL labels of its
      own, `real_labels` bool [classes]; of the positions from `start` to before `stop`,
      which are 0 and None, the end, by default. Inside a graph they may be int64 [].
    strided: makes `examples` of every n-th only, from n; None where the first are as
      good as any others, being in no order of classes.
  """

  name: str
  config: str | None
  version: str | None
  split: str
  label_space: LabelSpace
  num_examples: int
  examples: Callable[..., Any]
  expected_ids: Sequence[str] | None = None
  limit: int | None = None
  notes: tuple[str, ...] = ()
  has_real_labels: bool = False
  real_labels: Mapping[str, Sequence[int]] | None = None
  real_labels_digest: str | None = None
  size_digest: str | None = None
  strided: Callable[[int], Any] | None = None

  def describe(self) -> dict[str, Any]:
    """Returns the `dataset` entry of a manifest."""
    return {
      'name': self.name,
      'config': self.config,
      'version': self.version,
      'split': self.split,
      'limit': self.limit,
      'partial': self.limit is not None,
      'expected': self.num_examples,
      'real_labels': self.real_labels_digest,
      'size_digest': self.size_digest,
      'notes': list(self.notes),
    }

  def identity(self) -> dict[str, Any]:
    """Returns what tells the dataset from others, of what `describe` does."""
    described = self.describe()
    return {
      key: described[key]
      for key in (
        'name',
        'config',
        'version',
        'split',
        'limit',
        'real_labels',
        'size_digest',
      )
    }


def real_labels_digest(path: str | None) -> str | None:
  """Returns the SHA-256 of a file of ReaL labels, None for None.

  Raises:
    UserError: the file cannot be read.
  """
  try:
    return files.sha256_of(paths.path(path)) if path else None
  except OSError as error:
    raise UserError(f'cannot read ReaL labels {path}: {error.strerror}') from error


def check_coverage(
  dataset: ImageDataset, evaluated: Sequence[str], failed: Sequence[str]
) -> None:
  """Holds that every expected example was seen exactly once.

  Args:
    dataset: says what is expected.
    evaluated: ids of the stored rows.
    failed: ids that could not be evaluated.

  Raises:
    DataError: examples are missing, double or unexpected; names the first ten.
  """
  seen = [*evaluated, *failed]
  unique = set(seen)
  if len(unique) != len(seen):
    once: set[str] = set()
    double = sorted({name for name in seen if name in once or once.add(name)})
    raise DataError(
      f'{len(seen) - len(unique)} examples came twice: '
      f'{_first(double)}: prepare the dataset again'
    )
  if dataset.expected_ids is not None:
    missing = sorted(set(dataset.expected_ids) - unique)
    foreign = sorted(unique - set(dataset.expected_ids))
    if missing or foreign:
      raise DataError(
        f'{len(missing)} expected examples are missing ({_first(missing)}) and '
        f'{len(foreign)} are not expected ({_first(foreign)}): prepare the '
        'dataset again'
      )
  if len(seen) != dataset.num_examples:
    raise DataError(
      f'{len(seen)} examples were seen, {dataset.name} says it has '
      f'{dataset.num_examples}: prepare the dataset again'
    )


def _first(names: Sequence[str]) -> str:
  return ', '.join(names[:10]) + (', ...' if len(names) > 10 else '') or 'none'
