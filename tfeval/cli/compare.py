"""`tfeval compare RUN...`."""

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


def _own_metrics() -> list[str]:
  """Returns what runs can be compared by; no other package is loaded to say so."""
  from tfeval.metrics.registry import METRICS

  return [name for name in METRICS.entries if METRICS[name].paired]


def define_flags(define) -> None:
  label_flags.define(define, 'by default all that the rows of all runs carry')
  own = ' or '.join(_own_metrics())
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
  define.bool('json', False, 'Print JSON, nothing else.')


def check_level(level: float) -> None:
  """Checks that a significance level is one that tests are defined for.

  Raises:
    UserError: it is not.
  """
  if not 0 < level <= 0.5:
    raise UserError(
      f'--level={level}: expected a significance level above 0 and at '
      'most 0.5, such as 0.05'
    )


def check_metric(name: str) -> None:
  """Checks that runs can be compared by a metric.

  Raises:
    UserError: there is none of this name, or an image is no hit or miss of it.
  """
  from tfeval.metrics import registry

  own = ' or '.join(_own_metrics())
  stem = name.partition('@')[0]
  if stem not in registry.METRICS or not registry.METRICS[stem].paired:
    raise UserError(
      f'--metric={name}: expected {own}, of the rule restricted {own}@restricted, or '
      'hits of a plug-in'
    )


def run(flags, arguments: list[str]) -> int:
  if not arguments:
    raise UserError('no runs were given: tfeval compare RUN RUN ...')
  check_level(flags.level)
  check_metric(flags.metric)
  # Arrow, which help does not need.
  from tfeval.analysis import kept
  from tfeval.analysis.comparison import compare
  from tfeval.runs import discovery
  from tfeval.runs.run import Failure

  margin = None if flags.margin is None else kept.parse_margin(flags.margin)
  expected = [kept.parse_expectation(text) for text in flags.expect]
  console.import_tensorflow_for(arguments)
  runs = []
  for run in discovery.find_runs(arguments):
    if isinstance(run, Failure):
      raise UserError(run.reason)
    runs.append(run)
  comparison = compare(
    runs,
    *label_flags.read_labels(flags, runs),
    flags.metric,
    flags.common,
    margin,
    flags.level,
    flags.seed,
  )
  missed = kept.missed(expected, comparison.aligned, flags.level)
  output.print_report(formats.COMPARISON, flags.json, comparison)
  if missed:
    raise CheckFailed('; '.join(missed))
  return 0
