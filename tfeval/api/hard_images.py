"""Sections of the images that runs get wrong, with thumbnails where they are asked."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tfeval.api import around
from tfeval.utils.errors import UserError

if TYPE_CHECKING:
  from tfeval.analysis.across.places import Place
  from tfeval.analysis.across.table import Across
  from tfeval.analysis.hardest import Hardest
  from tfeval.analysis.mistakes import Mistakes
  from tfeval.api.page_asked import Asked
  from tfeval.reports.page.content import Section
  from tfeval.runs.run import Run

# The longer side of a thumbnail: some 10 kB each.
_PIXELS = 256
_TITLE = 'Hardest images'
# Images of each of several test sets.
_OF_SET = 25


def of_runs(runs: 'Sequence[Run]', asked: 'Asked') -> 'Section':
  """Returns the images that most of several runs on the same ones get wrong."""
  from tfeval.analysis import portrait
  from tfeval.analysis.hardest import hardest
  from tfeval.reports.page import hard_images

  source = asked.labels[0] if asked.labels else None
  try:
    rule = portrait.rule_of(runs)
    found = hardest(runs, hard_images.ROWS, labels=source, rule=rule)
    return _section(runs[0], found, asked)
  except UserError as error:
    return without(_TITLE, str(error))


def of_sets(found: 'Across', asked: 'Asked') -> 'Iterator[Section]':
  """Yields the images of each test set that its runs get wrong, or why there are none.

  Those of one model are its most confidently wrong ones.
  """
  for place in found.places:
    runs = [
      run
      for row in found.rows
      if place.name in row.cells
      for run in row.cells[place.name].runs
    ]
    title = f'{_TITLE} of {place.name}'
    try:
      section = _of_set(place, runs, asked)
    except UserError as error:
      section = without(title, str(error))
    yield dataclasses.replace(section, title=title)


def _of_set(place: 'Place', runs: 'Sequence[Run]', asked: 'Asked') -> 'Section':
  from tfeval.analysis import hardest, mistakes, portrait

  if place.part is not None:
    raise UserError(
      'each image is there once for every corruption and severity: make a page of one '
      'of these runs'
    )
  if place.variant is not None and place.variant.unlabelled:
    raise UserError('its images have none of the labels that models say')
  if len(runs) > 1:
    found = hardest.hardest(runs, _OF_SET, rule=portrait.rule_of(runs))
    return _section(runs[0], found, asked)
  return _section(runs[0], mistakes.mistakes(runs[0], _OF_SET), asked)


def _section(run: 'Run', found: 'Mistakes | Hardest', asked: 'Asked') -> 'Section':
  from tfeval.reports.page import hard_images

  shown = None
  if asked.images:
    shown = thumbnails(run, hard_images.ids_of(found, asked.images), asked)
  return hard_images.section(found, shown)


def thumbnails(run: 'Run', ids: list[str], asked: 'Asked') -> dict[str, bytes | str]:
  """Returns JPEGs of images by their ids, or why there are none."""
  with around.tensorflow():
    from tfeval.evaluation import images_again  # TensorFlow: seconds.

    return images_again.thumbnails(
      run, ids, _PIXELS, dataset=asked.dataset, **asked.where
    )


def without(title: str, reason: str) -> 'Section':
  from tfeval.reports.page.content import Missing, Section

  return Section(title, [Missing(title, reason)])
