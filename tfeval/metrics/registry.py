"""The metrics by name: what each needs of the stored rows, and how it is computed.

Between rows and the pure functions of `metrics/`. A metric that the rows cannot give
has an entry that says why, never an approximation:

    {"name": "brier", "labels": "original", "kind": "value", "count": 50000,
     "skipped": 0, "value": null, "rule": "all",
     "unavailable": "needs all outputs, which --store_logits keeps"}
"""

import dataclasses
import functools
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from tfeval.metrics import (
  accuracy,
  calibration,
  class_averages,
  collectors,
  selective,
  temperature,
)
from tfeval.metrics.accuracy import LabelSets
from tfeval.metrics.collectors import Collector
from tfeval.metrics.entry import ALL, COUNT, VALUE, MetricEntry
from tfeval.metrics.stored_rows import (
  NEEDS_OUTPUTS,
  STORED_CLASSES,
  MetricUnavailable,
  ScoredRows,
)
from tfeval.utils.registry import Registry

# Of Guo et al. (arXiv:1706.04599), for all calibration errors.
BINS = 15


@dataclasses.dataclass(frozen=True)
class Metric:
  """How a metric is computed, and what it says.

  Attributes:
    about: what it is, in a few words.
    collector: collects what it needs.
    compute: returns its value, or an `accuracy.Count`, of what was collected;
      raises `MetricUnavailable`.
    arguments: of the collector.
    kind: `COUNT` or `VALUE`.
    higher_is_better: whether of two models the one with the higher value is better.
    is_share: whether its value is in 0..1.
    classes: how many ranked classes of each image it needs.
    least_classes: how many classes there have to be for it to say something.
    hits: returns bool [n], which images are hit, of ranked classes, int [n, at least
      `classes`], and their labels; None where images are not right or wrong each.
  """

  about: str
  collector: type[Collector]
  compute: Callable[[Any], Any]
  arguments: tuple[Any, ...] = ()
  kind: str = VALUE
  higher_is_better: bool = False
  is_share: bool = True
  classes: int = 1
  least_classes: int = 1
  hits: Callable[[np.ndarray, LabelSets], np.ndarray] | None = None

  @property
  def paired(self) -> bool:
    """Whether runs can be compared by it, image by image."""
    return self.hits is not None


def _nll(found: collectors.LabelProbabilities) -> float | None:
  if found.unknown:
    raise MetricUnavailable(
      f'the label of {found.unknown:,} images is not among the stored '
      f'classes: {NEEDS_OUTPUTS}'
    )
  if found.impossible:
    raise MetricUnavailable(
      f'infinite: {found.impossible:,} images give their label a probability of 0'
    )
  return found.nll.value


def _equal_mass(found: collectors.Confidences) -> calibration.ReliabilityBins:
  if len(found.hit) < BINS:
    raise MetricUnavailable(f'needs {BINS} images with a label')
  return calibration.equal_mass_bins(found.confidence, found.hit, BINS)


def _auroc(found: collectors.Confidences) -> float:
  hit = found.hit
  if hit.all() or not hit.any():
    raise MetricUnavailable('needs both right and wrong answers')
  return selective.auroc(found.confidence, hit)


def _temperature(found: collectors.Outputs) -> float:
  try:
    return temperature.fit_temperature(*found.all)
  except ValueError as error:
    raise MetricUnavailable(str(error)) from error


def counted(
  about: str, classes: int, hits: Callable[[np.ndarray, LabelSets], np.ndarray]
) -> Metric:
  """Returns a metric that counts the images that are hit; see `Metric.hits`."""
  return Metric(
    about,
    collectors.Hits,
    lambda found: found.count,
    arguments=(classes, hits),
    kind=COUNT,
    higher_is_better=True,
    classes=classes,
    hits=hits,
  )


def _top(k: int) -> Metric:
  metric = counted(
    f'a right class among the best {k}',
    k,
    lambda ranked, labels: accuracy.hits(ranked, labels, k),
  )
  # Among k classes the right one is always one of the best k.
  return dataclasses.replace(metric, least_classes=k + 1)


_ABOUT_AVERAGES = {
  'precision': 'right among those predicted to be of a class',
  'recall': 'right among those of a class',
  'f1': 'harmonic mean of both',
}
_ABOUT_AVERAGE = {
  'macro': 'mean of the classes',
  'micro': 'of all images: top-1',
  'weighted': 'by images',
}


def _averages() -> Iterator[tuple[str, Metric]]:
  """Yields precision, recall and F1, `f1` for the mean of the classes."""
  for score, average in itertools.product(
    class_averages.SCORES, class_averages.AVERAGES
  ):
    name = score if average == class_averages.MACRO else f'{score}_{average}'
    yield (
      name,
      Metric(
        f'{_ABOUT_AVERAGES[score]}, {_ABOUT_AVERAGE[average]}',
        collectors.TopPredictions,
        functools.partial(_averaged, score, average),
        higher_is_better=True,
      ),
    )


def _averaged(score: str, average: str, found: collectors.TopPredictions) -> float:
  of_classes = class_averages.class_scores(found.labels, found.ranked[:, 0])
  return of_classes.averaged(score, average)


METRICS = Registry(
  'metric',
  {
    'top1': _top(1),
    'top5': _top(5),
    'class_balanced': Metric(
      'the mean of the top-1 accuracies of the classes',
      collectors.TopPredictions,
      lambda a: accuracy.per_class_hits(a.ranked, a.labels, 1, a.classes).balanced,
      higher_is_better=True,
    ),
    **dict(_averages()),
    'nll': Metric(
      'negative log likelihood of the label, in nats',
      collectors.LabelProbabilities,
      _nll,
      is_share=False,
    ),
    'brier': Metric(
      'squared distance of all probabilities to the label, 0 to 2',
      collectors.Brier,
      lambda brier: brier.score.value,
      is_share=False,
    ),
    'ece': Metric(
      f'expected calibration error, {BINS} bins of equal width',
      collectors.Confidences,
      lambda c: calibration.equal_width_bins(c.confidence, c.hit, BINS).ece,
    ),
    'ece_mass': Metric(
      f'the same, {BINS} bins of equally many images',
      collectors.Confidences,
      lambda c: _equal_mass(c).ece,
    ),
    'debiased_l2': Metric(
      'root mean square calibration error of those bins, debiased',
      collectors.Confidences,
      lambda c: _equal_mass(c).debiased_l2,
    ),
    'auroc': Metric(
      'how well confidence tells right from wrong answers',
      collectors.Confidences,
      _auroc,
      higher_is_better=True,
    ),
    'aurc': Metric(
      'area under the risk-coverage curve',
      collectors.Confidences,
      lambda c: selective.risk_coverage(c.confidence, c.hit).aurc,
    ),
    'temperature': Metric(
      'the one with the lowest nll on these images',
      collectors.Outputs,
      _temperature,
      is_share=False,
    ),
  },
  'tfeval.metrics',
  lambda found: isinstance(found, Metric),
)
DEFAULT = ('top1', 'top5')
_TOP = re.compile(r'top([1-9]\d{0,2}|1000)')
# The collector of what tables by class are made of.
_PREDICTIONS = collectors.TopPredictions, ()


def get_metric(name: str) -> Metric:
  """Returns a metric of `METRICS`, or `topK` for any K; of any class rule.

  With a rule behind its name, as `@restricted`, it is asked for under that one alone.

  Raises:
    UserError: it is not known.

  >>> get_metric('top10').about
  'a right class among the best 10'
  >>> get_metric('top1@restricted').classes
  1
  """
  name = name.partition('@')[0]
  if name not in METRICS.entries and (found := _TOP.fullmatch(name)):
    return _top(int(found[1]))
  return METRICS.get(name, '(topK for any K is one too)')


def is_own(name: str) -> bool:
  """Returns whether a metric is of this package, so that asking for it runs no other.

  >>> is_own('top7'), is_own('f1_micro@restricted'), is_own('top0')
  (True, True, False)
  """
  name = name.partition('@')[0]
  return name in METRICS.entries or _TOP.fullmatch(name) is not None


def needs_outputs(name: str) -> bool:
  """Returns whether a metric needs all outputs, whatever the labels are.

  >>> needs_outputs('brier'), needs_outputs('nll'), needs_outputs('top21')
  (True, False, True)
  """
  metric = get_metric(name)
  return 'logits' in metric.collector.columns or metric.classes > STORED_CLASSES


def paired_metrics() -> list[str]:
  """Returns the names of the metrics by which runs can be compared."""
  return [name for name, metric in METRICS.items() if metric.paired]


def check_names(names: Iterable[str]) -> tuple[str, ...]:
  """Returns metrics' names, each once, in the order given.

  Raises:
    UserError: one is not known.

  >>> check_names(['ece', 'top1', 'ece'])
  ('ece', 'top1')
  """
  names = tuple(dict.fromkeys(names))
  for name in names:
    get_metric(name)
  return names


def names_of_rule(
  names: Iterable[str], rule: str, partner: bool = False
) -> tuple[str, ...]:
  """Returns the metrics that are asked for under a class rule, by their own names.

  Args:
    names: of metrics, with the rule that one is asked for alone behind it.
    rule: the rule.
    partner: whether it is that of another set, under which nothing is asked for but by
      its name, and what every result has.

  >>> names = ('top1@restricted', 'ece')
  >>> names_of_rule(names, 'all'), names_of_rule(names, 'restricted')
  (('ece',), ('top1', 'ece'))
  """
  split = [name.partition('@')[::2] for name in names]
  found = [
    stem
    for stem, of_rule in split
    if of_rule == rule or not of_rule and (not partner or stem in DEFAULT)
  ]
  return tuple(dict.fromkeys(found))


def required_columns(
  names: Sequence[str], only_original: bool, stored_outputs: bool
) -> list[str]:
  """Returns the columns that metrics read beside those of every score.

  Args:
    names: of the metrics, see `get_metric`.
    only_original: whether the original labels are the only ones.
    stored_outputs: whether the rows have all outputs.
  """
  found: dict[str, None] = {}
  for metric in map(get_metric, names):
    found |= dict.fromkeys(metric.collector.columns)
    if not only_original:
      found |= dict.fromkeys(metric.collector.columns_of_others)
    if metric.classes > STORED_CLASSES:
      found['logits'] = None
  if not stored_outputs:
    found.pop('logits', None)
  return list(found)


class LabelSetScores:
  """Metrics against one label set; rows are added part by part.

  Attributes:
    count: examples with a label.
    skipped: examples without.
    several: examples with more than one.
  """

  def __init__(
    self, names: Sequence[str], classes: int, keep_predictions: bool = False
  ):
    """Starts with no rows.

    Args:
      names: of the metrics.
      classes: how many compete.
      keep_predictions: whether to keep them for `predictions`.
    """
    self._classes = classes
    self.count = self.skipped = self.several = 0
    self._metrics = {name: get_metric(name) for name in names}
    keys = [(one.collector, one.arguments) for one in self._metrics.values()]
    if keep_predictions:
      keys.append(_PREDICTIONS)
    # Metrics that need the same share a collector.
    self._collectors = {key: key[0](*key[1]) for key in dict.fromkeys(keys)}

  def add(self, rows: ScoredRows) -> None:
    """Adds rows."""
    sizes = np.asarray(rows.labels.sizes)
    labelled = int(np.count_nonzero(sizes))
    self.count += labelled
    self.skipped += len(sizes) - labelled
    self.several += int(np.count_nonzero(sizes > 1))
    for collector in self._collectors.values():
      if not (collector.single and self.several):
        collector.add(rows)

  @property
  def predictions(self) -> collectors.TopPredictions | None:
    """The predictions kept; None where images have several labels or none."""
    if self.several or not self.count:
      return None
    found = self._collectors[_PREDICTIONS]
    assert isinstance(found, collectors.TopPredictions)  # That is its key.
    return found

  def collected(self, kind: type[Collector]) -> Collector | str:
    """Returns what metrics have kept of the rows, or why it cannot be had.

    Args:
      kind: of a collector without arguments that one of the metrics has.
    """
    found = self._collectors[kind, ()]
    if not self.count:
      return 'no image has a label'
    return found if found.reason is None else found.reason

  def entries(
    self, labels: str, interval: str = 'wilson', rule: str = ALL
  ) -> list[MetricEntry]:
    """Returns the metrics as results hold them.

    Args:
      labels: the label set's name.
      interval: see `accuracy.INTERVALS`.
      rule: which classes compete.
    """
    entries = []
    for name, metric in self._metrics.items():
      value = reason = None
      try:
        value = self._compute(metric)
      except MetricUnavailable as error:
        reason = str(error)
      if isinstance(value, accuracy.Count):
        entries.append(value.entry(name, labels, interval).replaced(rule=rule))
        continue
      entries.append(
        MetricEntry(
          name=name,
          labels=labels,
          kind=metric.kind,
          count=self.count,
          skipped=self.skipped,
          value=value,
          rule=rule,
          unavailable=reason,
        )
      )
    return entries

  def _compute(self, metric: Metric) -> accuracy.Count | float:
    collector = self._collectors[metric.collector, metric.arguments]
    if metric.least_classes > self._classes:
      raise MetricUnavailable(f'says nothing of {self._classes} classes')
    if metric.kind == VALUE and not self.count:
      raise MetricUnavailable('no image has a label')
    if collector.single and self.several:
      raise MetricUnavailable(
        f'needs one label for each image, {self.several:,} have several'
      )
    if collector.reason is not None:
      raise MetricUnavailable(collector.reason)
    return metric.compute(collector)
