"""What a run gave to the right class of an image, as far as its rows tell."""

import numpy as np
import pyarrow as pa

from tfeval.datasets.labels.sets import ORIGINAL
from tfeval.metrics import ranking
from tfeval.metrics.accuracy import LabelSets
from tfeval.metrics.competition import suffix
from tfeval.metrics.entry import ALL
from tfeval.runs.run import Run
from tfeval.utils import arrow

# Rows at once: of all outputs 2 MB.
_BLOCK = 256


def columns(run: Run, rule: str, labels: str) -> list[str]:
  """Returns the columns that losses need beside `label`, `classes` and `log_probs`.

  Args:
    run: the run.
    rule: the class rule.
    labels: the name of the label set. What rows keep of the original label is enough
      for that.
  """
  found = [f'label_log_prob{suffix(rule)}']
  if labels != ORIGINAL and uses_outputs(run, rule):
    found.append('logits')
  return found


def uses_outputs(run: Run, rule: str) -> bool:
  """Whether stored outputs tell what every class was given under a rule."""
  return (
    rule == ALL
    and ALL not in run.classes.competition.contests
    and run.result.store.logits is True
    and run.result.model.output in ('logits', 'probabilities')
  )


def losses(run: Run, rows: pa.Table, right: LabelSets, rule: str) -> np.ndarray:
  """Returns the loss of each row: -log p of the right class.

  Of several right classes it is that of the likeliest one. It is known of the label
  that a row carries, of the ranked classes, and of all with stored outputs.

  Args:
    run: the run.
    rows: n of its rows, with `columns`.
    right: the right classes of the n rows, as predictions of the rule name them.
    rule: the class rule.

  Returns:
    float64 [n], nats, `inf` for a class that was given nothing or has no output; NaN
    for unknown.
  """
  values, sizes = np.asarray(right.values), np.asarray(right.sizes)
  example = np.repeat(np.arange(len(rows)), sizes)
  ranked = arrow.matrix(rows[f'classes{suffix(rule)}'])
  log_probs = arrow.matrix(rows[f'log_probs{suffix(rule)}'])
  among = ranked[example] == values[:, None]
  pair, place = np.nonzero(among)
  of_ranked = np.full(len(values), np.nan)
  of_ranked[pair] = log_probs[example[pair], place]
  stored = arrow.to_numpy(rows[f'label_log_prob{suffix(rule)}'], null=np.nan)
  own = arrow.to_numpy(rows['label'], null=-1)
  own = _named(run, rule, own)[example] == values
  found = np.where(own, stored.astype(np.float64)[example], np.nan)
  found = np.where(np.isnan(of_ranked), found, of_ranked)
  if 'logits' in rows.column_names and np.isnan(found).any():
    at = np.flatnonzero(np.isnan(found))
    found[at] = _of_outputs(run, rows, example[at], values[at])
  # What is not among the ranked classes was given no more than any of them.
  best, best_ranked = (_largest(one, example, len(rows)) for one in (found, of_ranked))
  has_unknown = np.zeros(len(rows), bool)
  has_unknown[example[np.isnan(found)]] = True
  unknown = (has_unknown & np.isneginf(best_ranked)) | (sizes == 0)
  return np.where(unknown, np.nan, -best)


def _largest(values: np.ndarray, example: np.ndarray, n: int) -> np.ndarray:
  """Returns float64 [n], the largest value of each example, -inf without any."""
  found = np.full(n, -np.inf)
  np.maximum.at(found, example, np.where(np.isnan(values), -np.inf, values))
  return found


def _named(run: Run, rule: str, labels: np.ndarray) -> np.ndarray:
  contest = run.classes.competition.contests.get(rule)
  return labels if contest is None else contest.rule.named(labels)


def _of_outputs(
  run: Run, rows: pa.Table, example: np.ndarray, classes: np.ndarray
) -> np.ndarray:
  """Returns float64 [m], log-probabilities of classes of rows, from their outputs."""
  column = run.classes.competition.columns_of(classes)
  found = np.full(len(classes), -np.inf)
  outputs = arrow.matrix(rows['logits'])
  for start in range(0, len(classes), _BLOCK):
    at = slice(start, start + _BLOCK)
    values = outputs[example[at]]
    if run.result.model.output == 'logits':
      log_probs = ranking.log_softmax(values)
    else:
      with np.errstate(divide='ignore'):
        log_probs = np.log(values.astype(np.float64))
    of_class = log_probs[np.arange(len(values)), np.maximum(column[at], 0)]
    found[at] = np.where(column[at] >= 0, of_class, -np.inf)
  return found
