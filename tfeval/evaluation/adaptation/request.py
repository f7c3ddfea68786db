"""What `adapt` asks for: `METHOD[:key=value,...]` as a value."""

import dataclasses
import math
from typing import Any, ClassVar

from tfeval.utils import errors, paths, spec
from tfeval.utils.errors import UserError


@dataclasses.dataclass(frozen=True)
class Adaptation:
  """A method and its options."""

  NAME: ClassVar[str] = ''
  # Whether the model computes otherwise, and not only its outputs are changed.
  OF_LAYERS: ClassVar[bool] = True

  @property
  def text(self) -> str:
    """The method, and the options that differ from their default."""
    changed = [
      f'{field.name}={getattr(self, field.name)}'
      for field in dataclasses.fields(self)
      if getattr(self, field.name) != field.default
    ]
    return f'{self.NAME}:{",".join(changed)}' if changed else self.NAME

  def check(self) -> None:
    """Raises a UserError if the options cannot be right."""


@dataclasses.dataclass(frozen=True)
class BatchNorm(Adaptation):
  """Statistics of batch normalisation: of the target, or of the target and the source.

  Attributes:
    n: images in a batch, each normalised by its own batch (Schneider et al. 2020);
      None: statistics of the whole target (AdaBN, Li et al. 2016).
    N: how many images of the source its statistics count for beside a batch.
  """

  NAME = 'bn'
  n: int | None = None
  N: int | None = None

  @property
  def source_images(self) -> int:
    """`N`, or what it is by default."""
    return 16 if self.N is None else self.N

  @property
  def text(self) -> str:
    return self.NAME if self.n is None else f'bn:n={self.n},N={self.source_images}'

  def check(self) -> None:
    if self.n is None and self.N is not None:
      raise _wrong(self, 'N', 'the whole target has no N beside it: give n as well')
    _check_whole(self, 'n', 1, self.n)
    _check_whole(self, 'N', 0, self.N)


@dataclasses.dataclass(frozen=True)
class Tent(Adaptation):
  """Entropy, minimised over scales and offsets of layers (Wang et al. 2021).

  Attributes:
    lr, momentum: of stochastic gradient descent.
    steps: for each batch.
    batch: images in it.
  """

  NAME = 'tent'
  lr: float = 2.5e-4
  momentum: float = 0.9
  steps: int = 1
  batch: int = 64

  def check(self) -> None:
    if type(self.lr) not in (int, float) or not 0 < self.lr < math.inf:
      raise _wrong(self, 'lr', 'expected a number above 0')
    if type(self.momentum) not in (int, float) or not 0 <= self.momentum < 1:
      raise _wrong(self, 'momentum', 'expected a number from 0 to below 1')
    _check_whole(self, 'steps', 1, self.steps)
    _check_whole(self, 'batch', 1, self.batch)


@dataclasses.dataclass(frozen=True)
class OfSource(Adaptation):
  """What changes outputs by what a run on the source tells.

  Attributes:
    source: its directory.
  """

  OF_LAYERS = False
  source: str | None = None

  @property
  def text(self) -> str:
    return f'{self.NAME}:source={paths.path(self.source or "").name}'

  def check(self) -> None:
    if not isinstance(self.source, str):
      raise UserError(
        f'`adapt={self.NAME}` needs the run of the model on the source: give '
        f'`adapt={self.NAME}:source=RUN`'
      )


@dataclasses.dataclass(frozen=True)
class Prior(OfSource):
  """Probabilities under the class frequencies of the target (Saerens et al. 2002)."""

  NAME = 'prior'


@dataclasses.dataclass(frozen=True)
class Temperature(OfSource):
  """Probabilities under the temperature that fits the source (Guo et al. 2017)."""

  NAME = 'temperature'


METHODS: dict[str, type[Adaptation]] = {
  one.NAME: one for one in (BatchNorm, Tent, Prior, Temperature)
}


def parse(text: str) -> Adaptation:
  """Returns what a text asks for.

  Raises:
    UserError: it is no method, or an option is unknown or out of range.

  >>> parse('bn:n=50').text, parse('tent:steps=2').text
  ('bn:n=50,N=16', 'tent:steps=2')
  """
  given = spec.parse(text)
  if given.target not in METHODS:
    raise errors.unknown('adaptation', given.target, METHODS)
  method = METHODS[given.target]
  known = [field.name for field in dataclasses.fields(method)]
  for key, _ in given.options:
    if key not in known:
      raise errors.unknown(f'option of adapt={given.target}', key, known)
  found = method(**dict(given.options))
  found.check()
  return found


def absolute(text: str) -> str:
  """Returns the same with a path that holds from every working directory."""
  found = parse(text)
  if not isinstance(found, OfSource):
    return text
  return f'{found.NAME}:source={paths.absolute(str(found.source))}'


def _check_whole(value: Adaptation, name: str, least: int, given: Any) -> None:
  if given is not None and (type(given) is not int or given < least):
    raise _wrong(value, name, f'expected a whole number from {least} on')


def _wrong(value: Adaptation, name: str, reason: str) -> UserError:
  return UserError(f'adapt={value.NAME}: {name}={getattr(value, name)!r}: {reason}')
