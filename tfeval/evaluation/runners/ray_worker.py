"""What runs on the nodes of a cluster of Ray: one worker, in a process of its own."""

import logging
import os
import platform
from collections.abc import Mapping
from typing import Any

from tfeval.evaluation import libraries
from tfeval.utils import paths
from tfeval.utils.errors import UserError, one_line

_LOG = logging.getLogger('tfeval')


class RayWorker:
  """Does pieces of a plan; keeps what they need. Errors are told, not raised."""

  def __init__(self) -> None:
    """Opens nothing yet."""
    self._worker: Any = None
    self._places: Any = None

  def open(
    self, plan: str, plan_id: str, mark: str, given: Mapping[str, Any]
  ) -> tuple[str, str | None]:
    """Reads the plan and loads TensorFlow.

    Args:
      plan: the path of its file.
      plan_id: which one it is.
      mark: the path of a file beside what workers write, of this command.
      given: options of workers by name.

    Returns:
      What the node is called, and why it can do nothing, if so.
    """
    try:
      self._open(plan, plan_id, mark, given)
      return platform.node(), None
    except UserError as error:
      return platform.node(), one_line(error, None)

  def _open(self, path: str, plan_id: str, mark: str, given: Mapping[str, Any]) -> None:
    for one in (path, mark):
      if not _is_there(one):
        raise UserError(
          f'it does not see {one}: give an `output_dir` that all nodes see at the same '
          'place, such as a shared disk, gs:// or s3://'
        )
    # What is installed for another project does not count here.
    libraries.prepare()
    from tfeval.evaluation.pieces import places, worker
    from tfeval.utils import progress

    plan, self._places = places.open_plan(path)
    if plan.id != plan_id:
      raise UserError(f'{path} is plan {plan.id} there, expected {plan_id}')
    self._worker = worker.Worker(plan, self._places, progress.hidden, given)

  def do(self, number: int) -> str | None:
    """Does a piece; returns why it could not, if so."""
    from tfeval.evaluation.pieces import records

    try:
      self._worker.do(number)
      return None
    except UserError as error:
      reason = one_line(error, None)
    except Exception as error:
      _LOG.exception('piece %d', number)
      reason = (
        f'{type(error).__name__}: {one_line(error)} (a defect: its traceback is in '
        f"Ray's log of {platform.node()}, process {os.getpid()})"
      )
    records.fail(self._places, number, self._worker.name, reason)
    return reason

  def close(self) -> None:
    """Lets go of models and of what they run in."""
    if self._worker is not None:
      self._worker.close()


def _is_there(text: str) -> bool:
  try:
    return paths.path(text).is_file()
  except OSError as error:
    raise UserError(f'it cannot read {text}: {one_line(error)}') from error
