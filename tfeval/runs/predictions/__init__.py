"""The prediction store: a row for each example, in atomic, listed parts.

`predictions/index.json` lists the parts with their rows and SHA-256. A part is
written first and listed after, both by renaming, so that a part that is torn,
stale or of an earlier run is never read.
"""

from tfeval.runs.predictions.reader import listed_parts, read_part, read_parts
from tfeval.runs.predictions.rows import (
  FEATURES,
  OUTPUTS,
  SCHEMA_VERSION,
  STORED_CLASSES,
  Ranks,
  assemble,
  columns_of_rule,
  make_ranked_rows,
  make_rows,
  named_ranks,
  rank_by_rule,
  rank_scores,
  schema,
)
from tfeval.runs.predictions.writer import Writer

__all__ = (
  'FEATURES',
  'OUTPUTS',
  'Ranks',
  'SCHEMA_VERSION',
  'STORED_CLASSES',
  'Writer',
  'assemble',
  'columns_of_rule',
  'listed_parts',
  'make_ranked_rows',
  'make_rows',
  'named_ranks',
  'rank_by_rule',
  'rank_scores',
  'read_part',
  'read_parts',
  'schema',
)
