"""The .npz files of ReaL: pairs of image and label, their scores, raters' answers.

Source: google-research/reassessed-imagenet. `scores.npz` holds `tensor`, float [pairs];
`raters.npz`, `golden.npz` and `raters_golden.npz` hold `tensor`, [raters, pairs, 3],
with a 1 where a rater answered no, maybe or yes, and `ids`, int [raters]. Each holds
`info`, [pairs, 2]: the name of a validation image, and a class index. Nothing is
unpickled, sizes are checked before anything is read, and of a tensor of answers one
rater is in memory at a time.
"""

import contextlib
import dataclasses
import pathlib
import zipfile
from collections.abc import Iterator

import numpy as np

from tfeval.datasets.labels import imagenet
from tfeval.metrics.dawid_skene import Votes
from tfeval.utils import numpy_files
from tfeval.utils.errors import UserError
from tfeval.utils.numpy_files import Array

NO, MAYBE, YES = range(3)
# Five times what the published files hold; what is larger is no such file.
_MOST_PAIRS, _MOST_RATERS, _MOST_VOTES, _MOST_CHARACTERS = 10**6, 1000, 10**7, 64

# Of texts, which are read in blocks.
_ROWS = 65_536


@dataclasses.dataclass(frozen=True)
class Pairs:
  """Pairs of a validation image and a class, each once.

  Attributes:
    image: int64 [pairs], numbers of validation images, 1 to 50,000.
    label: int64 [pairs], class indices.
  """

  image: np.ndarray
  label: np.ndarray

  @property
  def keys(self) -> np.ndarray:
    """int64 [pairs], another number for each possible pair."""
    return self.image * len(imagenet.label_space()) + self.label


@dataclasses.dataclass(frozen=True)
class Scores:
  """Scored pairs; `score` is float64 [pairs] in [0, 1]."""

  pairs: Pairs
  score: np.ndarray


@dataclasses.dataclass(frozen=True)
class Rated:
  """Answers about pairs; `ids` is int64 [raters], each another."""

  pairs: Pairs
  votes: Votes
  ids: np.ndarray


def load_scores(path: pathlib.Path) -> Scores:
  """Reads scores.npz.

  Raises:
    UserError: the file is missing, damaged or something else.
  """
  with numpy_files.opened(path) as archive:
    pairs = _pairs(path, archive)
    n = len(pairs.image)
    with _array(path, archive, 'tensor', 'f', (n,)) as tensor:
      score = tensor.read(n).astype(np.float64)
  # Negated, so that NaN does not pass.
  if (wrong := score[~((score >= 0) & (score <= 1))]).size:
    raise UserError(f'{path}: a score is {wrong[0]}, expected 0 to 1')
  return Scores(pairs, score)


def load_votes(path: pathlib.Path) -> Rated:
  """Reads raters.npz, golden.npz or raters_golden.npz.

  Raises:
    UserError: the file is missing, damaged or something else.
  """
  with numpy_files.opened(path) as archive:
    pairs = _pairs(path, archive)
    n = len(pairs.image)
    with _array(path, archive, 'ids', 'iu', (None,)) as array:
      raters = array.shape[0]
      ids = array.read(raters).astype(np.int64)
    if len(np.unique(ids)) != len(ids):
      raise UserError(f'{path}: a rater is there twice')
    with _array(path, archive, 'tensor', 'fiub', (raters, n, 3)) as tensor:
      votes = _votes(path, tensor, raters, n)
  return Rated(pairs, votes, ids)


def _votes(path: pathlib.Path, tensor: Array, raters: int, n: int) -> Votes:
  found, total = [], 0
  for rater in range(raters):
    answers = tensor.read(3 * n)
    if not ((answers == 0) | (answers == 1)).all():
      raise UserError(f'{path}: an answer is neither 0 nor 1')
    item, answer = np.divmod(np.flatnonzero(answers), 3)
    if (item[1:] == item[:-1]).any():
      raise UserError(f'{path}: a rater gave two answers to one question')
    total += len(item)
    if total > _MOST_VOTES:
      raise UserError(f'{path}: more than {_MOST_VOTES:,} answers')
    found.append((np.full(len(item), rater), item, answer))
  if not total:
    raise UserError(f'{path} holds no answer')
  rater_of, item, answer = map(np.concatenate, zip(*found, strict=True))
  return Votes(rater_of, item, answer, raters, n)


def _pairs(path: pathlib.Path, archive: zipfile.ZipFile) -> Pairs:
  names: list[str] = []
  labels: list[str] = []
  with _array(path, archive, 'info', 'U', (None, 2)) as info:
    if info.dtype.itemsize > 4 * _MOST_CHARACTERS:
      raise UserError(
        f'{path}: info holds texts of {info.dtype.itemsize // 4} '
        f'characters, at most {_MOST_CHARACTERS} are expected'
      )
    for start in range(0, info.shape[0], _ROWS):
      rows = min(_ROWS, info.shape[0] - start)
      try:
        block = info.read(2 * rows).reshape(rows, 2)
        names += block[:, 0].tolist()
        labels += block[:, 1].tolist()
      except UnicodeDecodeError as error:
        raise UserError(f'{path}: info is not text') from error
  images = [imagenet.validation_number(name) for name in names]
  for name, number, label in zip(names, images, labels, strict=True):
    # int() would read signs, spaces and underscores too.
    whole = label.isascii() and label.isdigit()
    if number is None or not whole or int(label) >= len(imagenet.label_space()):
      raise UserError(
        f'{path}: info holds {str((name, label))[:80]}, expected '
        f"('{imagenet.validation_name(1)}', '0' to '999')"
      )
  pairs = Pairs(np.array(images, np.int64), np.array(labels).astype(np.int64))
  if len(np.unique(pairs.keys)) != len(names):
    raise UserError(f'{path}: a pair of image and label is there twice')
  return pairs


@contextlib.contextmanager
def _array(
  path: pathlib.Path,
  archive: zipfile.ZipFile,
  name: str,
  kinds: str,
  expected: tuple[int | None, ...],
) -> Iterator[Array]:
  """Opens an array behind its header, which is checked; None is a length to learn."""
  with numpy_files.array(path, archive, name) as found:
    most = _MOST_RATERS if name == 'ids' else _MOST_PAIRS
    fits = len(found.shape) == len(expected) and all(
      1 <= seen <= most if want is None else seen == want
      for seen, want in zip(found.shape, expected, strict=True)
    )
    fortran = found.fortran and len(found.shape) > 1
    if not fits or fortran or found.dtype.kind not in kinds:
      shape_text = ', '.join(
        f'1 to {most:,}' if n is None else str(n) for n in expected
      )
      raise UserError(
        f'{path}: {name} is {found.dtype} {list(found.shape)}'
        f'{" in Fortran order" if fortran else ""}, expected [{shape_text}] '
        f'of kind {" or ".join(kinds)} in C order'
      )
    yield found
