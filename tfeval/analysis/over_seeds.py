"""Mean and spread of metrics over runs of one model trained from several seeds.

What such runs vary in is the training: its seed, order and noise. The interval is for
the mean over trainings, on these very images; that of a single run, of drawing images
anew, is another thing and is told with each run.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from tfeval.analysis import alignment, differences
from tfeval.analysis.alignment import AlignedPredictions
from tfeval.datasets.labels.sets import LabelSource
from tfeval.datasets.labels.subsets import Subset
from tfeval.metrics.entry import MetricEntry
from tfeval.models import table
from tfeval.runs import discovery
from tfeval.runs.run import Run
from tfeval.runs.same_classes import classes_difference
from tfeval.runs.same_model import same_weights
from tfeval.utils.errors import UserError, listed
from tfeval.utils.shown import Shown


@dataclasses.dataclass(frozen=True)
class Spread:
  """A metric over runs.

  Attributes:
    labels, metric: the label set and the metric, with its rule.
    entries: of each run, with counts where it counts images.
    mean: of their values.
    sd: standard deviation of the values, with n - 1 in the denominator.
    error: standard error of the mean, sd / sqrt(n).
    low, high: interval of the mean, by Student's t with n - 1 degrees of freedom.
    unavailable: why a run has no such value; None: all have.
  """

  labels: str
  metric: str
  entries: Sequence[MetricEntry]
  mean: float | None = None
  sd: float | None = None
  error: float | None = None
  low: float | None = None
  high: float | None = None
  unavailable: str | None = None

  @property
  def values(self) -> list[float | None]:
    """What each run has."""
    return [one.value for one in self.entries]


@dataclasses.dataclass(frozen=True, repr=False)
class OverSeeds(Shown):
  """Metrics over runs of several seeds.

  Attributes:
    runs: the runs.
    names: what readers call them.
    spreads: of each label set and metric.
    level: intervals cover 1 - level.
    remarks: what a reader must know beside the figures.
  """

  DOCUMENT = 'tfeval.reports.page.of_over_seeds:document'

  runs: Sequence[Run]
  names: Sequence[str]
  spreads: Sequence[Spread]
  level: float
  remarks: Sequence[str]


def over_seeds(
  runs: Sequence[Run],
  metrics: Sequence[str] | None = None,
  labels: Sequence[LabelSource] | None = None,
  subset: Subset | None = None,
  level: float = 0.05,
) -> OverSeeds:
  """Computes mean and spread of metrics over runs.

  Args:
    runs: at least two, of the same images, labels and protocol.
    metrics: names of metrics; by default top-1 and top-5.
    labels: what to count against; by default what the rows carry.
    subset: images to count once more by themselves.
    level: in (0, 1); intervals cover 1 - level.

  Raises:
    UserError: there is but one run, or runs differ in more than their training.
  """
  if len(runs) < 2:
    raise UserError(f'{len(runs)} run was given: a spread takes two or more')
  names = discovery.distinct_names(runs)
  for run in runs[1:]:
    found = (
      classes_difference(runs[0], run)
      or _protocols(runs[0], run)
      or _models(runs[0], run)
    )
    if found:
      raise UserError(f'{found}: a spread is of runs that differ in their seed alone')
  aligned = [
    alignment.align_run(run, name, labels, subset)
    for run, name in zip(runs, names, strict=True)
  ]
  first, *others = differences.known_first(aligned)
  for other in others:
    _check_same(first, other)
  each = [run.summary(labels, subset, metrics).metrics() for run in runs]
  by_key = [{(one.labels, one.key): one for one in entries} for entries in each]
  shared = [key for key in by_key[0] if all(key in known for known in by_key)]
  spreads = [_spread(*key, [known[key] for known in by_key], level) for key in shared]
  remarks = [*_remarks(runs, names), *alignment.contradictions(aligned)]
  return OverSeeds(list(runs), names, spreads, level, remarks)


def _protocols(one: Run, other: Run) -> str | None:
  found = differences.protocol_difference(one, other)
  sizes = [run.result.protocol.size for run in (one, other)]
  if found is None and sizes[0] != sizes[1]:
    found = f'size {sizes[0]} and {sizes[1]}'
  if found is not None:
    return f'{one.path} and {other.path} have different protocols: {found}'
  a, b = one.result.model.parameters, other.result.model.parameters
  if None not in (a, b) and a != b:
    return f'{one.path} has {a:,} parameters, {other.path} {b:,}'
  return None


def _models(one: Run, other: Run) -> str | None:
  """Returns in what the models of two runs are known to be no two trainings of one."""
  a, b = one.result.model, other.result.model
  if a.name != b.name and {a.name, b.name} <= table.known_models().keys():
    return f'{one.path} is of {a.name}, {other.path} of {b.name}'
  digests = {a.architecture_sha256, b.architecture_sha256} - {None}
  if len(digests) > 1:
    return f'the models of {one.path} and {other.path} compute different things'
  return None


def is_one_model(runs: Sequence[Run]) -> bool:
  """Whether runs are known to be of one model, whatever its weights.

  They are where the model has one name in all, or all have stored what it computes.
  """
  models = [run.result.model for run in runs]
  digests = {model.architecture_sha256 for model in models}
  return len({model.name for model in models}) == 1 or (
    len(digests) == 1 and None not in digests
  )


def _check_same(first: AlignedPredictions, other: AlignedPredictions) -> None:
  if found := differences.data_difference(first, other):
    raise UserError(f'{found}: a spread is of runs on the same images and labels')


def _spread(
  labels: str, metric: str, entries: list[MetricEntry], level: float
) -> Spread:
  values = [one.value for one in entries]
  known = [one for one in values if one is not None]
  if len(known) < len(values):
    lacking = next(one for one in entries if one.value is None)
    why = lacking.unavailable or 'there is no value'
    return Spread(labels, metric, entries, unavailable=str(why))
  mean, sd, error, low, high = of_values(known, level)
  return Spread(labels, metric, entries, mean, sd, error, low, high)


def of_values(
  values: Sequence[float], level: float
) -> tuple[float, float, float, float, float]:
  """Returns mean, standard deviation, standard error and interval of the mean.

  Args:
    values: at least two.
    level: in (0, 1).

  Returns:
    The interval is mean -/+ t * sd / sqrt(n), where t is the 1 - level / 2 quantile of
    Student's distribution with n - 1 degrees of freedom (Student, 1908), SciPy's.

  >>> [round(x, 4) for x in of_values([0.70, 0.72, 0.71], 0.05)]
  [0.71, 0.01, 0.0058, 0.6852, 0.7348]
  """
  # Of scipy.special: to import scipy.stats takes longer than all of this.
  from scipy import special

  n = len(values)
  mean = float(np.mean(values))
  sd = float(np.std(values, ddof=1))
  error = sd / math.sqrt(n)
  half = float(special.stdtrit(n - 1, 1 - level / 2)) * error
  return mean, sd, error, mean - half, mean + half


def _remarks(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
  found = []
  if not is_one_model(runs):
    called = listed(dict.fromkeys(run.result.model.name for run in runs))
    found.append(
      f'whether these are trainings of one model is not stored: models are {called}'
    )
  for at, run in enumerate(runs):
    for before in range(at):
      if same_weights(runs[before].result.model, run.result.model):
        found.append(
          f'{names[before]} and {names[at]} have the same weights: they are no two '
          'trainings, and the spread is too small'
        )
  return found
