"""The images that are got wrong: the most confidently, and the hardest for all."""

from collections.abc import Mapping, Sequence

from tfeval.analysis.hardest import Hardest
from tfeval.analysis.mistake import Mistake
from tfeval.analysis.mistakes import Mistakes
from tfeval.reports.page import content, names
from tfeval.reports.page.content import (
  Column,
  Gallery,
  Missing,
  Part,
  Picture,
  Section,
  Table,
)
from tfeval.runs.top_classes import ClassPrediction, short

# Rows of the table; thumbnails are as many as one asks for.
ROWS = 100
_NO_THUMBNAILS = (
  'none are shown: ImageNet may not be redistributed, so that a page holds images only '
  'where it is asked to: give `images=12`'
)
_THEIRS = 'These images are in this file: those of ImageNet may not be redistributed.'


def section(
  found: Mistakes | Hardest, thumbnails: Mapping[str, bytes | str] | None
) -> Section:
  """Returns the images as a table, and some as thumbnails.

  Args:
    found: what models get wrong, at most `ROWS` of these.
    thumbnails: a JPEG by the image's id, or why there is none; None: they were not
      asked for.
  """
  hard = isinstance(found, Hardest)
  parts: list[Part] = [table(found)]
  if thumbnails is None:
    parts.append(Missing('Thumbnails', _NO_THUMBNAILS))
  else:
    parts += _gallery(found, thumbnails)
  title = 'Hardest images' if hard else 'Most confidently wrong images'
  return Section(title, parts)


def ids_of(found: Mistakes | Hardest, count: int) -> list[str]:
  """Returns the ids of the first images."""
  rows = found.of_first.rows if isinstance(found, Hardest) else found.rows
  return rows.ids[:count].to_pylist()


def table(found: Mistakes | Hardest) -> Table:
  """Returns a row for each image."""
  if isinstance(found, Hardest):
    return _hardest(found)
  rows = [
    (one.id, _names(one), _real(one), one.predictions[0].name.replace('_', ' '),
     one.confidence, one.loss, _top(one.predictions), _by_real(one))
    for one in found
  ]  # fmt: skip
  columns = (
    Column('id', 'image'),
    Column('label', 'label'),
    Column('real', 'ReaL set'),
    Column('predicted', 'taken for'),
    Column('confidence', 'confidence %', content.percent),
    Column('loss', 'loss', content.four_digits),
    Column('predictions', 'first five'),
    Column('right_by_real', 'right by ReaL'),
  )
  there = [i for i, _ in enumerate(columns) if any(row[i] is not None for row in rows)]
  wrong = found.counted.count - found.counted.correct
  return Table(
    f'Wrong by {names.of(found.labels, found.rule)}, by {found.by}',
    [columns[i] for i in there],
    [[row[i] for i in there] for row in rows],
    f'{wrong:,} of {found.counted.count:,} images are wrong.',
    more=max(0, found.found - len(rows)),
  )


def _hardest(found: Hardest) -> Table:
  first = found.of_first
  rows = [
    (one.mistake.id, _names(one.mistake), _real(one.mistake), one.missed,
     one.said.name, one.said_by, one.confidence, _top(one.mistake.predictions))
    for one in found
  ]  # fmt: skip
  columns = (
    Column('id', 'image'),
    Column('label', 'label'),
    Column('real', 'ReaL set'),
    Column('missed', f'missed by, of {len(found.names)}', content.counted),
    Column('said', 'most often taken for'),
    Column('said_by', 'by', content.counted),
    Column('confidence', 'mean confidence %', content.percent),
    Column('predictions', f'first five of {found.names[0]}'),
  )
  there = [i for i, _ in enumerate(columns) if any(row[i] is not None for row in rows)]
  every = int(found.by_missed[-1])
  return Table(
    f'Images that most runs miss by {names.of(first.labels, first.rule)}',
    [columns[i] for i in there],
    [[row[i] for i in there] for row in rows],
    f'{every:,} images are missed by all {len(found.names)} runs.' if rows else '',
  )


def _gallery(
  found: Mistakes | Hardest, thumbnails: Mapping[str, bytes | str]
) -> Sequence[Part]:
  pictures: list[Picture] = []
  missing: dict[str, int] = {}
  mistakes = [one.mistake for one in found] if isinstance(found, Hardest) else [*found]
  for one in mistakes:
    if one.id not in thumbnails:
      continue
    jpeg = thumbnails[one.id]
    if isinstance(jpeg, str):
      missing[jpeg] = missing.get(jpeg, 0) + 1
    lines = [('label', _names(one) or content.NOT_KNOWN)]
    if (real := _real(one)) is not None:
      lines.append(('ReaL', real))
    lines += [(f'{p.rank}', _said(p)) for p in one.predictions]
    pictures.append(Picture(one.id, jpeg if isinstance(jpeg, bytes) else None, lines))
  run = found.names[0] if isinstance(found, Hardest) else None
  whose = '' if run is None else f' 1 to 5 are the first classes of {run}.'
  parts: list[Part] = [Gallery('The first of these', pictures, _THEIRS + whose)]
  parts += [
    Missing(f'Thumbnails of {count:,} images', reason)
    for reason, count in missing.items()
  ]
  return parts


def _names(one: Mistake) -> str | None:
  return ', '.join(named.name for named in one.right) or None


def _real(one: Mistake) -> str | None:
  if one.real is None:
    return None
  return ', '.join(named.name for named in one.real) or 'empty'


def _by_real(one: Mistake) -> str | None:
  return None if one.right_by_real is None else ('yes' if one.right_by_real else 'no')


def _said(one: ClassPrediction) -> str:
  name = one.name.replace('_', ' ')
  known = one.probability == one.probability
  return f'{name} {short(one.probability)}' if known else name


def _top(predictions: Sequence[ClassPrediction]) -> str:
  return ', '.join(map(_said, predictions))
