"""The two ways a command ends without success, and nothing else.

Everything a user can cause is a `UserError`: the command prints its one line
and exits with 2. A check that the user asked for and that did not hold is a
`CheckFailed`: exit code 1. Any other exception is a defect of tfeval.
"""

import difflib
import re
from collections.abc import Iterable

# Keras prints parts of its messages bold.
# Where TensorFlow says that an operation was written, in front of what went wrong.
_DEFINED = re.compile(
  r'Detected at node \S+ defined at \(most recent call last\):\n(?:\s*File "[^\n]*\n+)+'
)
_NODE = re.compile(r'\{\{(function_)?node [^}]*\}\}')
# Of a name among others in a message.
_LONGEST = 200
_TERMINAL_STYLE = re.compile(r'\x1b\[[01]m')


class UserError(ValueError):
  """What was wrong, what was seen, what to do: one line, no traceback."""


class DataError(UserError):
  """The data are at fault, not a model: no other model could be evaluated either."""


class MissingData(UserError):
  """A dataset is not on this machine; says how to get it."""


class BeingWritten(UserError):
  """Another process writes what was to be read or written; see `locks`."""


class Lasting(UserError):
  """Of a file that is whole: as long as it does not change, waiting does not help."""


class NotWritten(UserError):
  """A file could not be written: no space, no permission."""


class Interrupted(KeyboardInterrupt):
  """Ctrl-C or SIGTERM, with what was kept and how to resume."""


class CheckFailed(Exception):
  """A check that was asked for did not hold."""


def listed(
  names: Iterable[object],
  most: int = 10,
  none: str = 'none',
  count: int | None = None,
) -> str:
  """Returns names in a line: of many the first ten, and how many more there are.

  Args:
    names: texts, or what becomes one; ids of files, classes, runs.
    most: how many are told; of each at most 200 characters.
    none: what is said where there are none.
    count: how many there are, where `names` are not more than the first of them.

  >>> listed(['b', 'a']), listed(range(4_133), 2), listed([])
  ('b, a', '0, 1, ... and 4,131 more', 'none')
  """
  names = list(names)
  told = ', '.join(map(_shortened, names[:most])) or none
  more = (len(names) if count is None else count) - min(most, len(names))
  return f'{told}, ... and {more:,} more' if more > 0 else told


def _shortened(name: object) -> str:
  text = str(name)
  return text if len(text) <= _LONGEST else f'{text[: _LONGEST - 3]}...'


def unknown(kind: str, name: str, known: Iterable[str], hint: str = '') -> UserError:
  """Returns the error for a name that is not known, with the closest ones.

  Args:
    kind: what is named, such as `'model'`.
    name: what was given.
    known: every name that would have been right.
    hint: what else to do, appended as it stands.

  >>> str(unknown('model', 'ResNet5', ['ResNet50', 'VGG16']))
  "unknown model 'ResNet5': did you mean ResNet50?"
  """
  known = list(known)
  lowered = {k.lower(): k for k in known}
  close = difflib.get_close_matches(name.lower(), lowered, n=3, cutoff=0.5)
  if name.lower() in lowered:
    close = [name.lower()]
  if close:
    text = 'did you mean ' + ' or '.join(lowered[c] for c in close) + '?'
  else:
    text = f'known: {listed(known)}'
  return UserError(f'unknown {kind} {name!r}: {text}{" " + hint if hint else ""}')


def one_line(error: BaseException, limit: int | None = 300) -> str:
  """Returns an exception's message on one line, cut to `limit` characters.

  >>> one_line(ValueError('two\\nlines'))
  'two lines'
  """
  text = _TERMINAL_STYLE.sub('', str(error)).partition('Traceback (most recent')[0]
  text = ' '.join(_NODE.sub('', _DEFINED.sub('', text)).split())
  text = text.removeprefix('Graph execution error: ').removeprefix('UserError: ')
  if limit is not None and len(text) > limit:
    text = text[: limit - 4].rpartition(' ')[0] + ' ...'
  return text or type(error).__name__
