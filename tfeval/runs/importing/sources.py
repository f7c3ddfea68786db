"""Which files of predictions there are, and what their runs are called."""

import dataclasses
import logging
import pathlib
import re

from tfeval.datasets.labels.listing import doubles
from tfeval.utils import paths, spec
from tfeval.utils.errors import UserError

_LOG = logging.getLogger('tfeval')
KINDS = ('.npy', '.npz', '.csv', '.parquet')
_CLASSES = re.compile(r'(?P<name>.+?)_(?P<top>top\d+)?preds')
_PROBABILITIES = re.compile(r'.+_(top\d+)?probs')


@dataclasses.dataclass(frozen=True)
class Source:
  """The predictions of one model.

  Attributes:
    name: the model's.
    predictions: a file of one of `KINDS`.
    probabilities: an .npy with the probabilities of the classes, or None.
    directory: of the run.
  """

  name: str
  predictions: pathlib.Path
  probabilities: pathlib.Path | None
  directory: paths.Path


def find_sources(
  predictions: str, probabilities: str | None, output_dir: str
) -> list[Source]:
  """Finds the predictions that a path stands for.

  Args:
    predictions: a file, or a folder of files. Of a folder, and of the folders in
      it, every file of one of `KINDS` is the predictions of one model, beside
      `NAME_probs.npy` if it is called `NAME_preds.npy`; likewise
      `NAME_top5preds.npy` and `NAME_top5probs.npy`.
    probabilities: a file for the single file of predictions; None for the one that
      lies beside it, named as in a folder, if there is one.
    output_dir: the run directory of a file; of a folder it holds them all, by name.

  Raises:
    UserError: there are none, probabilities stand alone, or two models have the
      same name.
  """
  root, output = pathlib.Path(predictions).expanduser(), paths.path(output_dir)
  if not root.is_dir():
    beside = pathlib.Path(probabilities).expanduser() if probabilities else None
    if beside is None and (beside := _probabilities_of(root)):
      _LOG.info('%s: its probabilities are those of %s', root, beside.name)
    return [Source(_name(root), root, beside, output)]
  if probabilities:
    raise UserError(
      '`probabilities` is of one file: in a folder give probabilities '
      'the name NAME_probs.npy beside NAME_preds.npy'
    )
  files = sorted(
    path
    for pattern in ('*', '*/*')
    for path in root.glob(pattern)
    if path.suffix.lower() in KINDS and path.is_file()
  )
  pairs = {
    path: _probabilities_of(path)
    for path in files
    if not _PROBABILITIES.fullmatch(path.stem)
  }
  alone = set(files) - set(pairs) - set(pairs.values())
  if alone:
    raise UserError(
      f'{min(alone)} are probabilities without their classes: expected '
      f'{min(alone).name.replace("probs", "preds")} beside it'
    )
  if not pairs:
    raise UserError(f'{root} holds no predictions: expected {", ".join(KINDS)} files')
  names = [_name(path) for path in pairs]
  shared = set(doubles(names))
  # Where one name is in several folders, the folder tells them apart.
  names = [
    f'{path.parent.name}_{name}' if name in shared else name
    for path, name in zip(pairs, names, strict=True)
  ]
  if twice := doubles(names):
    raise UserError(
      f'{root} has two files of predictions called {twice[0]}: rename one'
    )
  return [
    Source(name, path, beside, output / spec.Spec(name, name).directory_name())
    for name, (path, beside) in zip(names, pairs.items(), strict=True)
  ]


def _name(path: pathlib.Path) -> str:
  match = _CLASSES.fullmatch(path.stem)
  return match['name'] if match else path.stem


def _probabilities_of(path: pathlib.Path) -> pathlib.Path | None:
  if not _CLASSES.fullmatch(path.stem):
    return None
  start, _, _ = path.stem.rpartition('preds')
  beside = path.with_name(f'{start}probs{path.suffix}')
  return beside if beside.is_file() else None
