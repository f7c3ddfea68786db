"""Which corruptions there are, at which severities, as `corruptions.toml` has them."""

import dataclasses
import functools
import importlib.resources
import tomllib
from collections.abc import Iterable
from typing import Any

from tfeval.utils import errors
from tfeval.utils.errors import UserError

# What stands for no corruption, and for each of ImageNet-C at each severity.
NONE, ALL = 'none', 'all'
# What ImageNet-C has: its 15, and the four extra ones.
_OF_ALL = ('benchmark', 'extra')
# Inside of a protocol a colon would end its name.
_BETWEEN, _BETWEEN_IN_PROTOCOL = ':', '-'


@dataclasses.dataclass(frozen=True)
class Kind:
  """A corruption.

  Attributes:
    name: such as `fog`.
    group: `benchmark`, `extra` or `geometry`.
    parameters: of each severity from 1 on.
    needs_python: whether it is computed in NumPy, inside of `tf.numpy_function`.
    textures: SHA-256 of the files that it needs, by name.
  """

  name: str
  group: str
  parameters: tuple[Any, ...]
  needs_python: bool = False
  textures: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Corruption:
  """A corruption at a severity.

  Attributes:
    name: one of `kinds`.
    severity: from 1.
  """

  name: str
  severity: int

  @property
  def kind(self) -> Kind:
    """What is known of it whatever the severity."""
    return kinds()[self.name]

  @property
  def parameters(self) -> Any:
    """Those of its severity."""
    return self.kind.parameters[self.severity - 1]

  @property
  def text(self) -> str:
    """As users write it, such as `fog:3`."""
    return f'{self.name}{_BETWEEN}{self.severity}'

  @property
  def in_protocol(self) -> str:
    """As a protocol has it, such as `fog-3`."""
    return f'{self.name}{_BETWEEN_IN_PROTOCOL}{self.severity}'


@functools.cache
def kinds() -> dict[str, Kind]:
  """Returns the corruptions by name, in the order of the table."""
  path = importlib.resources.files('tfeval.preprocess') / 'corruptions.toml'
  found = tomllib.loads(path.read_text('utf-8'))
  return {
    name: Kind(name, **{**row, 'parameters': tuple(row['parameters'])})
    for name, row in found.items()
  }


def parse(text: str) -> Corruption:
  """Returns a corruption at a severity.

  Args:
    text: `NAME:SEVERITY` or, as in a protocol, `NAME-SEVERITY`.

  Raises:
    UserError: there is none of that name, or not so severe.

  >>> parse('fog:3') == parse('fog-3')
  True
  """
  name, _, severity = text.replace(_BETWEEN_IN_PROTOCOL, _BETWEEN).partition(_BETWEEN)
  if name not in kinds():
    raise errors.unknown('corruption', name, kinds())
  most = len(kinds()[name].parameters)
  if not severity.isdecimal() or not 1 <= int(severity) <= most:
    raise UserError(
      f'`corruption={text}`: the severity of {name} is a number from 1 to {most}, such '
      f'as {name}:{most}'
    )
  return Corruption(name, int(severity))


def expand(texts: Iterable[str]) -> list[str]:
  """Returns what several texts ask for, each at one severity, as users write it.

  Args:
    texts: `NAME:SEVERITY`; `NAME`, at each of its severities; `all`, the 19 of
      ImageNet-C at each; `none`; or several of these with commas.

  Raises:
    UserError: one is unknown, or is asked for twice.

  >>> expand(['none,flip', 'fog:3']), len(expand(['all']))
  (['none', 'flip:1', 'flip:2', 'fog:3'], 95)
  """
  found: list[str] = []
  for text in ','.join(texts).split(','):
    for one in _each(text.strip()):
      if one in found:
        raise UserError(f'`corruption={one}` was given twice: leave one out')
      found.append(one)
  return found


def _each(text: str) -> list[str]:
  if text == NONE:
    return [NONE]
  if text == ALL:
    names = [name for name, kind in kinds().items() if kind.group in _OF_ALL]
  elif text in kinds():
    names = [text]
  else:
    return [parse(text).text]
  return [
    Corruption(name, severity + 1).text
    for name in names
    for severity in range(len(kinds()[name].parameters))
  ]
