"""What several models say of the same images together: rows like those of one."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from tfeval.analysis import stored_outputs
from tfeval.analysis.ensemble.members import MEAN, Members
from tfeval.metrics import ranking
from tfeval.metrics.competition import suffix
from tfeval.runs import predictions
from tfeval.runs.predictions import Ranks
from tfeval.runs.run import Run
from tfeval.utils import arrow

# Values of a member at once: 128 MB of float64.
_VALUES = 1 << 24


def blocks(members: Members, how: str) -> Iterator[pa.RecordBatch]:
  """Yields rows in the order of the ids.

  Args:
    members: the runs.
    how: of `members.HOW`.
  """
  ids = members.aligned.ids
  width = members.classes.outputs
  if how != MEAN:
    width = len(members.runs) * predictions.STORED_CLASSES
  size = max(1, _VALUES // width)
  for start in range(0, len(ids), size):
    yield _block(members, how, ids.slice(start, size).to_pylist())


def _block(members: Members, how: str, ids: list[str]) -> pa.RecordBatch:
  known = stored_outputs.rows(
    members.aligned.run, ['id', 'image_sha256', 'label', 'real_labels'], ids
  )
  labels = arrow.to_numpy(known['label'], null=-1)
  scores = None
  if how == MEAN:
    scores = _mean(members.runs, ids)
    competition = members.classes.competition
    ranked = predictions.rank_by_rule(scores, labels, 'probabilities', competition)
  else:
    ranked = {
      rule: _elected(members, rule, ids, labels)
      for rule in members.classes.competition.rules
    }
  return predictions.assemble(
    arrow.joined(known['id']),
    arrow.joined(known['image_sha256']),
    labels,
    arrow.joined(known['real_labels']),
    ranked,
    scores,
  )


def _mean(runs: Sequence[Run], ids: list[str]) -> np.ndarray:
  """Returns float32 [n, outputs], the mean of the probabilities of all runs."""
  total: np.ndarray | None = None
  for run in runs:
    outputs = arrow.matrix(stored_outputs.rows(run, ['logits'], ids)['logits'])
    if run.result.model.output == 'logits':
      probabilities = np.exp(ranking.log_softmax(outputs))
    else:
      probabilities = outputs.astype(np.float64)
    total = probabilities if total is None else total + probabilities
  assert total is not None  # There are two at least.
  return (total / len(runs)).astype(np.float32)


def _elected(members: Members, rule: str, ids: list[str], labels: np.ndarray) -> Ranks:
  names = [name + suffix(rule) for name in ('classes', 'log_probs')]
  contest = members.classes.competition.contests.get(rule)
  counted = None if contest is None else contest.counts(labels)
  classes, confidences = [], []
  for run in members.runs:
    table = stored_outputs.rows(run, names, ids)
    column = arrow.matrix(table[names[0]])
    probabilities = np.zeros(column.shape)
    if not table[names[1]].null_count or counted is not None:
      log_probs = arrow.matrix(table[names[1]]).astype(np.float64)
      probabilities = np.where(np.isfinite(log_probs), np.exp(log_probs), 0.0)
    classes.append(column)
    confidences.append(probabilities)
  return Ranks(vote(classes, confidences), None, None, counted)


def vote(
  classes: Sequence[np.ndarray], probabilities: Sequence[np.ndarray]
) -> np.ndarray:
  """Returns the classes that most models name first.

  Of as many votes the class counts that all models together give the most probability,
  as far as their best classes tell; of as much the lowest index. Neither the order of
  the models nor that of the images decides. Classes that nobody names first follow by
  the same.

  Args:
    classes: of each model, int [n, k], best first.
    probabilities: of each model, float64 [n, k], of these; 0 where not known.

  Returns:
    int32 [n, least k], best first.

  >>> one, two, three = [[7, 3]], [[3, 7]], [[3, 9]]
  >>> vote([np.array(x) for x in (one, two, three)], [np.zeros((1, 2))] * 3)
  array([[3, 7]], dtype=int32)
  """
  n, k = len(classes[0]), min(one.shape[1] for one in classes)
  named = np.concatenate(classes, axis=1)
  first = np.concatenate(
    [np.arange(one.shape[1])[None] == np.zeros((n, 1), int) for one in classes], axis=1
  )
  weight = np.concatenate(probabilities, axis=1)
  row = np.repeat(np.arange(n), named.shape[1])
  # Summed from the least on, so that the order of models cannot change a digit.
  order = np.lexsort((weight.ravel(), named.ravel(), row))
  row, named, first, weight = (
    one.ravel()[order] for one in (row, named, first, weight)
  )
  starts = np.flatnonzero(np.r_[True, (np.diff(row) != 0) | (np.diff(named) != 0)])
  votes = np.add.reduceat(first.astype(np.int64), starts)
  summed = np.add.reduceat(weight, starts)
  row, named = row[starts], named[starts]
  order = np.lexsort((named, -summed, -votes, row))
  begin = np.searchsorted(row[order], np.arange(n))
  return named[order][begin[:, None] + np.arange(k)].astype(np.int32)
