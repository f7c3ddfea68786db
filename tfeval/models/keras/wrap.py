"""Models that are in memory already: trained in this process, not loaded by tfeval."""

import dataclasses
from typing import Any

import keras

from tfeval.models.backend import VALUES
from tfeval.models.keras import files, preprocess_function
from tfeval.models.keras.backend import FunctionBackend
from tfeval.models.keras.legacy import backend_of
from tfeval.models.keras.versions import is_model
from tfeval.models.model import Model, check_options, function_name
from tfeval.models.options import ModelOptions, not_of_applications
from tfeval.utils.errors import UserError

# Where the weights of such a model came from; it is known by their values.
MEMORY = 'memory'


def wrap(model: Any, name: str | None, known: ModelOptions) -> Model:
  """Returns a model in memory as the engine is given it.

  Args:
    model: a `keras.Model`, or one of Keras 2, that is built; a `Model`, as `load_model`
      returns it; or a function of images, float32 [n, size, size, 3] as `preprocess`
      makes them, that returns [n, outputs].
    name: by default the model's own.
    known: what cannot be known of it; of a `Model` all is known.

  Raises:
    UserError: it is none of these, is not built, returns no value for each of some
      classes, or the options lack something.
  """
  check_options(known)
  if name is not None and not (isinstance(name, str) and name):
    raise UserError(f'name is {name!r}, expected what the model is called in results')
  if isinstance(model, Model):
    return _taken(model, name, known)
  if is_model(model):
    name = model.name if name is None else name
    if not model.built:
      raise UserError(
        f'{name} is not built, it has no weights yet: call it on a batch '
        'of images first, or give its first layer an Input'
      )
    return files.described(backend_of(model), name, known, MEMORY, None)
  if any(one.__module__.partition('.')[0] == 'torch' for one in type(model).__mro__):
    raise UserError(
      'model is a module of PyTorch, which runs in a process of its own: give '
      "tfeval.load_model('torch:MODULE:FUNCTION'), a function that returns it"
    )
  if not callable(model) or isinstance(model, type):
    raise UserError(
      f'model is {str(model)[:80]!r}, expected a keras.Model, a function '
      'of images or what tfeval.load_model returns, which loads one by its name'
    )
  name = function_name(model) if name is None else name
  return files.described(FunctionBackend(model), name, known, MEMORY, None)


def check_waiting(model: keras.Model, name: str | None, known: ModelOptions) -> None:
  """Checks what can be checked of a model that is not built yet.

  Raises:
    UserError: the options cannot be right, or lack something.
  """
  check_options(known)
  files.check_options_of(model, model.name if name is None else name, known)


def _taken(model: Model, name: str | None, known: ModelOptions) -> Model:
  names = [*not_of_applications(), 'input_size']
  given = [name for name in names if getattr(known, name) is not None]
  if given:
    raise UserError(
      f'{given[0]} is known of {model.name}, which tfeval.load_model made: leave it out'
    )
  if model.preprocess_sha256 is not None:
    # What it uses may have been changed since.
    does = preprocess_function.check(
      model.preprocess, model.preprocess_name, model.name, model.input_size
    )
    model = dataclasses.replace(
      model, preprocess_sha256=does.sha256, preprocess_changes=does.changing
    )
  if VALUES in model.backend.capabilities:
    # It may have been trained since its file was read.
    model = dataclasses.replace(model, weights=MEMORY, weights_sha256=None)
  return model if name is None else dataclasses.replace(model, name=name)
