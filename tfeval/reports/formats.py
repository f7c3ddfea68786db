"""The formats of each kind of report: a line here, and a function `write_FORMAT`.

Each is called with what is reported and an `Output`, and prints by `terminal`: names
may hold what a terminal obeys.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TextIO

from tfeval.utils.registry import Registry


class Output(NamedTuple):
  """Where a report goes.

  Attributes:
    file: of the report.
    aside: of what must not stand among its data.
    wording: how what names an option in backquotes is worded.
  """

  file: TextIO
  aside: TextIO
  wording: Callable[[str], str] = str


def _of(
  module: str, *formats: str, group: str | None = None
) -> Registry[Callable[..., None]]:
  entries = {name: f'tfeval.reports.{module}:write_{name}' for name in formats}
  return Registry('report format', entries, group)


RESULTS = _of('results', 'table', 'json')
COMPARISON = _of('comparison', 'table', 'json')
LEADERBOARD = _of(
  'leaderboard', 'table', 'csv', 'json', 'markdown', 'tsv', group='tfeval.reports'
)
SLICES = _of('slices', 'table', 'json')
ACROSS = _of('across', 'table', 'csv', 'json', 'markdown')
PROBE = _of('probe', 'table', 'json')
SHIFT = _of('shift', 'table', 'json')
SWEEP = _of('sweep', 'table', 'json')
EXPLANATION = _of('explanation', 'table', 'json')
TWO_RUNS = _of('two_runs', 'table', 'json')
EFFECTS = _of('effects', 'table', 'json')
VERIFICATION = _of('verification', 'table', 'json')
PREDICTIONS = _of('predictions', 'table', 'json')
MISTAKES = _of('mistakes', 'table', 'json')
# Files that other tools read: `(runs, request) -> Export`, see `exchange.export`.
EXPORTS: Registry[Callable[..., Any]] = Registry(
  'export format',
  {
    'model_index': 'tfeval.reports.exchange.model_index:export_model_index',
    'eval_results': 'tfeval.reports.exchange.eval_results:export_eval_results',
    'csv': 'tfeval.reports.exchange.tables:export_csv',
    'parquet': 'tfeval.reports.exchange.tables:export_parquet',
    'markdown': 'tfeval.reports.exchange.markdown:export_markdown',
  },
  'tfeval.exports',
)
