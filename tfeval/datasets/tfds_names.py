"""What can be said of a TFDS name without TFDS, which takes seconds to import.

TFDS judges wherever this cannot: names of other namespaces, configurations, what it
would download.
"""

import difflib
import functools
import importlib.util
import os
import pathlib
import re
import sys
from collections.abc import Iterable, Iterator

from tfeval.datasets import OPENERS, tfds_places
from tfeval.datasets.containers import locations
from tfeval.datasets.options import DatasetConfig
from tfeval.utils import errors, paths
from tfeval.utils.errors import MissingData, UserError

VALIDATION_TAR = 'ILSVRC2012_img_val.tar'
# Builders that read the validation tar, which nobody may download for you.
FROM_TAR = frozenset({'imagenet2012', 'imagenet2012_real'})
# And those that make other images or labels of it.
NEED_TAR = FROM_TAR | {'imagenet2012_multilabel', 'imagenet2012_corrupted'}
# `name/config:version/arguments`, as `tensorflow_datasets/core/naming.py` has it.
_NAME = re.compile(
  r'(?P<namespace>[\w-]+:)?(?P<name>[a-zA-Z]\w*)(/(?P<config>[\w+.-]+))?'
  r'(:(?P<version>(\d+|\*)(\.(\d+|\*)){2}))?(/(?P<arguments>(\w+=[^,]+,?)+))?',
  re.ASCII,
)
_CLASS = re.compile(r'^class (\w+)\(', re.MULTILINE)
_OWN_VERSION = re.compile(r"^  VERSION = \S*Version\(\s*['\"]([\d.]+)", re.MULTILINE)
_VERSION = re.compile(r"Version\(\s*['\"]([\d.]+)")
# Directories of TFDS without datasets; those of `datasets` are called like these.
_WITHOUT = {'core', 'testing', 'scripts', 'proto', 'url_checksums', 'datasets'}
# How alike a name of TFDS has to be to be meant.
_CLOSE = 0.8


def check(config: DatasetConfig) -> None:
  """Checks that TFDS knows a name, and that its data are there or can be prepared.

  Does nothing where TFDS is imported already: it is as quick then, and may have been
  told of more datasets.

  Raises:
    UserError: the name is none, or the data lie nowhere, lie elsewhere or in another
      version, and nobody may download them; says what to give.
  """
  data_dir = config.data_dir or os.environ.get('TFDS_DATA_DIR', '~/tensorflow_datasets')
  if sys.modules.get('tensorflow_datasets') or paths.is_url(data_dir) or not _sources():
    return
  asked = _NAME.fullmatch(config.name)
  if asked is None:
    raise unknown(config.name, _sources())
  if asked['namespace'] or asked['arguments'] or '*' in (asked['version'] or ''):
    return
  name, root = _snake_case(asked['name']), pathlib.Path(data_dir).expanduser()
  if name in _sources():
    if not asked['config']:
      _check_data(name, asked['version'], root, config.manual_dir)
  elif not tfds_places.anything_prepared(root / name):
    tfds_places.check(name, asked['config'], None, root, asked['version'])
    raise unknown(config.name, _sources())


def knows(name: str) -> bool:
  """Returns whether TFDS has a dataset of a name, or one is prepared in that folder."""
  tfds = sys.modules.get('tensorflow_datasets')
  return (
    name in _sources()
    or tfds_places.anything_prepared(pathlib.Path(name))
    or (tfds is not None and name in tfds.list_builders(with_community_datasets=False))
  )


def _check_data(
  name: str, asked: str | None, root: pathlib.Path, manual_dir: str | None
) -> None:
  """Checks that data of a dataset that TFDS has code of lie where it reads them.

  Args:
    name: the dataset's.
    asked: its version, None for that of TFDS.
    root: the `data_dir`.
    manual_dir: as it was given.

  Raises:
    UserError: they do not, and TFDS could not prepare them.
  """
  source = _sources()[name].read_text(encoding='utf-8', errors='replace')
  own = _OWN_VERSION.findall(source)
  version = asked or (own[0] if len(set(own)) == 1 else None)
  # Of those with configurations TFDS alone knows the directory.
  if 'BUILDER_CONFIGS' in source or version not in _VERSION.findall(source):
    return
  if tfds_places.is_prepared(root / name / version):
    return
  if manual_dir is None:
    tfds_places.check(name, None, version, root, asked)
  if name in NEED_TAR and not paths.is_url(manual_dir):
    find_tar(name, root / name / version, manual_dir)


def unknown(name: str, known: Iterable[str]) -> UserError:
  """Returns the error for a name of a dataset that is none of those that TFDS knows."""
  known = sorted({one for one in known if not one.endswith('_config')})
  # The closest of a thousand names is seldom the one that is meant, unless it is very
  # close: ImageNet first.
  likely = difflib.get_close_matches(name.lower(), known, n=3, cutoff=_CLOSE)
  likely = likely or [one for one in known if one.startswith('imagenet')]
  of_files = {'folder': 'folder:DIR'} | {k: f'{k}:FILES' for k in locations.KINDS}
  likely += [of_files.get(own, own) for own in OPENERS]
  return errors.unknown('dataset', name, likely)


def find_tar(name: str, directory: object, manual_dir: str | None) -> paths.Path:
  """Returns the path of the validation tar.

  Args:
    name: of a builder of `NEED_TAR`.
    directory: in which it is not prepared.
    manual_dir: where the tar should lie.

  Raises:
    UserError: it does not; says where to get it.
  """
  tar = paths.path(manual_dir) / VALIDATION_TAR if manual_dir else None
  if tar is None or not tar.is_file():
    looked = f'{tar} does not exist' if tar else 'no `manual_dir` was given'
    raise MissingData(
      f'{name} is not prepared in {directory} and {looked}: get '
      f'{VALIDATION_TAR} from https://image-net.org/download-images (registration) '
      f'and give its directory as `manual_dir`, or a prepared one as `data_dir`'
    )
  return tar


@functools.cache
def _sources() -> dict[str, pathlib.Path]:
  """Returns the file of each dataset that TFDS has code of, and of a few helpers."""
  package = importlib.util.find_spec('tensorflow_datasets')
  if package is None or not package.submodule_search_locations:
    return {}
  root = pathlib.Path(package.submodule_search_locations[0])
  found = {}
  for path in _python_files(root):
    for name in _CLASS.findall(path.read_text(encoding='utf-8', errors='replace')):
      found[_snake_case(name)] = path
  for path in (root / 'datasets').glob('*/*_dataset_builder.py'):
    found[path.parent.name] = path
  return found


def _python_files(root: pathlib.Path) -> Iterator[pathlib.Path]:
  for first in root.iterdir():
    if first.name not in _WITHOUT:
      for directory, _, names in os.walk(first):
        for name in names:
          if name.endswith('.py') and not name.endswith('_test.py'):
            yield pathlib.Path(directory, name)


def _snake_case(name: str) -> str:
  """Returns the name of a class as TFDS makes it that of a dataset.

  >>> _snake_case('Cifar10'), _snake_case('ImagenetV2'), _snake_case('mnist')
  ('cifar10', 'imagenet_v2', 'mnist')
  """
  name = re.sub('(.)([A-Z][a-z0-9]+)', r'\1_\2', name)
  return re.sub('([a-z0-9])([A-Z])', r'\1_\2', name).lower()
