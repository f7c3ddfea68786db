"""Words of strangers, made safe to show: every text that is printed goes through here.

Names of images, folders, checkpoints, columns and fields can hold what a terminal, a
spreadsheet or a Markdown reader obeys.
"""

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

  >>> csv_cell('=1+1'), csv_cell('-0.5'), csv_cell(-0.5), csv_cell('a')
  ("'=1+1", '-0.5', -0.5, 'a')
  """
  if not isinstance(value, str):
    return value
  text = printable(value)
  formula = value.startswith(_FORMULA) and not _NUMBER.fullmatch(value)
  return f"'{text}" if formula else text


def markdown_cell(text: str) -> str:
  r"""Returns a text as a cell of a Markdown table, which shows it as it is.

  >>> print(markdown_cell('a|b <i>'))
  a\|b \<i\>
  """
  return _MARKUP.sub(r'\\\1', printable(text))
