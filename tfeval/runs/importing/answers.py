"""The classes that someone's pipeline said, whatever their numbers mean."""

import contextlib
import dataclasses
import pathlib

import numpy as np

from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.metrics import ranking
from tfeval.runs.importing import readers
from tfeval.runs.importing.blocks import OR_NAMED, Block, Table
from tfeval.utils import budgets
from tfeval.utils.errors import UserError

# Of scores so many of the best are kept.
_BEST = 5
BACKGROUND = 'background'


@dataclasses.dataclass(frozen=True)
class Answers:
  """Rows of n images.

  Attributes:
    path: where they were read.
    ids: of the images; None where the file has none.
    classes: int64 [n, k], as they stand; of scores of all outputs the best first.
    scored: whether they were such scores.
  """

  path: pathlib.Path
  ids: list[str] | None
  classes: np.ndarray
  scored: bool

  def __len__(self) -> int:
    return len(self.classes)


def read(path: pathlib.Path, space: LabelSpace) -> Answers:
  """Reads predictions as `readers.opened` does, without knowing what classes mean.

  Args:
    path: of the file. Scores may have an output more than there are classes, for a
      background; classes may be one too high.
    space: the classes.

  Raises:
    UserError: it cannot be read, or holds what can be no classes.
  """
  found: list[np.ndarray] = []
  ids: list[str] = []
  scored = False
  with contextlib.ExitStack() as stack:
    table, too_wide = _opened(stack, path, space)
    for block in table.blocks():
      scored = block.classes is None
      if too_wide is not None and not scored:
        raise too_wide  # Best classes have no background.
      start = sum(map(len, found))
      found.append(_classes(path, block, start, len(space)))
      if block.ids is not None:
        ids += block.ids.to_pylist()
      if start + len(block) > budgets.ROWS:
        raise UserError(f'{path} has more than {budgets.ROWS:,} rows')
  if not found:
    raise UserError(f'{path} has no rows')
  return Answers(path, ids or None, np.concatenate(found), scored)


def _opened(
  stack: contextlib.ExitStack, path: pathlib.Path, space: LabelSpace
) -> tuple[Table, UserError | None]:
  """Opens a table, of scores with an output for a background too.

  Returns:
    The table, and what is wrong with it unless it has such scores; None: nothing.

  Raises:
    UserError: it cannot be read in either way.
  """
  try:
    return stack.enter_context(readers.opened(path, None, space)), None
  except UserError as error:
    # Which classes there are is known of the dataset.
    refused = UserError(str(error).replace(OR_NAMED, ''))
    wider = LabelSpace(
      f'{space.name} and a background',
      (BACKGROUND, *space.class_ids),
      (BACKGROUND, *space.class_names),
    )
    try:
      return stack.enter_context(readers.opened(path, None, wider)), refused
    except UserError:
      raise refused from None


def _classes(path: pathlib.Path, block: Block, start: int, classes: int) -> np.ndarray:
  if block.classes is None:
    scores = block.scores
    assert scores is not None  # A block has one or the other.
    broken = ~np.isfinite(scores).all(axis=1)
    _refuse(path, broken, start, 'has NaN or infinite scores')
    return ranking.top_k(scores, min(_BEST, scores.shape[1]))
  given = np.asarray(block.classes)
  wrong = (given != np.floor(given)) | (given < 0) | (given > classes)
  _refuse(path, wrong.any(axis=1), start, f'has classes outside of 0 to {classes}')
  return given.astype(np.int64)


def _refuse(path: pathlib.Path, wrong: np.ndarray, start: int, what: str) -> None:
  if wrong.any():
    raise UserError(f'{path}: row {start + int(np.argmax(wrong))} {what}')
