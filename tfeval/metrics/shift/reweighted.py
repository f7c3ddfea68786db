"""Whether one sample is the other one with other shares of its classes."""

import numpy as np

from tfeval.metrics.shift.permutations import p_value

# Draws at once: of 4,000 images 4 MB.
_BLOCK = 128


def reweighted_test(
  kernel: np.ndarray,
  n: int,
  posteriors: np.ndarray,
  weights: np.ndarray,
  draws: int = 1000,
  seed: int = 0,
) -> tuple[float, float]:
  """Returns how far the second sample is from the first by label shift, with its p.

  If images of a class look alike in both, the density of the second is r = Σ w P(k|x)
  times that of the first. An image of both together is then of the second with
  probability π = m r / (n + m r), whatever else it looks like. So which of them are of
  the second is drawn anew by π, and the statistic compared: v'Kv with v = z - π, the
  squared length of what features have left over. From v goes what other weights would
  explain, since these were estimated from the same images: a score test with the shares
  of classes as nuisance (Liu, Ghosh and Lin, "Estimation and testing for the effect of
  a genetic pathway", BMC Bioinformatics 9 (2008), for kernels).

  Args:
    kernel: float64 [n + m, n + m], of all pairs.
    n: how many the first sample has.
    posteriors: float [n + m, classes], by a calibrated classifier of the first sample.
    weights: float [classes], priors of the second by those of the first, at least 0.
    draws: how many.
    seed: of NumPy's default generator.

  Returns:
    The statistic over (n + m)², at least 0, and its p-value.

  Raises:
    ValueError: other shapes or values.
  """
  total = len(kernel)
  m = total - n
  if posteriors.shape != (total, len(weights)) or not (weights >= 0).all():
    raise ValueError(f'posteriors have shape {posteriors.shape}, weights {weights}')
  ratios = posteriors @ weights
  # Of true weights as many are expected of the second as there are.
  chance = _chances(ratios, n, m)
  slopes = np.divide(
    posteriors,
    ratios[:, None],
    out=np.zeros(posteriors.shape),
    where=ratios[:, None] > 0,
  )
  spread = chance * (1 - chance) * slopes
  inverse = np.linalg.pinv(slopes.T @ spread, hermitian=True)

  def statistic(drawn: np.ndarray) -> np.ndarray:
    rest = drawn - chance
    rest -= spread @ (inverse @ (slopes.T @ rest))
    return np.einsum('ij,ij->j', rest, kernel @ rest) / total**2

  value = float(statistic((np.arange(total) >= n)[:, None].astype(np.float64))[0])
  random = np.random.default_rng(seed)
  null = [
    statistic((random.random((total, min(_BLOCK, draws - start))) < chance) * 1.0)
    for start in range(0, draws, _BLOCK)
  ]
  return value, p_value(value, np.concatenate(null))


def _chances(ratios: np.ndarray, n: int, m: int) -> np.ndarray:
  """Returns π, float64 [n + m, 1]; its mean is m / (n + m) in expectation.

  Ratios are scaled to a mean of 1 in the first sample, which they have there if the
  weights are true.
  """
  scaled = ratios * (n / max(ratios[:n].sum(), np.finfo(float).tiny))
  return (m * scaled / (n + m * scaled))[:, None]
