"""JSON objects as values with fields."""

import dataclasses
import functools
import typing
from collections.abc import Mapping
from typing import Any, ClassVar, Self

REQUIRED = object()
_NULLABLE = object()


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
    """Makes an object of what `json.load` returns, or of another such object."""
    known = {key: _read(kind, content.get(key)) for key, kind in kinds(cls).items()}
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
  cls = object_class(kind)
  if value is None:
    origin = typing.get_origin(kind)
    if origin in (list, dict):
      return origin()
    return cls.from_json({}) if cls is not None and kind is cls else None
  if cls is not None and isinstance(value, list):
    return [cls.from_json(one) for one in value]
  if cls is not None and isinstance(value, Mapping):
    return cls.from_json(value)
  return value


def _written(value: Any) -> Any:
  if isinstance(value, Mapping):
    return {key: _written(one) for key, one in value.items()}
  return [_written(one) for one in value] if isinstance(value, list) else value
