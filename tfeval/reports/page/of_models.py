"""Models that are known by name as a page."""

import dataclasses

from tfeval.models.facts import ModelFacts, Models
from tfeval.reports.page.content import Column, Document, Section, Table, counted

_NUMBERS = {
  'input_size': ('side, px', counted),
  'parameters': ('parameters', counted),
  'multiply_adds': ('multiply-adds', counted),
  'published_top1': ('top-1, %', str),
  'published_top5': ('top-5, %', str),
  'native_top1': ('top-1 of the authors, %', str),
  'native_top5': ('top-5 of the authors, %', str),
}
_FIELDS = tuple(
  dict.fromkeys(
    ['name', *_NUMBERS, *(one.name for one in dataclasses.fields(ModelFacts))]
  )
)


def document(found: Models) -> Document:
  """Returns a row for each model, with all that is known of it."""
  columns = [
    Column(name, *_NUMBERS.get(name, (name.replace('_', ' '),))) for name in _FIELDS
  ]
  rows = [[_plain(getattr(one, name)) for name in _FIELDS] for one in found]
  table = Table(
    'by name',
    columns,
    rows,
    "top-1 and top-5: as published, on ImageNet's validation images, each by its own "
    'protocol; multiply-adds: of one image',
  )
  return Document(
    'Models', [Section('Known models', [table])], f'{len(found):,} models'
  )


def _plain(value: object) -> object:
  return '; '.join(map(str, value)) if isinstance(value, tuple | list) else value
