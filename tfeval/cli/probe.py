"""`tfeval probe SOURCE TARGET`."""

from tfeval.api import checks
from tfeval.cli import console, output
from tfeval.reports import formats
from tfeval.utils.errors import UserError

USAGE = """Usage: tfeval probe SOURCE TARGET [--align=ALIGNMENT ...] [--flags]

  tfeval probe RUNS/clean RUNS/fog --align=coral --align=subspace:d=20

SOURCE and TARGET are run directories of one model, evaluated with
--store_features. A linear classifier is fitted on the features and labels of
the source, and tested on the target: how good the features still are there,
whatever became of the model's own last layer. Of the target the features alone
are used, its labels count hits. Needs scikit-learn (the extra `shift`)."""


def define_flags(define) -> None:
  define.multi_string(
    'align',
    [],
    'none; coral: the source is given the covariance of the target (Sun 2016); '
    'subspace[:d=N]: its principal components are turned to those of the target '
    '(Fernando 2013), by default those with 95 % of the variance. May be repeated.',
  )
  define.float('level', 0.05, 'Significance level; intervals cover 1 - level.')
  define.integer('seed', 0, 'Of the bootstrap.', lower_bound=0)
  define.bool('json', False, 'Print JSON, nothing else.')


def run(flags, arguments: list[str]) -> int:
  if len(arguments) != 2:
    raise UserError(
      f'{len(arguments)} runs were given, expected two: tfeval probe SOURCE TARGET'
    )
  checks.level(flags.level)
  # Arrow, which help does not need.
  from tfeval.analysis import probe
  from tfeval.runs.run import load_run

  alignments = [probe.parse_alignment(text) for text in flags.align]
  console.import_tensorflow_for(arguments)
  source, target = map(load_run, arguments)
  found = probe.probe(source, target, list(dict.fromkeys(alignments)))
  output.print_report(formats.PROBE, flags.json, found, flags.level, flags.seed)
  return 0
