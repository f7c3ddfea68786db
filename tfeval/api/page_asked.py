"""What a page is asked for."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
  from tfeval.datasets.labels.sets import LabelSource
  from tfeval.datasets.labels.subsets import Subset


@dataclasses.dataclass(frozen=True)
class Asked:
  """What a page is asked for.

  Attributes:
    labels, subset: opened; None: what rows carry, all images.
    metrics: of one run, more than a page has by itself.
    by: attributes of slices.
    images: how many of the hardest images are shown.
    dataset: where to read these instead of where the run says.
    where: `data_dir` and `manual_dir`.
    sort, base, allow, reference: of leaderboards.
    common: of comparisons: on the images that all runs have.
    level: of significance.
  """

  labels: 'Sequence[LabelSource] | None' = None
  subset: 'Subset | None' = None
  metrics: Sequence[str] = ()
  by: Sequence[str] = ()
  images: int = 0
  dataset: str | None = None
  where: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
  sort: str | None = None
  base: str | None = None
  allow: Sequence[str] = ()
  reference: bool = False
  common: bool = False
  level: float = 0.05
