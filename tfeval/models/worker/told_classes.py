"""The classes that another framework tells of a model's outputs."""

import dataclasses
from typing import Any

from tfeval.datasets.labels import class_lists
from tfeval.models import class_maps
from tfeval.models.model import Model
from tfeval.models.options import PROBABILITIES
from tfeval.utils.errors import UserError


def named(model: Model, told: Any, class_map: str | None) -> Model:
  """Returns a model whose outputs have the names that its framework tells.

  `fitting.fit` then matches them with the classes of a dataset, as a class map's.

  Args:
    model: as it was loaded.
    told: a name for each output, such as `id2label` of transformers has; None: none.
    class_map: of the user, which is all that counts where it is given.

  Raises:
    UserError: they are no names, or of another number of outputs.
  """
  if told is None or class_map is not None:
    return model
  if not isinstance(told, list) or not all(isinstance(one, str) for one in told):
    raise UserError(
      f'{model.name} tells classes that are no list of texts: expected a name for each '
      'output'
    )
  found = class_lists.told(told, model.name)
  if model.outputs is not None and found.outputs != model.outputs:
    raise UserError(
      f'{model.name} tells {found.outputs} classes and returns {model.outputs} '
      'outputs: give `class_map=`FILE with an id or name for each output'
    )
  function = model.function
  if found.outputs != len(found.classes):
    function = class_maps.gathered(
      function, found.indices, model.output == PROBABILITIES
    )
  model.backend.output_space, model.backend.tells_classes = found.classes, True
  return dataclasses.replace(
    model, function=function, label_space=found.classes, outputs=len(found.classes)
  )
