"""`tfeval.import_predictions`."""

import dataclasses
import os
from typing import TYPE_CHECKING, Any

from tfeval.api import given
from tfeval.utils.arguments import truth
from tfeval.utils.errors import UserError

if TYPE_CHECKING:
  from tfeval.datasets.labels.sets import LabelSource
  from tfeval.runs.run import Failure, Run

OUTPUT_DIR = 'tfeval_runs/imported'


def import_predictions(
  predictions: given.Path,
  *,
  probabilities: given.Path | None = None,
  order: str | None = None,
  labels: Any = 'original',
  data_dir: given.Path | None = None,
  classes: given.Path | None = None,
  output: str | None = None,
  partial: bool = False,
  store_logits: bool = False,
  output_dir: given.Path = OUTPUT_DIR,
  overwrite: bool = False,
) -> 'list[Run | Failure]':
  """Makes runs out of predictions that other tools saved.

      (run,) = tfeval.import_predictions('mine.csv', output_dir='runs/mine')

  Args:
    predictions: an .npy, .npz, .csv or .parquet file with the best classes of each
      image or with all outputs, or a folder of such.
    probabilities: of the classes in an .npy of classes.
    order: which image each row is: `file_name`, `class_folder` or the path of a list of
      ids; not for rows that have ids.
    labels: names of label sets or paths of label files, one or several.
    data_dir: where TFDS has prepared the multi-label set.
    classes: a file that names the classes in the order of the outputs, where they are
      not those of ILSVRC2012; the first of `labels` are then the original ones.
    output: what all outputs are, `logits` or `probabilities`, where their values do not
      tell.
    partial: whether images may be missing.
    store_logits: whether all outputs of each image are stored.
    output_dir: the run directory; of a folder of predictions there is one for each file
      in it.
    overwrite: whether to replace what a run directory holds.

  Returns:
    A run for each file; of one among several that cannot be imported a `Failure`, which
    says why.

  Raises:
    UserError: something is wrong with the labels, or with the only predictions.
  """
  from tfeval.runs.importing import importer, rows, sources

  if not isinstance(predictions, str | os.PathLike) or not os.fspath(predictions):
    raise UserError(
      'no predictions were given: give a file or a folder as `predictions`'
    )
  if output is not None and output not in rows.OUTPUTS:
    raise UserError(f'`output={output}`: expected {" or ".join(rows.OUTPUTS)}')
  found = sources.find_sources(
    os.fspath(predictions),
    None if probabilities is None else os.fspath(probabilities),
    os.fspath(output_dir),
  )
  config = importer.ImportConfig(
    labels=_labels(labels, classes, data_dir),
    order=None if order is None else os.fspath(order),
    output=output,
    partial=truth('partial', partial),
    store_logits=truth('store_logits', store_logits),
    overwrite=truth('overwrite', overwrite),
    classes=given.file_path('classes', classes),
  )
  return importer.import_all(found, config)


def _labels(
  labels: Any, classes: given.Path | None, data_dir: given.Path | None
) -> 'tuple[LabelSource, ...]':
  """Opens the label sets of an import; of other classes the first is the original one.

  Raises:
    UserError: something is wrong with them, or with `classes`.
  """
  from tfeval.datasets.labels import class_lists, sets

  path = given.file_path('classes', classes)
  if path is None:
    return tuple(given.labels(labels, data_dir))
  space = class_lists.read_space(path)
  listed = [labels] if isinstance(labels, str | os.PathLike) else list(labels)
  if sets.ORIGINAL in listed or sets.REAL in listed:
    raise UserError(
      f'`classes={path}`: the labels original and real are of ILSVRC2012: give '
      '`labels=FILE` with the labels of these images'
    )
  first, *others = given.labels(listed, data_dir, space)
  return dataclasses.replace(first, name=sets.ORIGINAL), *others
