"""What a run's accuracy is where answers and labels are counted otherwise."""

import dataclasses
import functools
import importlib.resources
import tomllib
from collections.abc import Iterator
from typing import Any

import numpy as np

from tfeval.analysis import stored_outputs
from tfeval.analysis.alignment import AlignedPredictions, align_run
from tfeval.analysis.explanation import matching
from tfeval.metrics import registry
from tfeval.runs.run import Run
from tfeval.utils import arrow

# Batches that scripts are run with, the most usual first.
BATCH_SIZES = (32, 64, 128, 256, 16, 100, 50, 8, 512)
# How many columns scripts keep that look for the best few.
_BEST = 5
_ROWS_AT_ONCE = 512

# An axis and its value, none where nothing is done otherwise.
Departures = tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True)
class Counted:
  """An accuracy, counted in one way.

  Attributes:
    departures: what is done otherwise; none: as tfeval counts.
    value: in [0, 1].
    correct, count: it is the share of; None where it is a mean of shares.
    values: float [n], of which it is the mean, image by image; None where it is none.
  """

  departures: Departures
  value: float
  count: int
  correct: int | None = None
  values: np.ndarray | None = None


@functools.cache
def axes() -> dict[str, dict[str, Any]]:
  """Returns of each axis what it is, and how often it is done."""
  path = importlib.resources.files('tfeval.analysis.explanation') / 'countings.toml'
  return tomllib.loads(path.read_text('utf-8'))


def ways(
  run: Run, labels: str, metric: str, is_whole: bool, aligned: AlignedPredictions
) -> Iterator[Counted]:
  """Yields a run's accuracy, counted in each way.

  Args:
    run: the run.
    labels: the label set that is meant.
    metric: `top1` or another paired one.
    is_whole: whether it is of all images that were reported of, so that there is a
      last batch.
    aligned: what it predicted.
  """
  inside = aligned.counted(labels)
  hits = aligned.hits(labels, metric)[inside]
  yield _of(hits)
  for other in aligned.labels:
    if other != labels:
      yield _of(aligned.hits(other, metric)[aligned.counted(other)], 'labels', other)
  for other in ('top1', 'top5'):
    if other != metric and aligned.ranked(other) is not None:
      yield _of(aligned.hits(labels, other)[inside], 'metric', other)
  single = np.asarray(aligned.labels[labels].sizes)[inside] == 1
  if single.all() and len(single):
    right = _single_labels(aligned, labels, inside)
    yield _class_balanced(hits, right)
    yield from _by_class_orders(aligned, right, inside, metric)
    yield from _by_columns(run, aligned, right, inside, metric)
    yield from _with_ties(run, aligned, inside, metric)
  if is_whole:
    yield from _by_batches(hits)


def _of(hits: np.ndarray, axis: str = '', value: str = '') -> Counted:
  departures = ((axis, value),) if axis else ()
  count, correct = len(hits), int(np.count_nonzero(hits))
  values = hits.astype(np.float64)
  return Counted(departures, correct / max(count, 1), count, correct, values)


def _single_labels(
  aligned: AlignedPredictions, labels: str, inside: np.ndarray
) -> np.ndarray:
  sets = aligned.labels[labels]
  ends = np.cumsum(np.asarray(sets.sizes))
  return np.asarray(sets.values)[ends[inside] - 1]


def _class_balanced(hits: np.ndarray, right: np.ndarray) -> Counted:
  """Returns the mean of the accuracies of classes that have images."""
  _, at, sizes = np.unique(right, return_inverse=True, return_counts=True)
  values = hits * (len(hits) / (len(sizes) * sizes[at]))
  return Counted((('mean', 'classes'),), float(values.mean()), len(hits), None, values)


def _by_class_orders(
  aligned: AlignedPredictions, right: np.ndarray, inside: np.ndarray, metric: str
) -> Iterator[Counted]:
  ranked = aligned.predicted[inside][:, : registry.get_metric(metric).classes]
  for name, of in matching.class_orders(aligned.run.classes.dataset).items():
    if name:
      # What someone called the label is another class.
      hits = (ranked == of[right][:, None]).any(axis=1)
      yield _of(hits, matching.CLASS_ORDER, name)


def _by_columns(
  run: Run,
  aligned: AlignedPredictions,
  right: np.ndarray,
  inside: np.ndarray,
  metric: str,
) -> Iterator[Counted]:
  """Yields hits of columns that were taken to be sorted best first.

  They are those of NumPy: `argsort(scores)[-5:]`, `argpartition(scores, -5)[-5:]` and
  `argpartition(-scores, 5)[:5]`, of the last ten for five of them.
  """
  scores = _scores(run)
  first = registry.get_metric(metric).classes
  kept = _BEST * first
  if scores is None or scores.shape[1] <= kept:
    return
  scores = scores[inside]
  parts = np.array_split(scores, max(1, len(scores) // _ROWS_AT_ONCE))
  found = {
    'ascending': [np.argsort(one, axis=1)[:, -kept:] for one in parts],
    'argpartition': [np.argpartition(one, -kept, axis=1)[:, -kept:] for one in parts],
    'argpartition_negative': [
      np.argpartition(-one, kept, axis=1)[:, :kept] for one in parts
    ],
  }
  for name, columns in found.items():
    taken = np.concatenate(columns)[:, :first]
    yield _of((taken == right[:, None]).any(axis=1), matching.COLUMNS, name)


def _scores(run: Run) -> np.ndarray | None:
  """Returns float32 [n, outputs] in the order of ids; None where not all is kept."""
  if not run.result.store.logits or len(run.classes.space) != run.classes.outputs:
    return None
  return arrow.matrix(stored_outputs.rows(run, ['logits'])['logits'])


def _with_ties(
  run: Run, aligned: AlignedPredictions, inside: np.ndarray, metric: str
) -> Iterator[Counted]:
  """Yields hits of labels that are as probable as the last class that counts."""
  table = stored_outputs.rows(run, ['log_probs', 'label_log_prob']).filter(inside)
  of_label, best = table['label_log_prob'], table['log_probs']
  last = registry.get_metric(metric).classes - 1
  if of_label.null_count or best.null_count or not len(table):
    return
  ranked = arrow.matrix(best)
  yield _of(arrow.to_numpy(of_label) >= ranked[:, last], 'ties', 'hits')


def _by_batches(hits: np.ndarray) -> Iterator[Counted]:
  n, correct = len(hits), int(np.count_nonzero(hits))
  seen = {0, n}
  for size in BATCH_SIZES:
    whole = n // size * size
    if whole in seen:
      continue
    seen.add(whole)
    of_whole = int(np.count_nonzero(hits[:whole]))
    for name, right, of in (
      ('last_lost', of_whole, whole),
      ('last_uncounted', of_whole, n),
      ('last_padded', correct, whole + size),
    ):
      departure = (('batches', f'{name}:{size}'),)
      yield Counted(departure, right / of, of, right)


def aligned_of(run: Run) -> AlignedPredictions:
  """Returns what a run predicted, with the labels of its rows."""
  return align_run(run, run.path.name, None, None)
