"""How well an accuracy that was reported fits what a pipeline has on a sample."""

import dataclasses
import math
import re

import numpy as np
from scipy import stats

from tfeval.utils.errors import UserError

# Share of answers that small differences flip, either way: of another decoder, of
# arithmetic in another order (shared figures: 1 % of images with TF32 or bfloat16).
_FLIPPED = 0.01
_NUMBER = re.compile(r'(\d{1,3})(?:\.(\d{1,6}))?(%?)', re.ASCII)
_COUNTS = re.compile(r'([\d,_]+)/([\d,_]+)', re.ASCII)


@dataclasses.dataclass(frozen=True)
class Report:
  """An accuracy that somebody reported.

  Attributes:
    text: as it was given.
    value: in [0, 1].
    half: half of what it was rounded to, in [0, 1].
    images: how many it is of, where these are not the images at hand; None: they are.
  """

  text: str
  value: float
  half: float
  images: int | None = None

  @property
  def title(self) -> str:
    of = '' if self.images is None else f' of {self.images:,} other images'
    return f'reported {100 * self.value:g} %{of}'


def parse(text: str, images: int | None = None) -> Report:
  """Reads a report.

  Args:
    text: percent, such as `61.6`, or counts, such as `30,800/50,000`.
    images: how many others it is of; None: of those at hand.

  Raises:
    UserError: it is none.

  >>> parse('61.6').half, parse('1/4').value
  (0.0005, 0.25)
  """
  if counts := _COUNTS.fullmatch(text):
    correct, of = (int(re.sub('[,_]', '', one) or 0) for one in counts.groups())
    if not 0 <= correct <= of or not of:
      raise UserError(f'`reported={text}`: expected hits of images, such as 616/1000')
    return Report(text, correct / of, 0.0, images)
  found = _NUMBER.fullmatch(text)
  value = float(text.rstrip('%')) / 100 if found else -1.0
  if not 0 <= value <= 1:
    raise UserError(f'`reported={text}`: expected percent, such as 61.6, or 616/1000')
  assert found is not None  # It would not be 0 to 1.
  if value <= 0.01 and not found[3] and found[2]:
    raise UserError(
      f'`reported={text}` may be a share: give percent, {100 * float(text):g}, or '
      f'{text}% if it is so little'
    )
  return Report(text, value, 10.0 ** -len(found[2] or '') / 200, images)


@dataclasses.dataclass(frozen=True)
class Estimate:
  """An accuracy over all images, known from some.

  Attributes:
    value: in [0, 1].
    sd: standard deviation of its error.
  """

  value: float
  sd: float


def of_sample(values: np.ndarray, total: int) -> Estimate:
  """Estimates a mean over a finite set from a sample without replacement.

  Args:
    values: float [n], of the images in the sample.
    total: how many images there are, at least n.

  Returns:
    The mean, and its standard error with the finite population correction (Cochran,
    Sampling Techniques, 1977, 2.6): 0 where the sample is all.
  """
  n = len(values)
  if n < 2:
    return Estimate(float(values.mean()) if n else 0.0, 0.5 if total > n else 0.0)
  # Of all hits or none, as if one had been otherwise.
  spread = max(float(values.var(ddof=1)), 1 / n)
  return Estimate(float(values.mean()), math.sqrt(spread / n * (1 - n / total)))


def of_two_samples(
  base: np.ndarray, there: np.ndarray, values: np.ndarray, total: int
) -> Estimate:
  """Estimates an accuracy from the base on a sample and a difference on less.

  Args:
    base: float [n], hits of the base.
    there: float [m], those of m of the same images, which are a sample of them.
    values: float [m], hits of a cell on these.
    total: how many images there are, N.

  Returns:
    The mean of the base and that of the difference d, b + d, with the variance of both
    (double sampling, Cochran, Sampling Techniques, 1977, 12.6; the mean of d over the m
    is that over the n, on average, which b goes along with):
    S²(b) (1/n - 1/N) + S²(d) (1/m - 1/N) + 2 S(b, d) (1/n - 1/N).
  """
  if len(values) == len(base):  # All of them: the base tells nothing more.
    return of_sample(values, total)
  n, m, differences = len(base), len(values), values - there
  plain, more = of_sample(base, total), of_sample(differences, total)
  value = min(max(plain.value + more.value, 0.0), 1.0)
  together = float(np.cov(there, differences)[0, 1]) if m > 1 else 0.0
  left = 1 / n - 1 / total
  variance = plain.sd**2 + more.sd**2 + 2 * together * left
  # As of one sample: at least as if one had been otherwise.
  return Estimate(value, math.sqrt(max(variance, left / n)))


@dataclasses.dataclass(frozen=True)
class Fit:
  """How a report fits.

  Attributes:
    distance: in standard deviations, 0 within what the report was rounded to.
    p: how often so much or more is seen of the same pipeline, two-sided.
    score: the logarithm of how probable it is, to rank by.
  """

  distance: float
  p: float
  score: float


def fit(report: Report, estimate: Estimate, total: int, made: float) -> Fit:
  """Compares a report with what a pipeline has.

  Args:
    report: the report.
    estimate: the pipeline's accuracy.
    total: how many images there are.
    made: how often it is made, 1 is often.
  """
  small = math.sqrt(_FLIPPED / max(total, 1))
  variance = estimate.sd**2 + small**2
  if report.images is not None:
    value = min(max(report.value, 0.5 / report.images), 1 - 0.5 / report.images)
    # Both are samples of what there is to see.
    mine = min(max(estimate.value, 0.5 / total), 1 - 0.5 / total)
    variance += value * (1 - value) / report.images + mine * (1 - mine) / total
  sd = math.sqrt(variance)
  distance = max(abs(report.value - estimate.value) - report.half, 0.0) / sd
  p = float(2 * stats.norm.sf(distance))
  return Fit(distance, p, -0.5 * distance**2 - math.log(sd) + math.log(made))


def both_at_once(base: Estimate, first: Estimate, second: Estimate) -> Estimate:
  """Guesses the accuracy of two departures at once from each of them alone.

  On the scale of logits each moves it as far as alone; what one takes the other cannot
  take again, so that the error is up to half of the smaller effect.
  """
  logits = [_logit(one.value) for one in (base, first, second)]
  value = 1 / (1 + math.exp(-(logits[1] + logits[2] - logits[0])))
  effects = [abs(one.value - base.value) for one in (first, second)]
  return Estimate(value, math.hypot(first.sd, second.sd, min(effects) / 2))


def _logit(value: float) -> float:
  value = min(max(value, 1e-4), 1 - 1e-4)
  return math.log(value / (1 - value))
