"""Words of strangers, made safe to show: every text that is printed goes through here.

Names of images, folders, checkpoints, columns and fields can hold what a terminal, a
spreadsheet or a Markdown reader obeys.
"""

import decimal
import math
import numbers
import re
import unicodedata
from typing import Any

# Controls, marks that reorder or hide what is around them, surrogates, separators of
# lines and paragraphs (Unicode, general categories).
_OBEYED = frozenset({'Cc', 'Cf', 'Cs', 'Zl', 'Zp'})
_SHORT = {'\n': r'\n', '\r': r'\r', '\t': r'\t'}
# What Excel, LibreOffice and Google Sheets take for the start of a formula
# (OWASP, "CSV Injection").
_FORMULA = ('=', '+', '-', '@', '\t', '\r', '\n')
# Of floats that are written.
_DIGITS = 10
_NUMBER = re.compile(r'[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?')
# What begins or ends markup within a line (CommonMark 0.31, section 2.4), a cell, and
# mathematics of GitHub.
_MARKUP = re.compile(r'([\\`*_\[\]<>|~!&$])')


def printable(text: str, keep: str = '') -> str:
  r"""Returns a text with control characters shown as escapes.

  Args:
    text: any text.
    keep: control characters that are ours, such as `'\n'` in a text of several lines.

  >>> print(printable('a\x1b[31mred\nb\u202e'))
  a\x1b[31mred\nb\u202e
  """
  if text.isprintable():
    return text
  return ''.join(
    _escaped(one) if _is_obeyed(one) and one not in keep else one for one in text
  )


def _is_obeyed(one: str) -> bool:
  return not one.isprintable() and unicodedata.category(one) in _OBEYED


def _escaped(one: str) -> str:
  code = ord(one)
  width = f'\\x{code:02x}' if code < 256 else f'\\u{code:04x}'
  return _SHORT.get(one) or (width if code < 1 << 16 else f'\\U{code:08x}')


def printable_json(text: str) -> str:
  r"""Returns JSON with control characters that it allows in texts as its own escapes.

  >>> print(printable_json('["\x9b\u2028"]'))
  ["\u009b\u2028"]
  """
  return '\n'.join(
    line
    if line.isprintable()
    else ''.join(_in_json(one) if _is_obeyed(one) else one for one in line)
    for line in text.split('\n')
  )


def _in_json(one: str) -> str:
  units = one.encode('utf-16-be', 'surrogatepass')
  return ''.join(f'\\u{units[i : i + 2].hex()}' for i in range(0, len(units), 2))


def csv_cell(value: Any) -> Any:
  """Returns a value as a cell of CSV that no spreadsheet takes for a formula.

  Values of a list have blanks between them; what is not known, such as NaN, is empty.

  >>> csv_cell('=1+1'), csv_cell('-0.5'), csv_cell(0.1 + 0.2), csv_cell('a')
  ("'=1+1", '-0.5', '0.3', 'a')
  >>> csv_cell([3, 4]), csv_cell(True), csv_cell(None), csv_cell(float('nan'))
  ('3 4', 'true', '', '')
  """
  if value is None:
    return ''
  if isinstance(value, bool):
    return str(value).lower()
  if isinstance(value, list | tuple):
    return ' '.join(str(csv_cell(one)) for one in value)
  if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral):
    return '' if math.isnan(value) else decimal_text(value)
  if not isinstance(value, str):
    return value
  text = printable(value)
  formula = value.startswith(_FORMULA) and not _NUMBER.fullmatch(value)
  return f"'{text}" if formula else text


def decimal_text(value: numbers.Real) -> str:
  """Returns a number with a fraction in decimals, without an exponent.

  It is rounded to ten significant digits, more than two rates of less than 30,000
  images need to differ, and many more than counts need to be found again in them:
  `rate * count` rounds to the hits for any count that a test set has.

  >>> decimal_text(1e-05), decimal_text(0.1 + 0.2), decimal_text(2 / 3)
  ('0.00001', '0.3', '0.6666666667')
  >>> decimal_text(1.0), decimal_text(-0.0), decimal_text(float('inf'))
  ('1.0', '0.0', 'inf')
  """
  number = float(value)
  if not math.isfinite(number):
    return str(number)
  text = format(decimal.Decimal(f'{number:.{_DIGITS - 1}e}'), 'f')
  whole, _, fraction = text.partition('.')
  text = f'{whole}.{fraction.rstrip("0") or "0"}'
  return '0.0' if text == '-0.0' else text


def markdown_cell(text: str) -> str:
  r"""Returns a text as a cell of a Markdown table, which shows it as it is.

  >>> print(markdown_cell('a|b <i>'))
  a\|b \<i\>
  """
  return _MARKUP.sub(r'\\\1', printable(text))
