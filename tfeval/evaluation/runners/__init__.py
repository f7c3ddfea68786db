"""Engines that do the pieces of a plan on many machines."""

from collections.abc import Callable, Mapping
from typing import Any

from tfeval.evaluation.pieces.options import BEAM, RAY, PieceConfig
from tfeval.evaluation.pieces.places import Places
from tfeval.evaluation.pieces.plan_file import Plan
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
