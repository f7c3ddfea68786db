"""A section of a model card: results, how they were measured, how to repeat them."""

import io
import os
import re
from collections.abc import Iterator, Sequence
from typing import TextIO

from tfeval.metrics.entry import COUNT, MetricEntry
from tfeval.preprocess import protocol
from tfeval.reports import results, terminal
from tfeval.reports.exchange import hub
from tfeval.reports.exchange.export import Export, Request, left_out, of_card, title
from tfeval.runs import display
from tfeval.runs.result_file import FLAGS
from tfeval.runs.run import Run
from tfeval.utils import budgets, flagfile, untrusted
from tfeval.utils.errors import UserError
from tfeval.utils.printable import markdown_cell

_TITLES = ('model', 'test set', 'metric', 'correct', 'of', 'value', '95 % interval')
_ALIGNED = ('---', '---', '---', '---:', '---:', '---:', '---:')
# An absolute path, perhaps behind what kind of thing it is of.
_PATH = re.compile(r'((?:[a-z_]\w*:)?)/(?:.*/)?([^/]+)/?', re.DOTALL)


def export_markdown(runs: Sequence[Run], request: Request) -> Export:
  """Returns a section that begins with a heading, for any number of models."""
  text = io.StringIO()
  _line(text, '## Evaluation results')
  _line(text)
  terminal.print_markdown_table(_table(runs, request), text)
  for heading, part in (
    ('How images were preprocessed', _protocols),
    ('What to know', _remarks),
    ('How to repeat it', _flags),
  ):
    _line(text)
    _line(text, f'### {heading}')
    _line(text)
    part(runs, text)
  content = text.getvalue().encode(errors='backslashreplace')
  return Export(content, left_out(runs))


def _table(runs: Sequence[Run], request: Request) -> Iterator[Sequence[str]]:
  yield _TITLES
  yield _ALIGNED
  for run in runs:
    dataset = run.result.dataset
    where = ' '.join(
      filter(None, [hub.shown_name(dataset), dataset.config, dataset.split])
    )
    state = f' ({run.result.state})' if run.result.state else ''
    for metric in of_card(run):
      name = request.model_name or run.key.model_name
      yield name, where + state, title(metric), *_figures(metric)


def _figures(metric: MetricEntry) -> Iterator[str]:
  hits = metric.kind == COUNT and metric.correct is not None
  yield f'{metric.correct:,}' if hits else ''
  yield f'{metric.count:,}'
  yield display.figure(metric)
  found = metric.interval
  if found is None:
    yield ''
    return
  other = '' if found.level == 0.95 else f' ({100 * found.level:g} %)'
  yield f'{100 * found.low:.2f} - {100 * found.high:.2f} %{other}'


def _protocols(runs: Sequence[Run], file: TextIO) -> None:
  lines: dict[str, None] = {}
  for run in runs:
    found = run.result.protocol
    size = '' if found.size is None else f' at {found.size} pixels'
    lines[f'{found.text}{size}: {_in_words(found.name)}'] = None
  terminal.print_markdown_list(lines, file)


def _in_words(name: str) -> str:
  """Returns what a protocol does, where it is one of ours."""
  try:
    about = protocol.about(name)
  except UserError:
    return 'what it did is not known'
  summary = about['summary'].rstrip('.') + '.' if about['summary'] else ''
  return ' '.join(filter(None, [summary, about['explanation']]))


def _remarks(runs: Sequence[Run], file: TextIO) -> None:
  lines = []
  for run in runs:
    result = run.result
    weights = result.model.weights_sha256 or result.model.values_sha256
    versions = ' '.join(
      f'{name} {version}'
      for name, version in (result.compute.versions or {}).items()
      if name in ('tfeval', 'tensorflow', 'keras')
    )
    digests = (('weights', weights), ('protocol', result.protocol.hash))
    measured = [versions, *(f'{name} SHA-256 {one}' for name, one in digests if one)]
    name = f'{run.key.model_name} on {hub.shown_name(result.dataset)}'
    lines += [
      f'{name}: {one}' for one in ('; '.join(measured), *results.run_remarks(run))
    ]
  terminal.print_markdown_list(lines, file)


def _flags(runs: Sequence[Run], file: TextIO) -> None:
  """Writes the flags of each run, of paths the last part alone."""
  _line(file, 'Each block is a flagfile. Folders of the machine are left out of paths.')
  for run in runs:
    lines = _flag_lines(run)
    name = f'{run.key.model_name} on {hub.shown_name(run.result.dataset)}'
    command = 'evaluate' if run.result.imported is None else 'import'
    what = f'for `tfeval {command}`:' if lines else 'no flags are stored.'
    _line(file)
    _line(file, f'{markdown_cell(name)}, {what}')
    if not lines:
      continue
    _line(file)
    # More than any row of these that a value has, so that none ends the block.
    longest = max([2, *map(len, re.findall('`+', '\n'.join(lines)))])
    for text in ('`' * (longest + 1), *lines, '`' * (longest + 1)):
      _line(file, text)


def _flag_lines(run: Run) -> list[str]:
  path = run.path / FLAGS
  if not path.is_file():
    return []
  try:
    content = untrusted.read_bytes(path, budgets.FLAGFILES, run.path)
  except OSError as error:
    raise UserError(f'cannot read {path}: {error.strerror}') from error
  return [
    one.text if one.name is None or '=' not in one.text else _line_of(one)
    for one in flagfile.flags(content)
  ]


def _line_of(flag: flagfile.Flag) -> str:
  assert flag.name is not None
  return flagfile.line(flag.name, _without_folders(flag.value))


def _without_folders(value: str) -> str:
  """Returns a value without the folders of an absolute path.

  >>> _without_folders('folder:/data/me/val'), _without_folders('opencv')
  ('folder:val', 'opencv')
  """
  found = _PATH.fullmatch(value.replace(os.sep, '/'))
  return value if found is None else found[1] + found[2]


def _line(file: TextIO, text: str = '') -> None:
  terminal.print_line(text, file)
