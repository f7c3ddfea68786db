"""Stored features of runs with their labels, and whether two runs' are of one kind."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfeval.runs import same_model
from tfeval.runs.run import Run
from tfeval.utils.arrow import to_numpy
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
  values = run.features
  if values is None:
    raise UserError(
      f'{run.path} stores no features: evaluate again with `store_features`, into '
      'another `output_dir` or under a `name`'
    )
  rows = run.sorted_rows()
  order = to_numpy(pc.sort_indices(run.to_arrow(['id'])['id']))
  return StoredFeatures(
    run,
    name,
    rows['id'].combine_chunks(),
    rows['image_sha256'].combine_chunks(),
    values[order],
    to_numpy(rows['label'], null=-1),
  )


def check_one_layer(one: Run, other: Run) -> None:
  """Checks that two runs store features of the same layer.

  Raises:
    UserError: one stores none, or they are of other layers or sizes.
  """
  here, there = (run.result.store.features for run in (one, other))
  for run, features in ((one, here), (other, there)):
    if features is None:
      raise UserError(
        f'{run.path} stores no features: evaluate again with `store_features`'
      )
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
