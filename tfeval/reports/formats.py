"""The formats of reports: a function each, and a line here."""

from collections.abc import Callable
from typing import Any

from tfeval.utils.registry import Registry

# Each is called with a leaderboard, its chosen columns, the text files that the report
# and what must not stand among its data are written to, and how options are worded.
FORMATS: Registry[Callable[..., Any]] = Registry(
  'report format',
  {
    'table': 'tfeval.reports.leaderboard:write_tables',
    'csv': 'tfeval.reports.leaderboard:write_csv',
    'json': 'tfeval.reports.leaderboard:write_json',
    'markdown': 'tfeval.reports.leaderboard:write_markdown',
  },
  'tfeval.reports',
)
