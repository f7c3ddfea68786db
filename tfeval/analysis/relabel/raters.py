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
from typing import Any

import numpy as np

from tfeval.datasets.labels import files, imagenet
from tfeval.metrics.dawid_skene import Votes
from tfeval.utils import errors
from tfeval.utils.errors import UserError

NO, MAYBE, YES = range(3)
# Five times what the published files hold; what is larger is no such file.
_MOST_PAIRS, _MOST_RATERS, _MOST_VOTES, _MOST_CHARACTERS = 10**6, 1000, 10**7, 64


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
  with _opened(path) as archive:
    pairs = _pairs(path, archive)
    with _array(path, archive, 'tensor', 'f', (len(pairs.image),)) as (file, _, dtype):
      score = _read(path, file, dtype, len(pairs.image)).astype(np.float64)
  # Negated, so that NaN does not pass.
  if (wrong := score[~((score >= 0) & (score <= 1))]).size:
    raise UserError(f'{path}: a score is {wrong[0]}, expected 0 to 1')
  return Scores(pairs, score)


def load_votes(path: pathlib.Path) -> Rated:
  """Reads raters.npz, golden.npz or raters_golden.npz.

  Raises:
    UserError: the file is missing, damaged or something else.
  """
  with _opened(path) as archive:
    pairs = _pairs(path, archive)
    n = len(pairs.image)
    with _array(path, archive, 'ids', 'iu', (None,)) as (file, (raters,), dtype):
      ids = _read(path, file, dtype, raters).astype(np.int64)
    if len(np.unique(ids)) != len(ids):
      raise UserError(f'{path}: a rater is there twice')
    with _array(path, archive, 'tensor', 'fiub', (raters, n, 3)) as (file, _, dtype):
      votes = _votes(path, file, dtype, raters, n)
  return Rated(pairs, votes, ids)


def _votes(path: pathlib.Path, file, dtype: np.dtype, raters: int, n: int) -> Votes:
  found, total = [], 0
  for rater in range(raters):
    answers = _read(path, file, dtype, 3 * n)
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
  with _array(path, archive, 'info', 'U', (None, 2)) as (file, shape, dtype):
    if dtype.itemsize > 4 * _MOST_CHARACTERS:
      raise UserError(
        f'{path}: info holds texts of {dtype.itemsize // 4} '
        f'characters, at most {_MOST_CHARACTERS} are expected'
      )
    try:
      info = _read(path, file, dtype, 2 * shape[0]).reshape(shape)
      names, labels = info[:, 0].tolist(), info[:, 1].tolist()
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
def _opened(path: pathlib.Path) -> Iterator[zipfile.ZipFile]:
  try:
    with zipfile.ZipFile(path) as archive:
      yield archive
  except OSError as error:
    raise UserError(f'cannot read {path}: {error.strerror or error}') from error
  except files.BROKEN_ARCHIVE as error:
    raise UserError(
      f'{path} is not a readable .npz file: {errors.one_line(error)}'
    ) from error


@contextlib.contextmanager
def _array(
  path: pathlib.Path,
  archive: zipfile.ZipFile,
  name: str,
  kinds: str,
  expected: tuple[int | None, ...],
) -> Iterator[tuple[Any, tuple[int, ...], np.dtype]]:
  """Opens an array behind its header, which is checked; None is a length to learn.

  Yields the file, the shape and the dtype.
  """
  if f'{name}.npy' not in archive.namelist():
    raise UserError(
      f'{path} holds no array {name}: it holds '
      f'{", ".join(archive.namelist())[:80] or "nothing"}'
    )
  with archive.open(f'{name}.npy') as file:
    try:
      version = np.lib.format.read_magic(file)
      read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
      }[version]
      shape, fortran, dtype = read(file)
    except (ValueError, KeyError) as error:
      raise UserError(
        f'{path}: {name} is not a NumPy array: {errors.one_line(error, 80)}'
      ) from error
    most = _MOST_RATERS if name == 'ids' else _MOST_PAIRS
    fits = len(shape) == len(expected) and all(
      1 <= seen <= most if want is None else seen == want
      for seen, want in zip(shape, expected, strict=True)
    )
    if not fits or fortran and len(shape) > 1 or dtype.kind not in kinds:
      shape_text = ', '.join(
        f'1 to {most:,}' if n is None else str(n) for n in expected
      )
      raise UserError(
        f'{path}: {name} is {dtype} {list(shape)}'
        f'{" in Fortran order" if fortran else ""}, expected [{shape_text}] '
        f'of kind {" or ".join(kinds)} in C order'
      )
    yield file, shape, dtype


def _read(path: pathlib.Path, file, dtype: np.dtype, count: int) -> np.ndarray:
  content = file.read(count * dtype.itemsize)
  if len(content) != count * dtype.itemsize:
    raise UserError(f'{path} ends too early: get it again')
  return np.frombuffer(content, dtype)
