"""From a model's outputs to the classes of the dataset that it is evaluated on."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfeval.datasets.labels import class_lists, imagenet
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.models import class_maps, table
from tfeval.models.model import (
  BY_CLASS,
  BY_ORDER,
  Model,
  OutputOrder,
  numbers_hint,
  of_space,
  wrong_outputs,
)
from tfeval.utils.errors import UserError, listed


def fit(
  model: Model, classes: LabelSpace, listed: Sequence[int] | None = None
) -> Model:
  """Returns a model that says classes of a dataset, and perhaps others behind them.

  Where nothing names its outputs, they are the classes by order: all of them, or those
  that the dataset lists. Else outputs are matched by `class_lists.match`; those that
  mean no class of the dataset compete all the same, as classes of their own behind the
  dataset's.

  Args:
    model: as it was loaded.
    classes: the dataset's.
    listed: those that it has, as of `ImageDataset.own_classes`.

  Returns:
    The model with another `label_space`: the dataset's classes, then the others.
    `said` tells which of them its outputs are, `matched` is `'order'` or `'class'`,
    None if it names the same classes in the same order.

  Raises:
    UserError: the number of outputs is another, or none of them means a class.
  """
  named = model.label_space
  if named is None:
    # Of 1001 outputs the preflight tells which of them is the background class.
    background = classes.digest == imagenet.label_space().digest
    known = (None, len(classes), *([len(classes) + 1] if background else []))
    if model.outputs not in known:
      if listed is not None and model.outputs == len(listed):
        return _by_order(model, classes, np.array(listed, np.int64))
      raise wrong_outputs(model.name, (None, model.outputs), classes, listed)
    return dataclasses.replace(
      model, label_space=classes, outputs=len(classes), matched=BY_ORDER
    )
  own = named.class_ids[: len(classes)]
  if named.digest == classes.digest or (model.matched and own == classes.class_ids):
    return model
  class_of = class_lists.match(named, classes)
  if class_of is None:
    raise UserError(
      f'{model.name} has the outputs of {of_space(named)}, the dataset '
      f'{of_space(classes)}, and no output means one of these: '
      f'{_how_to_match(model.name, len(classes))}{numbers_hint(classes, len(named))}'
    )
  if _is_told(model) and len(named) == len(classes) and -1 in class_of:
    if not class_lists.is_same_order(class_of):
      raise _other_words(model, named, classes, class_of)
    return dataclasses.replace(model, label_space=classes)
  return _matched(model, named, classes, np.array(class_of))


def _is_told(model: Model) -> bool:
  """Returns whether names of outputs are those that its framework tells."""
  return model.backend.tells_classes and model.label_space == model.backend.output_space


def _other_words(
  model: Model, named: LabelSpace, classes: LabelSpace, class_of: Sequence[int]
) -> UserError:
  """Returns the error for as many outputs as classes, of which some mean none.

  They might be the same classes in other words, and in another order.
  """
  taken = set(class_of)
  outputs = [named.class_names[i] for i, one in enumerate(class_of) if one < 0]
  lacking = [classes.class_names[i] for i in range(len(classes)) if i not in taken]
  return UserError(
    f'{model.name} tells {len(named)} classes in another order than the dataset, and '
    f'{len(outputs)} that this does not have ({listed(outputs, 3)}), as it has '
    f'{len(lacking)} others ({listed(lacking, 3)}): give `class_map=`FILE with an id '
    'or name for each output'
  )


def _how_to_match(name: str, count: int) -> str:
  if table.application(name) is None:
    return 'give `class_map=`FILE with an id or name for each output'
  return (
    f'give {table.give_classes(name, count)}, or a dataset whose classes are called '
    'by wnids or names of ImageNet'
  )


def _by_order(model: Model, classes: LabelSpace, listed: np.ndarray) -> Model:
  named = _those(classes, listed)
  return dataclasses.replace(_matched(model, named, classes, listed), matched=BY_ORDER)


def _those(space: LabelSpace, indices: np.ndarray) -> LabelSpace:
  """Returns some classes of a space, in an order."""
  return LabelSpace(
    space.name,
    tuple(space.class_ids[i] for i in indices),
    tuple(space.class_names[i] for i in indices),
  )


def _matched(
  model: Model, named: LabelSpace, classes: LabelSpace, class_of: np.ndarray
) -> Model:
  inside = class_of >= 0
  values, counts = np.unique(class_of[inside], return_counts=True)
  if (counts > 1).any():
    double = classes.class_ids[values[counts > 1][0]]
    which = [
      named.class_ids[i] for i in np.flatnonzero(class_of == values[counts > 1][0])
    ]
    raise UserError(
      f'{model.name} has {len(which)} outputs that mean {double} ({listed(which)}): '
      'expected one at most'
    )
  others = np.flatnonzero(~inside)
  taken = set(classes.class_ids)
  ids = [named.class_ids[i] for i in others]
  # An id that means another class of the dataset than the name says.
  ids = [f'other:{one}' if one in taken else one for one in ids]
  space = LabelSpace(
    classes.name,
    (*classes.class_ids, *ids),
    (*classes.class_names, *(named.class_names[i] for i in others)),
  )
  class_of = class_of.copy()
  class_of[others] = len(classes) + np.arange(len(others))
  order = np.argsort(class_of)
  said = class_of[order]
  identical = len(said) == len(space)
  return dataclasses.replace(
    model,
    function=class_maps.gathered(model.function, order, False),
    label_space=space,
    outputs=len(said),
    said=None if identical else said,
    # By the names that the dataset has for its classes.
    as_returned=OutputOrder(_those(space, class_of), class_of),
    matched=BY_CLASS,
  )
