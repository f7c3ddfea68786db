"""What a process opens, writes, starts and reaches, as `strace` sees it."""

import dataclasses
import os
import pathlib
import re
import shutil

STRACE = shutil.which('strace')
_WRITING = 'creat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,link'
_WRITING += ',linkat,symlink,symlinkat,mknod,mknodat,truncate,chmod,fchmodat'
_STARTING = 'execve,execveat,connect'
_CALL = re.compile(r'^\d+ +(?:<\.\.\. )?(\w+)(?:\(| resumed>)(.*)$')
# A name, behind the directory that it is relative to where the call has one.
_NAME = re.compile(r'(?:<((?:[^<>\\]|\\.)*)>, )?"((?:[^"\\]|\\.)*)"')
_RESULT = re.compile(r' = \d+<(/(?:[^<>\\]|\\.)*)>$')
_FOR_WRITING = re.compile(r'O_(WRONLY|RDWR|CREAT|TRUNC)')


@dataclasses.dataclass
class Opened:
  """What was asked for, whether it was there or not.

  Attributes:
    opened: files that were opened, those that links led to among them, or changed.
    written: those of them that were opened for writing, or changed.
    started: calls that started a program or reached a service.
  """

  opened: set[pathlib.Path] = dataclasses.field(default_factory=set)
  written: set[pathlib.Path] = dataclasses.field(default_factory=set)
  started: list[str] = dataclasses.field(default_factory=list)


def command(log: pathlib.Path) -> list[str]:
  """Returns what stands before a command so that it is traced into a file."""
  assert STRACE is not None
  calls = f'trace=open,openat,openat2,{_WRITING},{_STARTING}'
  return [STRACE, '-f', '-qq', '-y', '--seccomp-bpf', '-s4096', '-e', calls, '-o', log]


def read(log: pathlib.Path, folder: pathlib.Path) -> list[tuple[str, Opened]]:
  """Reads a log.

  Args:
    log: of `command`.
    folder: the working directory, which nothing changed.

  Returns:
    What was opened, by the names that came between the opening of `/begins/NAME` and
    that of `/ends/NAME`, which are nowhere; first all that came beside these.
  """
  beside = Opened()
  found = [('', beside)]
  now = beside
  for line in log.read_text(errors='replace').splitlines():
    call = _CALL.match(line)
    if call is None:
      continue
    marker = re.search(r'^[^"]*"/(begins|ends)/([^"]*)"', call[2])
    if marker and call[1].startswith('open'):
      now = Opened() if marker[1] == 'begins' else beside
      if now is not beside:
        found.append((marker[2], now))
      continue
    if call[1] in _STARTING.split(','):
      if 'resumed>' not in line:
        now.started.append(f'{call[1]}({call[2]}')
      continue
    names = {
      os.path.normpath(os.path.join(folder, directory, name))
      for directory, name in _NAME.findall(call[2])
    }
    # What links led to, at last.
    names |= set(_RESULT.findall(call[2]))
    paths = set(map(pathlib.Path, names))
    now.opened |= paths
    if not call[1].startswith('open') or _FOR_WRITING.search(call[2]):
      now.written |= paths
  return found
