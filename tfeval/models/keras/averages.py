"""Moving averages of weights (`use_ema=True`) that a `.keras` file has beside them."""

import io
import pathlib
import zipfile

import h5py
import keras
import numpy as np

from tfeval.models.keras import trust
from tfeval.models.options import AVERAGES
from tfeval.utils.errors import UserError

_WEIGHTS = 'model.weights.h5'
_OPTIMIZER, _INNER = 'optimizer', 'inner_optimizer'


def load(model: keras.Model, path: pathlib.Path, name: str) -> None:
  """Gives a model the averages of its weights that the optimizer kept.

  Keras stores an optimizer's variables by number: how many steps were made, the
  learning rate unless it is a schedule, then an average of each trainable weight
  (`keras/src/optimizers/base_optimizer.py`, `build`).

  Args:
    model: read from the file.
    path: of the file, `.keras`.
    name: the model's.

  Raises:
    UserError: there are no averages in it.
  """
  known, where = _optimizer(path)
  if not known.get('use_ema'):
    raise UserError(
      f'{name} has no moving averages of its weights, which an optimizer with '
      f'use_ema=True leaves in a .keras file: leave `weights={AVERAGES}` out'
    )
  first = 1 + isinstance(known.get('learning_rate'), int | float)
  trained = model.trainable_variables
  with (
    zipfile.ZipFile(path) as archive,
    h5py.File(io.BytesIO(archive.read(_WEIGHTS)), 'r') as file,
  ):
    stored = file.get(where, {})
    values = [stored.get(str(first + i)) for i in range(len(trained))]
    if any(
      not isinstance(value, h5py.Dataset) or value.shape != tuple(weight.shape)
      for value, weight in zip(values, trained, strict=True)
    ):
      raise UserError(
        f'the moving averages in {name} are not those of its {len(trained)} trainable '
        'weights: save it again with its optimizer'
      )
    for value, weight in zip(values, trained, strict=True):
      weight.assign(np.asarray(value))


def _optimizer(path: pathlib.Path) -> tuple[dict, str]:
  """Returns the config of the optimizer in a file, and where its variables are.

  One that scales the loss has another inside of it, which has the averages.

  Returns:
    Empty: the file has none.
  """
  found = trust.read_config(path) if zipfile.is_zipfile(path) else None
  where = _OPTIMIZER
  for key in ('compile_config', 'optimizer', 'config'):
    found = _inside(found, key)
  while inner := _inside(_inside(found, _INNER), 'config'):
    found, where = inner, f'{where}/{_INNER}'
  return found or {}, f'{where}/vars'


def _inside(found: dict | None, key: str) -> dict | None:
  value = None if found is None else found.get(key)
  return value if isinstance(value, dict) else None
