"""Which values of options run code, a program or a service: whatever a stranger names.

Flagfiles and plans are handed on with runs. One that names a function of a module, a
name that another package has, or an address, starts what its author chose; that needs
`trust_model`, said by whoever runs it.
"""

import os
import re
from collections.abc import Callable, Mapping

from tfeval.utils import flagfile, paths, spec
from tfeval.utils.errors import UserError

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
  'hub_dataset model_name piece share task_id value source_url source_name'.split()
)


def starts(name: str, value: str) -> bool:
  """Returns whether a value of a flag names code, a program or a service, or might."""
  if paths.is_url(value):
    return True
  if name in ONLY_DATA:
    return False
  return name not in _STARTS or _STARTS[name](value)


def _model(value: str) -> bool:
  """Whether a model is a function, or of another package; as `models.loading` sees."""
  from tfeval.models import patterns

  if value.startswith('@') and not os.path.exists(value):
    return True  # Of models that its lines name.
  if (several := patterns.expand([value])) != [value]:
    return any(map(_model, several))
  return starts_model(spec.parse(value))


def starts_model(parsed: spec.Spec) -> bool:
  """Returns whether a model, as it is loaded, is code, or may be."""
  from tfeval.models import table
  from tfeval.models.worker import kinds

  target = parsed.target
  if '://' in target:
    return True
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

  if '://' in value:
    return True
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
  'ray_address': flagfile.is_address,
}
