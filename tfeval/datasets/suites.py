"""Test sets that are evaluated together: suites by name or of a file; where they lie.

Facts stand in `suites.toml`. Nothing here imports TensorFlow.
"""

import dataclasses
import functools
import importlib.resources
import os
import re
import tomllib

from tfeval import datasets
from tfeval.datasets import tfds_names, variants
from tfeval.utils import budgets, errors, paths, untrusted
from tfeval.utils.errors import UserError


@dataclasses.dataclass(frozen=True)
class Suite:
  """Test sets that are evaluated together.

  Attributes:
    summary: what they have in common.
    datasets: as `--dataset` is given them, in order.
  """

  summary: str
  datasets: tuple[str, ...]


@functools.cache
def suites() -> dict[str, Suite]:
  """Returns all suites by name, in the order of the file."""
  path = importlib.resources.files('tfeval.datasets') / 'suites.toml'
  return {
    name: Suite(fields['summary'], tuple(fields['datasets']))
    for name, fields in tomllib.loads(path.read_text('utf-8')).items()
  }


def datasets_of(suite: str) -> list[str]:
  """Returns the datasets of a suite.

  Args:
    suite: its name, or the path of a text file with a dataset and its options in each
      line; `#` at the beginning or behind a space begins a remark.

  Raises:
    UserError: it is neither, the file is no text, is empty, or a line is no dataset.
  """
  if suite in suites():
    return list(suites()[suite].datasets)
  path = os.path.expanduser(suite)
  if not os.path.isfile(path):
    if os.sep in suite or '.' in suite:
      what = 'is a folder' if os.path.isdir(path) else 'does not exist'
      raise UserError(
        f'`suite={suite}` {what}: give a file with a dataset in each line'
      )
    raise errors.unknown('suite', suite, [*suites(), 'FILE'])
  try:
    text = untrusted.read_bytes(paths.path(path), budgets.TEXT_FILE).decode()
  except UnicodeDecodeError as error:
    raise UserError(f'{suite} is not text: give a dataset in each line') from error
  found = []
  for number, line in enumerate(text.splitlines(), 1):
    name = re.split(r'(?:^|\s)#', line)[0].strip()
    if name:
      _check_name(name, f'{suite}, line {number}')
      found.append(name)
  if not found:
    raise UserError(f'{suite} names no dataset: give one in each line')
  return found


def _check_name(name: str, place: str) -> None:
  """Checks that a name is one of a dataset, there or not."""
  full = datasets.full_name(name)
  kind = re.split('[:/]', full)[0]
  known = kind in datasets.OPENERS or kind in variants.variants()
  if not known and not tfds_names.knows(kind):
    raise UserError(f'{place}: {name[:80]!r} is no dataset: see tfeval datasets')


def placed(name: str, directory: str) -> str:
  """Returns the name of a test set with its folder in a directory, if that is there.

  Args:
    name: of a dataset, maybe with options behind it.
    directory: where folders of test sets lie, each by its name: `imagenet_a`,
      `imagenet_v2/topimages`.

  >>> placed('folder:val', '/sets')
  'folder:val'
  """
  variant, (target, colon, rest) = variants.of_dataset(name), name.partition(':')
  options = not rest or re.match(r'\w+=', rest) is not None
  if variant is None or not variant.layout or not options:
    return name
  where = os.path.join(os.path.expanduser(directory), target)
  return f'{target}:{where}{colon}{rest}' if os.path.isdir(where) else name
