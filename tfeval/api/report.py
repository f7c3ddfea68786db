"""`tfeval.report`."""

import importlib
from typing import Any

from tfeval.api import given


def report(
  *runs: Any,
  output: given.Path,
  kind: str = 'auto',
  images: int = 0,
  overwrite: bool = False,
  **more: Any,
) -> Any:
  """Writes a page about runs, which opens without a network.

  Args:
    *runs: run directories, folders of such, or `Run`s; or one of the results that
      tfeval's functions return.
    output: the file, such as `'report.html'`.
    kind: what it is about; `auto`: what the runs are.
    images: how many of the hardest images are shown.
    overwrite: whether a file that is there is replaced.
    **more: see `tfeval report --help`.

  Raises:
    UserError: Jinja2 or matplotlib is not installed, the file is there already, or
      something is wrong with the runs.
  """
  write = importlib.import_module('tfeval.reports.page.report').report
  return write(
    *runs, output=output, kind=kind, images=images, overwrite=overwrite, **more
  )
