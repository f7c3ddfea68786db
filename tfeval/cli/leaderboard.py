"""`tfeval leaderboard RUN...`."""

from tfeval.api import checks
from tfeval.api.compare import leaderboard, of_one_set
from tfeval.cli import console, label_flags, output
from tfeval.reports import formats
from tfeval.utils.errors import UserError

USAGE = """Usage: tfeval leaderboard RUN [...] [--flags]

  tfeval leaderboard OUTPUT_DIR --labels=original --labels=real.json

RUN is a run directory, or a folder of such. Models share a rank whose
difference from the best of them is not significant: McNemar's exact test with
Holm's correction for all pairs. That relation is not transitive: models on
different ranks may not be told apart either; the remarks name those pairs.

Runs on several test sets (tfeval datasets) stand side by side: counts by the
rule of each set's authors, gaps to validation images of its classes, ranks."""


def define_flags(define) -> None:
  label_flags.define(define, 'by default all that the rows of all runs carry')
  define.string(
    'sort',
    None,
    'LABELS/METRIC to rank by, such as real/top1; by default original/top1. Of several '
    'test sets the name of one, or mean.',
  )
  define.string(
    'base', None, 'Of several test sets the model that others are held against.'
  )
  define.list(
    'columns',
    None,
    'What to show, such as rank,model,original/top1,'
    'parameters,multiply_adds,images_per_second; an unknown one lists all.',
  )
  define.float('level', 0.05, 'Significance level.')
  define.list(
    'allow',
    [],
    'What may differ among runs that are ranked together: data, '
    'protocol. Of different data significance is not computed.',
  )
  define.enum(
    'format',
    'table',
    list(formats.LEADERBOARD),
    'How to print it; the remarks of csv go to stderr. tsv: counts and ranks alone, as '
    'the reference results are packaged.',
  )
  define.bool(
    'reference',
    False,
    'Also show the packaged results of public models on the 50,000 validation images; '
    'nothing is tested against them.',
  )
  output.define_report(define)
  define.bool('json', False, 'The same as --format=json, with all columns.')


def run(flags, arguments: list[str]) -> int:
  if not arguments:
    raise UserError('no runs were given: tfeval leaderboard RUN ...')
  checks.level(flags.level)
  if flags.json and flags['format'].present and flags.format != 'json':
    raise UserError(
      f'--json and --format={flags.format} were both given: leave one out'
    )
  from tfeval.analysis.across.table import Across  # Arrow, which help does not need.
  from tfeval.reports import leaderboard_columns

  page = output.report_path(flags)
  console.import_tensorflow_for(arguments)
  found = leaderboard(
    *arguments,
    **label_flags.given_values(flags),
    sort=flags.sort,
    base=flags.base,
    level=flags.level,
    allow=flags.allow,
    reference=flags.reference,
  )
  if isinstance(found, Across):
    if flags['columns'].present:
      raise UserError(of_one_set('columns'))
    output.print_report(formats.ACROSS, flags.json, found, format=flags.format)
    output.save_report(page, found)
    return 0
  chosen = leaderboard_columns.choose(found, flags.columns)
  output.print_report(
    formats.LEADERBOARD, flags.json, found, chosen, format=flags.format
  )
  output.save_report(page, found)
  return 0
