"""Predictions of image files as rows of a file: one for each image and model.

CSV has a column for each of the best classes: class_1, class_id_1, name_1,
probability_1, class_2, ...; Parquet has lists; JSON Lines has what `--json` prints of a
model, with the path. An image that was skipped is one row with an `error`.
"""

import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from tfeval.runs import top_classes
from tfeval.runs.top_classes import FailedImage, ImagePredictions, PredictingModel
from tfeval.utils import row_files

FORMATS = (row_files.CSV, row_files.PARQUET, row_files.LINES)
_FIRST = [
  ('path', pa.string()),
  ('model', pa.string()),
  ('protocol', pa.string()),
  ('size', pa.int32()),
]
# Names in CSV, in Parquet, and the type of one.
_PREDICTED = (
  ('class', 'classes', pa.int32()),
  ('class_id', 'class_ids', pa.string()),
  ('name', 'names', pa.string()),
  ('probability', 'probabilities', pa.float64()),
)


def schema(path: pathlib.Path, top: int, crops: bool) -> pa.Schema:
  """Returns the columns of a file.

  Args:
    path: of the file.
    top: how many classes of each model.
    crops: whether files of what models saw are named.
  """
  if path.suffix.lower() == row_files.PARQUET:
    predicted = [(many, pa.list_(kind)) for _, many, kind in _PREDICTED]
  else:
    predicted = [
      (f'{one}_{place}', kind)
      for place in range(1, top + 1)
      for one, _, kind in _PREDICTED
    ]
  crop = [('crop', pa.string())] * crops
  return pa.schema([*_FIRST, *crop, *predicted, ('error', pa.string())])


def rows(
  path: pathlib.Path,
  models: Sequence[PredictingModel],
  image: ImagePredictions | FailedImage,
) -> Iterator[dict[str, Any]]:
  """Yields the rows of an image.

  Args:
    path: of the file that they are for.
    models: that were asked.
    image: what came out.
  """
  if isinstance(image, FailedImage):
    yield {'path': image.path, 'error': image.reason}
    return
  kind = path.suffix.lower()
  for one in top_classes.describe_image(models, image):
    if kind == row_files.LINES:
      yield {'path': image.path, **one}
      continue
    predictions = one.pop('predictions')
    row = {'path': image.path, **one}
    for key, (name, many, _) in zip(
      ('class', 'wnid', 'name', 'probability'), _PREDICTED, strict=True
    ):
      values = [each[key] for each in predictions]
      if kind == row_files.PARQUET:
        row[many] = values
      else:
        row |= {f'{name}_{place}': value for place, value in enumerate(values, 1)}
    yield row
