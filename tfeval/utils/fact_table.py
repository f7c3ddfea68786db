"""Facts in files beside the modules that read them: lines of values between tabs."""

import csv
import importlib.resources
from collections.abc import Iterator


def rows(package: str, name: str) -> Iterator[dict[str, str]]:
  """Yields the rows of a table by the names of its columns.

  Args:
    package: where the file lies, such as `tfeval.analysis`.
    name: of the file. Lines that begin with # are remarks, the first other one is the
      header.
  """
  path = importlib.resources.files(package) / name
  with path.open(encoding='utf-8') as file:
    lines = (line for line in file if not line.startswith('#'))
    yield from csv.DictReader(lines, delimiter='\t')
