"""Where a run is kept, and how."""

import dataclasses

from tfeval.utils.options import option

# The features that a classifier is fed.
PENULTIMATE = 'penultimate'


@dataclasses.dataclass(frozen=True)
class StoreConfig:
  """A run directory and its prediction store."""

  GROUP = 'Output'

  output_dir: str = option(
    'tfeval_runs',
    'Run directories are made in here, on a disk or at a URL: gs://BUCKET/runs, others '
    'of tf.io.gfile, or s3://BUCKET/runs.',
    is_path=True,
    repeated=False,
  )
  overwrite: bool = option(False, 'Replace what a run directory holds.', repeated=False)
  logits: bool = option(
    False, 'Store all outputs of each example.', name='store_logits'
  )
  features: str | None = option(
    None,
    'Store the features of each example: what the last Dense layer or convolution, the '
    'classifier, is fed, or with =LAYER what that layer returns; averaged over space.',
    name='store_features',
    alone=PENULTIMATE,
  )
  # What an interruption loses at most; rounded up to whole batches.
  rows_per_part: int = option(
    2000,
    'Predictions are stored in parts of so many: what an interruption loses at most.',
    least=1,
    most=1 << 20,
    in_python=False,
  )
