"""Two real processes that TF_CONFIG tells of each other, on loopback."""

import contextlib
import json
import os
import socket
import subprocess
import sys


def run(code: str, *arguments, timeout: float = 240) -> list[str]:
  """Runs a script as each of two workers; returns what they print."""
  with contextlib.ExitStack() as stack:
    sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
    for one in sockets:
      one.bind(('127.0.0.1', 0))
    cluster = {'worker': [f'127.0.0.1:{one.getsockname()[1]}' for one in sockets]}
  workers = [
    subprocess.Popen(
      [sys.executable, '-c', code, *map(str, arguments)],
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
      env={
        **os.environ,
        'TF_CONFIG': json.dumps(
          {'cluster': cluster, 'task': {'type': 'worker', 'index': index}}
        ),
      },
    )
    for index in range(2)
  ]
  try:
    printed = [worker.communicate(timeout=timeout) for worker in workers]
  finally:
    for worker in workers:
      worker.kill()
  assert all(worker.returncode == 0 for worker in workers), '\n'.join(
    errors[-2000:] for _, errors in printed
  )
  return [out for out, _ in printed]
