"""JSON objects as values with fields."""

import dataclasses
import functools
import typing
from collections.abc import Mapping
from typing import Any, Self


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class JsonObject(dict[str, Any]):
  """A JSON object whose known keys are the fields of a frozen dataclass.

  A field without a default is always written. One with the default None is left out
  of JSON while it is None, unless it is `nullable`. What a file lacks reads as
  nothing: None, or empty. It is a dict of its JSON keys too, so that it can be
  written, compared and looked into as such; the fields are what counts.

  >>> @dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
  ... class Image(JsonObject):
  ...   name: str
  ...   side: int | None = None
  >>> image = Image.from_json({'name': 'a', 'new': 1})
  >>> image.name, image['name'], image.side, image.further
  ('a', 'a', None, {'new': 1})
  >>> image == {'name': 'a', 'new': 1}
  True

  Attributes:
    further: keys that this version does not know, with their values.
  """

  further: dict[str, Any] = dataclasses.field(default_factory=dict, repr=False)

  def __post_init__(self) -> None:
    self.update({key: getattr(self, key) for key in self.json_keys()}, **self.further)

  @classmethod
  def from_json(cls, content: Mapping[str, Any]) -> Self:
    """Makes an object of what `json.load` returns, or of another such object."""
    known = {key: _read(kind, content.get(key)) for key, kind in kinds(cls).items()}
    further = {key: content[key] for key in content if key not in known}
    return cls(**known, further=further)

  def to_json(self) -> dict[str, Any]:
    """Returns plain dicts and lists."""
    return {key: _written(value) for key, value in self.items()}

  def json_keys(self) -> list[str]:
    """Returns the fields that are written."""
    always = _written_if_none(type(self))
    return [
      key
      for key in kinds(type(self))
      if key in always or getattr(self, key) is not None
    ]


def nullable() -> Any:
  """Returns the default of a field that is null in JSON while it is None."""
  return dataclasses.field(default=None, metadata={'nullable': True})


@functools.cache
def kinds(cls: type[JsonObject]) -> dict[str, Any]:
  """Returns the types of the fields that stand for JSON keys."""
  found = typing.get_type_hints(cls)
  return {
    field.name: found[field.name]
    for field in dataclasses.fields(cls)
    if field.name != 'further'
  }


@functools.cache
def _written_if_none(cls: type[JsonObject]) -> frozenset[str]:
  return frozenset(
    field.name
    for field in dataclasses.fields(cls)
    if field.default is dataclasses.MISSING or 'nullable' in field.metadata
  )


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
