"""What every source of examples offers to the engine."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tfeval.datasets.labels import imagenet
from tfeval.datasets.labels.listing import doubles
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.datasets.looks import Looks
from tfeval.metrics.competition import Rule
from tfeval.utils import files, paths
from tfeval.utils.errors import DataError, UserError, listed

REAL = 'real'


@dataclasses.dataclass(frozen=True)
class LabelSet:
  """Sets of right classes beside the one label of an example.

  Attributes:
    digest: `'dataset'` where they come with the examples, else of the file.
    by_id: the classes of an example by its id; None where they come with the
      examples, as bool [classes] in a column.
  """

  digest: str
  by_id: Mapping[str, Sequence[int]] | None = None


@dataclasses.dataclass(frozen=True)
class ImageDataset:
  """Examples with an identity, in a fixed order.

  Attributes:
    name: TFDS name, or `folder:DIR`.
    config: TFDS config, or None.
    version: TFDS version, or None.
    split: TFDS split or slice; '' for a folder.
    label_space: the classes that its labels are indices of.
    competing: those that compete under the rule `restricted`, ascending; None: there is
      no such rule, as of parts of the ImageNet validation set.
    rules: further class rules, or `restricted` and `all` in groups.
    listed: the classes that its folders or names are, in the order of these; None:
      those that compete, or all.
    num_examples: how many examples there must be.
    expected_ids: their ids where these are known beforehand, else None.
    has_ids_in_order: whether `expected_ids` stand in the order of the examples, so that
      each is that of its position; TFDS keeps examples in an order of its own.
    limit: only so many examples of the split are taken; None for all.
    sample: how large a sample of the examples it is, see `subset.sample`; None: all.
    notes: what a reader of the result must know about the data.
    label_sets: further labels of the examples by name, one at most: `real`, ReaL
      labels, `multilabel`, or `any_label`. The column is `real_labels`, whatever the
      name.
    size_digest: digest over the sizes of the files that hold the images, and their
      labels where these are known beforehand: tells without reading them that data
      have changed, not that they have not.
    examples: makes a `tf.data.Dataset` of dicts: `id` string, `image` string
      (encoded bytes), `label` int64 (-1 for none) and, with ReaL labels of its
      own, `real_labels` bool [classes]; of the positions from `start` to before `stop`,
      which are 0 and None, the end, by default. Inside a graph they may be int64 [].
    at: makes `examples` of positions, int64 [n], in their order; None where only ranges
      can be read without reading what is before.
    strided: makes `examples` of every n-th only, from n; None where the first are as
      good as any others, being in no order of classes.
    relative_paths: where each lies in a folder, by which tools that read class folders
      sort; None where nothing is known of it.
    encoded: whether `image` is what a file holds; else it was made of pixels.
    read_by_python: whether `examples` calls Python of this process, so that no other,
      such as a worker of a tf.data service, can run it.
  """

  name: str
  config: str | None
  version: str | None
  split: str
  label_space: LabelSpace
  num_examples: int
  examples: Callable[..., Any]
  at: Callable[[Any], Any] | None = None
  expected_ids: Sequence[str] | None = None
  has_ids_in_order: bool = False
  limit: int | None = None
  notes: tuple[str, ...] = ()
  label_sets: Mapping[str, LabelSet] = dataclasses.field(default_factory=dict)
  size_digest: str | None = None
  strided: Callable[[int], Any] | None = None
  competing: Sequence[int] | None = None
  rules: tuple[Rule, ...] = ()
  listed: Sequence[int] | None = None
  sample: str | None = None
  read_by_python: bool = False
  encoded: bool = True
  looks: Looks | None = None
  relative_paths: Sequence[str] | None = None

  @property
  def own_classes(self) -> Sequence[int] | None:
    """The classes that a model of this dataset alone says, in order; None: all."""
    return self.competing if self.listed is None else self.listed

  @property
  def has_real_labels(self) -> bool:
    """Whether there are sets of labels, of any name."""
    return bool(self.label_sets)

  @property
  def label_set(self) -> str:
    """The name of the sets of labels, `real` where there are none."""
    return next(iter(self.label_sets), REAL)

  @property
  def real_labels(self) -> Mapping[str, Sequence[int]] | None:
    """ReaL labels by id, None where they come with the examples or not at all."""
    return self.label_sets[self.label_set].by_id if self.has_real_labels else None

  @property
  def real_labels_digest(self) -> str | None:
    return self.label_sets[self.label_set].digest if self.has_real_labels else None

  def describe(self) -> dict[str, Any]:
    """Returns the `dataset` entry of a manifest."""
    return {
      'name': self.name,
      'config': self.config,
      'version': self.version,
      'split': self.split,
      'limit': self.limit,
      'partial': self.limit is not None or self.sample is not None,
      **({} if self.sample is None else {'sample': self.sample}),
      'expected': self.num_examples,
      'real_labels': self.real_labels_digest,
      **({} if self.label_set == REAL else {'label_set': self.label_set}),
      'size_digest': self.size_digest,
      'notes': list(self.notes),
    }

  def identity(self) -> dict[str, Any]:
    """Returns what tells the dataset from others, of what `describe` does."""
    described = self.describe()
    derived = ('partial', 'expected', 'notes')
    return {key: value for key, value in described.items() if key not in derived}


class RealLabels(Mapping[str, Sequence[int]]):
  """ReaL labels by the file names of validation images, with a folder or without.

  Attributes:
    digest: SHA-256 of the file.
  """

  def __init__(self, path: str):
    """Reads a file; see `imagenet.load_real_labels`."""
    self._path, self._labels = path, imagenet.load_real_labels(path)
    self.digest = files.sha256_of(paths.path(path))

  def __getitem__(self, name: str) -> Sequence[int]:
    number = imagenet.validation_number(name.rsplit('/', 1)[-1])
    if number is None:
      raise UserError(
        f'{self._path} labels validation images, and {name} is none: '
        'leave `real_labels` out'
      )
    return self._labels[number - 1]

  def __iter__(self) -> Iterator[str]:
    return (imagenet.validation_name(i + 1) for i in range(len(self)))

  def __len__(self) -> int:
    return len(self._labels)


def partial_notes(count: int) -> tuple[str, ...]:
  """Says how many of the validation images a dataset has, where it lacks some."""
  if count >= imagenet.NUM_VALIDATION:
    return ()
  return (f'{count} of the {imagenet.NUM_VALIDATION} validation images',)


def check_coverage(
  dataset: ImageDataset, evaluated: Sequence[str], failed: Sequence[str]
) -> None:
  """Checks that every expected example was seen exactly once.

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
    raise DataError(
      f'{len(seen) - len(unique)} examples came twice: '
      f'{listed(doubles(seen))}: prepare the dataset again'
    )
  if dataset.expected_ids is not None:
    missing = sorted(set(dataset.expected_ids) - unique)
    foreign = sorted(unique - set(dataset.expected_ids))
    if missing or foreign:
      raise DataError(
        f'{len(missing)} expected examples are missing '
        f'({listed(missing)}) and {len(foreign)} are not expected '
        f'({listed(foreign)}): prepare the dataset again'
      )
  if len(seen) != dataset.num_examples:
    raise DataError(
      f'{len(seen)} examples were seen, {dataset.name} says it has '
      f'{dataset.num_examples}: prepare the dataset again'
    )
