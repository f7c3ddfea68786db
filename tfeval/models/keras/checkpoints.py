"""Checkpoints of a training, found in the folder that it writes them into."""

import dataclasses
import pathlib
import re

from tfeval.utils import files
from tfeval.utils.errors import UserError

KERAS, WEIGHTS, TENSORFLOW, ORBAX = 'keras', 'weights', 'tensorflow', 'orbax'
_SUFFIXES = {'.keras': KERAS, '.weights.h5': WEIGHTS, '.index': TENSORFLOW}
# What a finished checkpoint holds; Orbax writes into `*.orbax-checkpoint-tmp*` before:
# https://orbax.readthedocs.io/en/latest/guides/checkpoint/checkpoint_format.html
_ORBAX_MARK = '_CHECKPOINT_METADATA'
_ORBAX_UNFINISHED = '.orbax-checkpoint-tmp'
# Metrics and rates in names, as in `{epoch:02d}-{val_loss:.2f}.keras`.
_FRACTION = re.compile(r'(?<![a-z0-9])(\d+(\.\d+)?e[+-]?\d+|\d+\.\d+)', re.IGNORECASE)
_NUMBER = re.compile(
  r'(?<![a-z0-9])(?:epoch|ep|e|step|s|iteration|iter|checkpoint|ckpt|weights|model)?'
  r'(\d+)(?![a-z0-9])',
  re.IGNORECASE,
)


@dataclasses.dataclass(frozen=True)
class Checkpoint:
  """A checkpoint as it is now; one that is written over is another one.

  Attributes:
    path: of the file or folder; of TensorFlow's the prefix, which is no file.
    kind: `KERAS`, `WEIGHTS`, `TENSORFLOW` or `ORBAX`.
    step: the number in its name, None if it has none.
    stamp: bytes and modification time (ns) of the file that is written last.
  """

  path: pathlib.Path
  kind: str
  step: int | None
  stamp: tuple[int, int]

  @property
  def name(self) -> str:
    return self.path.name

  def files(self) -> list[pathlib.Path]:
    """Returns the files it consists of, sorted."""
    if self.kind == ORBAX:
      return sorted(path for path in self.path.rglob('*') if path.is_file())
    if self.kind == TENSORFLOW:
      return files_of(self.path)
    return [self.path]

  def sha256(self) -> str:
    """Returns the SHA-256 of its file; of several that of their names and SHA-256s.

    Raises:
      OSError: it is gone.
    """
    if self.kind in (KERAS, WEIGHTS):
      return files.sha256_of(self.path)
    return files.digest_of_pairs(
      (str(path.relative_to(self.path.parent)), files.sha256_of(path))
      for path in self.files()
    )


def files_of(prefix: pathlib.Path) -> list[pathlib.Path]:
  """Returns the files that TensorFlow writes for a prefix, sorted."""
  name = re.compile(re.escape(prefix.name) + r'\.(index|data-\d{5}-of-\d{5})')
  return sorted(path for path in prefix.parent.iterdir() if name.fullmatch(path.name))


def find_checkpoints(folder: pathlib.Path) -> list[Checkpoint]:
  """Returns the checkpoints in a folder by their step; those without one come last.

  Args:
    folder: need not be there yet.

  Raises:
    UserError: it is a file or cannot be read.
  """
  try:
    found = [_checkpoint(path) for path in folder.iterdir()]
  except FileNotFoundError:
    return []
  except OSError as error:
    raise UserError(
      f'cannot read {folder}: {error.strerror}: expected the folder that '
      'checkpoints are written into'
    ) from error
  return sorted(filter(None, found), key=_order)


def now(checkpoint: Checkpoint) -> Checkpoint | None:
  """Returns a checkpoint as it is by now, None if it is gone."""
  suffix = '.index' if checkpoint.kind == TENSORFLOW else ''
  return _checkpoint(checkpoint.path.with_name(checkpoint.name + suffix))


def _order(checkpoint: Checkpoint) -> tuple[bool, int, int, str]:
  return (
    checkpoint.step is None,
    checkpoint.step or 0,
    checkpoint.stamp[1],
    checkpoint.name,
  )


def _checkpoint(path: pathlib.Path) -> Checkpoint | None:
  if path.name.startswith('.'):
    return None  # Of those who rename a whole file into place.
  try:
    for suffix, kind in _SUFFIXES.items():
      if path.name.endswith(suffix) and path.name != suffix and path.is_file():
        if kind == TENSORFLOW:
          return _made(path.with_name(path.name.removesuffix(suffix)), kind, path)
        return _made(path, kind, path)
    mark = path / _ORBAX_MARK
    if _ORBAX_UNFINISHED not in path.name and mark.is_file():
      return _made(path, ORBAX, mark)
  except OSError:
    pass  # Deleted since it was listed.
  return None


def _made(path: pathlib.Path, kind: str, last: pathlib.Path) -> Checkpoint:
  status = last.stat()
  return Checkpoint(
    path, kind, step_in(path.name), (status.st_size, status.st_mtime_ns)
  )


def step_in(name: str) -> int | None:
  """Returns the last whole number in the name of a checkpoint, None without one.

  A number stands by itself or behind a word such as `epoch`: that of an architecture
  or of a learning rate is none.

  >>> step_in('ckpt-1200'), step_in('03-0.52.keras'), step_in('epoch7.weights.h5')
  (1200, 3, 7)
  >>> step_in('best.weights.h5'), step_in('resnet50_1e-05.keras')
  (None, None)
  >>> step_in('resnet50.03-0.31.keras')
  3
  """
  stem = re.sub(r'\.(keras|weights\.h5)$', '', name)
  numbers = _NUMBER.findall(_FRACTION.sub('', stem))
  return int(numbers[-1]) if numbers else None
