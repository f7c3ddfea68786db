"""README.md, BUILD_NOTES.md and the guides: blocks of code, commands, links."""

import functools
import pathlib
import re
import shlex

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUIDES = sorted((ROOT / 'tfeval/guides').glob('*.md'))
README, BUILD_NOTES = ROOT / 'README.md', ROOT / 'BUILD_NOTES.md'
# Fenced, with a language; or indented, without one.
_BLOCK = re.compile(
  r'^```(\w*)\n(.*?)^```$|((?:^(?: {4}[^\n]*)?\n)+)', re.DOTALL | re.M
)


@functools.cache
def blocks(path: pathlib.Path) -> list[tuple[str, str]]:
  """Returns the blocks of code of a document, as pairs of language and code."""
  found = []
  for match in _BLOCK.finditer(path.read_text('utf-8')):
    language, fenced, indented = match.groups()
    if fenced is not None:
      found.append((language, fenced))
    elif indented.strip():
      found.append(('', re.sub('^    ', '', indented, flags=re.M).strip('\n') + '\n'))
  return found


def python(path: pathlib.Path) -> list[str]:
  """Returns the blocks of Python of a document."""
  return [code for language, code in blocks(path) if language == 'python']


def commands(path: pathlib.Path) -> list[list[str]]:
  """Returns the arguments of each `tfeval` that a document shows in blocks."""
  lines = ''.join(
    code for language, code in blocks(path) if language in ('', 'sh')
  ).replace('\\\n', ' ')
  found = [shlex.split(line, comments=True) for line in lines.splitlines()]
  return [words[1:] for words in found if words[:1] == ['tfeval'] and words[1:]]


def prose(path: pathlib.Path) -> str:
  """Returns what stands outside of blocks."""
  return _BLOCK.sub('\n', path.read_text('utf-8'))


def anchors(path: pathlib.Path) -> set[str]:
  """Returns what a link to a heading of a document has behind its #."""
  titles = re.findall(r'^#+ (.*)$', prose(path), re.M)
  return {re.sub(r'[^\w\- ]', '', title.lower()).replace(' ', '-') for title in titles}


def links(path: pathlib.Path) -> list[tuple[pathlib.Path, str]]:
  """Returns the files and anchors that a document links to, URLs left out."""
  found = []
  for target in re.findall(r'\]\(([^)\s]+)\)', prose(path)):
    if '://' not in target:
      name, _, anchor = target.partition('#')
      found.append(((path.parent / name).resolve() if name else path, anchor))
  return found


# What a result may have in a cell of a notebook.
CELL_TAGS = {
  *('div', 'style', 'b', 'br', 'small', 'table', 'caption', 'thead', 'tbody', 'tr'),
  *('th', 'td'),
}
