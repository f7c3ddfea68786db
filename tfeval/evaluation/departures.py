"""What a pipeline does otherwise than a protocol: one step, or several at once."""

import dataclasses
import functools
import importlib.resources
import itertools
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tfeval.evaluation.config import EvaluationConfig
from tfeval.models.options import BGR
from tfeval.preprocess.protocol import Protocol, altered, resolve
from tfeval.utils import errors
from tfeval.utils.errors import UserError


@dataclasses.dataclass(frozen=True)
class Departure:
  """One thing that is done otherwise.

  Attributes:
    axis, value: its name, such as `resize` and `pillow-bilinear`.
    fields: of the protocol, by name.
    feed, dtype: options of the model, None for those of the base; an empty feed is the
      model's own.
    weights: of the model, `averages`; None: those of the base.
    size: of the input, relative to the model's own; None: its own.
    made: how often pipelines do so, 1: often, 0.1: rarely.
  """

  axis: str
  value: str
  fields: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)
  feed: str | None = None
  dtype: str | None = None
  size: float | None = None
  weights: str | None = None
  made: float = 0.3

  @property
  def text(self) -> str:
    return f'{self.axis}={self.value}'


# What is done at once; nothing: the base.
Cell = tuple[Departure, ...]


@functools.cache
def axes() -> dict[str, dict[str, Departure]]:
  """Returns the departures by axis and value."""
  found = {}
  for axis, entry in _table().items():
    usual = {'made': entry['made']}
    found[axis] = {
      value: Departure(axis, value, **usual | what)
      for value, what in entry['values'].items()
    }
  return found


def usual(models: Iterable[str] = ()) -> list[str]:
  """Returns the axes that are tried unless some are named.

  Args:
    models: as they were given; a file of one may hold averages of its weights.
  """
  has_file = any(one.endswith('.keras') for one in models)
  return [axis for axis in axes() if has_file or axis != 'weights']


def weights_of(cell: Cell, weights: str) -> str:
  """Returns which weights a cell is evaluated with.

  Args:
    cell: what is done otherwise.
    weights: of the base.
  """
  return next((one.weights for one in cell if one.weights is not None), weights)


def about(axis: str) -> str:
  """Returns what an axis is, in words."""
  return _table()[axis]['about']


@functools.cache
def _table() -> dict[str, Any]:
  path = importlib.resources.files('tfeval.evaluation') / 'departures.toml'
  return tomllib.loads(path.read_text('utf-8'))


def parse(text: str) -> list[Departure]:
  """Reads an axis of a grid.

  Args:
    text: `AXIS`, all of its values, or `AXIS=VALUE[,VALUE...]`.

  Raises:
    UserError: there is no such axis or value.

  >>> [one.text for one in parse('channels')]
  ['channels=bgr']
  """
  axis, equals, values = text.partition('=')
  if axis not in axes():
    raise errors.unknown('axis', axis, axes())
  known = axes()[axis]
  if not equals:
    return list(known.values())
  found = []
  for value in values.split(','):
    if value not in known:
      raise errors.unknown(f'value of {axis}', value, known)
    found.append(known[value])
  return found


def one_at_a_time(chosen: Iterable[Sequence[Departure]]) -> list[Cell]:
  """Returns the base and each departure by itself."""
  return [(), *((one,) for axis in chosen for one in axis)]


def grid(chosen: Iterable[Sequence[Departure]]) -> list[Cell]:
  """Returns every combination of departures, none of an axis among them."""
  options = [[None, *axis] for axis in chosen]
  return [
    tuple(one for one in cell if one is not None)
    for cell in itertools.product(*options)
  ]


def contradict(first: Departure, second: Departure) -> bool:
  """Whether two departures cannot be made at once: they say other things of one."""
  both = first.fields.keys() & second.fields.keys()
  return first.axis == second.axis or any(
    first.fields[one] != second.fields[one] for one in both
  )


def config_of(cell: Cell, config: EvaluationConfig, base: Protocol) -> EvaluationConfig:
  """Returns how a cell is evaluated.

  Args:
    cell: what is done otherwise.
    config: of the base.
    base: its protocol, at the size of the model's input.

  Raises:
    UserError: the departures contradict each other, or the base.
  """
  for first, second in itertools.combinations(cell, 2):
    if contradict(first, second):
      raise UserError(f'{first.text} and {second.text} exclude each other')
  fields = {key: value for one in cell for key, value in one.fields.items()}
  sizes = [one.size for one in cell if one.size is not None]
  size = round(base.size * sizes[0]) if sizes else base.size
  values: dict[str, Any] = {'protocol': altered(base, size, fields)}
  feeds = [one.feed for one in cell if one.feed is not None]
  if feeds:
    values['feed'] = '+'.join(sorted(feeds, key=lambda feed: feed != BGR)) or None
  for one in cell:
    if one.dtype is not None:
      values['dtype'] = one.dtype
  if sizes:
    values['input_size'] = size
  return config.replace(**values)


def named(change: Departure, base: Protocol) -> Departure | None:
  """Returns the departure of `axes` that does the same to a base; None: there is none.

  Args:
    change: fields, feed, dtype or size, whatever it is called.
    base: its protocol, at the size of the model's input.
  """
  wanted = _effect(change, base)
  each = (one for values in axes().values() for one in values.values())
  return next((one for one in each if _effect(one, base) == wanted), None)


def _effect(one: Departure, base: Protocol) -> tuple[Any, ...] | None:
  """Returns what a departure makes of a base, but for its name; None: it cannot."""
  size = base.size if one.size is None else round(base.size * one.size)
  try:
    protocol = resolve(altered(base, size, one.fields), size)
  except UserError:
    return None
  made = dataclasses.replace(protocol, name='')
  return made, one.feed, one.dtype, one.weights
