"""The models known by name: facts from a file, readable without TensorFlow."""

import dataclasses
import functools
import os
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from tfeval.models import facts_of_frameworks
from tfeval.models.facts import ModelFacts, lines
from tfeval.models.worker import kinds
from tfeval.utils import errors, paths
from tfeval.utils.errors import UserError
from tfeval.utils.registry import Registry
from tfeval.utils.spec import Spec, parse

_KERASHUB = 'kerashub:'
# What constructors take for an option that is not given. Only options that some row
# of the same constructor names are compared by it.
_DEFAULTS = {'alpha': 1.0, 'minimalistic': False}


@functools.cache
def rows() -> tuple[ModelFacts, ...]:
  """Returns every row, in the order of the file: variants after their constructor."""
  return tuple(_facts(line) for line in lines('models.tsv'))


def _facts(line: Mapping[str, str]) -> ModelFacts:
  values = {}
  for field in dataclasses.fields(ModelFacts):
    text = line[field.name]
    if field.name == 'traps':
      values[field.name] = tuple(text.split('; ')) if text else ()
    elif field.type in (int, str):
      values[field.name] = field.type(text)
    elif field.type == int | None:
      values[field.name] = int(text) if text else None
    else:  # float | None or str | None.
      read = float if field.type == float | None else str
      values[field.name] = read(text) if text else None
  return ModelFacts(**values)


@functools.cache
def known_models() -> dict[str, ModelFacts]:
  """Returns the rows of plain constructors by name, in the order of the file."""
  return {row.name: row for row in rows() if not _spec(row).options}


def find_facts(spec: Spec) -> ModelFacts | None:
  """Returns the row of a specification, None if there is none.

  Options may stand in any order, and may say what the constructor does anyway.

  >>> find_facts(parse('MobileNet:input_shape=[224,224,3],alpha=0.25')).name
  'MobileNet:alpha=0.25'
  >>> find_facts(parse('MobileNet:alpha=1')).name
  'MobileNet'
  >>> find_facts(parse('MobileNet:alpha=0.3')) is None
  True
  """
  if kinds.kind_of(spec) is not None:
    return facts_of_frameworks.find(spec)
  if spec.target not in known_models():
    return None
  return _rows_by_key().get(_key(spec))


@functools.cache
def _rows_by_key() -> dict[Hashable, ModelFacts]:
  return {_key(_spec(row)): row for row in rows()}


@functools.cache
def _spec(row: ModelFacts) -> Spec:
  return parse(row.name)


@functools.cache
def _defaults(target: str) -> dict[str, Hashable]:
  """Returns what a constructor takes for the options that its rows name."""
  side = known_models()[target].input_size
  named = {
    key
    for row in rows()
    if _spec(row).target == target
    for key, _ in _spec(row).options
  }
  return {
    'input_shape': (side, side, 3),
    **{key: value for key, value in _DEFAULTS.items() if key in named},
  }


def _key(spec: Spec) -> Hashable:
  """Returns what is equal for specifications of the same model."""
  defaults = _defaults(spec.target)
  return spec.target, frozenset(
    (key, value)
    for key, value in spec.options
    if key not in defaults or value != defaults[key]
  )


# Models of other packages: functions as of `--model=module:function`, with the options
# of a specification as keyword arguments.
LOADERS: Registry[Callable[..., Any]] = Registry('model', {}, 'tfeval.models')


def application(name: str) -> Spec | None:
  """Returns the specification of an application, None for a name of another model."""
  try:
    found = parse(name)
  except errors.UserError:
    return None
  return found if found.target in known_models() else None


def give_classes(name: str, count: int) -> str:
  """Returns how to ask for an application with another number of classes.

  >>> give_classes('MobileNet:alpha=0.25', 10)
  '`model=MobileNet:alpha=0.25,classes=10` with `weights` of these classes'
  """
  built = parse(name)
  options = {**dict(built.options), 'classes': count}
  text = ','.join(f'{key}={value}' for key, value in options.items())
  return f'`model={built.target}:{text}` with `weights` of these classes'


def give_class_map(name: str, value: str) -> str:
  """Returns how to say what the outputs of a model mean.

  Args:
    name: the model's; applications, built by their name, are known to take none.
    value: of `class_map`.
  """
  if application(name) is None:
    return f'give `class_map={value}`'
  return (
    f'save {name} with its weights as a .keras file and give that as `model`, with '
    f'`class_map={value}`, which an application takes not'
  )


def check_name(spec: Spec) -> None:
  """Checks that a model of this name could exist, without loading anything.

  Raises:
    UserError: it is no known name, no existing path and no `module:function`.
  """
  target = spec.target
  if (kind := kinds.kind_of(spec)) is not None:
    kinds.check_name(spec, kind)
    return
  if target.startswith(_KERASHUB) and target != _KERASHUB:
    return
  if target in known_models() or paths.is_url(target) or os.path.exists(target):
    return
  module, colon, rest = target.partition(':')
  if module in known_models():
    raise UserError(f'{spec.text!r}: {rest!r} is not key=value')
  if colon and all(part.isidentifier() for part in [*module.split('.'), rest]):
    return
  if os.sep in target or target.endswith(('.keras', '.h5')):
    raise UserError(f'model file {target} does not exist')
  if target not in LOADERS:
    known = [*known_models(), *LOADERS]
    raise errors.unknown(
      'model', target, known, 'or a path, or module:function; see tfeval models'
    )
