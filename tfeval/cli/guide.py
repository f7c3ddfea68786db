"""`tfeval guide [TOPIC]`."""

import pathlib
import sys

import tfeval
from tfeval.reports import terminal
from tfeval.utils import errors
from tfeval.utils.errors import UserError

USAGE = """Usage: tfeval guide [TOPIC]

  tfeval guide models"""


def define_flags(define) -> None:
  del define  # A guide is only read.


def run(flags, arguments: list[str]) -> int:
  if len(arguments) > 1:
    raise UserError(f'one topic at a time, got {" ".join(arguments)}')
  # In the package: an installed tfeval has its guides.
  directory = pathlib.Path(tfeval.__file__).parent / 'guides'
  guides = {path.stem: path.read_text('utf-8') for path in directory.glob('*.md')}
  if not arguments:
    # The paragraph below the title is a line.
    rows = [(topic, text.split('\n')[2]) for topic, text in sorted(guides.items())]
    terminal.print_rows(('topic', 'what it is about'), rows)
    terminal.print_lines(('', 'tfeval guide TOPIC shows one.'))
    return 0
  if arguments[0] not in guides:
    raise errors.unknown('topic', arguments[0], sorted(guides), '(tfeval guide)')
  terminal.print_markdown(guides[arguments[0]], sys.stdout)
  return 0
