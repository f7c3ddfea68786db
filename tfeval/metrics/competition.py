"""Which of a model's outputs compete for an image, by class rule."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np

from tfeval.metrics.entry import ALL

# What becomes of the outputs that mean the same class: the highest, or their mean.
MAX, MEAN = 'max', 'mean'


def suffix(rule: str) -> str:
  """Returns what stands behind the names of a rule's columns and metrics.

  >>> suffix('all'), suffix('restricted')
  ('', '@restricted')
  """
  return '' if rule == ALL else f'@{rule}'


@dataclasses.dataclass(frozen=True)
class Rule:
  """Which classes compete for an image, and which of them mean the same.

  Attributes:
    name: such as `restricted`; its metrics are called `top1@restricted`.
    groups: those that compete, in groups that mean the same. Rows name a group by its
      first class, which is in order of these; most groups have but one. Under `all`
      every class in none of them competes as well, each for itself.
    reduce: `MAX`: a group scores as its highest output does, so that any of them hits.
      `MEAN`: by the mean of its probabilities among all outputs.
    partner: whether the rule is that of another test set, for the images of its classes
      alone.
    class_set: the name of a packaged set, which `groups` are of; None: they are not.
  """

  name: str
  groups: tuple[tuple[int, ...], ...]
  reduce: str = MAX
  partner: bool = False
  class_set: str | None = None

  @functools.cached_property
  def classes(self) -> np.ndarray:
    """int64 [groups], the class that rows name each group by."""
    return np.array([group[0] for group in self.groups], np.int64)

  @functools.cached_property
  def members(self) -> np.ndarray:
    """int64, all classes that compete, ascending."""
    return np.array(sorted(one for group in self.groups for one in group), np.int64)

  def named(self, labels: np.ndarray) -> np.ndarray:
    """Returns the class that each label's group is named by; others as they are.

    Args:
      labels: int [n], negative for none.
    """
    if all(len(group) == 1 for group in self.groups):
      return labels
    order = np.argsort(members := np.concatenate([*map(np.array, self.groups)]))
    names = np.repeat(self.classes, list(map(len, self.groups)))[order]
    members = members[order]
    at = np.minimum(np.searchsorted(members, labels), len(members) - 1)
    return np.where(members[at] == labels, names[at], labels)


def singles(name: str, classes: Sequence[int] | np.ndarray) -> Rule:
  """Returns the rule under which some classes compete, each for itself."""
  return Rule(name, tuple((int(one),) for one in classes))


@dataclasses.dataclass(frozen=True, eq=False)
class Contest:
  """A rule among a model's outputs.

  Attributes:
    rule: the rule.
    columns: int64 [m], the outputs that compete, those of a group together.
    sizes: int64 [u], how many of these each group has, at least one.
    classes: int64 [u], what it is named by, ascending.
  """

  rule: Rule
  columns: np.ndarray
  sizes: np.ndarray
  classes: np.ndarray

  @property
  def starts(self) -> np.ndarray:
    """int64 [u], where the outputs of each group begin among `columns`."""
    return np.cumsum(self.sizes) - self.sizes

  @property
  def is_grouped(self) -> bool:
    """Whether there is more to do than to choose outputs."""
    return self.rule.reduce == MEAN or len(self.columns) > len(self.sizes)

  def counts(self, labels: np.ndarray) -> np.ndarray | None:
    """Returns bool [n], which images the rule is for; None: it is for all."""
    return np.isin(labels, self.rule.members) if self.rule.partner else None

  def reduced(self, values: np.ndarray) -> np.ndarray:
    """Returns what groups have of their outputs: [n, u] of [n, m].

    >>> rule = Rule('any', ((0, 2), (1,)))
    >>> contest(rule, None, 3).reduced(np.array([[1, 5, 3]]))
    array([[5, 3]])
    """
    if not self.is_grouped:
      return values
    if self.rule.reduce == MAX:
      return np.maximum.reduceat(values, self.starts, axis=1)
    return np.add.reduceat(values, self.starts, axis=1) / self.sizes


def contest(rule: Rule, said: np.ndarray | None, classes: int) -> Contest | None:
  """Returns a rule among the outputs of a model.

  Args:
    rule: the rule.
    said: int64 [outputs], the class of each output, ascending; None: all classes.
    classes: how many there are.

  Returns:
    The contest; None where none of its classes is said.
  """
  column = np.full(classes, -1)
  if said is None:
    column = np.arange(classes)
  else:
    column[said] = np.arange(len(said))
  groups = rule.groups
  if rule.name == ALL:
    groups += tuple((one,) for one in set(range(classes)).difference(*groups))
  found = [(group[0], [column[one] for one in group]) for group in groups]
  found = [(name, [one for one in those if one >= 0]) for name, those in found]
  there = sorted((name, those) for name, those in found if those)
  if not there:
    return None
  return Contest(
    rule,
    np.concatenate([np.array(those, np.int64) for _, those in there]),
    np.array([len(those) for _, those in there], np.int64),
    np.array([name for name, _ in there], np.int64),
  )


@dataclasses.dataclass(frozen=True, eq=False)
class Competition:
  """Which classes a model's outputs are, and which of them compete.

  Attributes:
    said: int64 [outputs], the class of each output, ascending; None: all classes, in
      their order.
    contests: what competes under each rule, by its name; without `all` every output
      does under it, each for itself.
  """

  said: np.ndarray | None = None
  contests: Mapping[str, Contest] = dataclasses.field(default_factory=dict)

  @property
  def rules(self) -> list[str]:
    """The names of all rules, `all` first."""
    return [ALL, *(name for name in self.contests if name != ALL)]

  def columns_of(self, labels: np.ndarray, rule: str = ALL) -> np.ndarray:
    """Returns int64 [n], which score is that of each label: -1 of -1, -2 for none."""
    classes = self.classes(rule)
    if classes is None:
      return labels
    if rule in self.contests:
      labels = self.contests[rule].rule.named(labels)
    at = np.searchsorted(classes, labels)
    found = classes[np.minimum(at, len(classes) - 1)] == labels
    return np.where(labels < 0, -1, np.where(found, at, -2))

  def classes(self, rule: str = ALL) -> np.ndarray | None:
    """Returns the classes of the scores that compete; None: all, in their order."""
    return self.contests[rule].classes if rule in self.contests else self.said


EVERYTHING = Competition()
