"""`tfeval relabel`."""

import json
import math
import pathlib
from typing import Any

import numpy as np

from tfeval.analysis.relabel import labels
from tfeval.analysis.relabel.raters import Pairs, Rated, Scores, load_scores, load_votes
from tfeval.cli import output
from tfeval.metrics.precision_recall import Curve
from tfeval.reports import figures, precision_recall, terminal
from tfeval.runs.run import Run, load_run
from tfeval.utils import files
from tfeval.utils.errors import UserError

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
_INPUTS = ('scores', 'raters', 'golden', 'raters_golden')
_OUTPUTS = ('output', 'curve', 'figure')


def define_flags(define) -> None:
  define.string('scores', None, 'scores.npz of google-research/reassessed-imagenet.')
  define.float(
    'threshold',
    labels.THRESHOLD,
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
  define.bool('json', False, 'Print a JSON object on stdout, nothing else.')


def run(flags, arguments: list[str]) -> int:
  paths = _paths(flags, arguments)
  runs = [load_run(path) for path in arguments]
  scored = {'scores': load_scores(paths['scores'])} if 'scores' in paths else {}
  votes = {name: load_votes(paths[name]) for name in _INPUTS[1:] if name in paths}
  if 'raters' in votes:
    scored['golden'] = labels.aggregate(*(votes[name] for name in _INPUTS[1:]))
  curves = (
    _curves(scored, votes['golden'], runs) if {'curve', 'figure'} & {*paths} else {}
  )
  labelled_by = flags.aggregate or 'scores'
  report = _report(scored, votes.get('golden'), flags.threshold, labelled_by)
  if 'output' in paths:
    found = labels.labels_at(scored[labelled_by], flags.threshold)
    report['labels'] = {
      'images': sum(map(bool, found)),
      'without': sum(not one for one in found),
      'labels': sum(map(len, found)),
    }
    files.write_atomically(paths['output'], json.dumps(found).encode(), '--output')
  if 'curve' in paths:
    precision_recall.write_csv(paths['curve'], curves)
  if 'figure' in paths:
    precision_recall.draw(paths['figure'], curves)
  _print(report, flags.json)
  written = [f'{name} in {paths[name]}' for name in _OUTPUTS if name in paths]
  if written:
    output.say(f'written: {", ".join(written)}')
  return 0


def _paths(flags, arguments: list[str]) -> dict[str, pathlib.Path]:
  """Returns the files that were given, by their flags, and checks that they fit."""
  given = {
    name: pathlib.Path(flags[name].value).expanduser()
    for name in _INPUTS + _OUTPUTS
    if flags[name].value is not None
  }
  names, drawn = given.keys(), {'curve', 'figure'} & given.keys()
  aggregated = {'golden', 'raters_golden'} <= names
  if math.isnan(flags.threshold):  # absl's bounds let it pass.
    raise UserError('--threshold=nan: give a number from 0 to 1')
  if not {'scores', 'raters'} & names:
    raise UserError(
      'neither --scores nor --raters was given: tfeval relabel '
      '--scores=scores.npz --output=real.json'
    )
  if flags.aggregate and 'raters' not in names:
    raise UserError('--aggregate needs --raters')
  if flags.aggregate and not aggregated:
    raise UserError('--aggregate=golden needs --golden and --raters_golden')
  if 'raters_golden' in names and not {'raters', 'golden'} <= names:
    raise UserError('--raters_golden needs --raters and --golden')
  if 'output' in names and not flags.aggregate and 'scores' not in names:
    raise UserError('--output without --scores: say which --aggregate is to label')
  if 'raters' in names and not aggregated:
    raise UserError('--raters needs --golden and --raters_golden')
  if drawn and 'golden' not in names:
    raise UserError('--curve and --figure need --golden')
  if arguments and not drawn:
    raise UserError(f'{arguments[0]}: runs are for --curve and --figure: give one')
  if 'figure' in given:
    figures.check_path(given['figure'])
    figures.import_matplotlib()
  resolved = [path.resolve() for path in given.values()]
  for name in _OUTPUTS:
    if name in given and resolved.count(given[name].resolve()) > 1:
      raise UserError(f'--{name}={given[name]} is given twice: it would be overwritten')
  return given


def _curves(
  scored: dict[str, Scores], golden: Rated, runs: list[Run]
) -> dict[str, Curve]:
  curves = {name: labels.score_curve(scores, golden) for name, scores in scored.items()}
  original = labels.original_proposals(golden)
  curves['original labels'] = labels.proposal_curve(
    original, np.ones(len(original.image)), golden
  )
  for run in runs:
    name = run.result.model.name
    if name in curves:
      name = str(run.path)
    pairs, log_probs, first = labels.run_proposals(
      str(run.path), run.parts(['id', 'classes', 'log_probs'])
    )
    curves[name] = labels.proposal_curve(pairs, log_probs, golden)
    curves[f'{name}, top-1'] = labels.proposal_curve(
      Pairs(pairs.image[first], pairs.label[first]), np.ones(first.sum()), golden
    )
  return curves


def _report(
  scored: dict[str, Scores], golden: Rated | None, threshold: float, labelled_by: str
) -> dict[str, Any]:
  rows: list[dict[str, Any]] = []
  published = scored.get('scores')
  for name, scores in scored.items():
    row: dict[str, Any] = {
      'name': name,
      'pairs': len(scores.score),
      'above': int((scores.score > threshold).sum()),
    }
    if published is not None and name != 'scores':
      row['with_scores'] = labels.agreement(
        scores, published.score > threshold, published.pairs, threshold
      )
      if not row['with_scores'][1]:
        raise UserError('--raters and --scores are of different pairs')
    if golden is not None:
      row['with_golden'] = labels.agreement(
        scores, labels.truth(golden), golden.pairs, threshold
      )
    rows.append(row)
  return {'threshold': threshold, 'labelled_by': labelled_by, 'scored': rows}


def _print(report: dict[str, Any], as_json: bool) -> None:
  if as_json:
    terminal.print_json(report)
    return
  rows = [
    (
      row['name'],
      f'{row["pairs"]:,}',
      f'{row["above"]:,}',
      _percent(row.get('with_scores')),
      _percent(row.get('with_golden')),
    )
    for row in report['scored']
  ]
  above = f'> {report["threshold"]:g}'
  titles = ('scores', 'pairs', above, ('as scores', '%'), ('as golden', '%'))
  terminal.print_rows(titles, rows, numbers=range(1, 5))
  terminal.print_line()
  if 'labels' in report:
    found = report['labels']
    terminal.print_line(
      f'{found["labels"]:,} labels of {found["images"]:,} images by '
      f'{report["labelled_by"]}; {found["without"]:,} images have none.'
    )


def _percent(counted: tuple[int, int] | None) -> str:
  return f'{100 * counted[0] / counted[1]:.2f}' if counted and counted[1] else '-'
