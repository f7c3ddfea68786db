"""`tfeval figure RUN... --kind=KIND`."""

from tfeval.cli import console, label_flags, output
from tfeval.reports import asked
from tfeval.utils.errors import UserError

USAGE = """Usage: tfeval figure RUN... --kind=KIND --output=FILE [--flags]

  tfeval figure OUTPUT_DIR/ResNet50 --kind=reliability --output=reliability.pdf
  tfeval figure OUTPUT_DIR --kind=tradeoff --output=price.svg

One figure as pages of tfeval report show it, for a paper: reliability and
confusion of one run; pr and risk_coverage of one or several; ranks, tradeoff
and agreement of several; severity and robustness of runs on several test sets;
slices by --by. Needs pip install 'tfeval[report]'."""


def define_flags(define) -> None:
  define.enum('kind', None, list(asked.FIGURES), 'What to draw.')
  define.string('output', None, 'The file, which ends in .png, .svg or .pdf.')
  define.bool('overwrite', False, 'Replace a file that is there.')
  label_flags.define(define, 'by default the first that the rows carry. One is drawn')
  define.string(
    'by', None, 'Of slices: label, folder, a file of groups or FILE:COLUMN.'
  )
  define.enum(
    'against', 'parameters', list(asked.AGAINST), 'What accuracy is drawn against.'
  )
  define.string('sort', None, 'What to rank by, see tfeval leaderboard.')
  define.list('allow', [], 'What may differ among ranked runs: data, protocol.')
  define.float('level', 0.05, 'Significance level of ranks.')


def run(flags, arguments: list[str]) -> int:
  if not arguments:
    raise UserError('no run was given: tfeval figure OUTPUT_DIR/MODEL --kind=KIND')
  if flags.kind is None:
    raise UserError(f'no kind was given: --kind={"|".join(asked.FIGURES)}')
  if flags.output is None:
    raise UserError('no file was given: --output=figure.pdf')
  from tfeval.api import around, figure  # Arrow, which help does not need.

  console.import_tensorflow_for(arguments)
  with around.surrounded(console.quiet_tensorflow):
    figure.figure(
      *arguments,
      kind=flags.kind,
      output=flags.output,
      **label_flags.given_values(flags),
      by=flags.by,
      against=flags.against,
      sort=flags.sort,
      allow=flags.allow,
      level=flags.level,
      overwrite=flags.overwrite,
    )
  output.say(f'the figure is in {flags.output}')
  return 0
