"""How several runs came about: each in a section, or of many a table of all."""

from collections.abc import Iterator, Sequence
from typing import Any

from tfeval.reports.page import about_run, content
from tfeval.reports.page.content import Column, Facts, Missing, Part, Section, Table
from tfeval.runs.run import Run

# Runs with a section of their own; manifests where there are more.
FEW, _MANIFESTS = 8, 3


def sections(named: Sequence[tuple[str, Run]], most: int = FEW) -> list[Section]:
  """Returns how runs were made.

  Args:
    named: name and run.
    most: of more runs there is one section with a table.
  """
  if len(named) <= most:
    return [about_run.section(run, name) for name, run in named]
  return [section([(name, '', run) for name, run in named])]


def section(told: Sequence[tuple[str, str, Run]]) -> Section:
  """Returns how many runs were made, see `parts`."""
  return Section('How it was made', parts(told), last=True)


def parts(told: Sequence[tuple[str, str, Run]]) -> list[Part]:
  """Returns the table of runs, their protocols in words and the first manifests.

  Args:
    told: of each run its name, the test set or nothing, and the run.
  """
  return [table(told), *_in_words(told), *_manifests(told)]


def table(told: Sequence[tuple[str, str, Run]]) -> Table:
  """Returns what each run is of, what was found before it, and how it is repeated."""
  rows: list[tuple[Any, ...]] = [
    (name, of, run.result.protocol.text, run.result.dataset.evaluated,
     ' '.join(about_run.checks(run.result)), run.result.dataset.content_digest,
     str(run.path), about_run.repeated(run))
    for name, of, run in told
  ]  # fmt: skip
  columns = [
    Column('model', 'model'),
    Column('set', 'set'),
    Column('protocol', 'protocol'),
    Column('images', 'images', content.counted),
    Column('checks', 'preflight'),
    Column('content_digest', 'content digest'),
    Column('run', 'run'),
    Column('repeat', 'repeat it'),
  ]
  labels = 2
  if not any(of for _, of, _ in told):
    del columns[1]
    rows = [row[:1] + row[2:] for row in rows]
    labels = 1
  about = ''
  if any(row[-1] is None for row in rows):
    about = (
      'Nothing repeats a run without flags, such as of a model that was in memory.'
    )
  return Table('Runs', columns, rows, about, labels=labels)


def _in_words(told: Sequence[tuple[str, str, Run]]) -> Iterator[Part]:
  """Yields each protocol once."""
  words = {}
  for _, _, run in told:
    facts = dict(about_run.in_words(run.result))
    if 'in words' in facts:
      words[facts['protocol']] = facts['in words']
  if words:
    yield Facts([*words.items()])


def _manifests(told: Sequence[tuple[str, str, Run]]) -> Iterator[Part]:
  for name, of, run in told[:_MANIFESTS]:
    yield from about_run.manifest(run, f'{name} on {of}' if of else name)
  more = len(told) - _MANIFESTS
  if more > 0:
    where = 'each is a file in the directory of its run, which the table names'
    yield Missing(f'The manifests of {more:,} more', where)
