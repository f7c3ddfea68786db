"""Test sets that are known by name as a page."""

from tfeval.datasets.labels import class_sets
from tfeval.datasets.variants import Variant, Variants
from tfeval.reports.page.content import Column, Document, Section, Table, counted

_ALL_CLASSES = 1000
_COLUMNS = (
  Column('name', 'name'),
  Column('title', 'title'),
  Column('kind', 'kind'),
  Column('images', 'images', counted),
  Column('classes', 'classes', counted),
  Column('rule', "authors' rule"),
  Column('tfds', 'TFDS'),
  Column('paper', 'paper'),
  Column('source', 'source'),
  Column('licence', 'licence'),
  Column('traps', 'traps'),
)


def document(found: Variants) -> Document:
  """Returns a row for each test set."""
  rows = [
    (
      one.name,
      one.title,
      one.kind,
      one.images or None,
      classes(one),
      one.rule,
      one.tfds or None,
      one.paper,
      one.source,
      one.licence,
      '; '.join(one.traps),
    )
    for one in found
  ]
  return Document(
    'Test sets',
    [Section('Known test sets', [Table('by name', _COLUMNS, rows)])],
    f'{len(found):,} test sets',
  )


def classes(variant: Variant) -> int:
  """Returns how many classes a test set has."""
  if not variant.class_set:
    return _ALL_CLASSES
  return len(class_sets.read(variant.class_set).names)
