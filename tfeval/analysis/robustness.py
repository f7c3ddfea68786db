"""How robust a model is beyond what its accuracy on clean images lets expect.

Source: Taori et al., "Measuring robustness to natural distribution shifts in image
classification" (2020, arXiv:2007.00644), section 2. Over models that were trained on
ImageNet alone, accuracies on a shifted set lie on a line with those on the validation
images, once both are logits. Effective robustness is the distance from that line.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping

import numpy as np

from tfeval.utils import errors, fact_table
from tfeval.utils.errors import UserError

# Which images the clean accuracy is of: all of the validation split, or those of the
# classes of the set, under its class rule.
ALL, SAME = 'all', 'same'


@dataclasses.dataclass(frozen=True)
class Fit:
  """A line between logits of accuracies.

  Attributes:
    slope, intercept: logit(shifted) = slope * logit(clean) + intercept.
    models: how many it was fitted to.
    pearson_r: their correlation, of logits.
    residual_sd: standard deviation of their accuracies less the fit, in points.
  """

  slope: float
  intercept: float
  models: int
  pearson_r: float
  residual_sd: float

  def expected(self, clean: float) -> float:
    """Returns the accuracy on the shifted set that the line says, in (0, 1).

    Args:
      clean: accuracy on clean images, in (0, 1).

    Raises:
      UserError: it is 0, 1 or outside, where there is no logit.

    >>> round(packaged()['imagenet_v2/matched-frequency', 'all'].expected(0.7613), 4)
    0.6395
    """
    if not 0 < clean < 1:
      raise UserError(
        f'effective robustness needs a clean accuracy between 0 and 1, not {clean:g}'
      )
    line = self.slope * math.log(clean / (1 - clean)) + self.intercept
    return 1 / (1 + math.exp(-line))


def fit(clean: np.ndarray, shifted: np.ndarray) -> Fit:
  """Fits a line by least squares of the logits.

  Args:
    clean, shifted: float [n], accuracies in (0, 1) of n models, at least 3.

  Raises:
    ValueError: other shapes or ranges.
  """
  clean, shifted = np.asarray(clean, np.float64), np.asarray(shifted, np.float64)
  both = np.stack([clean, shifted])
  if both.ndim != 2 or both.shape[1] < 3 or not ((both > 0) & (both < 1)).all():
    raise ValueError('a fit needs accuracies between 0 and 1 of 3 models or more')
  x, y = np.log(both / (1 - both))
  slope, intercept = np.polyfit(x, y, 1)
  residual = shifted - 1 / (1 + np.exp(-(slope * x + intercept)))
  return Fit(
    float(slope),
    float(intercept),
    len(x),
    float(np.corrcoef(x, y)[0, 1]),
    float(100 * residual.std()),
  )


@functools.cache
def packaged() -> Mapping[tuple[str, str], Fit]:
  """Returns the fits to the models of ImageNet Testbed, by set and clean images.

  Those are `ALL` or `SAME`; of R, A and ObjectNet there are both.
  """
  return {
    (row['set'], row['clean']): Fit(
      float(row['slope']),
      float(row['intercept']),
      int(row['models']),
      float(row['pearson_r']),
      float(row['residual_sd']),
    )
    for row in fact_table.rows('tfeval.analysis', 'robustness_fits.tsv')
  }


def fit_of(set_name: str, of: str | None = None) -> tuple[str, Fit]:
  """Returns which clean images a set's fit is of, and the fit.

  Args:
    set_name: such as `imagenet_r` or `imagenet_v2/matched-frequency`.
    of: `ALL` or `SAME`; by default the same classes where a set has fewer.

  Raises:
    UserError: there is no such fit.
  """
  found = packaged()
  names = list(dict.fromkeys(name for name, _ in found))
  if set_name not in names:
    raise errors.unknown('fit of effective robustness', set_name, names)
  if of is None:
    of = SAME if (set_name, SAME) in found else ALL
  if (set_name, of) not in found:
    there = ', '.join(kind for name, kind in found if name == set_name)
    raise UserError(f'{set_name} has no fit on clean images {of!r}: it has {there}')
  return of, found[set_name, of]


def effective_robustness(
  set_name: str, clean: float, shifted: float, of: str | None = None
) -> float:
  """Returns accuracy on a shifted set less what the line of its fit says, in points.

  Args:
    set_name, of: see `fit_of`.
    clean: accuracy on clean images, in (0, 1).
    shifted: accuracy on the set, in [0, 1].

  Raises:
    UserError: as `fit_of`, or the clean accuracy is 0 or 1.

  >>> round(effective_robustness('imagenet_v2/matched-frequency', 0.7613, 0.6321), 2)
  -0.74
  """
  return 100 * (shifted - fit_of(set_name, of)[1].expected(clean))


def relative_robustness(shifted: float, base: float) -> float:
  """Returns what an intervention gains on a shifted set, in points.

  Args:
    shifted: accuracy of the changed model on the set, in [0, 1].
    base: of the model without the change, on the same set.
  """
  return 100 * (shifted - base)
