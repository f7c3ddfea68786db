"""Datasets of other packages: what they raise is told in a line that names them."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

from tfeval.datasets import OPENERS
from tfeval.datasets.base import ImageDataset
from tfeval.datasets.options import DatasetConfig
from tfeval.utils import errors
from tfeval.utils.errors import UserError


def open_plug_in(kind: str, config: DatasetConfig) -> ImageDataset:
  """Opens a dataset of another package.

  Args:
    kind: its name in `OPENERS`.
    config: what was asked for.

  Raises:
    UserError: the package cannot load it, it raised, or it returned something else.
  """
  opener, name = OPENERS[kind], OPENERS.described(kind)
  with _told(name):
    found = opener(config)
  if not isinstance(found, ImageDataset):
    raise UserError(
      f'{name} returned a {type(found).__name__}, expected a '
      'tfeval.datasets.base.ImageDataset'
    )

  def examples(*positions: Any) -> Any:
    with _told(name):
      return found.examples(*positions)

  return dataclasses.replace(found, examples=examples)


@contextlib.contextmanager
def _told(name: str) -> Iterator[None]:
  try:
    yield
  except UserError:
    raise
  except (Exception, SystemExit) as error:  # The code of another may raise anything.
    raise UserError(
      f'{name} raised {type(error).__name__}: {errors.one_line(error)}'
    ) from error
