"""Which classes the rows of a run are of, and which of them its model can say."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from tfeval.datasets.labels import class_sets, imagenet, sets
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.metrics import competition
from tfeval.metrics.accuracy import LabelSets
from tfeval.metrics.competition import Competition, Rule
from tfeval.metrics.entry import ALL, RESTRICTED
from tfeval.metrics.stored_rows import kept_classes
from tfeval.runs.predictions import OUTPUTS
from tfeval.runs.result_file import (
  ClassesSection,
  Manifest,
  MatchedSection,
  Result,
  RuleSection,
)
from tfeval.utils.errors import UserError

BY_ORDER, BY_CLASS = 'order', 'class'


@dataclasses.dataclass(frozen=True, eq=False)
class RunClasses:
  """The classes of a run.

  Attributes:
    dataset: those that labels are of.
    space: those that predictions are of: the dataset's, then what else the model says.
    said: int64 [outputs], the class of each of its outputs, ascending; None: all.
    label_set: what the sets of labels in rows are called, if there are any.
    rules: under which else classes compete than that all of these do, each for
      itself: of another set, in groups, or fewer of them.
  """

  dataset: LabelSpace
  space: LabelSpace
  said: np.ndarray | None = None
  rules: tuple[Rule, ...] = ()
  label_set: str = sets.REAL

  @property
  def outputs(self) -> int:
    """How many outputs the model has."""
    return len(self.space) if self.said is None else len(self.said)

  @functools.cached_property
  def competition(self) -> Competition:
    """The same by outputs, as rows are made."""
    found = {
      rule.name: competition.contest(rule, self.said, len(self.space))
      for rule in self.rules
    }
    there = {name: one for name, one in found.items() if one is not None}
    return Competition(self.said, there)

  @property
  def restricted(self) -> np.ndarray | None:
    """int64 [m], the classes under the rule `restricted`; None: there is no such."""
    return self.competition.classes(RESTRICTED) if self.has(RESTRICTED) else None

  def has(self, rule: str) -> bool:
    """Whether there is a rule of a name."""
    return rule == ALL or rule in self.competition.contests

  def competing(self, rule: str = ALL) -> int:
    """Returns how many classes compete under a rule, 0 without it."""
    if rule in self.competition.contests:
      return len(self.competition.contests[rule].sizes)
    return self.outputs if rule == ALL else 0

  def is_partner(self, rule: str) -> bool:
    """Returns whether a rule is for the images of another set's classes alone."""
    return self.has(rule) and rule != ALL and self.rule(rule).partner

  def rule(self, name: str) -> Rule:
    """Returns a rule that is there, and not that every output competes."""
    return self.competition.contests[name].rule

  def kept(self, rule: str = ALL) -> int:
    """Returns how many ranked classes rows keep under a rule, 0 without it."""
    return min(kept_classes(self.competition, rule), self.competing(rule))

  def named(self, labels: LabelSets) -> LabelSets:
    """Returns labels as rows name classes that mean the same; others as they are."""
    if ALL not in self.competition.contests:
      return labels
    return LabelSets(self.rule(ALL).named(np.asarray(labels.values)), labels.sizes)

  @property
  def kept_by_rule(self) -> dict[str, int]:
    """The same of all rules but `all`."""
    return {name: self.kept(name) for name in self.competition.rules if name != ALL}

  @property
  def of_part(self) -> tuple[int | None, int | None]:
    """`classes` and `outputs` of each part in the index, None for not there."""
    classes = None if len(self.space) == OUTPUTS else len(self.space)
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
    listed = {rule.name: rule for rule in self.rules if rule.class_set is None}
    packaged = [rule for rule in self.rules if rule.class_set is not None]
    if by is None and not self.rules and not others and not unsaid:
      return None
    return MatchedSection(
      by=by or BY_CLASS,
      others=ClassesSection.of(others) if len(others) else None,
      unsaid=unsaid,
      order=None if order is None else list(order),
      restricted=listed[RESTRICTED].members.tolist() if listed else None,
      rules=[RuleSection.of(rule) for rule in packaged] or None,
    )


IMAGENET = RunClasses(imagenet.label_space(), imagenet.label_space())


def of(described: Manifest | Result) -> RunClasses:
  """Returns the classes that a manifest or a result tells of.

  Raises:
    UserError: what it tells cannot be.
  """
  dataset, matched = described.dataset.label_space, described.model.matched
  label_set = described.dataset.label_set or sets.REAL
  if matched is None:
    return RunClasses(dataset, dataset, label_set=label_set)
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
  rules = [_packaged(one, dataset) for one in matched.rules or ()]
  restricted = None
  if matched.restricted is not None:
    restricted = _indices(matched.restricted, len(dataset))
    rules.append(competition.singles(RESTRICTED, restricted))
  there = np.arange(len(space)) if said is None else said
  order = there.tolist() if matched.order is None else matched.order
  ordered = all(type(one) is int for one in order) and sorted(order) == there.tolist()
  if not (len(there) and ordered) or not (
    restricted is None or (len(restricted) and np.isin(restricted, there).all())
  ):
    raise UserError('its `matched` classes are damaged: evaluate again')
  return RunClasses(dataset, space, said, tuple(rules), label_set)


def _packaged(section: RuleSection, dataset: LabelSpace) -> Rule:
  """Returns a rule of a packaged set as it is now.

  Raises:
    UserError: the set was another one, or is none of these classes.
  """
  found = class_sets.read(section.class_set)
  if section.sha256 != found.digest:
    raise UserError(
      f'its rule {section.name} is of other classes of {section.class_set} than this '
      'tfeval has: evaluate again'
    )
  if dataset.class_ids != imagenet.label_space().class_ids:
    raise UserError('its `matched` classes are damaged: evaluate again')
  if section.name == ALL:
    return found.rule_of_all()
  return found.rule(section.name, section.partner, section.reduce)


def _indices(values: list[int], classes: int) -> np.ndarray:
  right = all(type(one) is int and 0 <= one < classes for one in values)
  if not right or sorted(set(values)) != values:
    raise UserError('its `matched` classes are damaged: evaluate again')
  return np.array(values, np.int64)
