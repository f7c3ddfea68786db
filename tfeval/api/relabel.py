"""`tfeval.relabel`."""

import numbers
import pathlib
from typing import TYPE_CHECKING, Any

from tfeval.api import given
from tfeval.utils.errors import UserError

if TYPE_CHECKING:
  from tfeval.analysis.relabel.relabelled import Relabelled

SCORES = 'scores'
INPUTS = (SCORES, 'raters', 'golden', 'raters_golden')
GOLDEN = 'golden'
# Of the published labels.
THRESHOLD = 0.8


def relabel(
  *runs: Any,
  scores: given.Path | None = None,
  threshold: float = THRESHOLD,
  raters: given.Path | None = None,
  golden: given.Path | None = None,
  raters_golden: given.Path | None = None,
  aggregate: str | None = None,
) -> 'Relabelled':
  """Makes ReaL labels again, at another threshold or from raters' answers.

  Args:
    *runs: whose predictions `curves` are of, beside scores and original labels.
    scores: scores.npz of google-research/reassessed-imagenet.
    threshold: labels score more than this, in [0, 1].
    raters: raters.npz: the raters' answers, to be aggregated.
    golden: golden.npz: the experts' answers.
    raters_golden: raters_golden.npz: the raters' answers to the experts' questions.
    aggregate: `'golden'`: labels are of this aggregation of `raters`, not of `scores`.

  Returns:
    Labels, their agreement with scores and experts, and `curves`.

  Raises:
    UserError: files are missing or damaged, or do not go together.
  """
  paths = {
    name: path
    for name, value in zip(INPUTS, (scores, raters, golden, raters_golden), strict=True)
    if (path := given.file_path(name, value)) is not None
  }
  _check(paths, threshold, aggregate)
  if runs and GOLDEN not in paths:
    raise UserError('runs are held against experts: give their answers as `golden`')
  from tfeval.analysis.relabel import labels, relabelled
  from tfeval.analysis.relabel.raters import load_scores, load_votes

  found = given.complete(runs) if runs else []
  scored = {'scores': load_scores(paths['scores'])} if 'scores' in paths else {}
  votes = {name: load_votes(paths[name]) for name in INPUTS[1:] if name in paths}
  if 'raters' in votes:
    scored[GOLDEN] = labels.aggregate(*(votes[name] for name in INPUTS[1:]))
  labelled_by = aggregate or ('scores' if 'scores' in scored else None)
  return relabelled.relabelled(
    scored, float(threshold), labelled_by, votes.get(GOLDEN), found
  )


def _check(
  paths: dict[str, pathlib.Path], threshold: Any, aggregate: str | None
) -> None:
  """Checks that files go together."""
  names = paths.keys()
  aggregated = {'golden', 'raters_golden'} <= names
  if not isinstance(threshold, numbers.Real) or not 0 <= threshold <= 1:
    raise UserError(f'`threshold={threshold}`: give a number from 0 to 1')
  if aggregate not in (None, GOLDEN):
    raise UserError(f'`aggregate={aggregate}`: expected {GOLDEN}')
  if not {'scores', 'raters'} & names:
    raise UserError(
      'neither `scores` nor `raters` was given: give scores.npz as `scores`'
    )
  if aggregate and 'raters' not in names:
    raise UserError('`aggregate` needs `raters`')
  if aggregate and not aggregated:
    raise UserError('`aggregate=golden` needs `golden` and `raters_golden`')
  if 'raters_golden' in names and not {'raters', 'golden'} <= names:
    raise UserError('`raters_golden` needs `raters` and `golden`')
  if 'raters' in names and not aggregated:
    raise UserError('`raters` needs `golden` and `raters_golden`')
