"""The order in which CPython 3.6 walked through a set of small integers.

The lists in the published real.json stand in it: each was made by walking through the
set of an image's candidates. To reproduce the file and not only its sets, this is the
table that such a set was. Source: `set_add_entry`, `set_insert_clean` and
`set_table_resize` in Objects/setobject.c of CPython 3.6; later versions grow the
table earlier, which changes the order of sets of 19 and 20.
"""

from collections.abc import Iterable

_SMALLEST, _LINEAR_PROBES, _PERTURB_SHIFT = 8, 9, 5


def set_order(values: Iterable[int]) -> list[int]:
  """Returns different values in the order of the set that they are put into.

  Args:
    values: different integers, at least 0, in the order in which they come in.

  >>> set_order([608, 630, 636, 774])
  [608, 636, 630, 774]
  """
  table: list[int | None] = [None] * _SMALLEST
  for count, value in enumerate(values, start=1):
    _insert(table, value)
    # From two thirds on the table becomes more than four times its values.
    if count * 3 >= (len(table) - 1) * 2:
      old, size = table, _SMALLEST
      while size <= count * 4:
        size *= 2
      table = [None] * size
      for entry in old:
        if entry is not None:
          _insert(table, entry)
  return [value for value in table if value is not None]


def _insert(table: list[int | None], value: int) -> None:
  mask = len(table) - 1
  # A small integer is its own hash.
  perturb, place = value, value & mask
  while True:
    probes = _LINEAR_PROBES if place + _LINEAR_PROBES <= mask else 0
    for free in range(place, place + probes + 1):
      if table[free] is None:
        table[free] = value
        return
    perturb >>= _PERTURB_SHIFT
    place = (place * 5 + 1 + perturb) & mask
