"""`tfeval work`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tfeval.api import pieces
from tfeval.cli import console, piece_flags
from tfeval.reports import terminal
from tfeval.utils.errors import UserError, listed

if TYPE_CHECKING:
  from tfeval.evaluation.pieces.worked import Worked

USAGE = """Usage: tfeval work PLAN [--piece=K | --claim] [--flags]

  tfeval work study                  what no other worker has, until all is done
  tfeval work study --piece=7        a piece
  tfeval work study --piece=3/64     the share 3 of 64, of a job array
  tfeval work study --runner=beam    all of it, by an engine

Does pieces of a plan that `tfeval plan` has made; PLAN is its file or folder.
Workers may come and go: a piece that is done twice, or half, changes nothing."""
FIRST = (
  *('piece', 'claim', 'most', 'claim_timeout', 'runner', 'trust_model'),
  *('data_dir', 'json'),
)
_TOLD = 3


def define_flags(define) -> None:
  define.string('piece', None, 'Only these: K, A-B, or K/M, the share K of M, from 0.')
  define.bool(
    'claim',
    False,
    'Take pieces that no other worker has, until all are done: what is done anyway '
    'where no piece is named.',
  )
  define.integer('most', None, 'At most so many pieces.', lower_bound=1)
  define.float(
    'claim_timeout',
    300.0,
    'Seconds after which the piece of a worker that has gone silent is taken over.',
    lower_bound=1,
  )
  piece_flags.define(define, without=('piece_images',))
  piece_flags.define_of_machine(define)
  define.bool('json', False, 'Print a JSON object on stdout, nothing else.')


def run(flags, arguments: list[str]) -> int:
  if len(arguments) != 1:
    raise UserError(
      f'expected one plan, got {" ".join(arguments) or "nothing"}: tfeval work PLAN'
    )
  if flags.claim and flags.piece is not None:
    raise UserError(
      '--claim takes pieces that nobody has, --piece names some: give one'
    )
  console.import_tensorflow_for(arguments)
  worked = pieces.work(
    arguments[0],
    piece=flags.piece,
    most=flags.most,
    claim_timeout=flags.claim_timeout,
    progress=True,
    **piece_flags.of_machine(flags),
  )
  if flags.json:
    failed = [{'piece': n, 'reason': why} for n, why in sorted(worked.failed.items())]
    terminal.print_json({**vars(worked), 'failed': failed})
  else:
    terminal.print_line(_told(worked))
  if worked.failed:
    count = f'{len(worked.failed)} piece{"s" * (len(worked.failed) > 1)}'
    raise UserError(f'{count} failed: {_reasons(worked.failed)}')
  return 0


def _told(worked: 'Worked') -> str:
  """Returns what was done, in words."""
  if not (worked.done or worked.found or worked.failed):
    return f'nothing is left to do of {worked.pieces:,} pieces'
  there = f', {worked.found:,} were done already' * bool(worked.found)
  return (
    f'{worked.done:,} of {worked.pieces:,} pieces done here, {worked.images:,} '
    f'images{there}'
  )


def _reasons(failed: Mapping[int, str]) -> str:
  """Returns why pieces failed, each reason once."""
  of_reason: dict[str, list[int]] = {}
  for number, why in sorted(failed.items()):
    of_reason.setdefault(why, []).append(number)
  told = [f'{listed(map(str, of_reason[why]))}: {why}' for why in of_reason]
  more = f'; and {len(told) - _TOLD} other reasons' * (len(told) > _TOLD)
  return '; '.join(told[:_TOLD]) + more
