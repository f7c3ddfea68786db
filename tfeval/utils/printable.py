"""Words of strangers, made safe to show: every text that is printed goes through here.

Names of images, folders, checkpoints, columns and fields can hold what a terminal, a
spreadsheet or a Markdown reader obeys.
"""

import re
from typing import Any

# C0, DEL and C1 controls, of which terminals take some for commands; separators of
# lines and paragraphs; marks that reorder what is around them (Unicode 16, tables
# Bidi_Control and White_Space); surrogates, which no encoding takes.
_CONTROLS = re.compile(
  '[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff'
  '\ud800-\udfff]'
)
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

  def escape(found: re.Match[str]) -> str:
    one = found[0]
    if one in keep:
      return one
    code = ord(one)
    return _SHORT.get(one) or (f'\\x{code:02x}' if code < 256 else f'\\u{code:04x}')

  return _CONTROLS.sub(escape, text)


def printable_json(text: str) -> str:
  r"""Returns JSON with control characters that it allows in texts as its own escapes.

  >>> print(printable_json('["\x9b\u2028"]'))
  ["\u009b\u2028"]
  """
  return _CONTROLS.sub(
    lambda found: found[0] if found[0] == '\n' else f'\\u{ord(found[0]):04x}', text
  )


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
