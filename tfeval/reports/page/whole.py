"""Pages of several runs: which kind they are, and the sections of each kind."""

from collections.abc import Callable, Mapping, Sequence

from tfeval.analysis import comparison, leaderboard, mistakes, portrait
from tfeval.analysis.across import places
from tfeval.analysis.across import table as across_table
from tfeval.analysis.mistakes import Mistakes
from tfeval.analysis.portrait import Portrait
from tfeval.datasets.labels.sets import LabelSource
from tfeval.datasets.labels.subsets import Subset
from tfeval.reports import asked
from tfeval.reports.page import (
  about_runs,
  caveats,
  confidence,
  hard_images,
  of_across,
  of_comparison,
  of_leaderboard,
  of_run,
)
from tfeval.reports.page.content import Document, Missing, Part, Section
from tfeval.runs.run import Failure, Run
from tfeval.runs.same_model import same_weights
from tfeval.utils.errors import UserError

# Runs of which every pair, and each one's making, is told.
FEW = about_runs.FEW


def kind_of(runs: Sequence[Run | Failure]) -> str:
  """Returns what kind of page runs make by themselves."""
  complete = [run for run in runs if isinstance(run, Run)]
  if len(runs) == 1:
    return asked.RUN
  if places.are_several(complete):
    return asked.SUITE
  if len(complete) == len(runs) and is_sweep(complete):
    return asked.SWEEP
  return asked.COMPARISON if len(runs) == 2 else asked.LEADERBOARD


def is_sweep(runs: Sequence[Run]) -> bool:
  """Whether runs are of one model on the same images, each by another protocol."""
  first = runs[0]
  protocols = {run.result.protocol.hash for run in runs}
  return (
    len(protocols) == len(runs)
    and None not in protocols
    and all(
      run.result.model.name == first.result.model.name
      and same_weights(run.result.model, first.result.model)
      and run.result.dataset.content_digest == first.result.dataset.content_digest
      for run in runs[1:]
    )
  )


def of_one(
  run: Run,
  labels: Sequence[LabelSource] | None = None,
  subset: Subset | None = None,
  metrics: Sequence[str] = (),
  more: Sequence[Section] = (),
  thumbnails: Callable[[Run, Mistakes], Mapping[str, bytes | str]] | None = None,
) -> Document:
  """Returns the page of one run.

  Args:
    run: the run.
    labels, subset, metrics: see `portrait.portray`.
    more: sections before its mistakes, such as slices.
    thumbnails: returns JPEGs of the first mistakes, or why there are none; None: they
      are not asked for.

  Raises:
    UserError: as `Run.summary`.
  """
  found = portrait.portray(run, labels, subset, metrics)
  title = 'Most confidently wrong images'
  try:
    wrong = mistakes.mistakes(
      run, hard_images.ROWS, labels=labels[0] if labels else None
    )
    shown = thumbnails(run, wrong) if thumbnails is not None else None
    last = hard_images.section(wrong, shown)
  except UserError as error:
    last = Section(title, [Missing(title, str(error))])
  return of_run.whole(found, [*more, last])


def compared(found: comparison.Comparison, portraits: Sequence[Portrait]) -> Document:
  """Returns a page of runs on the same images.

  Args:
    found: the comparison.
    portraits: of the runs, in their order; none: their rows are not shown.
  """
  page = of_comparison.document(found)
  sections = [*page.sections]
  names = [one.name for one in found.aligned]
  sections += overlaid(names[: len(portraits)], portraits, len(names))
  sections += about_runs.sections([(one.name, one.run) for one in found.aligned])
  told = caveats.grouped(
    (one.name, caveat) for one in found.aligned for caveat in one.run.result.caveats
  )
  return Document(page.title, sections, page.subtitle, told, page.main)


def ranked(
  board: leaderboard.Leaderboard,
  pairs: comparison.Comparison | str,
  portraits: Sequence[Portrait],
) -> Document:
  """Returns a page of a leaderboard.

  Args:
    board: the leaderboard.
    pairs: the same runs in pairs, or why there are none; '': there is one run.
    portraits: of the runs, in the order of the board; none: rows are not shown.
  """
  page = of_leaderboard.document(board)
  sections = [*page.sections]
  runs = [(row.name, row.run) for row in board.rows if row.run is not None]
  if isinstance(pairs, comparison.Comparison):
    sections += of_comparison.document(pairs).sections[1:]
  elif pairs:
    sections.append(Section('Pairs', [Missing('Pairs of runs', pairs)]))
  few = [name for name, _ in runs][: len(portraits)]
  sections += overlaid(few, portraits, len(runs))
  sections += about_runs.sections(runs)
  told = caveats.urgent(board.remarks)
  told += caveats.grouped(
    [
      *((row.name, row.failure) for row in board.rows if row.failure),
      *((name, one) for name, run in runs for one in run.result.caveats),
    ]
  )
  return Document(page.title, sections, page.subtitle, told)


def overlaid(
  names: Sequence[str], portraits: Sequence[Portrait], of: int
) -> list[Section]:
  """Returns curves of several runs in the same axes, by the first label set.

  Args:
    names, portraits: of the runs.
    of: how many there are in all.
  """
  chosen, called = [], []
  parts: list[Part] = []
  for name, one in zip(names, portraits, strict=True):
    first = one.sets[0]
    if first.confidences is None:
      parts.append(Missing(f'Confidence of {name}', first.no_confidences))
      continue
    chosen.append(first)
    called.append(name)
  if chosen:
    parts.insert(0, confidence.precision_recall(chosen, called))
    parts.insert(0, confidence.risk_coverage(chosen, called))
  intro = ''
  if len(portraits) < of:
    intro = f'Of the first {len(portraits)} of {of} runs.'
  return [Section('Confidence', parts, intro)] if parts else []


def suite(found: across_table.Across) -> Document:
  """Returns a page of models on several test sets."""
  page = of_across.document(found)
  told = caveats.grouped((one.name, one.reason) for one in found.failures)
  return Document(page.title, page.sections, page.subtitle, told)


def pairs_of(
  runs: Sequence[Run],
  labels: Sequence[LabelSource] | None,
  subset: Subset | None,
  metric: str,
  level: float,
) -> comparison.Comparison | str:
  """Returns runs in pairs, or why there are none."""
  if len(runs) < 2:
    return ''
  if len(runs) > FEW:
    return f'{len(runs)} runs are too many for a page: give {FEW} at most'
  try:
    return comparison.compare(runs, labels, subset, metric, level=level)
  except UserError as error:
    return str(error)
