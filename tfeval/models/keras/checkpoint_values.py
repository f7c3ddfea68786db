"""Puts the values of a checkpoint into a model that is there."""

import contextlib
import gc
import logging
from collections.abc import Iterator

import keras
import numpy as np

from tfeval.models.keras import checkpoint_objects, checkpoints, size_budget, weights
from tfeval.models.keras.checkpoints import Checkpoint
from tfeval.utils import errors
from tfeval.utils.errors import Lasting, UserError

# What `keras.callbacks.OrbaxCheckpoint` stores of a model; the rest is the optimizer's.
_STATE = ('trainable_variables', 'non_trainable_variables')
_INSTALL = "Orbax checkpoints need pip install 'tfeval[orbax]'"


def load(
  model: keras.Model, checkpoint: Checkpoint, name: str, called: str | None = None
) -> None:
  """Loads a checkpoint into all of a model's weights.

  Args:
    model: built.
    checkpoint: of it: a `.keras` or `.weights.h5` file; what a `tf.train.Checkpoint`
      wrote; or what `keras.callbacks.OrbaxCheckpoint` did.
    name: the model's.
    called: what it is called in a `tf.train.Checkpoint`, see `checkpoint_objects`.

  Raises:
    Lasting: it is whole, and of another model.
    UserError: it is damaged, half written, gone, or of another model. The model has
      some of its values then, perhaps.
  """
  if checkpoint.kind == checkpoints.WEIGHTS:
    weights.load(model, checkpoint.path, name)
    return
  try:
    if checkpoint.kind == checkpoints.TENSORFLOW:
      checkpoint_objects.restore(model, checkpoint.path, called)
    elif checkpoint.kind == checkpoints.KERAS:
      _keras(model, checkpoint, name)
    else:
      _orbax(model, checkpoint)
  except UserError:
    raise
  # Of zip, HDF5, TensorFlow and Orbax, each with its own for what is not whole.
  except Exception as error:
    raise UserError(
      f'checkpoint {checkpoint.path} is damaged, not whole or of another model than '
      f'{name}: {errors.one_line(error)}'
    ) from error


def _keras(model: keras.Model, checkpoint: Checkpoint, name: str) -> None:
  size_budget.check_archive(checkpoint.path)
  try:
    with weights.none_missing():
      model.load_weights(checkpoint.path)
  except Exception as error:
    # The list of its members, the last of the archive, is there.
    raise Lasting(
      f'checkpoint {checkpoint.path} is of another model than {name}: '
      f'{errors.one_line(error)}'
    ) from error


def _orbax(model: keras.Model, checkpoint: Checkpoint) -> None:
  try:
    from orbax.checkpoint import v1 as ocp
  except ImportError as error:
    raise UserError(_INSTALL) from error
  with _first_error_alone():
    found = ocp.load_checkpointables(str(checkpoint.path), {'pytree': None})
  stored = found['pytree']
  for key in _STATE:
    _assign(getattr(model, key), stored.get(key, {}))


@contextlib.contextmanager
def _first_error_alone() -> Iterator[None]:
  """Where of many arrays that are read at once one error is raised, and none printed.

  asyncio prints a traceback of each other one, once it is forgotten.
  """
  logger = logging.getLogger('asyncio')
  before, logger.disabled = logger.disabled, True
  try:
    yield
  except Exception as error:
    raise ValueError(errors.one_line(error)) from None
  finally:
    gc.collect()
    logger.disabled = before


def _assign(variables, tree) -> None:
  flat = _flat(tree)
  for variable in variables:
    if variable.path not in flat:
      raise ValueError(f'it has no {variable.path}')
    variable.assign(np.asarray(flat[variable.path]))


def _flat(tree, above: str = '') -> dict:
  found = {}
  for key, value in tree.items():
    if isinstance(value, dict):
      found |= _flat(value, f'{above}{key}/')
    else:
      found[above + key] = value
  return found
