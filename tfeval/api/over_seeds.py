"""`tfeval.over_seeds`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tfeval.api import checks, given

if TYPE_CHECKING:
  from tfeval.analysis.over_seeds import OverSeeds


def over_seeds(
  *runs: Any,
  metrics: str | Sequence[str] | None = None,
  labels: Any = None,
  keep: given.Path | None = None,
  omit: given.Path | None = None,
  data_dir: given.Path | None = None,
  level: float = 0.05,
) -> 'OverSeeds':
  """Tells mean and spread of metrics over runs of one model from several seeds.

      tfeval.over_seeds('runs/seed1', 'runs/seed2', 'runs/seed3').to_pandas()

  Args:
    *runs: two or more: run directories, folders of such, or `Run`s.
    metrics: names of metrics; by default top-1 and top-5.
    labels: names of label sets or paths of label files; by default what the rows carry.
    keep, omit: lists of ids: images to count once more by themselves, and images to
      leave out of these.
    data_dir: where TFDS has prepared the multi-label set.
    level: intervals of the mean, of Student's t, cover 1 - level.

  Raises:
    UserError: there is but one run, or runs differ in more than their training.
  """
  from tfeval.analysis import over_seeds as seeds
  from tfeval.metrics import registry

  level = checks.level(level)
  asked = None
  if metrics is not None:
    asked = list(registry.check_names(given.texts('metrics', metrics)))
  found = given.complete(runs)
  read = given.labels_and_subset(found, labels, keep, omit, data_dir)
  return seeds.over_seeds(found, asked, *read, level)
