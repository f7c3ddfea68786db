"""What an evaluation is, as its manifest says, and whose a run directory is."""

import dataclasses
import logging
import platform
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

import tfeval
from tfeval.datasets import base
from tfeval.datasets.options import FAIL
from tfeval.engine import strategies
from tfeval.engine.options import MOST_BATCH_SIZE
from tfeval.engine.self_test import SelfTest
from tfeval.evaluation import fingerprint
from tfeval.evaluation.adaptation.request import Tent
from tfeval.evaluation.config import EvaluationConfig
from tfeval.metrics.entry import RESTRICTED
from tfeval.models.model import Model
from tfeval.preprocess import device_canvas
from tfeval.preprocess.protocol import Protocol, comparable
from tfeval.runs import run, run_directory
from tfeval.runs.result_file import (
  DONE,
  HOSTS,
  MANIFEST,
  PREDICTIONS,
  RESULT,
  SCHEMA_VERSION,
  ClassesSection,
  Manifest,
)
from tfeval.runs.run_classes import BY_CLASS, RunClasses
from tfeval.runs.run_key import RunKey
from tfeval.utils import files, locks
from tfeval.utils.errors import BeingWritten, UserError
from tfeval.utils.paths import Path

_LOG = logging.getLogger('tfeval')
# Of a run that is there.
FOUND = (
  '%s is complete: shown as it is, its images are not looked at (`overwrite` evaluates '
  'again)'
)
# What digests of code say in words.
_EDITED = {
  'model.architecture_sha256': 'the model computed something else when it was made',
  'model.preprocess_sha256': 'the preprocessing did something else when it was made',
}
_SECTIONS = ('model', 'dataset', 'protocol', 'store', 'compute')


def build_manifest(
  model: Model,
  classes: RunClasses,
  dataset: base.ImageDataset,
  protocol: Protocol,
  config: EvaluationConfig,
  strategy: tf.distribute.Strategy,
  batch_size: int,
  hosts: int,
  tested: SelfTest | None = None,
  features: int = 0,
) -> Manifest:
  """Returns what is run: all that a result may depend on.

  Args:
    model, classes, dataset, protocol, config, strategy: what is run, and where.
    batch_size: images in a step over all replicas of a host.
    hosts: how many there are.
    tested: how exact devices are that resize; None where the host does.
    features: how many features of an image are stored.
  """
  described, there = model.describe(), model.backend.describe()
  if model.weights_sha256 is None:
    # There is no file to be known by: a factory may return another model every time.
    described['values_sha256'] = fingerprint.model_sha256(model)
  elif computes := fingerprint.architecture_sha256(model):
    described['architecture_sha256'] = computes
  if matched := classes.describe(model.matched, model.order_of_outputs):
    described['matched'] = matched
  return Manifest.from_json(
    {
      'schema_version': SCHEMA_VERSION,
      'model': described,
      'dataset': {
        **dataset.describe(),
        'on_error': config.dataset.on_error,
        **({'classes': own} if (own := ClassesSection.of(classes.dataset)) else {}),
      },
      'protocol': protocol.describe(),
      'store': {
        'logits': config.store.logits,
        'classes': classes.kept(),
        'rows_per_part': config.store.rows_per_part,
        **({'restricted': kept} if (kept := classes.kept(RESTRICTED)) else {}),
        **(
          {'features': {'layer': config.store.features, 'dimension': features}}
          if features
          else {}
        ),
      },
      'compute': {
        'versions': {
          'tfeval': tfeval.__version__,
          'python': platform.python_version(),
          **there['versions'],
          'tensorflow_datasets': tfds.__version__,
          'numpy': np.__version__,
        },
        'code_sha256': fingerprint.code_sha256(),
        'devices': there['devices'],
        'strategy': type(strategy).__name__.removesuffix('V1').lstrip('_'),
        'replicas': strategies.local_replicas(strategy),
        'hosts': hosts,
        'batch_size': batch_size,
        'dtype': model.dtype,
        'jit': config.devices.jit or strategies.always_compiles(strategy),
        'tf32': tf.config.experimental.tensor_float_32_execution_enabled(),
        'resize_on': config.devices.resize_on,
        'rank_on': config.devices.rank_on,
        **(
          {}
          if tested is None
          else {
            'canvas': config.devices.canvas or device_canvas.DEFAULT_CANVAS,
            'self_test': dataclasses.asdict(tested),
          }
        ),
      },
    }
  )


def read_manifest(directory: Path) -> dict[str, Any]:
  """Reads the manifest of an evaluation, or of a host's share.

  Raises:
    UserError: it is damaged, or of something else.
  """
  found = files.read_json(directory / MANIFEST, directory)
  if not isinstance(found, dict) or not all(
    isinstance(found.get(section), dict) for section in _SECTIONS
  ):
    raise UserError(f'{directory / MANIFEST} is damaged')
  return found


def stored_batch_size(directory: Path) -> int | None:
  """Returns the batch size of the run in a directory, None if there is none.

  What else is wrong with it is told where it is resumed.
  """
  try:
    there = files.read_json(directory / MANIFEST, directory)
    found = there['compute']['batch_size']
  except (OSError, UserError, TypeError, KeyError):
    return None
  return found if type(found) is int and 0 < found <= MOST_BATCH_SIZE else None


def difference(there: dict[str, Any], here: dict[str, Any]) -> tuple | None:
  """Returns the first (key, value there, value here) in which two manifests differ.

  Args:
    there, here: manifests of two runs.

  Raises:
    UserError: one is not as `build_manifest` makes it.
  """
  try:
    mine, other = _flat(here), _flat(there)
  except (TypeError, KeyError, AttributeError) as error:
    raise UserError('a manifest is damaged') from error
  return next(
    (
      (key, other.get(key), value)
      for key, value in mine.items()
      if other.get(key) != value
    ),
    None,
  )


def _flat(manifest: dict[str, Any]) -> dict[str, Any]:
  manifest = {
    **manifest,
    'protocol': comparable(manifest['protocol']),
    # Rows with features are other rows than those without.
    'store': {'features': None, **manifest['store']},
  }
  return {
    f'{section}.{key}': value
    for section in _SECTIONS
    for key, value in manifest[section].items()
  }


def is_identifiable(manifest: Manifest) -> bool:
  """Returns whether a model could be known to be the same when it is loaded again."""
  return why_unidentifiable(manifest) is None


def why_unidentifiable(manifest: Manifest) -> str | None:
  """Returns why a model could be another one when it is loaded again, None if not."""
  model = manifest.model
  if model.preprocess_changes:
    return (
      f'its preprocessing {model.preprocess} may do something else each time '
      f'({", ".join(model.preprocess_changes)})'
    )
  if (model.weights_sha256 or model.values_sha256) is None:
    of_function = (model.name or '').startswith('function:')
    return 'it has no weights file' + ' and tells no version' * of_function
  return None


def why_begins_again(manifest: Manifest) -> str | None:
  """Returns why an interrupted run begins again, None if it goes on."""
  adaptation = manifest.model.adaptation
  if adaptation is not None and adaptation.text.startswith(Tent.NAME):
    return f'adapted by {adaptation.text}, its answers hang on all images before'
  return why_unidentifiable(manifest)


def complete_run(
  directory: Path, manifest: Manifest, overwrite: bool
) -> run.Run | None:
  """Returns the complete run that is in a directory already, if it is the same one.

  Args:
    directory: of the run.
    manifest: what is to be run there.
    overwrite: whether whatever is there will be replaced.

  Raises:
    UserError: the directory holds something else, or what it holds is damaged.
  """
  if overwrite:
    return None
  advice = 'give this one a `name`, choose another `output_dir`, or `overwrite` it'
  model = manifest.model
  if model.weights_sha256 is None and (directory / RESULT).is_file():
    raise UserError(
      f'{directory} holds a complete run of a model without a weights '
      f'file, which may have been another one: {advice}'
    )
  if not is_identifiable(manifest) and (directory / RESULT).is_file():
    raise UserError(
      f'{directory} holds a complete run, which may be of another model: '
      f'{why_unidentifiable(manifest)}: {advice}'
    )
  if not _same(directory, manifest, RESULT, advice):
    return None
  try:
    found = run.load_run(directory)
    for _ in found.parts(['id']):
      pass
  except BeingWritten:
    raise
  except UserError as error:
    raise UserError(f'{directory} holds a damaged run ({error}): {advice}') from error
  locks.remove_abandoned(directory)
  _LOG.info(FOUND, directory)
  return found


def is_done(directory: Path, manifest: Manifest) -> bool:
  """Returns whether a host's directory says that it holds its share of the same run.

  Raises:
    UserError: the directory holds something else.
  """
  return _same(
    directory, manifest, DONE, f'delete {directory}, or start this host as before'
  )


def _another(
  directory: Path, there: dict[str, Any], here: Manifest, other: tuple, advice: str
) -> UserError:
  """Returns the error of an experiment that meets another one."""
  key, theirs, ours = other
  try:
    title = RunKey.of(Manifest.from_json(there)).title
  except (UserError, ValueError, TypeError, KeyError):  # Damaged beyond that.
    title = 'another experiment'
  mine = RunKey.of(here).title
  this = f', this is {mine}' if mine != title else ''
  if key == 'model.matched' and _of_own_rules(theirs) == _of_own_rules(ours):
    return UserError(
      f'{directory} holds {title}, made before validation images were ranked by the '
      f'rules of other test sets: {advice}'
    )
  edited = _EDITED.get(key)
  if edited is not None:
    return UserError(
      f'{directory} holds {title}{this}: {edited} ({key} differs): {advice}'
    )
  return UserError(
    f'{directory} holds {title}{this}: {key} is {repr(theirs)[:200]} there and '
    f'{repr(ours)[:200]} here: {advice}'
  )


def _of_own_rules(matched: Mapping[str, Any] | None) -> dict[str, Any]:
  """Returns how outputs were matched, but for the rules of other test sets."""
  found = {'by': BY_CLASS, **(matched or {})}
  rules = [one for one in found.pop('rules', None) or () if not one.get('partner')]
  return found | {'rules': rules}


def _same(directory: Path, manifest: Manifest, last: str, advice: str) -> bool:
  """Returns whether the last file is there, of an experiment that is the same."""
  if not run_directory.holds_manifest(directory, ignored=(HOSTS,)):
    return False
  complete = (directory / last).is_file()
  try:
    there = read_manifest(directory)
    other = difference(there, manifest)
    if (
      other
      and other[0] == 'dataset.on_error'
      and (not complete or last == DONE and other[1] == FAIL)
    ):
      # What stopped a run may be skipped in the same place; what did not stop it has
      # skipped nothing.
      there['dataset']['on_error'] = other[2]
      other = difference(there, manifest)
  except UserError as error:
    raise UserError(f'{directory / MANIFEST} is damaged: {advice}') from error
  if other and (complete or any((directory / PREDICTIONS).glob('part-*.parquet'))):
    raise _another(directory, there, manifest, other, advice)
  return complete and not other
