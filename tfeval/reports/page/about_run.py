"""What a run was: checks before it, its protocol in words, and how to repeat it."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from tfeval.models import published
from tfeval.preprocess import protocol
from tfeval.reports.page import json_lines
from tfeval.reports.page.content import Code, Facts, Missing, Part, Remarks, Section
from tfeval.runs import display
from tfeval.runs.result_file import FLAGS, MANIFEST, Result
from tfeval.runs.run import Run
from tfeval.utils import budgets, errors, files, untrusted
from tfeval.utils.errors import UserError

# Letters of a manifest.
_LONGEST = 20_000


def section(run: Run, name: str | None = None) -> Section:
  """Returns all that is known of how a run came about.

  Args:
    run: the run.
    name: in the heading, among several runs.
  """
  result = run.result
  parts: list[Part] = [Remarks(checks(result))]
  parts.append(Facts([*in_words(result)]))
  parts.append(Facts([*_facts(run)], code=True))
  parts += _repeat(run)
  title = 'How it was made' if name is None else f'How {name} was made'
  return Section(title, parts, last=True)


def checks(result: Result) -> list[str]:
  """Returns what preflight found, and whether figures are what is published."""
  found = [f'PREFLIGHT: {one}' for one in result.preflight or ()]
  if not found:
    imported = result.imported is not None
    why = 'no model ran here' if imported else 'nothing was found'
    found.append(f'Preflight: {why}.')
  found += display.chance_remarks(result)
  if result.published is not None:
    found.append(published.sentence(result.published))
  failed = result.dataset.failed
  if failed:
    found.append(f'{len(failed):,} images were skipped: {failed[0].reason}')
  return found + list(result.dataset.class_notes or ())


def in_words(result: Result) -> Iterator[tuple[str, str]]:
  """Yields what happened to an image before the model."""
  name = result.protocol.name
  try:
    about: Mapping[str, str] = protocol.about(name)
  except UserError:
    about = {}
  yield 'protocol', result.protocol.text
  if about:
    yield 'in words', f'{about["summary"]} {about["explanation"]}'
    if result.protocol.spec not in (None, name):
      yield 'but', f'as {result.protocol.spec}; the words are of {name} as it is'
    yield 'source', about['source']


def _facts(run: Run) -> Iterator[tuple[str, str]]:
  result = run.result
  yield 'run', str(run.path)
  yield 'dataset', f'{result.dataset.name} {result.dataset.split}'.strip()
  yield 'label digest', result.dataset.label_digest
  yield 'content digest', result.dataset.content_digest
  for key in ('weights', 'weights_sha256', 'architecture_sha256', 'values_sha256'):
    value = getattr(result.model, key)
    if value is not None:
      yield key.replace('_', ' '), str(value)
  versions = result.compute.versions
  yield 'versions', ', '.join(f'{name} {one}' for name, one in versions.items())
  compute = result.compute
  devices = ', '.join(compute.devices or ())
  if devices:
    yield 'devices', f'{devices}, dtype {compute.dtype}, jit {compute.jit}'
  if result.timing.finished:
    yield 'finished', result.timing.finished


def repeated(run: Run) -> str | None:
  """Returns the command that repeats a run, None where nothing does.

  Imported predictions are imported again; a run that was made of others, or of a model
  in memory, has no command.
  """
  path = run.path / FLAGS
  try:
    there = path.is_file()
  except OSError:
    there = False
  if not there or run.result.ensemble is not None:
    return None
  command = 'evaluate' if run.result.imported is None else 'import'
  # The flag's name is the command line's; this is a command to copy.
  flag = '-' * 2 + f'flagfile={shlex.quote(str(path))}'
  return f'tfeval {command} {flag}'


def _repeat(run: Run) -> Iterator[Part]:
  command, flags = repeated(run), ''
  if command is not None:
    try:
      content = untrusted.read_bytes(run.path / FLAGS, budgets.FLAGFILES, run.path)
    except (UserError, OSError) as error:
      yield Missing(f'Its {FLAGS}', errors.one_line(error))
    else:
      flags = content.decode(errors='backslashreplace')
  if command is not None and flags:
    yield Facts([('repeat it', command)], code=True)
    yield Code(flags.strip())
  else:
    yield Missing(
      'How to repeat it', f'there is no {FLAGS} of a command: it was made of other '
      'runs, or of a model in memory'
    )  # fmt: skip
  yield from manifest(run)


def manifest(run: Run, name: str | None = None) -> Iterator[Part]:
  """Yields the manifest, folded; the name of the run stands above among several."""
  try:
    content: Any = files.read_json(run.path / MANIFEST, run.path)
  except UserError as error:
    yield Missing('The manifest', str(error))
    return
  text = json_lines.text(content)
  if len(text) > _LONGEST:
    text = f'{text[:_LONGEST]}\n...'
  of = '' if name is None else f' of {name}'
  where = f'long lists are shortened, the whole is {run.path / MANIFEST}'
  yield Code(text, f'The manifest{of}; {where}')
