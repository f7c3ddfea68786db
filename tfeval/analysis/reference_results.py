"""Results of public models that are packaged, to stand beside one's own.

`reference_results.tsv` has the counts of each on the 50,000 validation images by three
label sets, and its rank among them; `configs/reference_results.sh` makes it of the
predictions. These are not packaged, so that nothing can be tested against them.
"""

import dataclasses
import functools
from collections.abc import Mapping

from tfeval.analysis.leaderboard import Leaderboard, Row
from tfeval.datasets.labels import imagenet, label_errors
from tfeval.datasets.labels.sets import ORIGINAL, REAL
from tfeval.metrics import registry
from tfeval.metrics.accuracy import Count
from tfeval.utils import fact_table
from tfeval.utils.errors import UserError

LABELS = (ORIGINAL, REAL, label_errors.NAME)
METRICS = ('top1', 'top5')


@dataclasses.dataclass(frozen=True)
class ReferenceResult:
  """What a public model gets right of the 50,000 validation images.

  Attributes:
    name: of the model.
    counts: by (label set, metric).
    ranks: by label set, of top-1 among all of these, as a leaderboard ranks: models of
      one rank do not differ significantly from the best of them.
  """

  name: str
  counts: Mapping[tuple[str, str], Count]
  ranks: Mapping[str, int]


@functools.cache
def read_results() -> tuple[ReferenceResult, ...]:
  """Returns the packaged results, best first.

  >>> read_results()[0].name, read_results()[0].counts['original', 'top1']
  ('nasnetlarge_keras_imagenet', Count(correct=40413, count=50000, skipped=0))
  """
  return tuple(
    _result(row) for row in fact_table.rows('tfeval.analysis', 'reference_results.tsv')
  )


def _result(row: dict[str, str]) -> ReferenceResult:
  counts = {}
  for labels in LABELS:
    count = int(row[f'{labels}_count'])
    for metric in METRICS:
      correct = int(row[f'{labels}_{metric}'])
      skipped = imagenet.NUM_VALIDATION - count
      counts[labels, metric] = Count(correct, count, skipped)
  ranks = {labels: int(row[f'{labels}_rank']) for labels in LABELS}
  return ReferenceResult(row['model'], counts, ranks)


def with_references(board: Leaderboard) -> Leaderboard:
  """Returns a leaderboard with the packaged results in the order of their figures.

  They have no rank among the runs: that would need their predictions. Their own ranks
  are those among all references alone.

  Args:
    board: of runs of ImageNet's classes.

  Raises:
    UserError: it is of other classes.
  """
  runs = [row.run for row in board.rows if row.run is not None]
  space = imagenet.label_space()
  if other := next(
    (run for run in runs if run.label_space.digest != space.digest), None
  ):
    raise UserError(
      f'reference results are of the 1000 classes of ILSVRC2012, {other.path} is of '
      f'{len(other.label_space):,} others: leave `reference` out'
    )
  references = [
    Row(one.name, counts=dict(one.counts), ranks=dict(one.ranks), reference=True)
    for one in read_results()
  ]
  rated = [
    row for row in [*board.rows, *references] if _rate(row, board.sort) is not None
  ]
  others = [row for row in [*board.rows, *references] if row not in rated]
  sign = -1 if registry.get_metric(board.sort[1]).higher_is_better else 1
  # Of equal figures runs stay in their order, before references.
  rated.sort(key=lambda row: sign * (_rate(row, board.sort) or 0.0))
  return dataclasses.replace(
    board, rows=rated + others, remarks=[*board.remarks, *_remarks(board)]
  )


def _rate(row: Row, key: tuple[str, str]) -> float | None:
  count = row.counts.get(key)
  return count.correct / count.count if count and count.count else None


def _remarks(board: Leaderboard) -> list[str]:
  found = [
    'reference: packaged results of public models on the 50,000 validation images; '
    'their predictions are not, so no difference from them is tested and they have no '
    'rank among runs; their packaged ranks are by top-1 among all references alone, '
    'equal (=) where not told apart; protocols may differ'
  ]
  counts = {
    row.counts[ORIGINAL, 'top1'].count
    for row in board.rows
    if (ORIGINAL, 'top1') in row.counts
  }
  if counts - {imagenet.NUM_VALIDATION}:
    sizes = ' or '.join(f'{one:,}' for one in sorted(counts))
    found.append(f'DIFFERENT IMAGES: these runs are of {sizes} images, references not')
  return found


def columns(board: Leaderboard) -> list[list[str]]:
  """Returns runs as rows of `reference_results.tsv`, the names of its columns first.

  Args:
    board: with the label sets of `LABELS`, and tests.

  Raises:
    UserError: it has others.
  """
  if list(board.labels) != list(LABELS) or board.tests is None:
    raise UserError(
      f'`format=tsv` is of the label sets {", ".join(LABELS)} of the same images, in '
      f'this order; these are {", ".join(board.labels)}'
    )
  names = ['model']
  for labels in LABELS:
    names += [f'{labels}_{name}' for name in (*METRICS, 'count', 'rank')]
  found = [names]
  for row in board.rows:
    if row.run is None:
      raise UserError(f'{row.name} has no result: {row.failure or "it is a reference"}')
    values = [row.name]
    for labels in LABELS:
      top1, top5 = (row.counts[labels, metric] for metric in METRICS)
      values += map(str, (top1.correct, top5.correct, top1.count, row.ranks[labels]))
    found.append(values)
  return found
