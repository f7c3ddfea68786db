"""Engines that do the pieces of a plan on many machines."""

import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

from tfeval.evaluation.pieces.options import BEAM, RAY, PieceConfig
from tfeval.evaluation.pieces.places import Places
from tfeval.evaluation.pieces.planned import Plan
from tfeval.utils.errors import UserError
from tfeval.utils.progress import Progress
from tfeval.utils.registry import Registry

# Does all pieces of a plan: (plan, places, config, options of its workers by name,
# progress) -> why, of pieces that could not be done.
Runner = Callable[
  [Plan, Places, PieceConfig, Mapping[str, Any], Progress], dict[int, str]
]

RUNNERS: Registry[Runner] = Registry(
  'runner',
  {
    BEAM: 'tfeval.evaluation.runners.on_beam:run',
    RAY: 'tfeval.evaluation.runners.on_ray:run',
  },
)
_PACKAGES = {BEAM: 'apache_beam', RAY: 'ray'}


def installed(name: str) -> Runner:
  """Returns a runner.

  Raises:
    UserError: there is none of that name, or its package is not installed.
  """
  found = RUNNERS[name]
  if importlib.util.find_spec(_PACKAGES[name]) is None:
    raise UserError(
      f'`runner={name}`: {_PACKAGES[name]} is not installed: '
      f"pip install 'tfeval[{name}]'"
    )
  return found
