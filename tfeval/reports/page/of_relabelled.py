"""Labels that were made again as a page."""

from collections.abc import Iterator

from tfeval.analysis.relabel.relabelled import Relabelled
from tfeval.reports.page.content import (
  Column,
  Document,
  Facts,
  Section,
  Table,
  counted,
  four_digits,
  percent,
)

_AGREEMENT = (
  Column('scores', 'scores'),
  Column('pairs', 'pairs', counted),
  Column('above', 'above', counted),
  Column('as_scores', 'as scores, %', percent),
  Column('as_golden', 'as golden, %', percent),
)
_CURVES = (
  Column('series', 'series'),
  Column('threshold', 'threshold', four_digits),
  Column('precision', 'precision, %', percent),
  Column('recall', 'recall, %', percent),
  Column('correct', 'correct', counted),
  Column('proposed', 'proposed', counted),
)


def document(found: Relabelled) -> Document:
  """Returns how scores agree, how many labels there are, and the curves."""
  rows = [
    (one.name, one.pairs, one.above, _share(one.with_scores), _share(one.with_golden))
    for one in found.agreement
  ]
  return Document(
    'Labels made again',
    [Section('Agreement', [Table('pairs of images and labels', _AGREEMENT, rows)])]
    + [*_labels(found), *_curves(found)],
    f'labels score more than {found.threshold:g}',
  )


def _share(counts: tuple[int, int] | None) -> float | None:
  return counts[0] / counts[1] if counts and counts[1] else None


def _labels(found: Relabelled) -> Iterator[Section]:
  if found.labelled_by is not None:
    facts = [(name, counted(value)) for name, value in found.counts.items()]
    yield Section('Labels', [Facts([('made by', found.labelled_by), *facts])])


def _curves(found: Relabelled) -> Iterator[Section]:
  if not found.curves:
    return
  rows = [
    (name, *(float(value) for value in point[:3]), *(int(value) for value in point[3:]))
    for name, curve in found.curves.items()
    for point in zip(
      curve.threshold,
      curve.precision,
      curve.recall,
      curve.correct,
      curve.proposed,
      strict=True,
    )
  ]
  yield Section(
    'Precision and recall', [Table("by the experts' answers", _CURVES, rows)]
  )
