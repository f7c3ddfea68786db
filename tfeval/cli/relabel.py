"""`tfeval relabel`."""

import dataclasses
import json
import pathlib
from typing import TYPE_CHECKING

from tfeval.api.relabel import INPUTS, SCORES, THRESHOLD, relabel
from tfeval.cli import output
from tfeval.reports import figures, precision_recall, terminal
from tfeval.utils import files
from tfeval.utils.errors import UserError

if TYPE_CHECKING:
  from tfeval.analysis.relabel.relabelled import Relabelled

USAGE = """Usage: tfeval relabel [RUN...] --scores=scores.npz [--flags]

  tfeval relabel --scores=scores.npz --threshold=0.8 --output=real.json

reproduces the published labels. --raters, --golden and --raters_golden compare
their Dawid-Skene aggregation with the scores; --curve and --figure show
precision and recall of scores, original labels and RUNs' predictions on golden
images.

A point of a curve is of the labels at or above its threshold: a probability
for scores, a log-probability for RUNs, 1 for original labels and top-1 answers.
Labels that the experts were not asked about count as wrong, of RUNs and of
original labels: their precision is a lower bound."""
_OUTPUTS = ('output', 'curve', 'figure')


def define_flags(define) -> None:
  define.string('scores', None, 'scores.npz of google-research/reassessed-imagenet.')
  define.float(
    'threshold',
    THRESHOLD,
    'Labels score more than this.',
    lower_bound=0,
    upper_bound=1,
  )
  define.string(
    'output', None, 'Write the labels to this JSON file; score them with --labels.'
  )
  define.string('raters', None, "raters.npz: the raters' answers, to be aggregated.")
  define.string('golden', None, "golden.npz: the experts' answers.")
  define.string(
    'raters_golden',
    None,
    "raters_golden.npz: the raters' answers to the experts' questions.",
  )
  define.enum(
    'aggregate',
    None,
    ['golden'],
    'Write labels by this aggregation of --raters instead of --scores.',
  )
  define.string('curve', None, 'Write precision and recall to this CSV file.')
  define.string(
    'figure',
    None,
    "Draw them into this .png, .pdf or .svg; needs pip install 'tfeval[figure]'.",
  )
  define.bool('overwrite', False, 'Replace files that are there.')
  define.bool('json', False, 'Print a JSON object on stdout, nothing else.')


def run(flags, arguments: list[str]) -> int:
  paths = _outputs(flags, arguments)
  names = *INPUTS, 'threshold', 'aggregate'
  found = relabel(*arguments, **{name: flags[name].value for name in names})
  if 'output' in paths:
    content = json.dumps(found.labels).encode()
    files.write_atomically(paths['output'], content, '--output')
  if 'curve' in paths:
    precision_recall.write_csv(paths['curve'], found.curves)
  if 'figure' in paths:
    precision_recall.draw(paths['figure'], found.curves)
  _print(found, 'output' in paths, flags.json)
  written = [f'{name} in {paths[name]}' for name in _OUTPUTS if name in paths]
  if written:
    output.say(f'written: {", ".join(written)}')
  return 0


def _outputs(flags, arguments: list[str]) -> dict[str, pathlib.Path]:
  """Returns the files that are to be written, and checks that they fit."""
  given = {
    name: pathlib.Path(flags[name].value).expanduser()
    for name in INPUTS + _OUTPUTS
    if flags[name].value is not None
  }
  names, drawn = given.keys(), {'curve', 'figure'} & given.keys()
  if {'scores', 'raters'} & names and not flags.aggregate:
    if 'output' in names and 'scores' not in names:
      raise UserError('--output without --scores: say which --aggregate is to label')
  if drawn and 'golden' not in names:
    raise UserError('--curve and --figure need --golden')
  if arguments and not drawn:
    raise UserError(f'{arguments[0]}: runs are for --curve and --figure: give one')
  resolved = [path.resolve() for path in given.values()]
  for name in _OUTPUTS:
    if name in given and resolved.count(given[name].resolve()) > 1:
      raise UserError(f'--{name}={given[name]} is given twice: it would be overwritten')
  written = {name: given[name] for name in _OUTPUTS if name in given}
  for name, path in written.items():
    if name == 'figure':
      figures.check_path(path, flags.overwrite)
    else:
      files.check_new(path, flags.overwrite, name)
  return written


def _print(found: 'Relabelled', written: bool, as_json: bool) -> None:
  if as_json:
    entries = [dataclasses.asdict(one) for one in found.agreement]
    content = {
      'threshold': found.threshold,
      'labelled_by': found.labelled_by or SCORES,
      'scored': [{k: v for k, v in row.items() if v is not None} for row in entries],
      **({'labels': found.counts} if written else {}),
    }
    terminal.print_json(content)
    return
  rows = [
    (
      one.name,
      f'{one.pairs:,}',
      f'{one.above:,}',
      _percent(one.with_scores),
      _percent(one.with_golden),
    )
    for one in found.agreement
  ]
  above = f'> {found.threshold:g}'
  titles = ('scores', 'pairs', above, ('as scores', '%'), ('as golden', '%'))
  terminal.print_rows(titles, rows, numbers=range(1, 5))
  terminal.print_line()
  if written:
    counts = found.counts
    terminal.print_line(
      f'{counts["labels"]:,} labels of {counts["images"]:,} images by '
      f'{found.labelled_by}; {counts["without"]:,} images have none.'
    )


def _percent(counted: tuple[int, int] | None) -> str:
  return f'{100 * counted[0] / counted[1]:.2f}' if counted and counted[1] else '-'
