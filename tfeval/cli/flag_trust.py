"""What flagfiles may not say: whatever runs code or reaches a service of others.

Which values do: `evaluation.trusted_values`. They need `--trust_model` on the command
line, where the user says it.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from absl import flags

from tfeval.evaluation import trusted_values
from tfeval.utils import flagfile
from tfeval.utils.errors import UserError

_LOG = logging.getLogger('tfeval')
_TRUST = 'trust_model'


class Line(NamedTuple):
  """A flag of a flagfile.

  Attributes:
    path: of the file.
    flag: what stands in the line.
  """

  path: str
  flag: flagfile.Flag

  @property
  def place(self) -> str:
    """File and line, for a message."""
    return f'{self.path}, line {self.flag.number}'


def check(flag_values: flags.FlagValues, origins: Mapping[str, Sequence[Line]]) -> None:
  """Checks that flagfiles start nothing that the command line does not trust.

  A `--trust_model` of a flagfile is taken back.

  Args:
    flag_values: as they were given.
    origins: the lines of those that flagfiles gave, and nothing beside these.

  Raises:
    UserError: a value names code, a program or a service, or might.
  """
  advice, given = 'give it on the command line if you trust it', False
  if _TRUST in flag_values:
    advice = (
      f'look at the file, and give --{_TRUST} on the command line if you trust it'
    )
    given = bool(flag_values[_TRUST].value)
    if given and _TRUST not in origins:
      return
    flag_values[_TRUST].value = False
  for name, lines in origins.items():
    for value in _texts(flag_values[name]):
      if trusted_values.starts(name, value):
        line = next((one for one in lines if one.flag.value == value), lines[-1])
        raise UserError(
          f'{line.place}: --{name}={value[:200]} can run code or reach a service of '
          f'whoever wrote the file: {advice}'
        )
  if given:
    _LOG.warning(
      f'{origins[_TRUST][-1].place}: `{_TRUST}` of a flagfile does not count: give it '
      'on the command line if you trust whoever made the model'
    )


def _texts(flag: flags.Flag) -> list[str]:
  """Returns the values of a flag that takes any text; else none."""
  if isinstance(flag, flags.EnumFlag) or hasattr(flag.parser, 'words'):
    return []  # Nothing but words of ours, or a number.
  values = flag.value if isinstance(flag.value, list) else [flag.value]
  return [value for value in values if isinstance(value, str)]
