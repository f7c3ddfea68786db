"""The pages of each kind: what is read of runs, and what is made of it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tfeval.api import given, hard_images
from tfeval.api.page_asked import Asked
from tfeval.metrics.competition import suffix
from tfeval.metrics.entry import ALL
from tfeval.utils.errors import UserError

if TYPE_CHECKING:
  from tfeval.analysis.mistakes import Mistakes
  from tfeval.analysis.portrait import Portrait
  from tfeval.datasets.labels.sets import LabelSource
  from tfeval.reports.page.content import Document, Section
  from tfeval.runs.run import Failure, Run


def of_one(run: 'Run', asked: Asked) -> 'Document':
  """Returns the page of one run."""
  from tfeval.reports.page import hard_images as page
  from tfeval.reports.page import whole

  def thumbnails(run: 'Run', found: 'Mistakes') -> dict[str, bytes | str]:
    return hard_images.thumbnails(run, page.ids_of(found, asked.images), asked)

  return whole.of_one(
    run,
    asked.labels,
    asked.subset,
    asked.metrics,
    _slices([run], asked),
    thumbnails if asked.images else None,
  )


def of_several(runs: 'Sequence[Run]', asked: Asked) -> 'Document':
  """Returns the page of a comparison."""
  from tfeval.analysis import comparison, portrait
  from tfeval.reports.page import whole

  rule = portrait.rule_of(runs)
  found = comparison.compare(
    runs,
    asked.labels,
    asked.subset,
    f'top1{suffix(rule)}',
    common=asked.common,
    level=asked.level,
  )
  # Curves are of all images of a run: of others than those that are compared.
  few = [] if asked.common else runs[: whole.FEW]
  portraits = [_portrait(run, asked, rule) for run in few]
  return _with(whole.compared(found, portraits), runs, asked)


def _portrait(run: 'Run', asked: Asked, rule: str) -> 'Portrait':
  from tfeval.analysis import portrait

  return portrait.portray(run, asked.labels, asked.subset, rule=rule)


def of_leaderboard(runs: 'Sequence[Run | Failure]', asked: Asked) -> 'Document':
  """Returns the page of a leaderboard."""
  from tfeval.analysis import leaderboard, reference_results
  from tfeval.reports.page import whole

  board = leaderboard.rank(
    runs, asked.labels, asked.subset, asked.sort, asked.level, asked.allow
  )
  if asked.reference:
    board = reference_results.with_references(board)
  ranked = [row.run for row in board.rows if row.run is not None]
  metric = board.sort[1]
  pairs = whole.pairs_of(ranked, asked.labels, asked.subset, metric, asked.level)
  rule = metric.partition('@')[2] or ALL
  portraits = [_portrait(run, asked, rule) for run in ranked[: whole.FEW]]
  return _with(whole.ranked(board, pairs, portraits), ranked, asked)


def of_suite(runs: 'Sequence[Run | Failure]', asked: Asked) -> 'Document':
  """Returns the page of models on several test sets."""
  from tfeval.analysis.across import table
  from tfeval.reports.page import whole

  found = table.across(runs, asked.sort, asked.base, 'data' in asked.allow)
  return _before_made(whole.suite(found), [*hard_images.of_sets(found, asked)])


def of_sweep(runs: 'Sequence[Run]', asked: Asked) -> 'Document':
  """Returns the page of one model under several protocols, the first one the base."""
  from tfeval.analysis import against_base, portrait
  from tfeval.reports.page import of_sweep as page
  from tfeval.runs.result_file import Result

  def text(result: Result) -> str:
    return result.protocol.text

  first = _base(runs)
  ordered = [first, *(run for run in runs if run is not first)]
  named = {text(run.result): run for run in ordered}
  if len(named) != len(runs):
    raise UserError(
      f'{len(runs)} runs have {len(named)} protocols: a sweep has one run of each'
    )
  source = _first(asked)
  labels = 'original' if source is None else source.name
  metric = f'top1{suffix(portrait.rule_of(runs))}'
  effects = against_base.effects([*named.items()], labels, metric, source)
  found = against_base.Sweep(
    first.key.title, effects, [], named, {name: {} for name in named},
    labels, metric, asked.level,
  )  # fmt: skip
  return _with(page.document(found), ordered, asked)


def of_two(first: 'Run', second: 'Run', asked: Asked) -> 'Document':
  """Returns the page of what differs between two runs on common images."""
  from tfeval.analysis.explanation import two_runs
  from tfeval.reports.page import of_two_runs

  found = two_runs.two_runs(first, second, 'original', 'top1', asked.level)
  return of_two_runs.document(found)


def _base(runs: 'Sequence[Run]') -> 'Run':
  """Returns the run of the protocol that others depart from: the plainest name."""
  return min(runs, key=lambda run: (':' in run.result.protocol.text, runs.index(run)))


def _with(document: 'Document', runs: 'Sequence[Run]', asked: Asked) -> 'Document':
  """Returns a page of several runs with slices and the hardest images."""
  more = _slices(runs, asked)
  if len(runs) > 1:
    more.append(hard_images.of_runs(runs, asked))
  return _before_made(document, more)


def _before_made(document: 'Document', more: 'Sequence[Section]') -> 'Document':
  """Returns a page with sections before how it was made."""
  first = [one for one in document.sections if not one.last]
  last = [one for one in document.sections if one.last]
  return dataclasses.replace(document, sections=[*first, *more, *last])


def _slices(runs: 'Sequence[Run]', asked: Asked) -> 'list[Section]':
  if not asked.by:
    return []
  from tfeval.analysis import portrait, slices
  from tfeval.reports.page import of_slices

  found = []
  for by in asked.by:
    groups = slices.groups_by(given.groups(by), runs)
    how = asked.labels, asked.subset, (f'top1{suffix(portrait.rule_of(runs))}',)
    try:
      found.append(of_slices.section(slices.report(runs, by, groups, *how)))
    except UserError as error:
      found.append(hard_images.without(f'Slices by {by}', str(error)))
  return found


def _first(asked: Asked) -> 'LabelSource | None':
  return asked.labels[0] if asked.labels else None


def shifted(runs: Sequence[Any], where: Mapping[str, Any], level: float) -> 'Document':
  """Returns the page of what changed between the images of two runs."""
  from tfeval.api.shift import shift
  from tfeval.reports.page import of_shift

  source, target = runs
  return of_shift.document(shift(source, target, level=level, **where))


def two(runs: 'Sequence[Run | Failure]', kind: str) -> 'list[Run]':
  """Returns the two runs that some pages are of.

  Raises:
    UserError: there are not two, or one is not complete.
  """
  if len(runs) != 2:
    raise UserError(f'`kind={kind}` is of two runs, {len(runs)} were given')
  return given.all_complete(runs)
