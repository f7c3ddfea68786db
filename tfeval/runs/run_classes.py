"""Which classes the rows of a run are of, and which of them its model can say."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfeval.datasets.labels import imagenet
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.metrics.competition import Competition
from tfeval.runs import predictions
from tfeval.runs.result_file import ClassesSection, Manifest, MatchedSection, Result
from tfeval.utils.errors import UserError

BY_ORDER, BY_CLASS = 'order', 'class'


@dataclasses.dataclass(frozen=True, eq=False)
class RunClasses:
  """The classes of a run.

  Attributes:
    dataset: those that labels are of.
    space: those that predictions are of: the dataset's, then what else the model says.
    said: int64 [outputs], the class of each of its outputs, ascending; None: all.
    restricted: int64 [m], the classes that compete under the rule `restricted`,
      ascending, of those that it can say; None: there is no such rule.
  """

  dataset: LabelSpace
  space: LabelSpace
  said: np.ndarray | None = None
  restricted: np.ndarray | None = None

  @property
  def outputs(self) -> int:
    """How many outputs the model has."""
    return len(self.space) if self.said is None else len(self.said)

  @property
  def competing(self) -> int:
    """How many classes compete under the rule `restricted`, 0 without it."""
    return 0 if self.restricted is None else len(self.restricted)

  @property
  def kept(self) -> int:
    """How many ranked classes rows keep."""
    return min(predictions.STORED_CLASSES, self.outputs)

  @property
  def kept_restricted(self) -> int:
    """How many they keep under the rule `restricted`, 0 without it."""
    return min(predictions.STORED_CLASSES, self.competing)

  @property
  def competition(self) -> Competition:
    """The same by outputs, as rows are made."""
    if self.restricted is None:
      return Competition(self.said)
    said = np.arange(len(self.space)) if self.said is None else self.said
    return Competition(self.said, np.searchsorted(said, self.restricted))

  @property
  def of_part(self) -> tuple[int | None, int | None]:
    """`classes` and `outputs` of each part in the index, None for not there."""
    classes = None if len(self.space) == predictions.OUTPUTS else len(self.space)
    return classes, None if self.outputs == len(self.space) else self.outputs

  def describe(
    self, by: str | None, order: Sequence[int] | None = None
  ) -> MatchedSection | None:
    """Returns what a manifest says of them beside the dataset's.

    Args:
      by: how outputs were matched to classes; None: they are these in this order.
      order: the class of each output, where nothing names them and they do not ascend.
    """
    own = len(self.dataset)
    others = LabelSpace(
      'others', self.space.class_ids[own:], self.space.class_names[own:]
    )
    unsaid = None
    if self.said is not None:
      unsaid = np.setdiff1d(np.arange(len(self.space)), self.said).tolist()
    if by is None and self.restricted is None and not others and not unsaid:
      return None
    return MatchedSection(
      by=by or BY_CLASS,
      others=ClassesSection.of(others) if len(others) else None,
      unsaid=unsaid,
      order=None if order is None else list(order),
      restricted=None if self.restricted is None else self.restricted.tolist(),
    )


IMAGENET = RunClasses(imagenet.label_space(), imagenet.label_space())


def of(described: Manifest | Result) -> RunClasses:
  """Returns the classes that a manifest or a result tells of.

  Raises:
    UserError: what it tells cannot be.
  """
  dataset, matched = described.dataset.label_space, described.model.matched
  if matched is None:
    return RunClasses(dataset, dataset)
  space = dataset
  if matched.others is not None:
    others = matched.others.space()
    space = LabelSpace(
      dataset.name,
      (*dataset.class_ids, *others.class_ids),
      (*dataset.class_names, *others.class_names),
    )
  said = None
  if matched.unsaid is not None:
    unsaid = _indices(matched.unsaid, len(space))
    said = np.setdiff1d(np.arange(len(space)), unsaid)
  restricted = None
  if matched.restricted is not None:
    restricted = _indices(matched.restricted, len(dataset))
  there = np.arange(len(space)) if said is None else said
  order = there.tolist() if matched.order is None else matched.order
  ordered = all(type(one) is int for one in order) and sorted(order) == there.tolist()
  if not (len(there) and ordered) or not (
    restricted is None or (len(restricted) and np.isin(restricted, there).all())
  ):
    raise UserError('its `matched` classes are damaged: evaluate again')
  return RunClasses(dataset, space, said, restricted)


def _indices(values: list[int], classes: int) -> np.ndarray:
  right = all(type(one) is int and 0 <= one < classes for one in values)
  if not right or sorted(set(values)) != values:
    raise UserError('its `matched` classes are damaged: evaluate again')
  return np.array(values, np.int64)
