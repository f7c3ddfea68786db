"""`tfeval mistakes RUN...`."""

import collections
import math
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tfeval.cli import console, label_flags, output
from tfeval.cli.command_flags import with_dashes
from tfeval.reports import contact_sheet, formats
from tfeval.utils.errors import UserError

if TYPE_CHECKING:
  from tfeval.analysis.hardest import Hardest
  from tfeval.analysis.mistakes import Mistakes
  from tfeval.runs.run import Run

USAGE = """Usage: tfeval mistakes RUN [RUN ...] [--flags]

  tfeval mistakes RUN --labels=real --count=50
  tfeval mistakes RUN --of_class='tiger cat' --as_class=n02123045
  tfeval mistakes RUN --other=RUN2 --figure=sheet.png --manual_dir=DIR
  tfeval mistakes RUN RUN RUN --output=hardest.csv

Which images a run gets wrong, the most confident wrong prediction first; with
--other, which ones two runs disagree on; of several runs, which images most of
them get wrong. From stored rows: TensorFlow is needed for --figure alone, which
reads the images again. Ties stand in the order of the ids."""

_ORDERS = ('confidence', 'loss', 'disagreement')
_ALL = 'all'
# Of more that a file holds no table is printed.
_MOST_ROWS = 50


def define_flags(define) -> None:
  label_flags.define_labels(
    define,
    [],
    'by default original, or the only one that the rows carry. One is taken',
  )
  define.enum(
    'by',
    None,
    list(_ORDERS),
    'What comes first: the highest probability of the wrong prediction, the highest '
    '-log p of the right class, or, with --other, where two sure models disagree '
    '(default: confidence, with --other disagreement).',
  )
  define.string('other', None, 'Another run on the same images.')
  define.string(
    'of_class', None, 'Only images of this class: its name, id (wnid) or index.'
  )
  define.string('as_class', None, 'Only images that are taken for this class.')
  define.number_or_word(
    'count',
    '20',
    'How many images: a number, or all, with --output or --json.',
    words=[_ALL],
    lower_bound=1,
  )
  define.integer(
    'top',
    5,
    'How many predictions of each the table shows; files and JSON have five.',
    lower_bound=1,
    upper_bound=5,
  )
  define.string(
    'output', None, 'Also write them to this file: .csv, .parquet, .json or .jsonl.'
  )
  define.string(
    'figure',
    None,
    'Also draw the images with label and prediction into this .png, .pdf or .svg; '
    "needs pip install 'tfeval[figure]', and the images.",
  )
  define.bool('overwrite', False, 'Replace files that are there.')
  define.string(
    'manual_dir', None, '--figure: where ILSVRC2012_img_val.tar lies, of runs on TFDS.'
  )
  define.string(
    'dataset',
    None,
    '--figure: where to read the images instead, such as folder:DIR, of imported runs '
    'or of images that were moved.',
  )
  output.define_class_rule(define)
  define.bool('json', False, 'Print a JSON object on stdout, nothing else.')


def run(flags, arguments: list[str]) -> int:
  if not arguments:
    raise UserError('no run was given: tfeval mistakes OUTPUT_DIR/MODEL')
  if len(flags.labels) > 1:
    raise UserError(
      f'--labels was given {len(flags.labels)} times: mistakes are by one label set'
    )
  count = None if flags.count == _ALL else int(flags.count)
  if count is None and flags.output is None and not flags.json:
    raise UserError('--count=all is for --output or --json: give one, or a number')
  files = _files(flags, count)
  given = [*arguments, *([] if flags.other is None else [flags.other])]
  console.import_tensorflow_for(given)
  # Arrow, which help does not need.
  from tfeval.runs import discovery
  from tfeval.runs.run import Failure, load_run

  runs: list[Run] = []
  for one in discovery.find_runs(arguments):
    if isinstance(one, Failure):
      raise UserError(one.reason)
    runs.append(one)
  other = None if flags.other is None else load_run(flags.other)
  found = _found(flags, runs, other, count)
  pictures = {}
  if 'figure' in files:
    pictures = _pictures(flags, runs[0], found)
  if 'output' in files:
    _write(files['output'], found)
  most = _MOST_ROWS if 'output' in files else math.inf
  output.print_report(formats.MISTAKES, flags.json, found, flags.top, most)
  if 'figure' in files:
    from tfeval.reports import mistake_sheet

    mistake_sheet.draw(files['figure'], found, pictures)
  for name, path in files.items():
    output.say(f'the {"figure is" if name == "figure" else "images are"} in {path}')
  return 0


def _files(flags, count: int | None) -> dict[str, pathlib.Path]:
  """Returns the files that are written, by their flags, and checks that they can be."""
  from tfeval.reports import mistake_sheet
  from tfeval.utils import row_files

  found = {
    name: pathlib.Path(flags[name].value).expanduser()
    for name in ('output', 'figure')
    if flags[name].value is not None
  }
  if 'output' in found:
    row_files.check_path(found['output'], flags.overwrite)
  if 'figure' in found:
    if count is None:
      raise UserError('--count=all is for --output: give a number with --figure')
    contact_sheet.check(found['figure'], flags.overwrite, count, mistake_sheet.LINES)
  return found


def _found(
  flags, runs: 'list[Run]', other: 'Run | None', count: int | None
) -> 'Mistakes | Hardest':
  from tfeval.analysis.hardest import hardest
  from tfeval.analysis.mistakes import mistakes
  from tfeval.runs.same_classes import one_space

  labels = None
  if flags.labels:
    space = one_space(runs)
    (labels,) = label_flags.open_labels(flags.labels, flags.data_dir, space)
  if len(runs) == 1:
    return mistakes(
      runs[0],
      count,
      labels=labels,
      by=flags.by,
      other=other,
      of_class=flags.of_class,
      as_class=flags.as_class,
      rule=flags.class_rule,
    )
  for name in ('by', 'other', 'as_class'):
    if flags[name].value is not None:
      raise UserError(
        f'--{name} is for the mistakes of one run, {len(runs)} were given: leave it out'
      )
  return hardest(
    runs, count, labels=labels, of_class=flags.of_class, rule=flags.class_rule
  )


def _pictures(flags, run: 'Run', found: 'Mistakes | Hardest') -> dict:
  from tfeval.analysis.hardest import Hardest

  rows = found.of_first.rows if isinstance(found, Hardest) else found.rows
  with console.quiet_tensorflow():
    from tfeval.evaluation import images_again  # TensorFlow: seconds.

    pictures = images_again.thumbnail_pixels(
      run,
      rows.ids.to_pylist(),
      contact_sheet.PIXELS,
      data_dir=flags.data_dir,
      manual_dir=flags.manual_dir,
      dataset=flags.dataset,
    )
  pictures = {
    one: with_dashes(found) if isinstance(found, str) else found
    for one, found in pictures.items()
  }
  missing = collections.Counter(x for x in pictures.values() if isinstance(x, str))
  for reason, images in missing.items():
    output.say(f'no picture of {images} of {len(pictures)} images: {reason}')
  return pictures


def _write(path: pathlib.Path, found: 'Mistakes | Hardest') -> None:
  from tfeval.analysis.hardest import Hardest
  from tfeval.reports import mistake_rows
  from tfeval.utils import row_files

  if isinstance(found, Hardest):
    schema = mistake_rows.schema(other=False, hard=True)
  else:
    schema = mistake_rows.schema(other=found.other is not None)
  nested = path.suffix.lower() in (row_files.JSON, row_files.LINES)
  rows: Iterator[dict[str, Any]]
  if isinstance(found, Hardest):
    rows = (
      mistake_rows.described_hard(one) if nested else mistake_rows.hard_row(rank, one)
      for rank, one in enumerate(found, 1)
    )
  else:
    rows = (
      mistake_rows.described(one) if nested else mistake_rows.row(rank, one)
      for rank, one in enumerate(found, 1)
    )
  with row_files.writing(path, schema, 'output') as write:
    write(rows)
