"""Mistakes of a run, or of several, as a table 80 columns wide and up, and as JSON."""

from collections.abc import Callable, Iterator
from typing import Any

from tfeval.analysis import mistakes as orders
from tfeval.analysis.hardest import Hardest
from tfeval.analysis.mistakes import Mistakes
from tfeval.reports import mistake_cells, mistake_rows, terminal
from tfeval.reports.formats import Output
from tfeval.runs import display
from tfeval.runs.result_file import counted
from tfeval.runs.run_key import RunKey
from tfeval.runs.top_classes import short

_BY = {
  orders.CONFIDENCE: 'the highest probability first',
  orders.LOSS: 'the highest loss first',
  orders.DISAGREEMENT: 'first where both are sure of themselves',
  orders.BY_ID: 'by id',
}


def write_table(
  found: Mistakes | Hardest, top: int, most: float, output: Output
) -> None:
  """Writes counts and a table with a row for each image.

  Args:
    found: the mistakes.
    top: how many predictions of each to show, 1 to 5; of several runs the class that
      most of them say is shown.
    most: of how many images there is a table; of more only the counts are written.
    output: where to.
  """
  width = terminal.width_of(output.file)
  if isinstance(found, Hardest):
    lines, remarks = _hardest_lines(found), found.of_first.remarks
    rows = _hard_rows(found)
  else:
    lines, remarks = summary(found), found.remarks
    rows = _rows(found, top)
  for line in lines:
    inner = '  ' * line.startswith(' ')
    terminal.print_paragraph(line.strip(), output.file, inner, f'{inner}  ')
  if 0 < len(found) <= most:
    terminal.print_line(file=output.file)
    terminal.print_table(mistake_cells.fitted(*rows, width), output.file)
  if remarks:
    terminal.print_line(file=output.file)
    terminal.print_remarks(map(output.wording, remarks), output.file)


def write_json(
  found: Mistakes | Hardest, top: int, most: float, output: Output
) -> None:
  """Writes a JSON object, always with all images and predictions that there are."""
  del top, most
  terminal.print_json(content(found, output.wording), output.file)


def content(
  found: Mistakes | Hardest, wording: Callable[[str], str] = str
) -> dict[str, Any]:
  """Returns mistakes as JSON can hold them."""
  if isinstance(found, Hardest):
    first = found.of_first
    counts = {key: one for key, one in _counts(first).items() if key != 'correct'}
    return {
      **counts,
      'runs': found.names,
      'images_by_missed': found.by_missed.tolist(),
      'remarks': [*map(wording, first.remarks)],
      'images': [mistake_rows.described_hard(one) for one in found],
    }
  return {
    'run': str(found.run.path),
    **_counts(found),
    'mistakes': found.counted.count - found.counted.correct,
    'unknown': found.unknown,
    'right_by_real': found.right_by_real,
    'without_real': found.without_real,
    **({} if found.other is None else {'other': _other(found)}),
    'remarks': [*map(wording, found.remarks)],
    'images': [mistake_rows.described(one) for one in found],
  }


def _counts(found: Mistakes) -> dict[str, Any]:
  of, as_ = (one and one.id for one in (found.of_class, found.as_class))
  return {
    'labels': found.labels,
    'rule': found.rule,
    'by': found.by,
    'correct': found.counted.correct,
    'count': found.counted.count,
    'skipped': found.counted.skipped,
    'of_class': of,
    'of_class_images': found.of_class_images,
    'as_class': as_,
    'found': found.found,
  }


def _other(found: Mistakes) -> dict[str, Any]:
  assert found.other is not None
  return {'run': str(found.other.run.path), **vars(found.other.agreement)}


def summary(found: Mistakes) -> Iterator[str]:
  """Yields lines that say of how many images what follows is."""
  yield RunKey.of(found.run.result).title
  yield _of_all(found)
  if found.other is not None:
    yield from _agreement_lines(found)
  elif found.of_class or found.as_class:
    yield f'  {found.found:,} of them {_classes(found)}'
  if found.right_by_real is not None and found.found:
    yield (
      f'  {found.right_by_real:,} of these are right by their {set_title(found)} '
      f'labels, {found.without_real:,} have none'
    )
  if found.unknown:
    yield f'  {found.unknown:,} have no stored probability: they are last'
  if len(found) < found.found:
    yield f'  shown: {len(found):,} of {found.found:,}, {_BY[found.by]}'


def _of_all(found: Mistakes) -> str:
  total = found.counted
  labels = display.labels_name(found.labels)
  rule = '' if found.rule == 'all' else f', class rule {found.rule}'
  wrong = total.count - total.correct
  skipped = f'; {total.skipped:,} have none' if total.skipped else ''
  return (
    f'  {wrong:,} of {total.count:,} images are wrong by their {labels} labels '
    f'({display.metric_name("original", "top1")} {100 * total.rate:.2f} %{rule}'
    f'{skipped})'
  )


def _classes(found: Mistakes) -> str:
  parts = []
  if found.of_class is not None:
    images = counted(found.of_class_images or 0, 'image')
    parts.append(f'are {found.of_class.name} ({found.of_class.id}, {images})')
  if found.as_class is not None:
    parts.append(f'are taken for {found.as_class.name} ({found.as_class.id})')
  return ' and '.join(parts)


def _agreement_lines(found: Mistakes) -> Iterator[str]:
  assert found.other is not None
  agreement = found.other.agreement
  yield f'other: {RunKey.of(found.other.run.result).title}'
  if found.of_class or found.as_class:
    yield f'  only images that {_classes(found)}'
  yield (
    f'  only the first is right: {agreement.only_first:,}; only the other: '
    f'{agreement.only_other:,}'
  )
  yield (
    f'  both are wrong and differ: {agreement.both_wrong_different:,}; both say the '
    f'same wrong class: {agreement.both_wrong_same:,}; both are right: '
    f'{agreement.both_right:,}'
  )


def _hardest_lines(found: Hardest) -> Iterator[str]:
  first, runs = found.of_first, len(found.names)
  labels = display.labels_name(first.labels)
  yield f'{runs} runs, {first.counted.count:,} images with {labels} labels'
  if first.of_class is not None:
    yield f'  only images that {_classes(first)}'
  yield f'  every run is right: {found.by_missed[0]:,} images'
  yield f'  every run is wrong: {found.by_missed[runs]:,} images'
  if first.found:
    yield (
      f'  shown: {len(found):,} of {first.found:,} that some run gets wrong, the most '
      'often missed first; with the mean probability of the wrong predictions'
    )


def _rows(found: Mistakes, top: int) -> tuple[list[str], list[list[terminal.Cell]]]:
  """Returns the titles of columns and the cells of each image."""
  has_real = found.rows.real is not None and found.labels != found.run.classes.label_set
  has_other = found.other is not None
  titles = ['image', 'label']
  titles += [set_title(found)] * has_real
  titles += ['prediction'] + ['other'] * has_other
  rows = []
  for one in found:
    cells: list[terminal.Cell] = [
      mistake_cells.image(one),
      mistake_cells.names(one.right),
    ]
    if has_real:
      cells.append(mistake_cells.real(one))
    shown = one.predictions[: 1 if has_other else top]
    cells.append(mistake_cells.predictions(shown, one.is_right))
    if one.other is not None:
      cells.append(mistake_cells.predictions([one.other], bool(one.other_is_right)))
    rows.append(cells)
  return titles, rows


def set_title(found: Mistakes) -> str:
  """Returns what readers call the sets of classes that the rows of a run carry."""
  return display.labels_name(found.run.classes.label_set)


def _hard_rows(found: Hardest) -> tuple[list[str], list[list[terminal.Cell]]]:
  has_real = found.of_first.rows.real is not None
  runs = len(found.names)
  titles = ['image', 'label', *[set_title(found.of_first)] * has_real]
  titles += ['most say', 'missed']
  rows = []
  for one in found:
    cells: list[terminal.Cell] = [
      mistake_cells.image(one.mistake),
      mistake_cells.names(one.mistake.right),
    ]
    if has_real:
      cells.append(mistake_cells.real_of(one))
    p = '' if one.confidence is None else f'{short(one.confidence)} '
    said = (f'{p}{one.said.name}', f'({one.said_by} of {runs})')
    rows.append([*cells, said, f'{one.missed}/{runs}'])
  return titles, rows
