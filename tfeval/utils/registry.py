"""What is known by name: ours, and what other installed packages add."""

import functools
import importlib
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tfeval.utils import errors

if TYPE_CHECKING:
  from importlib.metadata import EntryPoint

T = TypeVar('T')
_LOG = logging.getLogger('tfeval')


class Registry(Generic[T]):
  """Objects by name, imported when they are asked for.

  Another package adds to it by an entry point in its `pyproject.toml`:

      [project.entry-points."tfeval.metrics"]
      mine = "my_package.my_module:my_object"

  Our own names come first: no package can replace them. Entry points are read when
  a name is none of ours, or when all names are listed.

  >>> colors = Registry('color', {'red': 0xFF0000, 'tau': 'math:tau'})
  >>> colors['tau'], 'blue' in colors, list(colors)
  (6.283185307179586, False, ['red', 'tau'])
  """

  def __init__(
    self,
    kind: str,
    entries: Mapping[str, T | str],
    group: str | None = None,
    of: Callable[[Any], bool] = callable,
  ):
    """Nothing is imported yet.

    Args:
      kind: what is named, for messages, such as `'metric'`.
      entries: ours, in the order in which they are listed; a text is
        `'module:object'`.
      group: of entry points, such as `'tfeval.metrics'`; None if no other package
        adds to it.
      of: whether what another package adds is of this kind.
    """
    self.kind = kind
    self.entries, self._ours = dict(entries), frozenset(entries)
    self._group, self._of = group, of

  def get(self, name: str, hint: str = '') -> T:
    """Returns what has a name.

    Raises:
      UserError: nothing has it, with the closest names and the hint; or it is of
        another package, which cannot load it.
    """
    if name in self.entries:
      entry = self.entries[name]
      if not isinstance(entry, str):
        return entry
      module, _, attribute = entry.partition(':')
      self.entries[name] = found = getattr(importlib.import_module(module), attribute)
      return found
    if name in self._entry_points:
      self.entries[name] = found = self._load(self._entry_points[name])
      return found
    raise errors.unknown(self.kind, name, self, hint)

  def is_foreign(self, name: str) -> bool:
    """Returns whether what has a name is of another package."""
    return name in self._entry_points and name not in self._ours

  def described(self, name: str) -> str:
    """Returns what a name of another package stands for, and of which, in words."""
    point = self._entry_points[name]
    package = point.dist.name if point.dist else point.module
    return f'{self.kind} {name} of the package {package}'

  def _load(self, point: 'EntryPoint') -> Any:
    name = self.described(point.name)
    try:
      found = point.load()
    except Exception as error:  # The code of another package may raise anything.
      raise errors.UserError(
        f'{name} cannot be loaded ({point.value}): {type(error).__name__}: '
        f'{errors.one_line(error)}'
      ) from error
    if not self._of(found):
      raise errors.UserError(
        f'{name} is none: {point.value} is a {type(found).__name__}'
      )
    return found

  @functools.cached_property
  def _entry_points(self) -> dict[str, 'EntryPoint']:
    if self._group is None:
      return {}
    # Not before it is needed: to import it takes a tenth of the start of a command.
    from importlib.metadata import entry_points

    points = entry_points(group=self._group)
    return {point.name: point for point in sorted(points, key=lambda p: p.name)}

  def __getitem__(self, name: str) -> T:
    return self.get(name)

  def __contains__(self, name: object) -> bool:
    return name in self.entries or name in self._entry_points

  def __iter__(self):
    """Yields every name, ours first."""
    yield from dict.fromkeys([*self.entries, *self._entry_points])

  def items(self):
    """Yields every name with its object; what cannot be loaded is only warned of."""
    for name in list(self):
      try:
        yield name, self[name]
      except errors.UserError as error:
        _LOG.warning('%s', error)
