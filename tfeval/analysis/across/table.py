"""Models in rows, test sets in columns: values, ranks, means."""

import dataclasses
from collections.abc import Sequence

from tfeval.analysis import robustness
from tfeval.analysis.across import same_images
from tfeval.analysis.across.cells import OF_SETS, Cell, make_cell, with_mean_error
from tfeval.analysis.across.places import IMAGENET, Place, full_name, place_of
from tfeval.analysis.corruption_errors import of_mce
from tfeval.datasets.variants import variants
from tfeval.runs.run import Failure, Run
from tfeval.utils import errors
from tfeval.utils.errors import UserError, listed
from tfeval.utils.shown import Shown

MEAN = 'mean'


@dataclasses.dataclass(frozen=True)
class Row:
  """A model.

  Attributes:
    name: its name.
    cells: by the name of the set.
    mean: of the values on the sets that all models have, in [0, 1]; None without any.
  """

  name: str
  cells: dict[str, Cell]
  mean: float | None = None


@dataclasses.dataclass(frozen=True, repr=False)
class Across(Shown):
  """Models on test sets.

  Attributes:
    places: the sets, in the order of columns, those that are known first.
    rows: the models, sorted.
    sort: the set that they are sorted by, or `mean`.
    base: the model that relative robustness is to; None without.
    shared: the sets whose mean is taken.
    remarks: what a reader must know.
    failures: runs that are not there.
  """

  DOCUMENT = 'tfeval.reports.page.of_across:document'

  places: list[Place]
  rows: list[Row]
  sort: str
  base: str | None
  shared: list[str]
  remarks: list[str]
  failures: list[Failure]


def across(
  runs: Sequence[Run | Failure],
  sort: str | None = None,
  base: str | None = None,
  allow_data: bool = False,
) -> Across:
  """Puts runs on several test sets side by side.

  Args:
    runs: complete ones, and failures that are told.
    sort: the name of a set, or `mean`; by default the first set.
    base: the model that others are held against on each set; None: none is.
    allow_data: whether runs on a set may be of unlike images, which is then told.

  Raises:
    UserError: a model has two runs on a set, runs on a set are of unlike images, one
      lacks the rule of a set's authors, or nothing is called `sort` or `base`.
  """
  complete = [run for run in runs if isinstance(run, Run)]
  failures = [run for run in runs if isinstance(run, Failure)]
  grouped = _grouped(complete)
  remarks = same_images.check(complete, allow_data)
  places = _ordered({p.name: p for p in map(place_of, complete)})
  rows = []
  for name, of_model in grouped.items():
    clean = of_model.get(IMAGENET)
    cells = {
      place.name: make_cell(name, place, of_model[place.name], clean, remarks)
      for place in places
      if place.name in of_model
    }
    rows.append(Row(name, cells))
  rows = _with_mean_errors(rows, places, remarks)
  shared = [
    place.name for place in places if all(_is_accuracy(row, place.name) for row in rows)
  ]
  rows = [dataclasses.replace(row, mean=_mean(row, shared)) for row in rows]
  rows = _against(_ranked(rows, places), base)
  chosen = _sort(sort, places, shared)
  rows.sort(key=lambda row: _order(row, chosen))
  remarks = list(dict.fromkeys(remarks + _protocols(complete)))
  return Across(places, rows, chosen, base, shared, remarks, failures)


def _order(row: Row, name: str) -> tuple[bool, float, str]:
  value = _sorted_by(row, name)
  return (value is None, -(value or 0.0), row.name)


def _with_mean_errors(
  rows: Sequence[Row], places: Sequence[Place], remarks: list[str]
) -> list[Row]:
  """Returns the rows with mean errors over the corruptions that all models have."""
  found = [dict(row.cells) for row in rows]
  for place in places:
    cells = [row[place.name] for row in found if place.name in row]
    if place.part is None:
      continue
    names = [
      name
      for name in cells[0].extra
      if ':' not in name and name not in OF_SETS and all(name in c.extra for c in cells)
    ]
    if place.name == 'imagenet_c':  # Of which four are for validation.
      names = [name for name in names if name in of_mce()]
    of = f'mean error over {len(names)} corruptions, which all models have whole'
    remarks.append(
      f'{place.name}: {of if names else "no mean error: no corruption is whole"}'
    )
    for row in found:
      if place.name in row:
        row[place.name] = with_mean_error(row[place.name], names)
  pairs = zip(rows, found, strict=True)
  return [dataclasses.replace(row, cells=cells) for row, cells in pairs]


def _grouped(runs: Sequence[Run]) -> dict[str, dict[str, list[Run]]]:
  """Returns the runs of each model on each set."""
  found: dict[str, dict[str, list[Run]]] = {}
  for run in runs:
    place = place_of(run)
    there = found.setdefault(full_name(run), {}).setdefault(place.name, [])
    other = next((one for one in there if place_of(one).part == place.part), None)
    if other is not None:
      raise UserError(
        f'{other.path} and {run.path} are both of {full_name(run)} on {place.name}: '
        'leave one out'
      )
    there.append(run)
  return found


def _ordered(places: dict[str, Place]) -> list[Place]:
  """Returns the sets: ImageNet first, then as they are listed, then others."""
  known = [IMAGENET, *variants()]

  def key(place: Place) -> tuple[int, str]:
    name = place.name.partition('/')[0]
    return (known.index(name) if name in known else len(known), place.name)

  return sorted(places.values(), key=key)


def _value(row: Row, name: str) -> float | None:
  return row.cells[name].value if name in row.cells else None


def _is_accuracy(row: Row, name: str) -> bool:
  """Whether what a model has on a set is an accuracy, no other measure."""
  return _value(row, name) is not None and 'aupr' not in row.cells[name].extra


def _mean(row: Row, shared: Sequence[str]) -> float | None:
  values = [value for name in shared if (value := _value(row, name)) is not None]
  return sum(values) / len(values) if values else None


def _ranked(rows: Sequence[Row], places: Sequence[Place]) -> list[Row]:
  """Returns the rows with ranks by each set, and how these change from clean ones."""
  found = [dict(row.cells) for row in rows]
  for place in places:
    there = [row[place.name] for row in found if place.name in row]
    for row in found:
      cell = row.get(place.name)
      if cell is not None and cell.value is not None:
        rank = 1 + _better(cell.value, [one.value for one in there])
        row[place.name] = dataclasses.replace(
          cell, rank=rank, change=_change(cell, there)
        )
  pairs = zip(rows, found, strict=True)
  return [dataclasses.replace(row, cells=cells) for row, cells in pairs]


def _better(value: float, others: Sequence[float | None]) -> int:
  return sum(other is not None and other > value for other in others)


def _change(cell: Cell, cells: Sequence[Cell]) -> int | None:
  """Returns how many places worse a model is than on the clean partner, or None."""
  if cell.gap is None or cell.value is None:
    return None
  both = [(one.value, one.gap.clean.rate) for one in cells if one.gap is not None]
  return _better(cell.value, [value for value, _ in both]) - _better(
    cell.gap.clean.rate, [rate for _, rate in both]
  )


def _against(rows: Sequence[Row], base: str | None) -> list[Row]:
  """Returns the rows with what each model has beyond a base model on each set."""
  if base is None:
    return list(rows)
  known = {row.name: row.cells for row in rows}
  if base not in known:
    raise errors.unknown('model to hold others against', base, known)
  return [
    dataclasses.replace(
      row,
      cells={
        name: _beyond(cell, known[base].get(name)) for name, cell in row.cells.items()
      },
    )
    for row in rows
  ]


def _beyond(cell: Cell, base: Cell | None) -> Cell:
  if base is None or cell.value is None or base.value is None:
    return cell
  gained = robustness.relative_robustness(cell.value, base.value)
  return dataclasses.replace(cell, relative=gained)


def _sort(sort: str | None, places: Sequence[Place], shared: Sequence[str]) -> str:
  names = [place.name for place in places]
  known = [*names, *([MEAN] if shared else [])]
  if sort is None:
    return names[0]
  if sort not in known:
    raise errors.unknown('set to sort by', sort, known)
  return sort


def _sorted_by(row: Row, name: str) -> float | None:
  return row.mean if name == MEAN else _value(row, name)


def _protocols(runs: Sequence[Run]) -> list[str]:
  """Says where runs that are beside each other have unlike protocols."""
  found: dict[str, set[str]] = {}
  for run in runs:
    place = place_of(run)
    if place.part is None:
      found.setdefault(place.name, set()).add(run.result.protocol.text)
  return [
    f'{name}: runs by unlike protocols: {listed(sorted(texts))}'
    for name, texts in found.items()
    if len(texts) > 1
  ]
