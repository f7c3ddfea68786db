"""Answers of models to images as a page."""

from tfeval.reports.page.content import (
  Column,
  Document,
  Remarks,
  Section,
  Table,
  counted,
)
from tfeval.runs.predicted import Predictions
from tfeval.runs.top_classes import short

_COLUMNS = (
  Column('image', 'image'),
  Column('model', 'model'),
  Column('rank', 'rank', counted),
  Column('class', 'class', str),
  Column('wnid', 'id'),
  Column('name', 'name'),
  Column('probability', 'probability', short),
)


def document(found: Predictions) -> Document:
  """Returns the highest classes of each model for each image, a row for each."""
  rows = [
    (
      image.path,
      model.name,
      one.rank,
      one.index,
      one.wnid,
      one.name.replace('_', ' '),
      one.probability,
    )
    for image in found.images
    for model, ranked in zip(found.models, image.predictions, strict=True)
    for one in ranked
  ]
  models = ', '.join(f'{one.name} ({one.protocol})' for one in found.models)
  failed = [f'{name} was not asked: {why}' for name, why in found.failed.items()]
  return Document(
    'Predictions',
    [
      Section(
        'Highest classes',
        [
          Table(f'of {len(found.images):,} images', _COLUMNS, rows, labels=2),
          *([Remarks(failed)] if failed else []),
        ],
      )
    ],
    models,
  )
