"""The report format `names`: `tfeval leaderboard RUN... --format=names`."""

from tfeval.reports import terminal


def write_names(board, columns, output):
  """Writes the ranked models, a line each.

  Args:
    board: a `tfeval.analysis.leaderboard.Leaderboard`.
    columns: of the table by name, as `--columns` chose them.
    output: a `tfeval.reports.formats.Output`.
  """
  for row in board.rows:
    if row.run is not None:
      terminal.print_line(row.name, output.file)
