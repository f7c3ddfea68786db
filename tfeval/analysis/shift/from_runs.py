"""Sides of a shift out of stored runs."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from tfeval.analysis import alignment, stored_features, stored_outputs
from tfeval.analysis.alignment import AlignedPredictions
from tfeval.analysis.shift.side import LEAST_IMAGES, Side
from tfeval.datasets import sampling
from tfeval.preprocess import protocol
from tfeval.runs import same_model
from tfeval.runs.run import Run, load_run
from tfeval.runs.run_classes import RunClasses
from tfeval.runs.same_classes import classes_difference
from tfeval.utils import arrow
from tfeval.utils.errors import UserError

# Probabilities below have no place in a distance: exp(-50) is 2e-22.
_LOWEST = -50.0


def read(
  run: Run, name: str, labels: str, metric: str, most: int | None = None
) -> Side:
  """Reads what a run knows of its images, or of a sample of them.

  Args:
    run: the run.
    name: what readers call it.
    labels: the label set that hits are counted by; without it there are no labels.
    metric: what a hit is, one of `registry.paired_metrics`.
    most: how many images at most, drawn by their ids; None: all.

  Raises:
    UserError: the rows are damaged, too few, or store too few classes for the metric.
  """
  aligned = alignment.align_run(run, name, None, None)
  if aligned.ranked(metric) is None:
    raise UserError(f'{run.path} stores too few classes for `metric={metric}`')
  count = len(aligned.ids)
  if count < LEAST_IMAGES:
    raise UserError(
      f'{run.path} has {count} images: too few to tell anything, expected '
      f'{LEAST_IMAGES} or more'
    )
  if most is not None and count > most:
    # First, so that nothing is held of the others.
    chosen = sampling.chosen_positions(aligned.ids.to_pylist(), most)
    aligned = aligned.restricted(aligned.ids.take(pa.array(chosen)))
  return _side(run, aligned, labels, metric)


def _side(run: Run, aligned: AlignedPredictions, labels: str, metric: str) -> Side:
  ids = aligned.ids.to_pylist()
  log_probs = _all_log_probs(run, ids)
  single = hits = labelled = None
  if labels in aligned.labels:
    hits, labelled = aligned.hits(labels, metric), aligned.counted(labels)
    one = aligned.labels[labels]
    single = np.full(len(ids), -1, np.int64)
    alone = np.asarray(one.sizes) == 1
    first = np.cumsum(one.sizes) - one.sizes
    single[alone] = np.asarray(one.values)[first[alone]]
  nothing = np.zeros(len(ids), bool)
  predicted = aligned.predicted[:, 0].astype(np.int64)
  if single is None:
    single = np.full(len(ids), -1, np.int64)
  if log_probs is not None:
    predicted, single = (_columns(run.classes, x) for x in (predicted, single))
  return Side(
    aligned.name,
    np.array(ids),
    predicted,
    nothing if hits is None else hits,
    nothing if labelled is None else labelled,
    single,
    stored_features.values_of(run, ids),
    run.features_layer,
    _ranked(run, ids),
    log_probs,
  )


def _ranked(run: Run, ids: Sequence[str]) -> np.ndarray | None:
  """Returns float32 [n, k], log-probabilities, best first; None where unknown."""
  found = arrow.matrix(stored_outputs.rows(run, ['log_probs'], ids)['log_probs'])
  return None if np.isnan(found).any() else found


def _all_log_probs(run: Run, ids: Sequence[str]) -> np.ndarray | None:
  """Returns float64 [n, outputs] in the order of ids, None where some are not stored.

  They are made of stored outputs, or of ranked classes where those are all.
  """
  outputs = run.classes.outputs
  if stored_outputs.has_probabilities(run):
    table = stored_outputs.rows(run, ['logits'], ids)
    found = stored_outputs.log_probs(run, table)
  else:
    table = stored_outputs.rows(run, ['classes', 'log_probs'], ids)
    classes, values = (arrow.matrix(table[name]) for name in table.column_names)
    if values.shape[1] < outputs or np.isnan(values).any():
      return None
    found = np.empty((len(values), outputs))
    columns = _columns(run.classes, classes.astype(np.int64))
    np.put_along_axis(found, columns, values.astype(np.float64), axis=1)
  if not (np.isfinite(found) | (found == -np.inf)).all():
    return None
  return np.maximum(found, _LOWEST, out=found)


def _columns(classes: RunClasses, values: np.ndarray) -> np.ndarray:
  """Returns the outputs that classes are; -1 for classes without one."""
  if classes.said is None:
    return values
  at = np.minimum(np.searchsorted(classes.said, values), len(classes.said) - 1)
  return np.where(classes.said[at] == values, at, -1)


def check_comparable(source: Run, target: Run) -> list[str]:
  """Checks that runs are of one model, and says what a reader must know.

  Raises:
    UserError: of other classes or weights, or features of unlike layers or sizes.
  """
  if found := classes_difference(source, target):
    raise UserError(f'{found}: a shift is told of runs of the same classes')
  one, other = source.result, target.result
  same = same_model.same_weights(one.model, other.model)
  if same is False:
    raise UserError(
      f'{source.path} and {target.path} have other weights: a shift is told of one '
      'model on two sets of images; `tfeval compare` compares models'
    )
  if one.store.features is not None or other.store.features is not None:
    stored_features.check_one_layer(source, target)
  remarks = []
  if protocol.comparable(one.protocol) != protocol.comparable(other.protocol):
    remarks.append(
      f'the protocols differ: {one.protocol.text} and {other.protocol.text}; what '
      'differs may be that'
    )
  if same is None and one.model.name != other.model.name:
    remarks.append(
      f'OTHER MODELS: they are called {one.model.name} and {other.model.name}, and '
      'their weights are not known: a shift is told of one model'
    )
  return remarks


def hashes(run: Run, ids: Sequence[str]) -> dict[str, bytes | None]:
  """Returns the SHA-256 of images, None where it is not stored, by their ids."""
  table = run.to_arrow(['id', 'image_sha256'])
  known = dict(zip(*(column.to_pylist() for column in table.columns), strict=True))
  return {one: known[one] for one in ids}


def column_names(run: Run) -> list[str]:
  """Returns what the outputs of a run's model are called."""
  classes = run.classes
  said = range(len(classes.space)) if classes.said is None else classes.said
  return [classes.space.class_names[i] for i in said]


def read_beside(
  texts: Sequence[str], sides: Sequence[Side], labels: str, metric: str, most: int
) -> list[tuple[Side, Side]]:
  """Reads runs of further models on the images of both sides.

  Args:
    texts: `SOURCE,TARGET`, paths of runs.
    sides: the source and target that they are beside.
    labels, metric, most: as of `read`.

  Raises:
    UserError: one is no such pair, or of other images.
  """
  found = []
  for text in texts:
    given = [part.strip() for part in text.split(',')]
    if len(given) != 2:
      raise UserError(f'`beside={text}`: expected SOURCE,TARGET, two runs of a model')
    pair = []
    for path, side in zip(given, sides, strict=True):
      run = load_run(path)
      one = read(run, run.key.model_name, labels, metric, most)
      if not np.array_equal(one.ids, side.ids):
        raise UserError(f'`beside={text}`: {path} is of other images than {side.name}')
      pair.append(one)
    found.append((pair[0], pair[1]))
  return found
