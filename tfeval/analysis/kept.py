"""Whether models keep what a first one hits but for a margin: "99 % of FP32"."""

import dataclasses
import re
from collections.abc import Iterable, Sequence

import pyarrow as pa

from tfeval.analysis import alignment
from tfeval.analysis.alignment import AlignedPredictions
from tfeval.metrics import noninferiority, paired, registry
from tfeval.utils import errors
from tfeval.utils.errors import UserError

KEPT, NOT_KEPT, NOT_DECIDED = 'kept', 'not kept', 'not decided'
_MARGIN = re.compile(r'(?P<number>\d+(\.\d+)?|\.\d+)(?P<unit>%|pt)', re.ASCII)
_EXPECTATION = re.compile(r'(?P<labels>[^/:]+)/(?P<metric>[^/:]+):kept:(?P<margin>.*)')


@dataclasses.dataclass(frozen=True)
class Margin:
  """How much worse than the first a model may be.

  Attributes:
    share: in (0, 1), of the first one's rate, or of all images.
    is_relative: whether it is of the first one's rate: `rate2 >= (1 - share) * rate1`,
      the accuracy rule of MLPerf Inference; else `rate2 >= rate1 - share`.
    text: as it was given.
  """

  share: float
  is_relative: bool
  text: str

  def score(self, hits: paired.PairedHits) -> noninferiority.Score:
    """Tests the hypothesis that the second is worse by just the margin."""
    if self.is_relative:
      return noninferiority.ratio_score(hits, 1 - self.share)
    return noninferiority.difference_score(hits, -self.share)

  def bounds(self, hits: paired.PairedHits, level: float) -> tuple[float, float]:
    """Returns what the second keeps at least and at most.

    Args:
      hits: who hit what.
      level: of each bound by itself.

    Returns:
      (low, high): of the ratio of the rates where the margin is relative, else of the
      second's rate less the first's.
    """
    if self.is_relative:
      return noninferiority.ratio_bounds(hits, level)
    return noninferiority.difference_bounds(hits, level)


def parse_margin(text: str) -> Margin:
  """Parses a margin: `1%` of the first model's rate, or `0.5pt`, percentage points.

  Raises:
    UserError: it does not read like that.

  >>> parse_margin('1%').share, parse_margin('0.5pt').is_relative
  (0.01, False)
  """
  return _parse_margin(text, f'`margin={text}`')


def _parse_margin(text: str, where: str) -> Margin:
  found = _MARGIN.fullmatch(text)
  share = float(found['number']) / 100 if found else 0.0
  if found is None or not 0 < share < 1:
    raise UserError(
      f"{where}: expected 1% of the first model's rate, or 0.5pt, percentage points, "
      'above 0 and below 100'
    )
  return Margin(share, found['unit'] == '%', text)


@dataclasses.dataclass(frozen=True)
class Verdict:
  """Whether a model keeps what the first one hits.

  Attributes:
    first, second: positions of the runs.
    hits: who hit what.
    margin: how much worse the second may be.
    z: of the score test that the second is worse by just the margin.
    low, high: bounds of what is kept, see `Margin.bounds`; each at 1 - alpha.
    verdict: `KEPT`: worse by less than the margin, `NOT_KEPT`: by more, of which each
      would be found wrongly with a probability of alpha, up to 0.07 in place of 0.05
      where fewer than 20 images differ; or `NOT_DECIDED`.
    images_needed: with how many images, of these shares, it would be decided in 4 of 5
      tries; None where no number is enough. Of what is not decided.
    only_first, only_second: ids of images that one hit and the other missed.
  """

  first: int
  second: int
  hits: paired.PairedHits
  margin: Margin
  z: float
  low: float
  high: float
  verdict: str
  images_needed: int | None
  only_first: pa.Array
  only_second: pa.Array

  @property
  def kept(self) -> float | None:
    """The ratio of the rates, or the second's less the first's; None: undefined."""
    hits = self.hits
    if not self.margin.is_relative:
      return (hits.second - hits.first) / hits.count
    first = hits.both + hits.first
    return (hits.both + hits.second) / first if first else None

  @property
  def more_images(self) -> int | None:
    """How many images more would decide it; None where none do, or it is decided."""
    if self.images_needed is None:
      return None
    return self.images_needed - self.hits.count


def judge(
  aligned: Sequence[AlignedPredictions],
  labels: str,
  metric: str,
  margin: Margin,
  alpha: float,
) -> list[Verdict]:
  """Compares every run but the first one with this.

  Args:
    aligned: of the same images in the same order; all have the metric.
    labels: the name of a label set that they have, of one image at least.
    metric: one of `registry.paired_metrics`.
    margin: how much worse than the first they may be.
    alpha: of each bound by itself, in (0, 0.5].
  """
  first = aligned[0]
  counted = first.counted(labels)
  hit = [one.hits(labels, metric) for one in aligned]
  return [
    _verdict(
      number,
      paired.paired_hits(
        hit[0][first.within(labels)],
        hit[number][first.within(labels)],
        counted[first.within(labels)],
      ),
      margin,
      alpha,
      first.ids.filter(pa.array(counted & hit[0] & ~hit[number])),
      first.ids.filter(pa.array(counted & ~hit[0] & hit[number])),
    )
    for number in range(1, len(aligned))
  ]


def _verdict(
  second: int,
  hits: paired.PairedHits,
  margin: Margin,
  alpha: float,
  only_first: pa.Array,
  only_second: pa.Array,
) -> Verdict:
  score = margin.score(hits)
  critical = noninferiority.critical(1 - alpha)
  verdict, needed = NOT_DECIDED, None
  if score.z >= critical:
    verdict = KEPT
  elif score.z <= -critical:
    verdict = NOT_KEPT
  else:
    needed = noninferiority.images_needed(score, alpha=alpha)
  return Verdict(
    0,
    second,
    hits,
    margin,
    score.z,
    *margin.bounds(hits, 1 - alpha),
    verdict,
    needed,
    only_first,
    only_second,
  )


@dataclasses.dataclass(frozen=True)
class KeptExpectation:
  """That every run keeps a metric of the first one: `original/top1:kept:1%`."""

  labels: str
  metric: str
  margin: Margin


def parse_expectation(text: str) -> KeptExpectation:
  """Parses `LABELS/METRIC:kept:MARGIN`.

  Raises:
    UserError: it does not read like that, or no image is a hit of the metric.

  >>> parse_expectation('original/top1:kept:1%').margin.share
  0.01
  """
  found = _EXPECTATION.fullmatch(text)
  if found is None:
    raise UserError(
      f'`expect={text}`: expected LABELS/METRIC:kept:MARGIN, such as '
      'original/top1:kept:1%'
    )
  stem = found['metric'].partition('@')[0]
  if stem not in registry.METRICS or not registry.METRICS[stem].paired:
    raise errors.unknown('metric in `expect`', stem, registry.paired_metrics())
  margin = _parse_margin(found['margin'], f'`expect={text}`')
  return KeptExpectation(found['labels'], found['metric'], margin)


def missed(
  expectations: Iterable[KeptExpectation],
  aligned: Sequence[AlignedPredictions],
  alpha: float,
) -> list[str]:
  """Returns what is not known to be kept, a line each.

  Args:
    expectations: each has to be met by every run but the first.
    aligned: of the same images in the same order.
    alpha: of each bound by itself, in (0, 0.5].

  Raises:
    UserError: a run lacks the labels or the metric.
  """
  found = []
  for expected in expectations:
    _check_there(expected, aligned)
    for verdict in judge(
      aligned, expected.labels, expected.metric, expected.margin, alpha
    ):
      if verdict.verdict != KEPT:
        names = aligned[verdict.second].name, aligned[0].name
        found.append(
          f'{names[0]}: {expected.labels}/{expected.metric} is {_of_first(verdict)} '
          f'of {names[1]}, {verdict.verdict} within {expected.margin.text}'
          f'{_more(verdict)}'
        )
  return found


def _check_there(
  expected: KeptExpectation, aligned: Sequence[AlignedPredictions]
) -> None:
  names, _ = alignment.used_labels(aligned)
  metrics = [
    key
    for key in alignment.metric_keys(aligned)
    if all(one.ranked(key) is not None for one in aligned)
  ]
  there = [
    f'{labels}/{metric}'
    for labels in names
    if aligned[0].counted(labels).any()
    for metric in metrics
  ]
  name = f'{expected.labels}/{expected.metric}'
  if name not in there:
    raise errors.unknown('metric in `expect`', name, there)


def _of_first(verdict: Verdict) -> str:
  if verdict.kept is None:
    return 'no share'
  if verdict.margin.is_relative:
    return f'{100 * verdict.kept:.2f} % (at least {100 * verdict.low:.2f}) of that'
  return (
    f'{100 * verdict.kept:+.2f} points (at least {100 * verdict.low:+.2f}) beside that'
  )


def _more(verdict: Verdict) -> str:
  if verdict.more_images is None:
    return ''
  return f': {verdict.more_images:,} more images would decide it in 4 of 5 tries'
