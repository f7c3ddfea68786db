"""All that stored rows tell of one run, by label set: what a report of it shows."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfeval.datasets import variants
from tfeval.datasets.labels.sets import LabelSource
from tfeval.datasets.labels.subsets import Subset
from tfeval.metrics import confusion, registry, temperature
from tfeval.metrics.collectors import Confidences, TopPredictions
from tfeval.metrics.confusion import Confusion
from tfeval.metrics.entry import ALL, MetricEntry
from tfeval.runs.run import Run
from tfeval.utils import arrow

# What every run is asked for; brier and temperature need all outputs of all images.
METRICS = (
  *('top1', 'top5', 'class_balanced', 'nll', 'ece', 'ece_mass'),
  *('debiased_l2', 'auroc', 'aurc'),
)
# How many images a temperature is fitted on at most: 40 MB of 1000 outputs.
FITTED = 10_000


@dataclasses.dataclass(frozen=True, eq=False)
class OfLabels:
  """What rows tell by one label set, under one class rule.

  Attributes:
    labels: the label set's name.
    rule: the class rule.
    confidences: confidence and hits; None: `no_confidences` says why.
    predictions: the first classes beside the label; None where images have several.
  """

  labels: str
  rule: str
  confidences: Confidences | None
  no_confidences: str
  predictions: TopPredictions | None

  def confusion(self) -> Confusion | None:
    """Returns which classes are taken for which; None without single labels."""
    if self.predictions is None:
      return None
    ranked, right = self.predictions.ranked, self.predictions.labels
    return confusion.confusion(ranked[:, 0], right, self.predictions.classes)


@dataclasses.dataclass(frozen=True, eq=False)
class Portrait:
  """What the stored rows of a run tell.

  Attributes:
    run: the run.
    rule: the class rule that everything but `metrics` is of.
    metrics: of all label sets and rules.
    sets: by label set.
    temperature: with the lowest nll on `fitted` images, by the original labels; None:
      `no_temperature` says why.
    remarks: what a reader must know.
  """

  run: Run
  rule: str
  metrics: list[MetricEntry]
  sets: list[OfLabels]
  temperature: float | None
  fitted: int
  no_temperature: str
  remarks: list[str]


def rule_of(runs: Sequence[Run]) -> str:
  """Returns the class rule that runs are shown by.

  That of the authors of their dataset, where it is one and all of them have it;
  otherwise `all`.
  """
  rules = {variants.first_rule(run.result.dataset.name) for run in runs}
  rule = rules.pop() if len(rules) == 1 else ALL
  return rule if all(run.classes.has(rule) for run in runs) else ALL


def portray(
  run: Run,
  labels: Sequence[LabelSource] | None = None,
  subset: Subset | None = None,
  metrics: Sequence[str] = (),
  rule: str | None = None,
) -> Portrait:
  """Reads the rows of a run once, and its outputs where it stores some.

  Args:
    run: the run.
    labels: what to score against; by default what the rows carry.
    subset: images to score once more by themselves.
    metrics: more than `METRICS`, see `registry.get_metric`.
    rule: the class rule, `all` where the run has none of that name; None: that of
      the authors of the dataset, if the run has it.

  Raises:
    UserError: as `Run.summary`.
  """
  stored = [one.name for one in run.metrics if one.name in registry.METRICS]
  asked = registry.check_names([*METRICS, *stored, *metrics])
  summary = run.summary(labels, subset, asked, keep_predictions=True)
  rule = rule_of([run]) if rule is None else rule
  # What a model says no more than competes under `all` too.
  rule = rule if run.classes.has(rule) else ALL
  remarks = []
  if labels is None and subset is None:
    carried = [one for one in summary.metrics() if one.name in registry.DEFAULT]
    there = {(one.labels, one.key) for one in run.metrics}
    found = run.contradiction(one for one in carried if (one.labels, one.key) in there)
    remarks += [found] if found else []
  sets = []
  for name in summary.label_sets:
    scores = summary.scores[rule, name]
    found_confidences = scores.collected(Confidences)
    sets.append(
      OfLabels(
        name,
        rule,
        found_confidences if isinstance(found_confidences, Confidences) else None,
        found_confidences if isinstance(found_confidences, str) else '',
        scores.predictions,
      )
    )
  return Portrait(run, rule, summary.metrics(), sets, *_temperature(run), remarks)


def _temperature(run: Run) -> tuple[float | None, int, str]:
  """Returns the temperature, of how many images, and why there is none."""
  result = run.result
  if result.store.logits is not True:
    return None, 0, 'needs all outputs, which `store_logits` keeps'
  if result.model.output != 'logits':
    return None, 0, 'the outputs are no logits'
  if run.classes.said is not None:
    return None, 0, 'the model has other outputs than the classes of the dataset'
  # Spread over all parts: images of a part may be of few classes.
  step = -(-result.dataset.evaluated // FITTED)
  logits, labels, at = [], [], 0
  for part in run.parts(['logits', 'label']):
    taken = arrow.numbers(np.arange((-at) % step, len(part), step))
    at += len(part)
    rows = part.take(taken)
    label = arrow.to_numpy(rows['label'], null=-1)
    logits.append(arrow.matrix(rows['logits'])[label >= 0])
    labels.append(label[label >= 0])
  if not (count := sum(map(len, labels))):
    return None, 0, 'no image has a label'
  try:
    fitted = temperature.fit_temperature(np.concatenate(logits), np.concatenate(labels))
  except ValueError as error:
    return None, 0, str(error)
  return fitted, count, ''
