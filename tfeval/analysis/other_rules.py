"""Runs under class rules that their rows were not ranked by: from all outputs."""

import dataclasses
from collections.abc import Iterable, Iterator

import pyarrow as pa

from tfeval.datasets.labels import class_sets, imagenet
from tfeval.metrics.competition import contest, suffix
from tfeval.metrics.entry import ALL
from tfeval.runs import predictions
from tfeval.runs.result_file import MatchedSection
from tfeval.runs.run import Run
from tfeval.runs.run_classes import BY_CLASS
from tfeval.utils import arrow
from tfeval.utils.errors import UserError


@dataclasses.dataclass(frozen=True, repr=False)
class RankedRun(Run):
  """A run whose rows are ranked by further rules when they are read.

  Attributes:
    ranked: the names of these rules, which its result has.
  """

  ranked: tuple[str, ...] = ()

  def parts(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
    made = {
      name + suffix(rule): rule
      for rule in self.ranked
      for name in predictions.Ranks._fields[:3]
    }
    if columns is None or not made.keys() & set(columns):
      yield from super().parts(columns)
      return
    read = [one for one in columns if one not in made]
    for part in super().parts(list(dict.fromkeys([*read, 'label', 'logits']))):
      for name, column in self._columns(part).items():
        part = part.append_column(name, column)
      yield part.select(columns)

  def _columns(self, part: pa.Table) -> dict[str, pa.Array]:
    output, competition = self.result.model.output or '', self.classes.competition
    scores = arrow.matrix(part['logits'])
    labels = arrow.to_numpy(part['label'], null=-1)
    found: dict[str, pa.Array] = {}
    for rule in self.ranked:
      ranks = predictions.rank_scores(scores, labels, output, competition, rule)
      found |= predictions.columns_of_rule(rule, ranks)
    return found


def with_rules(run: Run, rules: Iterable[str]) -> Run:
  """Returns a run that has class rules, made of its stored outputs where it must be.

  Args:
    run: any run.
    rules: names of rules, `all` and those that it has included; of the others only
      those of packaged sets, for the images of their classes, can be made.

  Raises:
    UserError: it is not of the 1000 classes, or stores no outputs of all.
  """
  lacking = tuple(
    name for name in rules if name in class_sets.names() and not run.classes.has(name)
  )
  if not lacking:
    return run
  what = f'{run.path} has no rule {lacking[0]}'
  if run.classes.dataset.digest != imagenet.label_space().digest:
    raise UserError(f'{what}, and its classes are not those of ImageNet: leave it out')
  if not run.result.store.logits or run.result.model.output is None:
    raise UserError(
      f'{what}, and stores no outputs of all classes: evaluate again (validation '
      'images are ranked by it), or with `store_logits`'
    )
  made = [class_sets.read(name).rule(name, partner=True) for name in lacking]
  classes = run.classes
  for rule in made:
    if contest(rule, classes.said, len(classes.space)) is None:
      raise UserError(f'{what}, and its model says none of these classes')
  more = dataclasses.replace(classes, rules=(*classes.rules, *made))
  matched = run.result.model.matched
  described = more.describe(matched.by if matched else BY_CLASS)
  assert described is not None  # It has rules.
  matched = (matched or MatchedSection(by=BY_CLASS)).replaced(rules=described.rules)
  model = run.result.model.replaced(matched=matched)
  result = run.result.replaced(model=model)
  return RankedRun(run.path, result, run.stamp, lacking)


def rules_of(names: Iterable[str]) -> list[str]:
  """Returns the rules that metrics are asked for under, by their names.

  >>> rules_of(['top1', 'top5@imagenet_a'])
  ['imagenet_a']
  """
  found = (name.partition('@')[2] for name in names)
  return [rule for rule in dict.fromkeys(found) if rule not in ('', ALL)]
