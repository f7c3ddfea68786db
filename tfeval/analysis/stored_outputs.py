"""What runs store of what a model said, for some images or for all."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfeval.metrics import ranking
from tfeval.runs.run import Run
from tfeval.utils import arrow
from tfeval.utils.errors import UserError

# Of classes that a model excludes: their logarithms stay finite.
LEAST = 1e-30


def rows(
  run: Run, columns: Sequence[str], ids: Sequence[str] | None = None
) -> pa.Table:
  """Returns columns of stored rows in the order of the ids.

  Args:
    run: the run.
    columns: names, see `predictions.schema`.
    ids: of the images whose rows are kept, of each part as it is read; None: all.

  Raises:
    UserError: there are none, or some are missing or changed.
  """
  wanted = None if ids is None else pa.array(ids, pa.string())
  parts = []
  for part in run.parts([*{'id', *columns}]):
    kept = part if wanted is None else part.filter(pc.is_in(part['id'], wanted))
    parts.append(kept)
  if not parts:
    raise UserError(f'{run.path} stores no rows: evaluate again')
  table = pa.concat_tables(parts)
  return table.take(pc.sort_indices(table['id'])).select([*columns])


def has_probabilities(run: Run) -> bool:
  """Whether all outputs of a run are stored, and are a distribution over classes."""
  return run.result.store.logits and run.result.model.output in (
    'logits',
    'probabilities',
  )


def log_probs(run: Run, table: pa.Table) -> np.ndarray:
  """Returns float64 [n, outputs], logarithms of probabilities of `LEAST` or more.

  Args:
    run: one that `has_probabilities`.
    table: its rows, with `logits`.
  """
  outputs = arrow.matrix(table['logits']).astype(np.float64)
  if run.result.model.output == 'logits':
    return ranking.log_softmax(outputs)
  return np.log(np.maximum(outputs, LEAST))
