"""`tfeval.list_models` and `tfeval.list_datasets`."""

import fnmatch
from typing import TYPE_CHECKING

from tfeval.utils.errors import UserError

if TYPE_CHECKING:
  from tfeval.datasets.variants import Variants
  from tfeval.models.facts import Models


def list_models(filter: str | None = None) -> 'Models':
  """Lists the models that are known by name, with their published figures.

  Args:
    filter: those with this text in their names, or that match this pattern, such as
      `'ResNet*V2'` or `'torchvision:*'`; case is ignored.

  Raises:
    UserError: no model is called so.

  >>> [model.name for model in list_models('resnet*v2')][:2]
  ['ResNet101V2', 'ResNet152V2']
  """
  from tfeval.models import facts_of_frameworks, table
  from tfeval.models.facts import Models

  if filter is None:
    return Models(table.rows())
  pattern = filter.lower()
  rows = table.rows()
  if pattern.startswith('torch'):
    rows = facts_of_frameworks.torchvision_rows()
  elif pattern.startswith('timm'):
    rows = facts_of_frameworks.timm_rows()
  # As a text first: the brackets of an input_shape are no pattern.
  found = [
    row
    for row in rows
    if pattern in row.name.lower()
    or any(
      fnmatch.fnmatchcase(name, pattern)
      for name in (row.name.lower(), row.name.lower().partition(':weights=')[0])
    )
  ]
  if not found:
    raise UserError(
      f'`filter={filter}`: no model has that in its name; tfeval models lists them all'
    )
  return Models(found)


def list_datasets(filter: str | None = None) -> 'Variants':
  """Lists the test sets that are known by name.

  Args:
    filter: those of this kind, or with this text in their names, such as `'robust'`.

  Raises:
    UserError: none is called so, or of that kind.

  >>> 'imagenet_a' in [one.name for one in list_datasets()]
  True
  """
  from tfeval.datasets import variants
  from tfeval.datasets.variants import Variants

  found = [
    one
    for one in variants.variants().values()
    if filter is None
    or filter == one.kind
    or filter.lower() in one.name
    or fnmatch.fnmatchcase(one.name, filter)
  ]
  if not found:
    raise UserError(f'`filter={filter}`: no set is called so, or of that kind')
  return Variants(found)
