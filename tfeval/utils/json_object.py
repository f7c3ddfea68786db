"""JSON objects as values with fields."""

import dataclasses
import functools
import typing
from collections.abc import Mapping
from typing import Any, ClassVar, Self

REQUIRED = object()
# What `json.load` makes of values of each type; else an object.
_OF_JSON: dict[Any, Any] = {
  str: str,
  int: int,
  float: (int, float),
  bool: bool,
  list: list,
}
_WORDS = {
  str: 'a text',
  int: 'a whole number',
  float: 'a number',
  bool: 'true or false',
  list: 'a list',
}
_NULLABLE = object()


class WrongType(ValueError):
  """JSON has a value of another type; says where, what was expected, and what it is."""


def nullable() -> Any:
  """Returns the default of a field that is null in JSON while it is None."""
  return _NULLABLE


@typing.dataclass_transform(kw_only_default=True, frozen_default=True)
class JsonObject(dict[str, Any]):
  """A JSON object whose known keys are the fields of a frozen dataclass.

  To a type checker its subclasses are dataclasses; no code is generated for them, which
  with all objects of a result would take some of the start of each command.

  A field without a default is always written. One with the default None is left out
  of JSON while it is None, unless it is `nullable`. What a file lacks reads as
  nothing: None, or empty. It is a dict of its JSON keys too, so that it can be
  written, compared and looked into as such; the fields are what counts.

  >>> class Image(JsonObject):
  ...   name: str
  ...   side: int | None = None
  >>> image = Image.from_json({'name': 'a', 'new': 1})
  >>> image.name, image['name'], image.side, image.further
  ('a', 'a', None, {'new': 1})
  >>> image == {'name': 'a', 'new': 1}
  True

  Attributes:
    further: keys that this version does not know, with their values.
    defaults: of the fields, `REQUIRED` where there is none.
  """

  further: dict[str, Any] = {}
  defaults: ClassVar[dict[str, Any]] = {}

  def __init_subclass__(cls) -> None:
    own = {key: cls.__dict__.get(key, REQUIRED) for key in cls.__annotations__}
    cls.defaults = {**cls.defaults, **own}

  def __init__(self, *, further: Mapping[str, Any] | None = None, **values: Any):
    """Raises a TypeError if a field is unknown, or lacks and has no default."""
    fields = {**self.defaults, **values}
    lacking = [key for key, value in fields.items() if value is REQUIRED]
    if lacking or len(fields) > len(self.defaults):
      unknown = values.keys() - self.defaults.keys()
      raise TypeError(f'{type(self).__name__}: {lacking} lack, {unknown} are unknown')
    vars(self).update(
      {key: None if value is _NULLABLE else value for key, value in fields.items()},
      further=dict(further or {}),
    )
    written = {key: vars(self)[key] for key in self.json_keys()}
    super().__init__(written, **self.further)

  def __setattr__(self, name: str, value: Any) -> None:
    raise dataclasses.FrozenInstanceError(f'cannot assign to field {name!r}')

  def _frozen(self, *_: Any, **__: Any) -> typing.NoReturn:
    raise dataclasses.FrozenInstanceError('a copy is changed: `replaced`')

  __setitem__ = __delitem__ = __ior__ = _frozen
  update = setdefault = pop = popitem = clear = _frozen

  def __reduce__(self):
    return type(self).from_json, (dict(self),)

  @classmethod
  def from_json(cls, content: Mapping[str, Any]) -> Self:
    """Makes an object of what `json.load` returns, or of another such object.

    Raises:
      WrongType: a value is not of its field's type; says which.
    """
    known = {
      key: _read_at(f'.{key}', kind, content[key]) if key in content else _nothing(kind)
      for key, kind in kinds(cls).items()
    }
    further = {key: content[key] for key in content if key not in known}
    return cls(**known, further=further)

  def replaced(self, **values: Any) -> Self:
    """Returns a copy with other values of some fields."""
    return type(self)(**{**vars(self), **values})

  def to_json(self) -> dict[str, Any]:
    """Returns plain dicts and lists."""
    return {key: _written(value) for key, value in self.items()}

  def json_keys(self) -> list[str]:
    """Returns the fields that are written."""
    return [
      key
      for key, default in self.defaults.items()
      if default in (REQUIRED, _NULLABLE) or getattr(self, key) is not None
    ]


@functools.cache
def kinds(cls: type[JsonObject]) -> dict[str, Any]:
  """Returns the types of the fields that stand for JSON keys."""
  found = typing.get_type_hints(cls)
  return {key: found[key] for key in cls.defaults}


def object_class(kind: Any) -> type[JsonObject] | None:
  """Returns the class of the objects in a type, such as `list[Image] | None`."""
  if isinstance(kind, type) and issubclass(kind, JsonObject):
    return kind
  return next(filter(None, map(object_class, typing.get_args(kind))), None)


def _read(kind: Any, value: Any) -> Any:
  """Returns what JSON says of a value of a type.

  Raises:
    WrongType: it is of another one.
  """
  kind, container, of_each, optional = _parts(kind)
  if kind is Any:
    return value
  if value is None:
    return None if optional else _nothing(kind)
  if not isinstance(value, _OF_JSON.get(container, Mapping)) or (
    isinstance(value, bool) and container is not bool
  ):
    raise WrongType(f': expected {_words(container)}, found {str(value)[:40]!r}')
  if isinstance(value, list):
    return [_read_at(f'[{i}]', of_each, one) for i, one in enumerate(value)]
  if container is dict:
    return {key: _read_at(f'.{key}', of_each, one) for key, one in value.items()}
  return kind.from_json(value) if isinstance(value, Mapping) else value


@functools.cache
def _parts(kind: Any) -> tuple[Any, Any, Any, bool]:
  """Returns a type without None, its container, its elements' type, if it had None."""
  several = typing.get_args(kind)
  optional = type(None) in several
  if optional:
    (kind,) = (one for one in several if one is not type(None))
  inside = typing.get_args(kind)
  return kind, typing.get_origin(kind) or kind, inside[-1] if inside else None, optional


def _read_at(place: str, kind: Any, value: Any) -> Any:
  try:
    return _read(kind, value)
  except WrongType as error:
    raise WrongType(f'{place}{error}') from error


def _words(kind: Any) -> str:
  return _WORDS.get(kind, 'an object')


def _nothing(kind: Any) -> Any:
  """Returns what a value reads as that a file lacks."""
  container = typing.get_origin(kind) or kind
  if container in (list, dict):
    return container()
  cls = object_class(kind)
  return cls.from_json({}) if cls is kind and cls is not None else None


def _written(value: Any) -> Any:
  if isinstance(value, Mapping):
    return {key: _written(one) for key, one in value.items()}
  return [_written(one) for one in value] if isinstance(value, list) else value
