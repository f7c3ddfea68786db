"""The grammar `TARGET[:key=value,...]` that models are named in.

`ResNet50`, `MobileNet:alpha=0.25`, `MobileNet:alpha=0.5,input_shape=[128,128,3]`,
`my.module:build:depth=3`, `models/mine.keras`.
"""

import ast
import dataclasses
import hashlib
import re
import unicodedata
from typing import Any

from tfeval.utils.errors import UserError

# What no name of a file is made of.
_UNSAFE = re.compile(r'[^\w.=-]+')
# In bytes: with what is put before and behind it a name has 255 at most.
_LONGEST = 200
_SPEC = re.compile(r'(?P<target>.+?)(?::(?P<options>[A-Za-z_]\w*=.*))?', re.DOTALL)
_WORDS = {'true': True, 'false': False, 'none': None}


@dataclasses.dataclass(frozen=True)
class Spec:
  """A target and its options.

  Attributes:
    text: the specification as it was given.
    target: what stands before the options.
    options: pairs of key and value, in the order given.
  """

  text: str
  target: str
  options: tuple[tuple[str, Any], ...] = ()

  def directory_name(self) -> str:
    """Returns a name for files: letters and digits of any script and `._=-` only.

    Of what is not ASCII nothing is lost: what is left out, as what is too long for a
    name, stands in a digest.

    >>> Spec('MobileNet:alpha=0.25', '').directory_name()
    'MobileNet_alpha=0.25'
    >>> Spec('große Kröte', '').directory_name(), Spec('☃', '').directory_name()
    ('große_Kröte', 'model-51643361')
    """
    text = unicodedata.normalize('NFC', self.text)
    name = _UNSAFE.sub('_', text).strip('_.') or 'model'
    lost = any(not character.isascii() for character in ''.join(_UNSAFE.findall(text)))
    if lost or len(name.encode()) > _LONGEST:
      digest = hashlib.sha256(text.encode(errors='backslashreplace')).hexdigest()[:8]
      name = f'{name.encode()[:_LONGEST].decode(errors="ignore")}-{digest}'
    return name


def parse(text: str) -> Spec:
  """Parses one specification.

  Args:
    text: `TARGET[:key=value,...]`. Values are Python literals, `true`, `false`
      and `none` in any case; anything else is a string.

  Returns:
    The `Spec`.

  Raises:
    UserError: an empty text, a part without `=`, or a key given twice.

  >>> parse('MobileNet:alpha=0.25,input_shape=[128,128,3]').options
  (('alpha', 0.25), ('input_shape', (128, 128, 3)))
  >>> parse('my.module:build').target
  'my.module:build'
  """
  target, options = split(text)
  values = ((key, _literal(value)) for key, value in options.items())
  return Spec(text.strip(), target, tuple(values))


def split(text: str) -> tuple[str, dict[str, str]]:
  """Returns the target of a specification and its options, these as they stand there.

  Raises:
    UserError: as `parse`.

  >>> split('imagenet_v2:split=test[:10%],limit=5')
  ('imagenet_v2', {'split': 'test[:10%]', 'limit': '5'})
  """
  match = _SPEC.fullmatch(text.strip())
  if match is None:
    raise UserError('an empty name was given: write TARGET[:key=value,...]')
  options: dict[str, str] = {}
  for part in comma_parts(match['options'] or ''):
    key, equals, value = part.partition('=')
    if not equals or not key.strip().isidentifier():
      raise UserError(f'{text!r}: {part!r} is not key=value')
    if key.strip() in options:
      raise UserError(f'{text!r}: {key.strip()!r} is given twice')
    options[key.strip()] = value.strip()
  return match['target'], options


def comma_parts(text: str) -> list[str]:
  """Splits at commas outside of brackets and quotes: `[128,128,3]` stays whole.

  >>> comma_parts('a=[1,2],b')
  ['a=[1,2]', 'b']
  """
  parts, start, depth, quote = [], 0, 0, ''
  for i, character in enumerate(text):
    if quote:
      quote = '' if character == quote else quote
    elif character in '"\'':
      quote = character
    elif character in '[(':
      depth += 1
    elif character in '])':
      depth -= 1
    elif character == ',' and depth == 0:
      parts.append(text[start:i])
      start = i + 1
  return [*parts, text[start:]] if text else []


def _literal(text: str) -> Any:
  if text.lower() in _WORDS:
    return _WORDS[text.lower()]
  try:
    value = ast.literal_eval(text)
  except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
    return text
  return _frozen(value, text)


def _frozen(value: Any, text: str) -> Any:
  """Returns the value with tuples for lists, so that a Spec can be hashed."""
  if isinstance(value, (list, tuple)):
    return tuple(_frozen(v, text) for v in value)
  if value is None or isinstance(value, (bool, int, float, str)):
    return value
  raise UserError(
    f'{text!r}: a value is a number, a string, true, false, none or a list of these'
  )
