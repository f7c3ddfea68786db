"""Names that a terminal, a spreadsheet, a browser or a Markdown reader would obey."""

import re

# Each of its own kind, and one of all together; UTF-8 and file systems take them.
NAMES = (
  '\x1b[31mred\x1b]0;title\x07',
  '\x9b2J',
  'a\rb\nc\td\x0be\x85f',
  'abc\u202egpj.exe',
  'a\u2028b\u2029c',
  '=cmd()',
  '@SUM(A1)',
  '+1+1',
  '-2+3',
  '-1.5',
  'a|b||c',
  '<script>alert(1)</script>&amp;',
  '$x$ `y` *z* [l](http://l) _',
  '"quoted", \'too\'',
  '--overwrite',
  '# heading',
  '  spaces ',
  ':smile: [bold]b[/bold] {0}',
  '名前\u0301é',
)
ALL = '=a|<b>$c$\x1b[31m\x9b\r\n\t\u202e\u2028`_*, "\'#'
# Of JSON and of names of files only; no encoding has it.
SURROGATE = 'a\ud800b\udc80'
_SHOWN = re.compile(
  '[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e'
  '\u2066-\u2069\ufeff\ud800-\udfff]'
)


def unsafe(text: str) -> list[str]:
  """Returns what of an output should not be there: controls other than line feeds."""
  return _SHOWN.findall(text)
