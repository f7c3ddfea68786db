"""Several models in one text: wildcards, lists with commas, and files of them."""

import fnmatch
import os
import pathlib
import re
from collections.abc import Iterator, Sequence

from tfeval.models import facts_of_frameworks, table
from tfeval.utils import budgets, errors, paths, spec, untrusted
from tfeval.utils.errors import UserError, listed

_WILD = re.compile(r'[*?]|\[[^=]*\]')
_KEY = re.compile(r'\s*[A-Za-z_]\w*\s*=')
_WEIGHTS = re.compile(r'\s*weights\s*=')
_FRAMEWORKS = {
  facts_of_frameworks.TORCHVISION: facts_of_frameworks.torchvision_rows,
  facts_of_frameworks.TIMM: facts_of_frameworks.timm_rows,
}
_COMMENT = re.compile(r'(^|\s)#.*')


def expand(texts: Sequence[str]) -> list[str]:
  """Returns the specifications that texts stand for.

  Args:
    texts: specifications; patterns over the names that are known, as shells have them
      (`ResNet*V2`, with options or without: `MobileNetV?:alpha=1`), which match the
      variants with options only by a `:` of their own; those of torchvision and timm
      behind `torchvision:` and `timm:`, each with all of its weights; several with
      commas between them; or `@FILE` with one of these in each line, `#` before
      comments.

  Returns:
    They, in order; what patterns find is there once.

  Raises:
    UserError: a pattern matches no name, or a file cannot be read.

  >>> expand(['ResNet50V?', 'VGG16,VGG19', 'MobileNet:alpha=0.5,dropout=0.1'])
  ['ResNet50V2', 'VGG16', 'VGG19', 'MobileNet:alpha=0.5,dropout=0.1']
  """
  found: list[str] = []
  for text in _parts(texts):
    matches = _matches(text)
    if matches is None:
      found.append(text)
    else:
      found += [name for name in matches if name not in found]
  return found


def _parts(texts: Sequence[str]) -> Iterator[str]:
  for text in texts:
    if text.startswith('@') and not os.path.exists(text):
      for line in _lines(text):
        yield from _split(line)
    else:
      yield from _split(text)


def _lines(text: str) -> list[str]:
  """Returns the lines of a file of models, without comments."""
  path = pathlib.Path(text[1:]).expanduser()
  try:
    content = untrusted.read_bytes(path, budgets.FLAGFILES).decode('utf-8-sig')
  except OSError as error:
    raise UserError(f'`model={text}`: cannot read {path}: {error.strerror}') from error
  except UnicodeDecodeError as error:
    raise UserError(
      f'`model={text}`: {path} is no text: a model in each line'
    ) from error
  lines = [_COMMENT.sub('', line).strip() for line in content.splitlines()]
  if not any(lines):
    raise UserError(f'`model={text}`: {path} names no model: one in each line')
  return [line for line in lines if line]


def _split(text: str) -> list[str]:
  """Splits at commas where each part may be a model; options keep theirs."""
  if ',' not in text or os.path.exists(text) or paths.is_url(text):
    return [text]
  parts: list[str] = []
  for part in spec.comma_parts(text):
    if parts and _KEY.match(part) and ':' in parts[-1]:
      parts[-1] += f',{part}'
    else:
      parts.append(part.strip())
  return parts if all(map(_may_be, parts)) else [text]


def _may_be(text: str) -> bool:
  try:
    one = spec.parse(text)
    if not _WILD.search(one.target):
      table.check_name(one)
  except UserError:
    return False
  return True


def _matches(text: str) -> list[str] | None:
  """Returns the names that a pattern matches, None for what is no pattern."""
  target, options = spec.split(text)
  if paths.is_url(text) or not _WILD.search(target) or os.path.exists(target):
    return None
  for prefix, rows in _FRAMEWORKS.items():
    if target.startswith(prefix):
      return _of_framework(text, target, dict(options), [one.name for one in rows()])
  known = [*(row.name for row in table.rows()), *table.LOADERS]
  # Options of its own, which variants would be given twice.
  known = [name for name in known if ':' not in name or (':' in target and not options)]
  names = fnmatch.filter(known, target)
  if not names:
    raise _no_match(target, known)
  given = text.strip()[len(target) :]
  return [name + given for name in names]


def _of_framework(
  text: str, target: str, options: dict[str, object], known: list[str]
) -> list[str]:
  """Returns the weights of another framework that a pattern matches.

  Options are put behind those of the names; `weights` chooses among them.
  """
  plain = {name: name.partition(':weights=')[0] for name in known}
  names = [
    name
    for name in known
    if any(fnmatch.fnmatchcase(one, target) for one in (name, plain[name]))
  ]
  if not names:
    raise _no_match(target, list(dict.fromkeys(plain.values())))
  is_torchvision = target.startswith(facts_of_frameworks.TORCHVISION)
  if is_torchvision and (member := options.get('weights')) is not None:
    there = sorted({name.partition(':weights=')[2] for name in names})
    names = [name for name in names if name.endswith(f':weights={member}')]
    if not names:
      raise UserError(f'{text}: no such weights, there are {listed(there)}')
  given = text.strip()[len(target) :].removeprefix(':')
  others = spec.comma_parts(given)
  if is_torchvision:  # Which is in the name.
    others = [one for one in others if not _WEIGHTS.match(one)]
  behind = ','.join(one.strip() for one in others if one.strip())
  return [
    f'{name}{"," if ":weights=" in name else ":"}{behind}' if behind else name
    for name in names
  ]


def _no_match(target: str, known: list[str]) -> UserError:
  near = str(errors.unknown('model', _WILD.sub('', target), known))
  return UserError(
    f'no model that tfeval knows matches {target!r}: {near.partition(": ")[2]} '
    '(tfeval models lists all)'
  )
