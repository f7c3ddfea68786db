"""How far confidence can be believed: reliability, risk by coverage, precision."""

from collections.abc import Iterator

import numpy as np

from tfeval.analysis.portrait import OfLabels, Portrait
from tfeval.metrics import calibration, intervals, selective
from tfeval.metrics.collectors import Confidences
from tfeval.metrics.registry import BINS
from tfeval.metrics.selective import RiskCoverage
from tfeval.reports.page import content
from tfeval.reports.page.content import Column, Figure, Missing, Part, Section, Table
from tfeval.reports.plots import kinds
from tfeval.reports.plots.kinds import Series
from tfeval.runs import display

# Points of a curve that has one for each confidence.
_POINTS = 400
# Of these as many rows as one reads.
_ROWS = 21
_NO_IMAGES = np.nan


def section(portrait: Portrait) -> Section:
  """Returns figures of each label set, and why those that lack do."""
  parts: list[Part] = []
  for one in portrait.sets:
    if one.confidences is None:
      what = f'Confidence, {display.labels_name(one.labels)} labels'
      parts.append(Missing(what, one.no_confidences))
      continue
    parts.append(reliability(portrait, one))
    parts += [risk_coverage([one]), precision_recall([one])]
  if portrait.temperature is None and portrait.no_temperature:
    parts.append(Missing('Temperature', portrait.no_temperature))
  return Section('Confidence', parts)


def reliability(portrait: Portrait, one: OfLabels) -> Figure:
  """Returns the reliability diagram by a label set that has confidences."""
  assert one.confidences is not None
  confidence, hit = one.confidences.confidence, one.confidences.hit
  bins = calibration.equal_width_bins(confidence, hit, BINS)
  ends = np.array([
    intervals.wilson(int(c), int(n)) if n else (np.nan, np.nan)
    for c, n in zip(bins.correct, bins.count, strict=True)
  ])  # fmt: skip
  with np.errstate(invalid='ignore'):
    accuracy, mean = bins.correct / bins.count, bins.confidence / bins.count
  low, high = 100 * ends.T
  plot = kinds.Reliability(
    100 * bins.edges, bins.count, 100 * accuracy, low, high, 100 * mean
  )
  columns = (
    Column('from', 'confidence from %', content.percent),
    Column('to', 'to %', content.percent),
    Column('count', 'images', content.counted),
    Column('correct', 'correct', content.counted),
    Column('accuracy', 'accuracy %', content.percent),
    Column('low', 'from %', content.percent),
    Column('high', 'to %', content.percent),
    Column('confidence', 'mean confidence %', content.percent),
  )
  values = (
    *(bins.edges[:-1], bins.edges[1:], bins.count, bins.correct),
    *(accuracy, ends[:, 0], ends[:, 1], mean),
  )
  rows = [tuple(map(_known, row)) for row in zip(*values, strict=True)]
  return Figure(
    _title('Reliability', one), plot, Table('Bins of confidence', columns, rows),
    _about_reliability(portrait, one, bins.ece),
  )  # fmt: skip


def _about_reliability(portrait: Portrait, one: OfLabels, ece: float | None) -> str:
  text = (
    'Above: accuracy of images by how confident the model was, with 95 % intervals '
    '(Wilson); on the dashed line confidence is what it says, below it the model is '
    'too sure. Below: how many images are in each bin.'
  )
  if ece is not None:
    text += f' Expected calibration error of these {BINS} bins: {ece:.4f}.'
  if portrait.temperature is not None and one.labels == 'original':
    of = ''
    if portrait.fitted < portrait.run.result.dataset.evaluated:
      of = f', fitted on {portrait.fitted:,} images that lie evenly among them'
    text += (
      f' Temperature with the lowest nll: {portrait.temperature:.4f}{of}; above 1 the '
      'model is too sure.'
    )
  return text


def risk_coverage(sets: list[OfLabels], names: list[str] | None = None) -> Figure:
  """Returns the errors that remain if only confident predictions are accepted."""
  curves = list(_curves(sets))
  series = [
    Series(name, 100 * curve.accepted / curve.accepted[-1], 100 * curve.risk)
    for name, curve in zip(names or _labels(sets), curves, strict=True)
  ]
  columns = (
    Column('labels', 'labels'),
    Column('threshold', 'confidence at least %', content.percent),
    Column('accepted', 'accepted', content.counted),
    Column('errors', 'errors', content.counted),
    Column('coverage', 'coverage %', content.percent),
    Column('risk', 'errors %', content.percent),
  )
  rows = [
    (name, t, int(n), int(e), n / curve.accepted[-1], e / n)
    for name, curve in zip(names or _labels(sets), curves, strict=True)
    for t, n, e in _spread(curve, curve.accepted)
  ]
  return Figure(
    _title('Risk by coverage', sets[0]),
    kinds.Lines([_thinned(one) for one in series], 'coverage: images accepted, %',
                'risk: errors among these, %', (0, 100), (0, None)),
    Table('Points of the curve', columns, rows),
    'Only the most confident predictions are accepted, from left to right more of '
    'them; images of equal confidence come together.',
  )  # fmt: skip


def precision_recall(sets: list[OfLabels], names: list[str] | None = None) -> Figure:
  """Returns precision and recall of first classes by their confidence."""
  curves = list(_curves(sets))
  series, rows = [], []
  for name, curve in zip(names or _labels(sets), curves, strict=True):
    correct = curve.accepted - curve.errors
    recall, precision = correct / curve.accepted[-1], correct / curve.accepted
    series.append(Series(name, 100 * recall, 100 * precision))
    rows += [
      (name, t, int(n - e), int(n), (n - e) / curve.accepted[-1], (n - e) / n)
      for t, n, e in _spread(curve, curve.accepted)
    ]
  columns = (
    Column('labels', 'labels'),
    Column('threshold', 'confidence at least %', content.percent),
    Column('correct', 'correct', content.counted),
    Column('accepted', 'accepted', content.counted),
    Column('recall', 'recall %', content.percent),
    Column('precision', 'precision %', content.percent),
  )
  return Figure(
    _title('Precision and recall', sets[0]),
    kinds.Lines([_thinned(one) for one in series],
                'recall: accepted and right, % of all images',
                'precision: right, % of accepted', (0, 100), (None, 101)),
    Table('Points of the curve', columns, rows),
    'Of first classes alone, over all images together (micro average): one that is '
    'not confident enough is not accepted. Recall ends at top-1.',
  )  # fmt: skip


def _curves(sets: list[OfLabels]) -> Iterator[RiskCoverage]:
  for one in sets:
    assert one.confidences is not None
    found: Confidences = one.confidences
    yield selective.risk_coverage(found.confidence, found.hit)


def _spread(
  curve: RiskCoverage, accepted: np.ndarray
) -> Iterator[tuple[float, int, int]]:
  """Yields points at about equal steps of coverage, the last one among them."""
  wanted = np.linspace(0, accepted[-1], _ROWS)[1:]
  for i in np.unique(np.searchsorted(accepted, wanted)):
    yield float(curve.threshold[i]), int(accepted[i]), int(curve.errors[i])


def _thinned(one: Series) -> Series:
  """Returns a curve of as many points as can be seen, at equal steps of x."""
  if len(one.x) <= _POINTS:
    return one
  at = np.unique(np.searchsorted(one.x, np.linspace(one.x[0], one.x[-1], _POINTS)))
  return Series(one.name, one.x[at], one.y[at])


def _labels(sets: list[OfLabels]) -> list[str]:
  return [one.labels for one in sets]


def _title(what: str, one: OfLabels) -> str:
  return f'{what}, {display.labels_name(one.labels)} labels'


def _known(value: float) -> float | int | None:
  found = value.item() if isinstance(value, np.generic) else value
  return None if found != found else found
