"""Options that are declared once: as fields of frozen dataclasses, with their help.

A config is a dataclass of options and of further configs, its parts. The flags of the
command line, the keywords of `tfeval.evaluate`, flagfiles and checks are made of it.
Names of options are those of their flags and unique in a config.
"""

import dataclasses
import inspect
import math
import os
import typing
from collections.abc import Callable, Container, Iterator
from typing import Any

from tfeval.utils import arguments, errors, flagfile
from tfeval.utils.errors import UserError

# A heading of `--help` for options of several configs.
PREPROCESSING = 'Preprocessing'


@dataclasses.dataclass(frozen=True)
class Option:
  """What is known of an option beside its default.

  Attributes:
    name: of the flag and the keyword; by default that of the field.
    help: a sentence for `--help`.
    group: the heading that it stands under in `--help`.
    choices: what a text has to be one of.
    least, most: bounds of a number.
    words: what may stand in place of a number.
    is_path: whether it is the path of a file or folder, or a URL.
    repeated: whether a flagfile that repeats a run has it: what is evaluated and how,
      not where and by whom.
    identifies: whether it tells which evaluations make one curve.
    of_applications: False for what is known of an application, and has to be given for
      other models.
    alone: of a text, what a flag without a value stands for, and True in Python; None:
      it has to have one.
    in_python: whether it is a keyword of `tfeval.evaluate`; False for what belongs to
      the process or to models that are loaded.
  """

  help: str
  name: str = ''
  group: str = ''
  choices: tuple[str, ...] | None = None
  least: float | None = None
  most: float | None = None
  words: tuple[str, ...] = ()
  is_path: bool = False
  repeated: bool = True
  identifies: bool = False
  of_applications: bool = True
  alone: str | None = None
  in_python: bool = True


def option(default: Any, text: str, **known: Any) -> Any:
  """Returns a dataclass field: an option with a default and what `Option` has."""
  return dataclasses.field(default=default, metadata={'option': Option(text, **known)})


@dataclasses.dataclass(frozen=True)
class Field:
  """An option of a config.

  Attributes:
    path: names of the fields that lead to it.
    default: its default.
    hint: its type, such as `int | None`.
    option: what is known of it.
  """

  path: tuple[str, ...]
  default: Any
  hint: Any
  option: Option

  @property
  def kind(self) -> type:
    """What a flag's values are: of `int | None` int, of `str | Callable` str."""
    kinds = typing.get_args(self.hint) or (self.hint,)
    if self.is_many:
      kinds = typing.get_args(next(kind for kind in kinds if typing.get_args(kind)))
    return next(kind for kind in (bool, int, float, str) if kind in kinds)

  @property
  def is_many(self) -> bool:
    """Whether it may be given several times: it is `tuple[...] | None`."""
    return any(typing.get_origin(kind) is tuple for kind in typing.get_args(self.hint))

  @property
  def name(self) -> str:
    return self.option.name

  def of(self, config: Any) -> Any:
    """Returns its value."""
    for name in self.path:
      config = getattr(config, name)
    return config


def fields(config: type) -> Iterator[Field]:
  """Yields the options of a config and of its parts, in their order.

  Fields that are neither an option nor a config are passed over. Options without a
  group have that of the config, its attribute `GROUP`.
  """
  hints = typing.get_type_hints(config)
  for field in dataclasses.fields(config):
    if dataclasses.is_dataclass(hints[field.name]):
      for one in fields(hints[field.name]):
        yield dataclasses.replace(one, path=(field.name, *one.path))
    elif 'option' in field.metadata:
      known = field.metadata['option']
      known = dataclasses.replace(
        known,
        name=known.name or field.name,
        group=known.group or getattr(config, 'GROUP', ''),
      )
      yield Field((field.name,), field.default, hints[field.name], known)


def replace(config: Any, **values: Any) -> Any:
  """Returns a config with some values, by the names of options, exchanged.

  Raises:
    UserError: a name that is none of its options.
  """
  known = {field.name: field.path for field in fields(type(config))}
  for name, value in values.items():
    if name not in known:
      raise errors.unknown('option', name, known)
    config = _set(config, known[name], value)
  return config


def _set(config: Any, path: tuple[str, ...], value: Any) -> Any:
  if len(path) > 1:
    value = _set(getattr(config, path[0]), path[1:], value)
  return dataclasses.replace(config, **{path[0]: value})


def flat(config: Any) -> dict[str, Any]:
  """Returns the values of a config by the names of its options."""
  return {field.name: field.of(config) for field in fields(type(config))}


def python_names(config: type) -> list[str]:
  """Returns the options that are keywords of `tfeval.evaluate`."""
  return [field.name for field in fields(config) if field.option.in_python]


def signature(
  function: Callable[..., Any], config: type, names: Container[str] | None = None
) -> inspect.Signature:
  """Returns the signature of a function whose `**keywords` are options of a config.

  Args:
    function: its last parameter stands for the options.
    config: whose options they are.
    names: of the options it takes; by default all.
  """
  written = inspect.signature(function)
  *parameters, _ = written.parameters.values()
  there = {parameter.name for parameter in parameters}
  declared = [
    inspect.Parameter(
      field.name,
      inspect.Parameter.KEYWORD_ONLY,
      default=field.default,
      annotation=field.hint,
    )
    for field in fields(config)
    if field.name not in there and (names is None or field.name in names)
  ]
  return written.replace(parameters=[*parameters, *declared])


def checked(config: Any, names: Container[str] | None = None) -> Any:
  """Returns a config of values that were given in Python as plain ones.

  NumPy's integers become ints, paths become texts.

  Args:
    config: what was given.
    names: of the options to look at; by default all.

  Raises:
    UserError: a value that no flag could have.
  """
  chosen = [
    field for field in fields(type(config)) if names is None or field.name in names
  ]
  return replace(config, **{one.name: _plain(one, one.of(config)) for one in chosen})


def _plain(field: Field, value: Any) -> Any:
  name, known = field.name, field.option
  if value is None and field.default is None:
    return None
  if field.is_many:
    kinds = str | os.PathLike
    one = (value,) if isinstance(value, kinds) else value
    found = arguments.several(name, one, kinds, 'a text or several')
    return tuple(map(os.fspath, found))
  if isinstance(value, str) and value in known.words:
    return value
  if known.alone is not None and isinstance(value, bool):
    return known.alone if value else None
  if known.is_path:
    return arguments.path_text(name, value)
  if field.kind is int:
    least = 1 if known.least is None else known.least
    return arguments.whole_number(name, value, least, known.most or math.inf)
  if field.kind is bool:
    return arguments.truth(name, value)
  if field.kind is float:
    return arguments.number(name, value, known.least)
  if not isinstance(value, str):
    # What was given may be a whole dataset: the message stays one line.
    raise UserError(f'{name} is {str(value)[:80]}, expected a text')
  if known.choices is not None and value not in known.choices:
    raise errors.unknown(name, value, known.choices)
  return value


def flagfile_lines(config: Any, absolute: Callable[[str], str]) -> list[str]:
  """Returns the flags that repeat a config.

  Args:
    config: the config.
    absolute: makes a path one that holds from every working directory.
  """
  lines = []
  for field in fields(type(config)):
    value = field.of(config)
    if value is None or not field.option.repeated:
      continue
    if field.is_many:
      lines += [flagfile.line(field.name, one) for one in value]
    elif field.kind is bool:
      lines.append(f'--{"" if value else "no"}{field.name}')
    elif field.option.is_path:
      lines.append(flagfile.line(field.name, absolute(value)))
    else:
      lines.append(flagfile.line(field.name, value))
  return lines
