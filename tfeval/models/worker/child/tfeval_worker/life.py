"""Ends this process with the one that started it, however either of them ends."""

import fcntl
import os
import select
import signal
import threading


def ends_with(file):
  """Has this process killed once the other end of a pipe is closed.

  Of a process that is killed the kernel closes it. On Linux the kernel sends the signal
  too, so that it reaches a model that hangs in native code, where no thread of Python
  gets to run. Not `PR_SET_PDEATHSIG`: that is sent when the *thread* ends that started
  this process.

  Args:
    file: the end that is read of a pipe into which nothing is ever written.
  """
  if hasattr(fcntl, 'F_SETSIG'):
    fcntl.fcntl(file, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGKILL)
    flags = fcntl.fcntl(file, fcntl.F_GETFL)
    fcntl.fcntl(file, fcntl.F_SETFL, flags | os.O_ASYNC)
    if select.select([file], [], [], 0)[0]:  # It ended before that.
      os.kill(os.getpid(), signal.SIGKILL)
  else:
    threading.Thread(target=_wait, args=(file,), daemon=True).start()


def _wait(file):
  os.read(file, 1)
  os.kill(os.getpid(), signal.SIGKILL)
