"""Stored features of runs with their labels, and whether two runs' are of one kind."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from tfeval.analysis import stored_outputs
from tfeval.runs import predictions, same_model
from tfeval.runs.run import Run
from tfeval.utils.arrow import matrix, to_numpy
from tfeval.utils.errors import UserError


@dataclasses.dataclass(frozen=True, eq=False)
class StoredFeatures:
  """What a run stores of images, in the order of their sorted ids.

  Attributes:
    run: the run.
    name: what tells it from the other one.
    ids: string [n].
    hashes: binary [n], SHA-256 of the images; null where it is not known.
    values: float16 [n, d], finite.
    labels: int [n], original labels in the run's label space, -1 for none.
  """

  run: Run
  name: str
  ids: pa.Array
  hashes: pa.Array
  values: np.ndarray
  labels: np.ndarray


def read(run: Run, name: str) -> StoredFeatures:
  """Returns the stored features of a run.

  Raises:
    UserError: it has none, or its rows are not those that its result was made of.
  """
  rows = run.sorted_rows()
  ids = rows['id'].combine_chunks()
  values = values_of(run, ids.to_pylist())
  if values is None:
    raise _none(run)
  hashes = rows['image_sha256'].combine_chunks()
  return StoredFeatures(
    run, name, ids, hashes, values, to_numpy(rows['label'], null=-1)
  )


def values_of(run: Run, ids: Sequence[str]) -> np.ndarray | None:
  """Returns the features of some images of a run, in the order of the ids.

  Args:
    run: the run.
    ids: of the images.

  Returns:
    float16 [n, d], finite; None where none are stored.

  Raises:
    UserError: rows are missing or changed, or have not as many as the result says.
  """
  kept = run.result.store.features
  if kept is None:
    return None
  column = stored_outputs.rows(run, [predictions.FEATURES], ids)[predictions.FEATURES]
  found = matrix(column)
  if found.shape != (len(ids), kept.dimension):
    raise UserError(
      f'{run.path} stores features {found.shape}, expected '
      f'{(len(ids), kept.dimension)}: evaluate again'
    )
  return found


def _none(run: Run) -> UserError:
  return UserError(
    f'{run.path} stores no features: evaluate again with `store_features`, into '
    'another `output_dir` or under a `name`'
  )


def check_one_layer(one: Run, other: Run) -> None:
  """Checks that two runs store features of the same layer.

  Raises:
    UserError: one stores none, or they are of other layers or sizes.
  """
  here, there = (run.result.store.features for run in (one, other))
  for run, features in ((one, here), (other, there)):
    if features is None:
      raise _none(run)
  assert here is not None and there is not None
  if (here.layer, here.dimension) != (there.layer, there.dimension):
    raise UserError(
      f'{one.path} stores {here.dimension} features of {here.layer}, {other.path} '
      f'{there.dimension} of {there.layer}: evaluate again with the same '
      '`store_features`'
    )


def check_one_kind(source: StoredFeatures, target: StoredFeatures) -> None:
  """Checks that features are of the same layer of the same model.

  Raises:
    UserError: they are not, so that nothing about them can be compared.
  """
  one, other = source.run, target.run
  check_one_layer(one, other)
  here, there = (run.result.model for run in (one, other))
  if same_model.same_weights(here, there) is False:
    raise UserError(
      f'{one.path} is of {here.name}, {other.path} of {there.name}, and their weights '
      'differ: features of one model can be compared'
    )


def label_in(source: StoredFeatures, target: StoredFeatures) -> np.ndarray:
  """Returns the labels of a target in the label space of the source, by class ids.

  Returns:
    int [m]: -1 without a label, -2 of a class that the space of the source lacks.
  """
  place = {one: i for i, one in enumerate(source.run.label_space.class_ids)}
  ids = target.run.label_space.class_ids
  here = np.array([*(place.get(one, -2) for one in ids), -1])
  return here[target.labels]
