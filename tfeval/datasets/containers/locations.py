"""Which files a dataset of containers is: a directory, a pattern, a range in braces."""

import dataclasses
import os
import pathlib
import re

from tfeval.datasets import splits
from tfeval.datasets.containers import patterns
from tfeval.datasets.options import DatasetConfig
from tfeval.utils import paths, spec, untrusted
from tfeval.utils.errors import UserError

# Names of splits, and words that stand for them in names of files.
_SPLITS = {
  'train': 'train',
  'training': 'train',
  'validation': 'validation',
  'valid': 'validation',
  'val': 'validation',
  'test': 'test',
}
# What is found in the names of those files in a directory that are taken.
_NAMES = {
  'parquet': re.compile(r'\.parquet$'),
  'webdataset': re.compile(r'\.tar$'),
  # `validation-00000-of-00128` and `flowers.tfrecord` alike.
  'tfrecord': re.compile(r'\.tfrecords?\b|-\d+-of-\d+$'),
  'npz': re.compile(r'\.npz$'),
}
KINDS = tuple(_NAMES)
OPTIONS = ('classes', 'first_label', 'labels', 'label')


@dataclasses.dataclass(frozen=True)
class Location:
  """The files of a dataset.

  Attributes:
    kind: what stands before the colon, such as `'parquet'`.
    target: what stands behind it, without options; an absolute path.
    files: in the order of their names, each once.
    split: that their names tell; '' where these tell none.
    classes: `'imagenet'` or the path of a file with a class in each line; None: the
      data say.
    first_label: the number of the first class, 0 or 1; None: the data say.
    labels: the path of a file of labels by id; None: they are in the containers.
    label: the name of the column or array of labels; None: the usual ones.
  """

  kind: str
  target: str
  files: tuple[pathlib.Path, ...]
  split: str
  classes: str | None = None
  first_label: int | None = None
  labels: str | None = None
  label: str | None = None

  @property
  def name(self) -> str:
    """What a manifest calls the dataset."""
    return f'{self.kind}:{self.target}'


def check(config: DatasetConfig) -> None:
  """Checks that the files are there, and those that its options name.

  Raises:
    UserError: as of `find`, or a file of classes or labels does not exist.
  """
  found = find(config)
  for option in ('classes', 'labels'):
    path = getattr(found, option)
    if path not in (None, 'imagenet') and not os.path.exists(os.path.expanduser(path)):
      raise UserError(
        f'cannot read {path}, which does not exist: give the path of a file of '
        f'{option}, as in {found.kind}:FILES:{option}=FILE'
      )


def find(config: DatasetConfig) -> Location:
  """Finds the files that the name of a dataset means.

  Args:
    config: its `name` is `KIND:FILES[:key=value,...]`; FILES is a directory, with the
      files in it or in its sub-folders, or a path, which may have `*`, `?`, `[...]`,
      `{000..012}` and `{a,b}`. Where the names of files tell splits, those of `split`;
      those of arrays tell none.

  Raises:
    UserError: there are none, or too many; one is missing, no file, or the same as
      another; the split is not among them; an option is unknown.
  """
  kind, _, text = config.name.partition(':')
  if not text:
    raise UserError(f'{kind}: names no files: give {kind}:FILES, such as {kind}:DIR')
  parsed = spec.parse(text)
  options = _options(kind, dict(parsed.options))
  if paths.is_url(parsed.target):
    raise UserError(
      f'{parsed.target} is a URL: {kind} files are read from local disks: copy them, '
      'or mount the store'
    )
  target = paths.absolute(parsed.target)
  found = _in_directory(target, kind, _NAMES[kind]) if os.path.isdir(target) else None
  files = found or [pathlib.Path(one) for one in patterns.matching(target, kind)]
  split = ''
  if kind != 'npz':
    split, files = _of_split(target, files, config.split)
  _check(files)
  return Location(kind, target, tuple(files), split, **options)


def _options(kind: str, found: dict) -> dict:
  for name, value in found.items():
    if name not in OPTIONS:
      raise UserError(f'{kind}: has no option {name!r}: known are {", ".join(OPTIONS)}')
    if name == 'first_label' and (type(value) is not int or value not in (0, 1)):
      raise UserError(f'first_label is {value!r}, expected 0 or 1')
    if name != 'first_label':
      found[name] = str(value)
  return found


def _in_directory(target: str, kind: str, names: re.Pattern) -> list[pathlib.Path]:
  """Returns the files of a directory, those of its sub-folders where it has none."""
  files, folders = _entries(target)
  found = [file for file in files if names.search(file.name)]
  if not found:
    for folder in folders:
      found += [file for file in _entries(folder)[0] if names.search(file.name)]
      patterns.check_count(target, len(found))
  if not found:
    raise UserError(
      f'{target} holds no {kind} files by their names: give the directory that does, '
      'or a pattern of their names'
    )
  patterns.check_count(target, len(found))
  return sorted(found)


def _entries(
  directory: str | pathlib.Path,
) -> tuple[list[pathlib.Path], list[pathlib.Path]]:
  """Returns the files and the folders of a directory, hidden ones left out."""
  files: list[pathlib.Path] = []
  folders: list[pathlib.Path] = []
  try:
    with os.scandir(directory) as entries:
      for entry in entries:
        if not entry.name.startswith('.'):
          (folders if entry.is_dir() else files).append(pathlib.Path(entry.path))
  except FileNotFoundError:
    pass  # It has gone meanwhile.
  except OSError as error:
    raise UserError(f'cannot read {directory}: {error.strerror}') from error
  return files, folders


def split_of(name: str) -> str:
  """Returns the split that the name of a file tells, '' where it tells none.

  >>> split_of('validation-00000-of-00014.parquet'), split_of('imagenet_val_01.tar')
  ('validation', 'validation')
  >>> split_of('a.tar')
  ''
  """
  words = set(re.split(r'[^a-z]+', name.lower())) & set(_SPLITS)
  found = {_SPLITS[word] for word in words}
  return found.pop() if len(found) == 1 else ''


def _of_split(
  target: str, files: list[pathlib.Path], split: str | None
) -> tuple[str, list[pathlib.Path]]:
  """Returns the split and its files; all files where their names tell no splits."""

  def told(path):
    # Of sub-folders the whole name, since those above may be called anything.
    below = os.fspath(path.parent) != target and os.path.isdir(target)
    return split_of(path.name) or _SPLITS.get(path.parent.name if below else '', '')

  by_file = {path: told(path) for path in files}
  chosen = chosen_split(target, set(by_file.values()), split)
  return chosen, [path for path in files if by_file[path] == chosen]


def chosen_split(where: object, known: set[str], split: str | None) -> str:
  """Returns the split to take, '' where there are none.

  Args:
    where: what holds them.
    known: names of splits; '' for what belongs to none.
    split: which one is asked for; None: that of evaluation.

  Raises:
    UserError: it is not there, or none is asked for and several are there.
  """
  if known == {''}:
    if split is not None:
      raise UserError(f'`split={split}`: {where} has no splits: leave it out')
    return ''
  names = sorted(known - {''})
  wanted = splits.of_evaluation(names) if split is None else _SPLITS.get(split, split)
  if wanted is not None and wanted in known:
    return wanted
  asked = '' if split is None else f', not `split={split}`'
  raise UserError(
    f'{where} holds the splits {" and ".join(names)}{asked}: give `split={names[0]}`'
  )


def _check(files: list[pathlib.Path]) -> None:
  seen: dict[tuple[int, int], pathlib.Path] = {}
  for path in files:
    try:
      untrusted.check_file(path)
      os.fspath(path).encode()
      status = path.stat()
    except OSError as error:
      raise UserError(f'cannot read {path}: {error.strerror}') from error
    except UnicodeEncodeError as error:
      raise UserError(
        f'{os.fspath(path)!r} has a name that is not UTF-8: rename it'
      ) from error
    other = seen.setdefault((status.st_dev, status.st_ino), path)
    if other is not path:
      raise UserError(f'{path} is the same file as {other}: name it once')


def absolute(name: str) -> str:
  """Returns the name of a dataset that holds from every working directory.

  >>> absolute('npz:/a/../x.npz:label=fine')
  "npz:/x.npz:label='fine'"
  """
  kind, _, text = name.partition(':')
  parsed = spec.parse(text)
  options = []
  for key, value in parsed.options:
    if key == 'labels' or (key == 'classes' and value != 'imagenet'):
      value = paths.absolute(str(value))
    options.append(f'{key}={value!r}')
  end = ':' + ','.join(options) if options else ''
  return f'{kind}:{paths.absolute(parsed.target)}{end}'
