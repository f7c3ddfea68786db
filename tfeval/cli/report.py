"""`tfeval report RUN...`."""

from tfeval.cli import console, label_flags, output
from tfeval.cli.command_flags import with_dashes
from tfeval.reports import asked
from tfeval.utils.errors import UserError

USAGE = """Usage: tfeval report RUN... --output=FILE.html [--flags]

  tfeval report OUTPUT_DIR/ResNet50 --output=report.html
  tfeval report OUTPUT_DIR --output=report.html --labels=original

One page that opens without a network: counts with intervals, confidence,
classes, confusions, slices, the most confidently wrong images, and how it was
made. Of several runs a comparison, a leaderboard, a sweep of protocols or
models on several test sets. Needs pip install 'tfeval[report]'."""


def define_flags(define) -> None:
  define.string('output', None, 'The file, which ends in .html.')
  define.bool('overwrite', False, 'Replace a file that is there.')
  define.enum(
    'kind',
    'auto',
    list(asked.PAGES),
    'What to make of the runs: explanation is of what differs between two runs, shift '
    'of what changed between their images.',
  )
  label_flags.define(
    define, 'by default all that the rows carry; a sweep counts by the first'
  )
  define.multi_string(
    'metrics', [], 'Of one run, more metrics than the page has, separated by commas.'
  )
  define.multi_string(
    'by',
    [],
    'Slices: label, folder, a file of groups or FILE:COLUMN; see tfeval score.',
  )
  define.integer(
    'images',
    0,
    'Show so many of the hardest images, read from the dataset again. ImageNet may not '
    'be redistributed: such a page is for yourself.',
    lower_bound=0,
    upper_bound=500,
  )
  define.string('dataset', None, 'Where to read images instead, such as folder:DIR.')
  define.string('manual_dir', None, 'Where ILSVRC2012_img_val.tar lies.')
  define.string('sort', None, 'What to rank by, see tfeval leaderboard.')
  define.string(
    'base', None, 'Of several test sets the model that others are held against.'
  )
  define.list('allow', [], 'What may differ among ranked runs: data, protocol.')
  define.bool(
    'reference', False, 'Of leaderboards: also the packaged results of public models.'
  )
  define.bool(
    'common', False, 'Compare on the images that all runs have, where some have others.'
  )
  define.float('level', 0.05, 'Significance level; intervals cover 1 - level.')


def run(flags, arguments: list[str]) -> int:
  if not arguments:
    raise UserError('no run was given: tfeval report OUTPUT_DIR/MODEL ...')
  if flags.output is None:
    raise UserError('no file was given: --output=report.html')
  from tfeval.api import around, report  # Arrow, which help does not need.

  names = [name.strip() for text in flags.metrics for name in text.split(',')]
  console.import_tensorflow_for(arguments)
  with around.surrounded(console.quiet_tensorflow):
    report.report(
      *arguments,
      output=flags.output,
      kind=flags.kind,
      **label_flags.given_values(flags),
      metrics=names,
      by=flags.by,
      images=flags.images,
      dataset=flags.dataset,
      manual_dir=flags.manual_dir,
      sort=flags.sort,
      base=flags.base,
      allow=flags.allow,
      reference=flags.reference,
      level=flags.level,
      common=flags.common,
      overwrite=flags.overwrite,
      wording=with_dashes,
    )
  output.say(f'the page is in {flags.output}')
  return 0
