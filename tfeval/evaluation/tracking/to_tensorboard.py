"""Event files for TensorBoard; it has no artifacts."""

import pathlib
from collections.abc import Mapping
from typing import Any

from tfeval.utils import files, paths
from tfeval.utils.errors import UserError
from tfeval.utils.printable import markdown_cell


class TensorBoardTracker:
  """Writes scalars and the config as a text into an event file of its own."""

  def __init__(self, where: str):
    self._directory = paths.path(where)
    try:
      files.check_directory(self._directory)
    except UserError as error:
      raise UserError(str(error).replace('`output_dir`', '`log_to`')) from error
    self._writer: Any = None

  def begin(self, name: str, config: Mapping[str, Any]) -> None:
    from tfeval.evaluation.tracking import event_files

    directory = self._directory / name
    self._writer = event_files.ScalarWriter(str(directory))
    self._writer.write_text('config', _table(config))

  def log(self, values: Mapping[str, float], step: int) -> None:
    self._writer.write(values, step)

  def store(self, found: Mapping[str, pathlib.Path], folder: str) -> None:
    """Event files hold no files."""

  def end(self, succeeded: bool) -> None:
    self._writer.close()


def _table(config: Mapping[str, Any]) -> str:
  """Returns a table in Markdown, which TensorBoard shows."""
  rows = [f'| {key} | {markdown_cell(str(value))} |' for key, value in config.items()]
  return '\n'.join(['| option | value |', '|---|---|', *rows])
