"""Files of predictions, read block by block; nothing in them is ever run.

Blocks bound the memory: full outputs of 50,000 images are 200 MB and more.
"""

import contextlib
import pathlib
from collections.abc import Iterator

import pyarrow as pa

from tfeval.datasets.labels import imagenet, tables
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.runs.importing import arrays, flat, parquet_files
from tfeval.runs.importing.blocks import Block, Table, readable
from tfeval.utils.errors import UserError


@contextlib.contextmanager
def opened(
  predictions: pathlib.Path,
  probabilities: pathlib.Path | None,
  space: LabelSpace | None = None,
) -> Iterator[Table]:
  """Opens a file of predictions.

  Args:
    predictions: one of
      `.npy`: whole numbers [n, k] or [n], the classes, or floats [n, classes],
        all outputs;
      `.npz`: one such array, or classes and their probabilities;
      `.csv`: a header, then `id` and either `class_1` to `class_k`, with or without
        `probability_1` to `probability_k`, or all outputs in columns named by
        class index or id; in any order, see `flat.choose`;
      `.parquet`: `id`, and `classes` (a list, or one), with or without `log_probs`
        or `probabilities`; or `logits` or `probabilities` of all classes; or
        the columns of `.csv`.
    probabilities: `.npy` [n, k], of the classes of an `.npy`; or None.
    space: the classes; None: those of ILSVRC2012.

  Raises:
    UserError: the file cannot be read or holds something else.
  """
  space = space or imagenet.label_space()
  kind = predictions.suffix.lower()
  if probabilities is not None and (kind, probabilities.suffix.lower()) != (
    '.npy',
    '.npy',
  ):
    raise UserError(
      f'`probabilities={probabilities}`: expected an .npy beside an .npy of classes'
    )
  if not predictions.is_file():
    raise UserError(f'{predictions} is not a file: `predictions` is a file or a folder')
  if kind == '.npy':
    yield arrays.from_npy(predictions, probabilities, len(space))
  elif kind == '.npz':
    with arrays.from_npz(predictions, len(space)) as table:
      yield table
  elif kind == '.csv':
    yield _csv(predictions, space)
  elif kind == '.parquet':
    with parquet_files.opened(predictions, space) as table:
      yield table
  else:
    raise UserError(f'{predictions}: expected an .npy, .npz, .csv or .parquet file')


def _csv(path: pathlib.Path, space: LabelSpace) -> Table:
  from pyarrow import csv as pa_csv  # Rarely needed.

  header = tables.read_csv_header(path)
  classes, scores = flat.choose(path, header, space)
  types = {
    **dict.fromkeys(scores, pa.float64()),
    **dict.fromkeys(classes, pa.int64()),
    'id': pa.string(),
  }
  options = pa_csv.ConvertOptions(
    column_types=types, include_columns=[*classes, *scores, *{'id'} & {*header}]
  )
  # The header as it was read above.
  reading = pa_csv.ReadOptions(block_size=1 << 23, column_names=header, skip_rows=1)

  def blocks() -> Iterator[Block]:
    with readable(path):
      try:
        with pa_csv.open_csv(path, reading, convert_options=options) as file:
          for batch in file:
            yield flat.block(path, batch, classes, scores)
      except pa.ArrowInvalid as error:
        flat.refuse_cell(path, header, classes, str(error))
        raise

  return Table(None, 'id' in header, len(classes) or len(scores), blocks)
