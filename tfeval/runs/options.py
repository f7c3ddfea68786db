"""Where a run is kept, and how."""

import dataclasses

from tfeval.utils.options import option


@dataclasses.dataclass(frozen=True)
class StoreConfig:
  """A run directory and its prediction store."""

  GROUP = 'Results'

  output_dir: str = option(
    'tfeval_runs',
    'Run directories are made in here, on a disk or at a URL of tf.io.gfile, such as '
    'gs://BUCKET/runs.',
    is_path=True,
    repeated=False,
  )
  overwrite: bool = option(False, 'Replace what a run directory holds.', repeated=False)
  logits: bool = option(
    False, 'Store all outputs of each example.', name='store_logits'
  )
  # What an interruption loses at most; rounded up to whole batches.
  rows_per_part: int = option(
    2000,
    'Predictions are stored in parts of so many: what an interruption loses at most.',
    least=1,
    most=1 << 20,
    in_python=False,
  )
