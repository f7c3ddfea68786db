"""The model that a callback evaluates: the one in training, or one beside it."""

import logging
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfeval.evaluation.waiting import WaitingEvaluator
from tfeval.keras import callers
from tfeval.models.keras.versions import is_model, is_own, model_class
from tfeval.models.model import function_name
from tfeval.runs.run import Run
from tfeval.utils import errors
from tfeval.utils.arguments import shown
from tfeval.utils.errors import UserError

_LOG = logging.getLogger('tfeval')
# A model, or what returns it of the one in training.
Chosen = keras.Model | Callable[[keras.Model], keras.Model] | None
_WAY = 'give EvaluateCallback the one to evaluate, such as model=student'


def checked(chosen: Any) -> Chosen:
  """Returns `model` of a callback.

  Raises:
    UserError: it is neither a model nor a function.
  """
  if chosen is None or is_model(chosen):
    return chosen
  if callable(chosen) and not isinstance(chosen, type):
    return chosen
  raise UserError(
    f'model is {shown(chosen)}, expected a keras.Model, or a function that returns one '
    'of the model in training'
  )


class EvaluatedModel:
  """A model, evaluated while it or another one is trained.

  Attributes:
    trained: the model in training.
    evaluator: has its data at once, and its model from the first `take` on.
  """

  def __init__(
    self, trained: keras.Model, chosen: Chosen, dataset: Any, how: dict[str, Any]
  ):
    """Opens the data.

    Args:
      trained: the model in training.
      chosen: the model to evaluate, None for that one; a function is asked before each
        evaluation, so that it may copy averages.
      dataset, how: as of `tfeval.evaluate`.

    Raises:
      UserError: as `WaitingEvaluator`.
    """
    self.trained, self._chosen = trained, chosen
    self._taken: keras.Model | None = None
    self.evaluator = WaitingEvaluator(trained, dataset, **how)

  @property
  def is_taken(self) -> bool:
    return self._taken is not None

  def begin(self) -> None:
    """Takes the model where it is there before the first batch, else checks it.

    Raises:
      UserError: it cannot be evaluated.
    """
    if self._is_function() and not self._can_be_asked():
      return
    model = self._model()
    if model.built:
      self._take(model)
    else:
      self.evaluator.check(model)

  def take(self) -> bool:
    """Takes the model as it is now; returns whether it is another one.

    Raises:
      UserError: it cannot be evaluated.
    """
    return self._take(self._model())

  def _is_function(self) -> bool:
    return self._chosen is not None and not is_model(self._chosen)

  def _can_be_asked(self) -> bool:
    """Whether the function has all it needs, of what the first batch makes."""
    try:
      self._chosen(self.trained)
    except Exception:  # It is asked again, and what it raises then is told.
      return False
    return True

  def _model(self) -> keras.Model:
    if not self._is_function():
      found = self.trained if self._chosen is None else self._chosen
    else:
      name = function_name(self._chosen)
      try:
        found = self._chosen(self.trained)
      except Exception as error:  # The user's own code may raise anything.
        raise UserError(f'model={name} failed: {errors.one_line(error)}') from error
      if not is_model(found):
        raise UserError(f'model={name} returned {shown(found)}, expected a keras.Model')
    if type(found).call is model_class(found).call:
      raise UserError(f'{found.name} has no call, so it gives no outputs: {_WAY}')
    return found

  def _take(self, model: keras.Model) -> bool:
    if self._taken is not None and _is_same(model, self._taken):
      return False
    if not model.built:
      raise UserError(
        f'{model.name} is not built after the first batches, which did not call it: '
        f'{_WAY}'
      )
    self.evaluator.take(model, side_of(model, self.trained))
    self._taken = model
    return True


class Stale:
  """Tells where a model beside the one in training is not trained."""

  def __init__(self):
    self._values, self._step, self._told = None, 0, False

  def check(self, run: Run, step: int) -> None:
    """Warns, once, of a run of the same values as the one before.

    As where a cell has made a new student, and the callback has the one of before.
    """
    values = run.result['model']['values_sha256']
    if step > self._step and values == self._values and not self._told:
      self._told = True
      _LOG.warning(
        f'{run.result["model"]["name"]} has the same weights at steps {self._step} and '
        f'{step}: is it the one that is trained? (`model` of EvaluateCallback)'
      )
    self._values, self._step = values, step


def _is_same(model: keras.Model, other: keras.Model) -> bool:
  """Returns whether two models are one, or made of the same layers in the same way."""
  if model is other:
    return True
  layers, others = (
    [id(layer) for layer in one._flatten_layers(include_self=False)]
    for one in (model, other)
  )
  return layers == others and _wiring(model) == _wiring(other)


def _wiring(model: keras.Model) -> Any:
  """Returns what a model tells of itself but for its name."""
  if not is_own(type(model)):
    return id(model)  # It may call its layers in any way.
  return {key: value for key, value in model.get_config().items() if key != 'name'}


def side_of(model: keras.Model, trained: keras.Model) -> int | None:
  """Returns the side of the images that a model is fed, None if that is not known.

  Args:
    model: tells it if it was built by a batch.
    trained: else the batches of its `fit`, which is running.
  """
  config = model.get_build_config() or {}
  shape = getattr(model, 'input_shape', None) or config.get('input_shape')
  side = _side(shape)
  if side is None:
    x = callers.argument_of_fit(trained, 'x')
    spec = x.element_spec if isinstance(x, tf.data.Dataset) else x
    shapes = [getattr(one, 'shape', None) for one in tf.nest.flatten(spec)]
    sides = {found for found in map(_side, shapes) if found is not None}
    side = sides.pop() if len(sides) == 1 else None
  return side


def _side(shape: Any) -> int | None:
  """Returns the side of square images of three channels, None of other shapes."""
  try:
    sizes = tuple(shape)
  except (TypeError, ValueError):  # A shape of no known rank.
    return None
  if len(sizes) != 4 or sizes[3] != 3 or sizes[1] != sizes[2]:
    return None
  return sizes[1]
