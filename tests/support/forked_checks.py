"""Walks HDF5 files in copies of one process: starting one takes a tenth of a second.

Each walk is `hdf5_check.main` in a process of its own, under its own limits, as it is
elsewhere; only h5py is imported once. Used by `mutated_models.py`.
"""

import json
import os
import pathlib
import runpy
import subprocess
import sys
import types
from typing import Any


def install() -> None:
  """Has `size_budget` walk files by forks, in this process from now on."""
  from tfeval.models.keras import size_budget  # Not in the process that forks.

  started = [sys.executable, '-P', str(size_budget._PROGRAM)]
  # It ends when this process does, and its input with it.
  server = subprocess.Popen(
    [*started[:2], __file__, started[2]],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
  )

  def run(arguments: list[str], **options: Any) -> types.SimpleNamespace:
    assert arguments[:3] == started
    server.stdin.write(json.dumps(arguments[2:]).encode() + b'\n')
    server.stdin.flush()
    return types.SimpleNamespace(stdout=json.loads(server.stdout.readline()))

  size_budget.subprocess = types.SimpleNamespace(**{**vars(subprocess), 'run': run})


def serve(program: pathlib.Path) -> None:
  """Answers lines of arguments with what the program printed, both JSON."""
  main = runpy.run_path(str(program))['main']
  answers = os.fdopen(os.dup(1), 'w')
  for line in sys.stdin:
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
      os.dup2(theirs, 1)
      os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
      sys.argv = json.loads(line)
      main()  # Ends the process.
    os.close(theirs)
    with os.fdopen(ours, encoding='utf-8') as file:
      print(json.dumps(file.read()), file=answers, flush=True)
    os.waitpid(child, 0)


if __name__ == '__main__':
  serve(pathlib.Path(sys.argv[1]))
