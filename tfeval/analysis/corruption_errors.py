"""Errors on corrupted images: the mCE of ImageNet-C's files, plain means of others.

Source: Hendrycks and Dietterich, "Benchmarking neural network robustness to common
corruptions and perturbations" (2019, arXiv:1903.12261), section 4.1. AlexNet's errors
were measured on the files of its authors. Images that are corrupted again, in memory or
by TFDS, are easier: of those an mCE would be another measure under the same name.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

from tfeval.utils import fact_table
from tfeval.utils.errors import UserError, listed

SEVERITIES = (1, 2, 3, 4, 5)
# AlexNet's error on the clean validation images.
ALEXNET_CLEAN = 0.435
_EXTRA = 'extra_'


@dataclasses.dataclass(frozen=True)
class Normaliser:
  """What a corruption of ImageNet-C does to AlexNet.

  Attributes:
    group: `noise`, `blur`, `weather` or `digital`; with `extra_` before it of those
      four that are for validation, and in no mCE.
    alexnet: its error, mean over the severities, in [0, 1].
  """

  group: str
  alexnet: float


@functools.cache
def normalisers() -> Mapping[str, Normaliser]:
  """Returns the 19 corruptions of ImageNet-C by name, the fifteen of the mCE first."""
  return {
    row['corruption']: Normaliser(row['group'], float(row['alexnet_error']) / 100)
    for row in fact_table.rows('tfeval.analysis', 'imagenet_c.tsv')
  }


def of_mce() -> list[str]:
  """Returns the names of the fifteen corruptions whose mean is the mCE."""
  found = normalisers()
  return [name for name, one in found.items() if not one.group.startswith(_EXTRA)]


@dataclasses.dataclass(frozen=True)
class CorruptionErrors:
  """Errors of a model on corrupted images.

  Attributes:
    errors: by corruption, of severities 1 to 5, in [0, 1]; None where not evaluated.
    clean: on the same images without corruption, in [0, 1]; None: not evaluated.
    official: whether the images are the files that ImageNet-C's authors publish.
  """

  errors: Mapping[str, Sequence[float | None]]
  clean: float | None = None
  official: bool = False

  def mean_error(self, corruption: str) -> float:
    """Returns the mean over the severities, in [0, 1].

    Raises:
      UserError: a severity is missing.
    """
    self._check([corruption], 'a mean error')
    return _mean(self.errors[corruption])

  def relative_error(self, corruption: str) -> float:
    """Returns the mean error less that on clean images, in [-1, 1].

    Raises:
      UserError: a severity or the clean images are missing.
    """
    return self.mean_error(corruption) - self._clean('a relative error')

  def ce(self, corruption: str) -> float:
    """Returns the corruption error: the sum of errors over that of AlexNet.

    Raises:
      UserError: a severity is missing, the files are not the official ones, or the
        corruption is none of ImageNet-C's.
    """
    self._check_official('CE', [corruption])
    return self.mean_error(corruption) / normalisers()[corruption].alexnet

  def relative_ce(self, corruption: str) -> float:
    """Returns the sum of errors less clean ones, over the same of AlexNet.

    Raises:
      UserError: as `ce`, or the clean images are missing.
    """
    self._check_official('relative CE', [corruption])
    alexnet = normalisers()[corruption].alexnet - ALEXNET_CLEAN
    return self.relative_error(corruption) / alexnet

  def mce(self) -> float:
    """Returns the mean corruption error, 1 for AlexNet; papers print 100 times it.

    Raises:
      UserError: one of the fifteen corruptions or its severities is missing, or the
        files are not the official ones.
    """
    names = of_mce()
    self._check_official('mCE', names)
    self._check(names, 'mCE')
    return sum(map(self.ce, names)) / len(names)

  def relative_mce(self) -> float:
    """Returns the mean of `relative_ce` over the fifteen corruptions.

    Raises:
      UserError: as `mce`, or the clean images are missing.
    """
    names = of_mce()
    self._check_official('relative mCE', names)
    self._check(names, 'relative mCE')
    return sum(map(self.relative_ce, names)) / len(names)

  def _check_official(self, what: str, corruptions: Sequence[str]) -> None:
    if not self.official:
      raise UserError(
        f'{what} is of the files that the authors of ImageNet-C publish, these images '
        'were corrupted anew: mean and relative errors are for those'
      )
    for name in corruptions:
      if name not in normalisers():
        raise UserError(
          f'{what} is not known of {name}: expected one of {", ".join(normalisers())}'
        )

  def _check(self, corruptions: Sequence[str], what: str) -> None:
    missing = []
    for name in corruptions:
      found = self.errors.get(name)
      if found is None:
        missing.append(name)
        continue
      if len(found) != len(SEVERITIES):
        raise UserError(
          f'{name} has {len(found)} errors, expected {len(SEVERITIES)}, one a severity'
        )
      pairs = zip(SEVERITIES, found, strict=True)
      missing += [f'{name}:{severity}' for severity, one in pairs if one is None]
    if missing:
      raise UserError(
        f'{what} needs all severities of each corruption, these were not evaluated: '
        f'{listed(missing)}'
      )

  def _clean(self, what: str) -> float:
    if self.clean is None:
      raise UserError(f'{what} needs the clean images, which were not evaluated')
    return self.clean


def _mean(errors: Sequence[float | None]) -> float:
  return sum(one for one in errors if one is not None) / len(errors)
