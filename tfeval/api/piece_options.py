"""Keywords of functions that have engines do their pieces."""

from collections.abc import Mapping
from typing import Any

from tfeval.evaluation.pieces.options import BEAM, RAY, PieceConfig
from tfeval.utils import options
from tfeval.utils.errors import UserError

# Said by whoever works: in a plan they would be ignored.
OF_WORKERS = ('cache_dir', 'tf_data_service', 'batch_timeout', 'max_loaded_models')
# What each engine takes.
_OF_RUNNER = {
  BEAM: ('beam_args',),
  RAY: ('ray_address', 'ray_workers', 'ray_cpus', 'ray_gpus'),
}


def taken(given: Mapping[str, Any]) -> tuple[PieceConfig, dict[str, Any]]:
  """Returns what of keywords is of pieces, checked, and the others.

  Raises:
    UserError: a value that no flag could have, or an option of another engine.
  """
  known = {field.name for field in options.fields(PieceConfig)}
  values = {name: value for name, value in given.items() if name in known}
  pieces = options.checked(options.replace(PieceConfig(), **values))
  for runner, names in _OF_RUNNER.items():
    for name in names:
      if (
        getattr(pieces, name) != getattr(PieceConfig, name) and pieces.runner != runner
      ):
        raise UserError(f'`{name}` is of `runner={runner}`: give both, or none')
  others = {name: value for name, value in given.items() if name not in known}
  return pieces, others
