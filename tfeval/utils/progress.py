"""How long work tells how far it is, and how that is shown."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import rich.console
import rich.progress
from rich.cells import cell_len

from tfeval.utils.printable import printable

# Is called with how many more examples are done, and perhaps with how it stands.
Advance = Callable[..., None]
# Given (what is worked on, number of examples): a context, called with each advance.
Progress = Callable[[str, int], AbstractContextManager[Advance]]
_SECONDS_BETWEEN_LINES = 10
# What `Advance` is told takes about so many columns.
_STATUS = len('top-1 100.00 %')
_SHORTEST_BAR = 4
# And what else it is told on wide terminals, such as which side waits.
_LONG_STATUS = 34


def choose_progress(shown: bool | None) -> Progress:
  """Returns how to show progress: on stderr or not; None where that is a terminal."""
  return on_stderr if (sys.stderr.isatty() if shown is None else shown) else hidden


@contextlib.contextmanager
def hidden(label: str, total: int) -> Iterator[Advance]:
  """Shows nothing; see `on_stderr`."""
  del label, total
  yield lambda count, status='': None


@contextlib.contextmanager
def on_stderr(label: str, total: int) -> Iterator[Advance]:
  """Shows progress, images/s and time left on stderr.

  Args:
    label: what is worked on.
    total: how many examples there are.

  Yields:
    A function to call with how many more examples are done, and with a few words of
    how it stands, such as the accuracy so far.
  """
  label = printable(label)
  console = rich.console.Console(stderr=True)
  if not console.is_terminal:
    yield _Lines(console, label, total)
    return
  columns, named = _columns(label, total, console.width)
  if not named:
    console.out(label, highlight=False)
  with rich.progress.Progress(*columns, console=console) as bar:
    task = bar.add_task(label, total=total, status='')

    def advance(count: int, status: str = '') -> None:
      bar.update(task, advance=count, status=status)

    yield advance


def _columns(
  label: str, total: int, width: int
) -> tuple[list[rich.progress.ProgressColumn], bool]:
  """Returns what fits into a line without being cut, and whether the label does.

  Args:
    label: what is worked on.
    total: how many examples there are.
    width: of the terminal.
  """
  count = 2 * len(f'{total}') + 1
  with_status = _STATUS + 1 + count <= width
  left = width - (_STATUS + 1) * with_status
  found: dict[str, rich.progress.ProgressColumn] = {}
  for name, column, needed in (
    ('count', rich.progress.MofNCompleteColumn(), count),
    (
      'label',
      rich.progress.TextColumn('{task.description}', markup=False),
      cell_len(label),
    ),
    ('time', rich.progress.TimeRemainingColumn(), len('0:00:00')),
    ('rate', _Rate(), len('1000 images/s')),
  ):
    if needed + 1 <= left or name == 'count':
      found[name] = column
      left -= needed + 1
  more = _LONG_STATUS if left > _LONG_STATUS + _SHORTEST_BAR else 0
  left -= more
  if left > _SHORTEST_BAR:
    found['bar'] = rich.progress.BarColumn(bar_width=left - 1)
  order = ('label', 'bar', 'count', 'rate', 'time')
  shown = [found[name] for name in order if name in found]
  return shown + [_Status(_STATUS + more)] * with_status, 'label' in found


class _Status(rich.progress.ProgressColumn):
  """How it stands: as many of the parts between commas as fit."""

  def __init__(self, width: int):
    super().__init__()
    self._width = width

  def render(self, task: rich.progress.Task) -> str:
    parts = printable(task.fields['status']).split(', ')
    while len(parts) > 1 and cell_len(', '.join(parts)) > self._width:
      parts.pop()
    return ', '.join(parts)


class _Rate(rich.progress.ProgressColumn):
  """Images per second."""

  def render(self, task: rich.progress.Task) -> str:
    return f'{task.speed:.0f} images/s' if task.speed else '- images/s'


class _Lines:
  """Progress where there is no terminal: a plain line now and then."""

  def __init__(self, console: rich.console.Console, label: str, total: int):
    self._console = console
    self._label, self._total, self._done = label, total, 0
    self._start = self._last = time.monotonic()

  def __call__(self, count: int, status: str = '') -> None:
    self._done += count
    now = time.monotonic()
    if self._done < self._total and now - self._last < _SECONDS_BETWEEN_LINES:
      return
    self._last = now
    rate = self._done / max(now - self._start, 1e-9)
    left = (self._total - self._done) / rate
    self._console.out(
      f'{self._label}: {self._done}/{self._total} images, {rate:.0f} images/s, '
      f'{left:.0f} s left' + (f', {status}' if status else ''),
      highlight=False,
    )
