r"""Flagfiles: a flag in each line, whatever its value holds.

`--name=value` is what absl reads and people write. A value that would not survive that,
with line feeds, control characters or spaces at its ends, is written as a JSON text
behind `--name:json=`, which no flag is called; other lines mean what they always did.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from tfeval.utils import printable
from tfeval.utils.errors import UserError
from tfeval.utils.paths import is_url

_ENCODED = ':json'
# Flags of which a value starts what is not tfeval's, or reaches other machines: what is
# seen without knowing models and packages.
_OF_PROGRAMS = (
  *('tf_data_service', 'flagfile', 'model_python', 'import_module'),
  'trust_model',
)


# One letter for the flags that are typed most, in every command that has them.
SHORT = {'m': 'model', 'd': 'dataset', 'b': 'batch_size', 'o': 'output_dir'}


def short_name(name: str) -> str | None:
  """Returns the letter that stands for a flag, None where there is none."""
  return next((letter for letter, long in SHORT.items() if long == name), None)


def canonical(argument: str, known: Collection[str]) -> str:
  """Returns an argument with the name of its flag as it is defined.

  `-m` is `--model`, and words may be joined by `-` in place of `_`; the value stays as
  it is, and so does what is no flag that is known.

  Args:
    argument: `--name`, `--name=value`, `-m` or anything else.
    known: the names of flags, without `no` before those that may be off.

  >>> canonical('--batch-size=a-b', ['batch_size']), canonical('-m=a', ['model'])
  ('--batch_size=a-b', '--model=a')
  >>> canonical('--no-store-logits', ['store_logits']), canonical('-m', ['json'])
  ('--nostore_logits', '-m')
  """
  name, equals, value = argument.partition('=')
  stem = name.lstrip('-')
  if stem == name or not stem or stem in known:
    return argument
  if name == f'-{stem}' and SHORT.get(stem) in known:
    return f'--{SHORT[stem]}{equals}{value}'
  written = stem.replace('-', '_')
  for start in ('', 'no_', 'no'):
    rest = written.removeprefix(start)
    if rest in known and (rest != written or not start):
      return f'--{"no" if start else ""}{rest}{equals}{value}'
  return argument


class Flag(NamedTuple):
  """A line of a flagfile.

  Attributes:
    number: of the line, from 1.
    name: of the flag; None of what is no flag.
    text: the line as absl takes it: `--name=value`, the value decoded.
  """

  number: int
  name: str | None
  text: str

  @property
  def value(self) -> str:
    """What stands behind `=`."""
    return self.text.partition('=')[2]


def line(name: str, value: object) -> str:
  r"""Returns a flag as a line of a flagfile, without its end.

  >>> print(line('model', 'a b#"c"'))
  --model=a b#"c"
  >>> print(line('model', 'a\n--b'))
  --model:json="a\n--b"
  """
  text = str(value)
  if text == text.strip() and text == printable.printable(text):
    return f'--{name}={text}'
  return f'--{name}{_ENCODED}={json.dumps(text)}'


def flags(content: bytes) -> Iterator[Flag]:
  """Yields the flags of a flagfile, without comments and empty lines.

  Args:
    content: of the file.

  Raises:
    UserError: it is no UTF-8, or a value behind `:json=` is no JSON text; says in
      which line.
  """
  try:
    text = content.decode()
  except UnicodeDecodeError as error:
    number = content.count(b'\n', 0, error.start) + 1
    raise UserError(f'line {number} is not text: {error}') from error
  lines = text.replace('\r\n', '\n').replace('\r', '\n').split('\n')
  for number, one in enumerate(map(str.strip, lines), 1):
    if not one or one.startswith(('#', '//')):
      continue
    if not one.startswith('-'):
      yield Flag(number, None, one)
      continue
    name, equals, value = one.partition('=')
    if name.endswith(_ENCODED):
      name = name.removesuffix(_ENCODED)
      one = f'{name}={_decoded(number, value)}'
    yield Flag(number, name.lstrip('-'), one)


def _decoded(number: int, value: str) -> str:
  try:
    text = json.loads(value)
  except (ValueError, RecursionError):
    text = None
  if not isinstance(text, str):
    raise UserError(f'line {number} has {value[:40]!r}, expected a JSON text')
  if '\0' in text:
    # No argument of a command has one, and no name of a file.
    raise UserError(f'line {number} has {value[:40]!r}, which holds a zero byte')
  return text


# Of TFDS, which may fetch the code of such a dataset too.
_NAMESPACE = re.compile(
  r'(?!(?:folder|parquet|webdataset|tfrecord|npz):)[a-z]\w*:(?![\d*])'
)


def suspicious(found: Iterable[Flag]) -> list[str]:
  """Returns the flags that name code, or reach other machines, as far as is seen.

  Nobody should be told to run these before they were looked at.
  """
  return [one.text for one in found if _is_suspicious(one)]


def _is_suspicious(flag: Flag) -> bool:
  name = SHORT.get(flag.name or '', (flag.name or '').replace('-', '_'))
  return (
    name in _OF_PROGRAMS
    or (name in ('model', 'preprocess') and names_function(flag.value))
    or (name == 'dataset' and _NAMESPACE.match(flag.value) is not None)
    or is_url(flag.value)
    or (name == 'tpu' and is_address(flag.value))
  )


def names_function(value: str) -> bool:
  """Returns whether a value may be `module:function`, with arguments or without.

  >>> names_function('os:system:command=x'), names_function('MobileNet:alpha=0.25')
  (True, False)
  """
  target, colon, rest = value.partition(':')
  function = rest.partition(':')[0]
  return bool(colon) and '=' not in function and '/' not in target + function


def is_address(value: str) -> bool:
  """Returns whether a value is more than a name that the user's own cloud gives.

  >>> is_address('grpc://10.0.0.1:8470'), is_address('local'), is_address('my-tpu')
  (True, False, False)
  """
  return not re.fullmatch(r'[A-Za-z0-9-]*', value)
