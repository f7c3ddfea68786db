"""`tfeval.compare` and `tfeval.leaderboard`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tfeval.api import checks, given
from tfeval.utils.errors import UserError

if TYPE_CHECKING:
  from tfeval.analysis.across.table import Across
  from tfeval.analysis.comparison import Comparison
  from tfeval.analysis.leaderboard import Leaderboard


def compare(
  *runs: Any,
  labels: Any = None,
  keep: given.Path | None = None,
  omit: given.Path | None = None,
  data_dir: given.Path | None = None,
  metric: str = 'top1',
  margin: str | None = None,
  common: bool = False,
  level: float = 0.05,
  seed: int = 0,
) -> 'Comparison':
  """Compares runs on the same images, pair by pair.

  Args:
    *runs: two or more: run directories, folders of such, or `Run`s.
    labels: names of label sets or paths of label files, one or several; by default all
      that the rows of all runs carry.
    keep, omit: lists of ids: images to compare once more by themselves, and images to
      leave out of these.
    data_dir: where TFDS has prepared the multi-label set.
    metric: what a hit is.
    margin: how much worse than the first run others may be, such as `'1%'` or
      `'0.5pt'`.
    common: whether to compare on the images that all runs have where they differ.
    level: of significance; intervals cover 1 - level.
    seed: of the bootstrap.

  Raises:
    UserError: the runs are not of the same images or labels, or a value is none.
  """
  from tfeval.analysis import comparison, kept

  known = checks.level(level), checks.seed(seed)
  checks.paired_metric(metric)
  allowed = None if margin is None else kept.parse_margin(margin)
  found = given.complete(runs)
  read = given.labels_and_subset(found, labels, keep, omit, data_dir)
  return comparison.compare(found, *read, metric, common, allowed, *known)


def leaderboard(
  *runs: Any,
  labels: Any = None,
  keep: given.Path | None = None,
  omit: given.Path | None = None,
  data_dir: given.Path | None = None,
  sort: str | None = None,
  base: str | None = None,
  level: float = 0.05,
  allow: str | Sequence[str] = (),
  reference: bool = False,
) -> 'Leaderboard | Across':
  """Ranks runs, those that cannot be told apart on one rank.

  Args:
    *runs: run directories, folders of such, or `Run`s; what is not complete is told.
    labels, keep, omit, data_dir: see `compare`; of runs on one test set.
    sort: LABELS/METRIC to rank by, such as `'real/top1'`; of several test sets the name
      of one, or `'mean'`.
    base: of several test sets the model that others are held against.
    level: of significance.
    allow: what may differ among runs that are ranked together: `data`, `protocol`.
    reference: whether packaged results of public models stand beside them; nothing is
      tested against these.

  Returns:
    A `Leaderboard`; of runs on several test sets an `Across`.

  Raises:
    UserError: no run is complete, runs differ in what they may not, or a value is none.
  """
  from tfeval.analysis import leaderboard as boards
  from tfeval.analysis import reference_results
  from tfeval.analysis.across import places, table
  from tfeval.runs.run import Run

  level = checks.level(level)
  allowed = checks.allowed(given.texts('allow', allow))
  found = given.found(runs)
  if places.are_several([run for run in found if isinstance(run, Run)]):
    values = {'labels': labels, 'keep': keep, 'omit': omit}
    for name, value in values.items():
      if value is not None and value != []:
        raise UserError(of_one_set(name))
    if reference:
      raise UserError(of_one_set('reference'))
    return table.across(found, sort, base, 'data' in allowed)
  if base is not None:
    raise UserError('`base` is for runs on several test sets: leave it out')
  read = given.labels_and_subset(found, labels, keep, omit, data_dir)
  board = boards.rank(found, *read, sort, level, allowed)
  return reference_results.with_references(board) if reference else board


def of_one_set(name: str) -> str:
  """Says that something is not for runs on several test sets."""
  return (
    f'`{name}` is for runs on the same images, these are of several test sets: '
    'leave it out, or give runs on one set'
  )
