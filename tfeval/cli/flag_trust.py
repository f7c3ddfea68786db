"""What flagfiles may not say: whatever runs code or reaches a service of others.

Flagfiles are handed on with runs. One that names a function of a module, a name that
another package has, or an address, starts what its author chose; that needs
`--trust_model` on the command line, where the user says it.
"""

import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from absl import flags

from tfeval.utils import flagfile, paths, spec
from tfeval.utils.errors import UserError

_LOG = logging.getLogger('tfeval')
_TRUST = 'trust_model'
# NAME/CONFIG:VERSION; of NAMESPACE:NAME TFDS may fetch the code too.
_OF_TFDS = re.compile(r'\w+(/[\w.+-]+)*(:[\d.*]+)?')
# Flags whose values are names of ours, texts to be matched, paths and patterns: whoever
# reads these runs nothing that they name. A text flag that is neither here nor in
# `_STARTS` needs trust, whatever it is given.
ONLY_DATA = frozenset(
  'weights class_map classes sample output_name split data_dir manual_dir real_labels '
  'cache_dir output_dir name log_dir figure expect labels keep omit per_class sort '
  'columns allow signature tags predictions probabilities order scores output raters '
  'golden raters_golden curve filter checkpoint_object margin output_file feed axis '
  'labels_of store_features align adapt beside reported only write_groups corruption '
  'report by frost_textures base sets_dir other of_class as_class crops '
  'hub_dataset model_name task_id value source_url source_name'.split()
)


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
      if starts(name, value):
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


def starts(name: str, value: str) -> bool:
  """Returns whether a value of a flag names code, a program or a service, or might."""
  if paths.is_url(value):
    return True
  if name in ONLY_DATA:
    return False
  return name not in _STARTS or _STARTS[name](value)


def _model(value: str) -> bool:
  """Whether a model is a function, or of another package; as `models.loading` sees."""
  from tfeval.models import patterns, table
  from tfeval.models.worker import kinds

  if value.startswith('@') and not os.path.exists(value):
    return True  # Of models that its lines name.
  if (several := patterns.expand([value])) != [value]:
    return any(map(_model, several))
  parsed = spec.parse(value)
  target = parsed.target
  if (kind := kinds.kind_of(parsed)) is not None:
    # Of the user's own modules; a library of operators.
    return kind.source in ('function', 'torch') or 'ops' in dict(parsed.options)
  if target.startswith('kerashub:'):
    return False
  if target in table.known_models() or paths.is_url(target) or os.path.exists(target):
    return False
  return ':' in target or target in table.LOADERS


def _dataset(value: str) -> bool:
  """Whether a dataset is of another package, or may be fetched with its code."""
  from tfeval.datasets import OPENERS, variants

  kind = re.split('[:/]', value)[0]
  if kind in OPENERS.entries or kind in variants.variants():
    return False
  return kind in OPENERS or not _OF_TFDS.fullmatch(spec.split(value)[0])


def _suite(value: str) -> bool:
  """Whether a suite is a file that names such datasets, or none that can be read."""
  from tfeval.datasets import suites

  if value in suites.suites():
    return False
  try:
    return any(map(_dataset, suites.datasets_of(value)))
  except UserError:
    return True


def _protocol(value: str) -> bool:
  from tfeval.models import published
  from tfeval.preprocess import protocol

  target = spec.parse(value).target
  return (
    target not in (*published.RECIPES, *protocol.named_protocols().entries)
    and target in protocol.named_protocols()
  )


def _metrics(value: str) -> bool:
  from tfeval.metrics import registry

  names = {name.strip() for name in value.split(',')} - registry.METRICS.entries.keys()
  return any(name in registry.METRICS for name in names)


def _exports(value: str) -> bool:
  from tfeval.reports import formats

  return value not in formats.EXPORTS.entries and value in formats.EXPORTS


def _tracker(value: str) -> bool:
  """Whether a tracker is more than files on this machine."""
  kind, _, where = value.partition(':')
  if kind == 'mlflow':
    return not where.startswith(('sqlite:', 'file:'))
  return value != 'wandb:offline' and kind != 'tensorboard'


_STARTS: Mapping[str, Callable[[str], bool]] = {
  'model': _model,
  'preprocess': flagfile.names_function,
  'dataset': _dataset,
  'suite': _suite,
  'protocol': _protocol,
  'metrics': _metrics,
  'metric': _metrics,
  'to': _exports,
  'log_to': _tracker,
  'tpu': flagfile.is_address,
}
