"""`tfeval compare RUN...`."""

from tfeval.api import checks
from tfeval.api.compare import compare
from tfeval.cli import console, label_flags, output
from tfeval.reports import formats
from tfeval.utils.errors import CheckFailed, UserError

USAGE = """Usage: tfeval compare RUN RUN [...] [--flags]

  tfeval compare OUTPUT_DIR/ResNet50 OUTPUT_DIR/VGG16 --labels=real.json
  tfeval compare FP32 INT8 --margin=1% --expect=original/top1:kept:1%

RUN is a run directory, or a folder of such. Of every two: McNemar's exact test
with Holm's correction for the number of pairs, a paired bootstrap interval of
the difference, and how many images would tell them apart. Of runs of the same
model and weights, computed in another way (--dtype, --jit, devices): how many
answers flipped. With --margin, whether each further run keeps what the first
one hits. Images are matched by their ids."""


def define_flags(define) -> None:
  label_flags.define(define, 'by default all that the rows of all runs carry')
  own = ' or '.join(checks.paired_names())
  define.string('metric', 'top1', f'What a hit is: {own}.')
  define.string(
    'margin',
    None,
    'How much worse than the first run others may be: 1% of its rate, or 0.5pt, '
    'percentage points. Of each: kept, not kept, or not decided.',
  )
  define.multi_string(
    'expect',
    [],
    'LABELS/METRIC:kept:MARGIN, such as original/top1:kept:1%: exit with 1 if a '
    'further run is not known to keep so much of the first.',
  )
  define.bool(
    'common', False, 'Compare on the images that all runs have, where some have others.'
  )
  define.float('level', 0.05, 'Significance level; intervals cover 1 - level.')
  define.integer('seed', 0, 'Of the bootstrap.', lower_bound=0)
  output.define_report(define)
  define.bool('json', False, 'Print JSON, nothing else.')


def run(flags, arguments: list[str]) -> int:
  if not arguments:
    raise UserError('no runs were given: tfeval compare RUN RUN ...')
  checks.level(flags.level)
  checks.paired_metric(flags.metric)
  from tfeval.analysis import kept  # Arrow, which help does not need.

  expected = [kept.parse_expectation(text) for text in flags.expect]
  page = output.report_path(flags)
  console.import_tensorflow_for(arguments)
  comparison = compare(
    *arguments,
    **label_flags.given_values(flags),
    metric=flags.metric,
    margin=flags.margin,
    common=flags.common,
    level=flags.level,
    seed=flags.seed,
  )
  missed = kept.missed(expected, comparison.aligned, flags.level)
  output.print_report(formats.COMPARISON, flags.json, comparison)
  output.save_report(page, comparison)
  if missed:
    raise CheckFailed('; '.join(missed))
  return 0
