"""The formats of each kind of report: a line here, and a function `write_FORMAT`.

Each is called with what is reported and, by keyword, with the text files for the report
(`file`) and for what must not stand among its data (`aside`), and how the names of
options in backquotes are worded (`wording`).
"""

from collections.abc import Callable

from tfeval.utils.registry import Registry


def _of(
  module: str, *formats: str, group: str | None = None
) -> Registry[Callable[..., None]]:
  entries = {name: f'tfeval.reports.{module}:write_{name}' for name in formats}
  return Registry('report format', entries, group)


RESULTS = _of('results', 'table', 'json')
COMPARISON = _of('comparison', 'table', 'json')
LEADERBOARD = _of(
  'leaderboard', 'table', 'csv', 'json', 'markdown', group='tfeval.reports'
)
VERIFICATION = _of('verification', 'table', 'json')
PREDICTIONS = _of('predictions', 'table', 'json')
