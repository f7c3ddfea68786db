"""Damaged files, by seeds: what is read is right, or refused in one line.

A format is added in a module of `tests/support/` that holds a tuple `FORMATS`, such as
`mutated_tables.py`; `tests/test_mutations.py` names these modules. An entry is

    Format('labels.csv', make, read)

where `make(directory)` writes a good file there, always the same bytes, and returns its
path, and `read(path)` reads it, asserts that what it returns is well formed (types,
shapes, ranges), and raises `UserError` for what it refuses. A module may have
`PREPARE`, which the reading process calls first. Formats with a structure of their own
add a function `(content, random) -> content` that changes it by its parts (`of_json`
for JSON); every second mutation is then one of these.

Files are read in a child process, since native readers may crash: the child is replaced
and the seed reported. It may take as much memory as it has after reading the good file
and `MEMORY` more. `python tests/support/mutations.py MODULE NAME SEED` repeats one
mutation in this process, without limits, and shows the traceback.
"""

import argparse
import collections
import dataclasses
import importlib
import json
import os
import pathlib
import random
import resource
import select
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

MEMORY = 1 << 30
RIGHT, OTHER, REFUSED = 'right', 'other', 'refused'
STARTED = 'started'
Mutate = Callable[[bytes, random.Random], bytes]
_EXTREMES = (
  0,
  1,
  -1,
  0x7F,
  0x80,
  0xFF,
  0x7FFF,
  0xFFFF,
  0x7FFFFFFF,
  0x80000000,
  1 << 31,
)
_EXTREMES_64 = (*_EXTREMES, 1 << 32, (1 << 63) - 1, 1 << 63)
# Bytes more: what is far larger takes seconds to be parsed, right or wrong.
_MOST_JSON = 100_000
_VALUES = (None, True, 0, -1, 1, 10**6, 2**63, 10**400, 0.5, -1e308, '', 'x', '\ud800')


@dataclasses.dataclass(frozen=True)
class Format:
  """A kind of file.

  Attributes:
    name: what it is called.
    make: writes a good file into a directory and returns its path.
    read: reads it; returns something with `==`, or raises `UserError`.
    structure: changes its parts, or None.
    seconds: what reading it may take, of CPU time.
    prints: whether threads of its library print tracebacks, which nobody can catch.
  """

  name: str
  make: Callable[[pathlib.Path], pathlib.Path]
  read: Callable[[pathlib.Path], Any]
  structure: Mutate | None = None
  seconds: float = 5
  prints: bool = False


@dataclasses.dataclass
class Outcomes:
  """What came of the mutations of a format.

  Attributes:
    counts: how many were `RIGHT` (as the good file), `OTHER` (well formed) or
      `REFUSED`.
    faults: what else happened, with the seeds.
    seconds: of the clock.
  """

  counts: collections.Counter[str] = dataclasses.field(
    default_factory=collections.Counter
  )
  faults: list[str] = dataclasses.field(default_factory=list)
  seconds: float = 0


def mutated(content: bytes, at: random.Random) -> bytes:
  """Returns a damaged copy: bits, sizes and spans, one to four times."""
  for _ in range(at.choice((1, 1, 1, 2, 4))):
    content = at.choice(_MUTATIONS)(content, at)
  return content


def _span(content: bytes, at: random.Random) -> tuple[int, int]:
  start = at.randrange(len(content) + 1)
  size = at.choice((1, 2, 4, 8, 64, 1000, max(1, len(content))))
  return start, min(len(content), start + at.randint(1, size))


def _flip(content: bytes, at: random.Random) -> bytes:
  changed = bytearray(content or b'\0')
  for _ in range(at.choice((1, 1, 2, 8))):
    changed[at.randrange(len(changed))] ^= 1 << at.randrange(8)
  return bytes(changed)


def _cut(content: bytes, at: random.Random) -> bytes:
  return content[: at.randrange(len(content) + 1)]


def _drop(content: bytes, at: random.Random) -> bytes:
  start, stop = _span(content, at)
  return content[:start] + content[stop:]


def _repeat(content: bytes, at: random.Random) -> bytes:
  start, stop = _span(content, at)
  return content[:stop] + content[start:stop] * at.choice((1, 1, 20)) + content[stop:]


def _insert(content: bytes, at: random.Random) -> bytes:
  start, _ = _span(content, at)
  return content[:start] + at.randbytes(at.choice((1, 4, 100))) + content[start:]


def _integer(content: bytes, at: random.Random) -> bytes:
  width = at.choice((1, 2, 4, 8))
  start = at.randrange(max(1, len(content) - width + 1))
  if at.random() < 0.5:  # Where headers and footers are.
    start = at.choice((start % 64, max(0, len(content) - width - start % 64)))
  value = at.choice(_EXTREMES_64) % (1 << 8 * width)
  return content[:start] + value.to_bytes(width, 'little') + content[start + width :]


def _swap(content: bytes, at: random.Random) -> bytes:
  a, b, c, d = sorted(at.randrange(len(content) + 1) for _ in range(4))
  return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


_MUTATIONS: tuple[Mutate, ...] = (
  _flip,
  _cut,
  _drop,
  _repeat,
  _insert,
  _integer,
  _integer,
  _swap,
)


def of_json(content: bytes, at: random.Random) -> bytes:
  """Changes types and values of JSON, takes parts away and adds others."""
  root = [json.loads(content)]
  for _ in range(at.choice((1, 1, 2, 5))):
    before = json.dumps(root[0])
    places = list(_places(root))
    inside, key = at.choice(places)
    value = inside[key]
    kind = at.randrange(6)
    if kind == 0 and inside is not root:
      del inside[key]
    elif kind == 1:
      inside[key] = [value] * at.choice((0, 1, 2, 50))
    elif kind == 2:
      inside[key] = {'name': value, str(key): value}
    elif kind == 3:
      other, there = at.choice(places)
      inside[key] = json.loads(json.dumps(other[there]))
    elif kind == 4:
      for _ in range(at.choice((3, 99, 900))):
        value = [value] if at.random() < 0.5 else {'': value}
      inside[key] = value
    else:
      inside[key] = at.choice(_VALUES)
    try:
      too_large = len(json.dumps(root[0])) > len(before) + _MOST_JSON
    except RecursionError:
      too_large = True
    if too_large:
      root = [json.loads(before)]
  return json.dumps(root[0]).encode()


def _places(root: list[Any]) -> Iterator[tuple[Any, Any]]:
  """Yields every container and key of a value inside of a list."""
  left: list[Any] = [root]
  while left:
    inside = left.pop()
    keys = list(inside) if isinstance(inside, dict) else range(len(inside))
    for key in keys:
      yield inside, key
      if isinstance(inside[key], (dict, list)):
        left.append(inside[key])


def damaged(form: Format, content: bytes, seed: int) -> bytes:
  """Returns the mutation of a good file that a seed stands for."""
  at = random.Random(f'{form.name} {seed}')
  if form.structure is not None and seed % 2:
    return form.structure(content, at)
  return mutated(content, at)


def try_seeds(seeds: dict[str, int]) -> dict[str, Outcomes]:
  """Reads mutations of every format of modules in a child process, one after another.

  Args:
    seeds: how many of each format, by the name of its module.

  Returns:
    What came of them, by format.
  """
  found: dict[str, Outcomes] = {}
  # Of a child that ended: what is left, by modules and formats.
  todo: dict[str, dict[str, int]] = {module: {} for module in seeds}
  while todo:
    ended = _run_child(seeds, todo, found)
    if ended is None:
      break
    module, name, message = ended
    found[name].faults.append(f'seed {todo[module][name]}: {message}')
    todo[module][name] += 1
  return found


def _run_child(
  seeds: dict[str, int], todo: dict[str, dict[str, int]], found: dict[str, Outcomes]
) -> tuple[str, str, str] | None:
  """Runs a child until it ends; returns the module and format that ended it, and how.

  Args:
    seeds: see `try_seeds`.
    todo: the first seed of formats by their modules, 0 where there is none; changed.
    found: changed.
  """
  command = [sys.executable, __file__, json.dumps(seeds), '--from', json.dumps(todo)]
  with (
    tempfile.TemporaryFile() as errors,
    subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors) as child,
  ):
    assert child.stdout is not None
    module, name, limit = next(iter(todo)), '', 60.0
    started, said = time.monotonic(), 0
    while True:
      ready, _, _ = select.select([child.stdout], [], [], limit)
      line = child.stdout.readline() if ready else b''
      if not line:
        break
      word = json.loads(line)
      module, name, outcome = word['module'], word['format'], word['outcome']
      limit = 60 + 10 * word['seconds']
      outcomes = found.setdefault(name, Outcomes())
      outcomes.seconds += time.monotonic() - started
      started = time.monotonic()
      if outcome in (RIGHT, OTHER, REFUSED):
        outcomes.counts[outcome] += 1
      elif outcome != STARTED:
        outcomes.faults.append(f'seed {word["seed"]}: {outcome}')
      printed = os.pread(errors.fileno(), 1 << 20, said)
      said += len(printed)
      if b'Traceback' in printed and not word['prints']:
        outcomes.faults.append(f'seed {word["seed"]}: prints {printed[-300:]!r}')
      todo[module][name] = word['seed'] + 1
    if ready and not child.wait():
      return None
    child.kill()
    status = child.wait()
    errors.seek(0)
    last = errors.read().decode(errors='replace').strip()[-300:]
    assert name, last
    return module, name, f'ended with {status}: {last}' if ready else 'hangs'


def _in_child(seeds: dict[str, int], todo: dict[str, dict[str, int]]) -> None:
  # All imports come first: memory is limited then.
  warnings.simplefilter('ignore')
  formats = {}
  for name in todo:
    module = importlib.import_module(name)
    getattr(module, 'PREPARE', lambda: None)()
    formats[name] = module.FORMATS
  for module, starts in todo.items():
    for form in formats[module]:
      start = starts.get(form.name, 0)
      if start < seeds[module]:
        _try_format(module, form, range(start, seeds[module]))


def _try_format(module: str, form: Format, seeds: range) -> None:
  with tempfile.TemporaryDirectory() as directory:
    path = form.make(pathlib.Path(directory))
    content, good = path.read_bytes(), form.read(path)
    _limit_memory()
    _tell(module, form, seeds.start - 1, STARTED)
    for seed in seeds:
      path.write_bytes(damaged(form, content, seed))
      _tell(module, form, seed, _outcome(form, path, good))


def _tell(module: str, form: Format, seed: int, outcome: str) -> None:
  word = {'module': module, 'format': form.name, 'seed': seed, 'outcome': outcome}
  word |= {'seconds': form.seconds, 'prints': form.prints}
  print(json.dumps(word), file=sys.__stdout__, flush=True)


def _limit_memory() -> None:
  with open('/proc/self/statm', encoding='ascii') as file:
    pages = int(file.read().split()[0])
  limit = pages * os.sysconf('SC_PAGE_SIZE') + MEMORY
  resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def _outcome(form: Format, path: pathlib.Path, good: Any) -> str:
  from tfeval.utils.errors import UserError

  before = resource.getrusage(resource.RUSAGE_SELF)
  try:
    outcome = RIGHT if form.read(path) == good else OTHER
  except UserError as error:
    outcome = _of_error(error)
  except Exception as error:
    outcome = f'{type(error).__name__}: {str(error)[:200]}'
  after = resource.getrusage(resource.RUSAGE_SELF)
  seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
  if (after.ru_maxrss - before.ru_maxrss) * 1024 > MEMORY:
    return f'takes {(after.ru_maxrss - before.ru_maxrss) // 1024} MiB'
  if seconds > form.seconds:
    return f'takes {seconds:.1f} s of CPU time'
  return outcome


def _of_error(error: BaseException) -> str:
  from tfeval.utils.printable import printable

  # As commands show it.
  text, cause = printable(str(error)), error.__cause__
  while cause is not None:
    if isinstance(cause, MemoryError):
      return f'memory ran out: {text[:200]}'
    cause = cause.__cause__
  return REFUSED if len(text.splitlines()) == 1 else f'{len(text.splitlines())} lines'


def _repeat_one(module: str, name: str, seed: int) -> None:
  (form,) = [f for f in importlib.import_module(module).FORMATS if f.name == name]
  with tempfile.TemporaryDirectory() as directory:
    path = form.make(pathlib.Path(directory))
    content = damaged(form, path.read_bytes(), seed)
    path.write_bytes(content)
    print(f'{path} {len(content)} bytes: {content[:300]!r}')
    print(form.read(path))


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('module')
  parser.add_argument('name', nargs='?')
  parser.add_argument('seed', nargs='?', type=int)
  parser.add_argument('--from', dest='todo', type=json.loads)
  args = parser.parse_args()
  if args.todo is None:
    _repeat_one(args.module, args.name, args.seed)
  else:
    _in_child(json.loads(args.module), args.todo)


if __name__ == '__main__':
  main()
