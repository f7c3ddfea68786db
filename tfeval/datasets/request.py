"""Datasets as they are asked for: a name, and behind it what holds for it alone."""

import os

from tfeval.datasets import variants
from tfeval.datasets.containers import locations
from tfeval.datasets.options import DatasetConfig
from tfeval.utils import errors, options, paths, spec
from tfeval.utils.errors import UserError

_FIELDS = {
  field.name: field
  for field in options.fields(DatasetConfig)
  if field.name != 'dataset'
}


def read(config: DatasetConfig, own_options: bool) -> DatasetConfig:
  """Returns a config with the options that stand behind the name of its dataset.

  Args:
    config: its `name` may be `NAME:key=value,...`, such as
      `imagenet_v2:split=test,limit=100` or `folder:DIR:labels=FILE`, with the names of
      its other options as keys.
    own_options: whether datasets of this kind have keys of their own, which stay.

  Raises:
    UserError: there is no such option, or it cannot have that value.

  >>> read(DatasetConfig('imagenet_v2:3.0.0:split=test', limit=5), False).split
  'test'
  """
  if not own_options and os.path.isdir(_path(config.name)):
    return config  # That is what the folder is called, whatever stands in it.
  target, given = spec.split(config.name)
  kind = target.partition(':')[0]
  of_kind = locations.OPTIONS if kind in locations.KINDS else ()
  known = {key: given[key] for key in given if key in _FIELDS and key not in of_kind}
  others = {key: value for key, value in given.items() if key not in known}
  if others and not own_options:
    raise errors.unknown(f'option of {target}', next(iter(others)), _FIELDS)
  name = target
  if others:
    name += ':' + ','.join(f'{key}={value}' for key, value in others.items())
  values = {key: _value(target, key, value) for key, value in known.items()}
  found = options.replace(config, dataset=name, **values)
  return options.checked(found, values)


def _path(name: str) -> str:
  return os.path.expanduser(name.removeprefix('folder:'))


def _value(target: str, key: str, text: str) -> object:
  text = text[1:-1] if len(text) > 1 and text[0] == text[-1] in '"\'' else text
  if _FIELDS[key].kind is not int:
    return text
  try:
    return int(text)
  except ValueError as error:
    raise UserError(f'{target}: `{key}={text}`, expected a whole number') from error


def absolute(name: str) -> str:
  """Returns the name of a dataset that holds from every working directory.

  >>> absolute('imagenet_v2'), absolute('folder:/data/../val')
  ('imagenet_v2', 'folder:/val')
  """
  kind, colon, directory = name.partition(':')
  if kind in locations.KINDS:
    return locations.absolute(name)
  # Of a plug-in that is opened by its folder; else a version.
  is_path = directory[:1] in '/~.' or os.sep in directory
  is_path = is_path or variants.directory_of(name) is not None
  if kind == 'folder' or colon and is_path and os.path.exists(_path(directory)):
    return f'{kind}:{paths.absolute(directory)}'
  return name
