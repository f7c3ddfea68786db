"""`tfeval leaderboard RUN...`."""

from tfeval.cli import console, label_flags, output
from tfeval.cli.compare import check_level
from tfeval.reports import formats
from tfeval.utils import errors
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
  define.bool('json', False, 'The same as --format=json, with all columns.')


def run(flags, arguments: list[str]) -> int:
  if not arguments:
    raise UserError('no runs were given: tfeval leaderboard RUN ...')
  check_level(flags.level)
  if flags.json and flags['format'].present and flags.format != 'json':
    raise UserError(
      f'--json and --format={flags.format} were both given: leave one out'
    )
  # Arrow, which help does not need.
  from tfeval.analysis import leaderboard, reference_results
  from tfeval.analysis.across import places
  from tfeval.reports import leaderboard_columns
  from tfeval.runs import discovery
  from tfeval.runs.run import Run

  for what in flags.allow:
    if what not in leaderboard.ALLOWED:
      raise errors.unknown('--allow', what, leaderboard.ALLOWED)
  console.import_tensorflow_for(arguments)
  runs = discovery.find_runs(arguments)
  if places.are_several([run for run in runs if isinstance(run, Run)]):
    return _across(flags, runs)
  if flags.base is not None:
    raise UserError('--base is for runs on several test sets: leave it out')
  board = leaderboard.rank(
    runs,
    *label_flags.read_labels(flags, runs),
    flags.sort,
    flags.level,
    flags.allow,
  )
  if flags.reference:
    board = reference_results.with_references(board)
  chosen = leaderboard_columns.choose(board, flags.columns)
  report = board, chosen
  output.print_report(formats.LEADERBOARD, flags.json, *report, format=flags.format)
  return 0


def _across(flags, runs) -> int:
  """Prints runs on several test sets side by side."""
  from tfeval.analysis.across import table

  for name in ('labels', 'keep', 'omit', 'columns', 'reference'):
    if flags[name].present:
      raise UserError(
        f'--{name} is for runs on the same images, these are of several test sets: '
        'leave it out, or give runs on one set'
      )
  found = table.across(runs, flags.sort, flags.base, 'data' in flags.allow)
  output.print_report(formats.ACROSS, flags.json, found, format=flags.format)
  return 0
