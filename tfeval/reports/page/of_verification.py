"""What checks of run directories found as a page."""

from tfeval.reports.page.content import Column, Document, Section, Table
from tfeval.runs.verification.verify import Verification

_COLUMNS = (
  Column('run', 'run'),
  Column('check', 'check'),
  Column('state', 'state'),
  Column('seen', 'seen'),
)


def document(found: Verification) -> Document:
  """Returns a row for each check of each run."""
  rows = [
    (run.path, check.name, check.state, check.seen)
    for run in found
    for check in run.checks
  ]
  failed = [f'{one.path} FAILED' for one in found.failed]
  return Document(
    'Verification',
    [Section('Checks', [Table('of run directories', _COLUMNS, rows, labels=2)])],
    f'{len(found) - len(failed):,} of {len(found):,} runs are whole',
    failed,
  )
