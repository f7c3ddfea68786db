"""The metrics by name: what each needs of the stored rows, and how it is computed.

Between rows and the pure functions of `metrics/`. A metric that the rows cannot give
has an entry that says why, never an approximation:

    {"name": "brier", "labels": "original", "kind": "value", "count": 50000,
     "skipped": 0, "value": null,
     "unavailable": "needs all 1000 outputs, which --store_logits keeps"}

Nothing here imports TensorFlow.
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tfeval.metrics import accuracy, calibration, collectors, selective, temperature
from tfeval.metrics.collectors import Collector
from tfeval.metrics.stored_rows import NEEDS_OUTPUTS, Rows, Unavailable
from tfeval.runs import predictions
from tfeval.utils.errors import UserError

COUNT, VALUE = 'count', 'value'
# Of Guo et al. (arXiv:1706.04599), for all calibration errors.
BINS = 15


@dataclasses.dataclass(frozen=True)
class Metric:
  """How a metric is computed.

  Attributes:
    about: what it is, in a few words.
    collector: collects what it needs.
    compute: returns its value, or an `accuracy.Count`, of what was collected;
      raises `Unavailable`.
    kind: `COUNT` or `VALUE`.
  """

  about: str
  collector: type[Collector]
  compute: Callable[[Any], Any]
  kind: str = VALUE


def _nll(found: collectors.LabelProbabilities) -> float:
  if found.unknown:
    raise Unavailable(
      f'the label of {found.unknown:,} images is not among the stored '
      f'classes: {NEEDS_OUTPUTS}'
    )
  if found.impossible:
    raise Unavailable(
      f'infinite: {found.impossible:,} images give their label a probability of 0'
    )
  return found.nll.value


def _equal_mass(found: collectors.Confidences) -> calibration.ReliabilityBins:
  if len(found.hit) < BINS:
    raise Unavailable(f'needs {BINS} images with a label')
  return calibration.equal_mass_bins(found.confidence, found.hit, BINS)


def _auroc(found: collectors.Confidences) -> float:
  hit = found.hit
  if hit.all() or not hit.any():
    raise Unavailable('needs both right and wrong answers')
  return selective.auroc(found.confidence, hit)


def _temperature(found: collectors.Outputs) -> float:
  try:
    return temperature.fit_temperature(*found.all)
  except ValueError as error:
    raise Unavailable(str(error)) from error


def _top(k: int) -> Metric:
  return Metric(
    f'a right class among the best {k}',
    collectors.top(k),
    lambda hits: hits.count,
    COUNT,
  )


METRICS = {
  'top1': _top(1),
  'top5': _top(5),
  'class_balanced': Metric(
    'the mean of the top-1 accuracies of the classes',
    collectors.Answers,
    lambda a: accuracy.per_class_hits(a.ranked, a.labels, 1).balanced,
  ),
  'nll': Metric(
    'negative log likelihood of the label, in nats', collectors.LabelProbabilities, _nll
  ),
  'brier': Metric(
    'squared distance of all probabilities to the label, 0 to 2',
    collectors.Brier,
    lambda brier: brier.score.value,
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
    'how well confidence tells right from wrong answers', collectors.Confidences, _auroc
  ),
  'aurc': Metric(
    'area under the risk-coverage curve',
    collectors.Confidences,
    lambda c: selective.risk_coverage(c.confidence, c.hit).aurc,
  ),
  'temperature': Metric(
    'the one with the lowest nll on these images', collectors.Outputs, _temperature
  ),
}
DEFAULT = ('top1', 'top5')
_TOP = re.compile(r'top([1-9]\d{0,2}|1000)')


def metric_of(name: str) -> Metric:
  """Returns a metric of `METRICS`, or `topK` for any K.

  Raises:
    UserError: it is not known.

  >>> metric_of('top10').about
  'a right class among the best 10'
  """
  if name in METRICS:
    return METRICS[name]
  if found := _TOP.fullmatch(name):
    return _top(int(found[1]))
  raise UserError(
    f'unknown metric {name!r}: known: {", ".join(METRICS)}, and topK for any K'
  )


def check_names(names: Iterable[str]) -> tuple[str, ...]:
  """Returns metrics' names, each once, in the order given.

  Raises:
    UserError: one is not known.

  >>> check_names(['ece', 'top1', 'ece'])
  ('ece', 'top1')
  """
  names = tuple(dict.fromkeys(names))
  for name in names:
    metric_of(name)
  return names


def columns(
  names: Sequence[str], only_original: bool, stored_outputs: bool
) -> list[str]:
  """Returns the columns that metrics read beside those of every score.

  Args:
    names: of the metrics, see `metric_of`.
    only_original: whether the original labels are the only ones.
    stored_outputs: whether the rows have all outputs.
  """
  found = dict.fromkeys(
    column for name in names for column in metric_of(name).collector.columns
  )
  # Of another label only the outputs are sure to have the probability.
  if ('nll' in names and not only_original) or any(
    (top := _TOP.fullmatch(name)) and int(top[1]) > predictions.STORED_CLASSES
    for name in names
  ):
    found['logits'] = None
  if not stored_outputs:
    found.pop('logits', None)
  return list(found)


class Scores:
  """Metrics against one label set; rows are added part by part.

  Attributes:
    count: examples with a label.
    skipped: examples without.
    several: examples with more than one.
  """

  def __init__(self, names: Sequence[str], answers: bool = False):
    """Starts with no rows.

    Args:
      names: of the metrics.
      answers: whether to keep the answers for `Scores.answers`.
    """
    self.names = names
    self.count = self.skipped = self.several = 0
    makers = [metric_of(name).collector for name in names]
    makers += [collectors.Answers] * answers
    self._collectors = {make: make() for make in dict.fromkeys(makers)}

  def add(self, rows: Rows) -> None:
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
  def answers(self) -> collectors.Answers | None:
    """The answers that were kept; None where images have several labels or none."""
    return (
      None if self.several or not self.count else (self._collectors[collectors.Answers])
    )

  def entries(self, labels: str, interval: str = 'wilson') -> list[dict[str, Any]]:
    """Returns the metrics as results hold them.

    Args:
      labels: the label set's name.
      interval: see `accuracy.INTERVALS`.
    """
    return [self._entry(name, labels, interval) for name in self.names]

  def _entry(self, name: str, labels: str, interval: str) -> dict[str, Any]:
    metric = metric_of(name)
    try:
      found = self._compute(metric)
    except Unavailable as error:
      found, reason = None, str(error)
    if isinstance(found, accuracy.Count):
      return found.entry(name, labels, interval)
    entry = {'name': name, 'labels': labels, 'kind': metric.kind}
    if metric.kind == COUNT:
      entry['correct'] = None
    entry |= {'count': self.count, 'skipped': self.skipped, 'value': found}
    if metric.kind == COUNT:
      entry['interval'] = None
    return entry if found is not None else {**entry, 'unavailable': reason}

  def _compute(self, metric: Metric) -> accuracy.Count | float:
    """Returns a metric's count or value.

    Raises:
      Unavailable: the rows do not give it.
    """
    collector = self._collectors[metric.collector]
    if metric.kind == VALUE and not self.count:
      raise Unavailable('no image has a label')
    if collector.single and self.several:
      raise Unavailable(
        f'needs one label for each image, {self.several:,} have several'
      )
    if collector.reason is not None:
      raise Unavailable(collector.reason)
    return metric.compute(collector)
