"""Processes that are killed before a file gets a name, loses it or gets another."""

import json
import os
import pathlib
import signal
import subprocess
import sys

# `die_at(number, root)` lets this process be killed before step `number`, from 0, that
# it takes below a directory.
_DIE_AT = """
import os, shutil, signal, sys

def die_at(number, root, only_changes=False):
  left = [number]
  def dying(call):
    def step(path, *arguments, **named):
      # What has a dir_fd is of shutil.rmtree.
      inside = named.get('dir_fd') is not None or os.fspath(path).startswith(root)
      # What makes a directory that is there changes nothing, nor what removes nothing.
      is_there = call.__name__ != 'mkdir'
      if inside and not (only_changes and os.path.lexists(path) != is_there):
        left[0] -= 1
        if left[0] < 0:
          os.kill(os.getpid(), signal.SIGKILL)
      return call(path, *arguments, **named)
    return step
  for name in ('mkdir', 'rename', 'replace', 'remove', 'rmdir', 'unlink'):
    setattr(os, name, dying(getattr(os, name)))
"""

_COMMAND = f"""{_DIE_AT}
from tfeval import cli
number, root, *arguments = sys.argv[1:]
die_at(int(number), root)
sys.exit(cli.main(arguments))
"""

# For each line of JSON, the number of a step or null and a command, it forks a process
# and says how that ended. Nothing here may start threads before.
_FORKS = f"""{_DIE_AT}
import gc, json
from tfeval import cli
from tfeval.cli import import_, score
from tfeval.datasets.labels import sets
from tfeval.reports import results
from tfeval.runs.importing import importer, sources

sets.packaged()
gc.freeze()  # Forks write to less of the memory that they share.
for line in sys.stdin:
  number, root, arguments = json.loads(line)
  child = os.fork()
  if not child:
    for descriptor in (1, 2):
      os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    if number is not None:
      die_at(number, root, only_changes=True)
    os._exit(cli.main(arguments))
  print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def start(
  arguments: list[str], step: int, root: pathlib.Path, **environment: str
) -> subprocess.Popen:
  """Starts a command that dies before a step below a directory."""
  return subprocess.Popen(
    [sys.executable, '-c', _COMMAND, str(step), str(root), *map(str, arguments)],
    text=True,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    env={**os.environ, **environment},
  )


def kill_again_and_again(
  arguments: list[str], steps: list[int], root: pathlib.Path, **environment: str
) -> int:
  """Starts a command again and again; it dies at each of some steps in turn.

  Returns:
    How often it died; it may have come to its end before.
  """
  for died, step in enumerate(steps):
    process = start(arguments, step, root, **environment)
    _, err = process.communicate(timeout=300)
    assert process.returncode in (0, -signal.SIGKILL), err
    if not process.returncode:
      return died
  return len(steps)


class Forks:
  """Runs commands that need no TensorFlow in processes that cost little."""

  def __init__(self):
    self._process = subprocess.Popen(
      [sys.executable, '-c', _FORKS],
      text=True,
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
    )

  def run(
    self, arguments, step: int | None = None, root: pathlib.Path | str = ''
  ) -> int:
    """Runs a command, which dies before a step if one is given; returns its code."""
    line = json.dumps([step, str(root), [str(one) for one in arguments]])
    self._process.stdin.write(line + '\n')
    self._process.stdin.flush()
    return int(self._process.stdout.readline())

  def close(self) -> None:
    self._process.communicate(timeout=60)
