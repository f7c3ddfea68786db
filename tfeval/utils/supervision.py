"""A small process that outlives the work, so that exit codes are what a command said.

Code below Python can end a process at any time, with any exit code: an operation of a
graph, a crash of a decoder, the system when memory runs out. So the command runs in a
child, which says its exit code before it ends; the parent does nothing but wait, pass
signals on, and tell what happened where nothing was said.
"""

import atexit
import contextlib
import fcntl
import mmap
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

from tfeval.utils.printable import printable

# Of a command that a defect ended: `EX_SOFTWARE` of sysexits.h.
DEFECT = 70
_PASSED_ON = frozenset(
  {
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
  }
)
# What the kernel says of signals that processes sent; those of a terminal, which go to
# all processes of the command, have a larger `si_code`.
_SENT_BY_PROCESS = 0
# What is said stands in memory that both processes have: the exit code first.
_CODE_BYTES, _SAID_BYTES = 16, 4096
_said: mmap.mmap | None = None


def run(work: Callable[[], int]) -> NoReturn:
  """Runs a command in a child of this process and ends this one as it ended.

  Args:
    work: the command; returns its exit code.
  """
  global _said
  _open_missing()
  _said = mmap.mmap(-1, _SAID_BYTES)
  alive = os.pipe()
  before = signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON | {signal.SIGCHLD})
  child = os.fork()
  if child:
    os.close(alive[0])
    _end_as(*_outcome(_wait(child), _said))
  os.close(alive[1])
  _die_with(alive[0])
  signal.pthread_sigmask(signal.SIG_SETMASK, before)
  end(_code_of(work), at_once=False)


def _open_missing() -> None:
  """Opens what is closed of stdin, stdout and stderr.

  Else a file would be opened under their number, and what C++ says written into it.
  """
  for descriptor in range(3):
    try:
      os.fstat(descriptor)
    except OSError:
      # The lowest that is free.
      os.open(os.devnull, os.O_RDWR)


def note(text: str) -> None:
  """Says what to tell the user if this process ends without a word.

  Args:
    text: what was done, and what is kept.
  """
  if _said is not None:
    room = _SAID_BYTES - _CODE_BYTES
    _said[_CODE_BYTES:] = text.encode(errors='replace')[:room].ljust(room, b'\0')


def end(code: int, at_once: bool = True) -> NoReturn:
  """Ends a command that has done and said all that it will.

  Args:
    code: its exit code.
    at_once: whether nothing is cleaned up: no thread waited for, no handler called.
  """
  if _said is not None:
    _said[:_CODE_BYTES] = str(code).encode().ljust(_CODE_BYTES, b'\0')
  if not at_once:
    _clean_up()
  os._exit(code)


def _clean_up() -> None:
  """Does what Python does when it ends, but for taking itself apart.

  A thread of a library that asks for Python then, such as one of Arrow that lets go of
  a file of ours, is ended in the middle of C++, which says "terminate called without
  an active exception" and aborts. `multiprocessing` ends its processes likewise.
  """
  threading._shutdown()  # type: ignore[attr-defined]
  atexit._run_exitfuncs()
  for stream in (sys.stdout, sys.stderr):
    if stream is not None:
      with contextlib.suppress(OSError, ValueError):
        stream.flush()


def _code_of(work: Callable[[], int]) -> int:
  try:
    return work()
  except BaseException:
    import traceback  # Rarely needed.

    text = printable(traceback.format_exc(), keep='\n')
    print(text, end='', file=sys.stderr)
    return DEFECT


def _die_with(pipe: int) -> None:
  """Has the kernel kill this process when the other end of a pipe is closed.

  Otherwise it would hold the locks of a command that somebody has killed. Where there
  is no `F_SETSIG`, it goes on.
  """
  if hasattr(fcntl, 'F_SETSIG'):
    fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)
    flags = fcntl.fcntl(pipe, fcntl.F_GETFL)
    fcntl.fcntl(pipe, fcntl.F_SETFL, flags | os.O_ASYNC | os.O_NONBLOCK)
    try:
      if not os.read(pipe, 1):
        os._exit(DEFECT)  # It was gone before.
    except BlockingIOError:
      pass


def _wait(child: int) -> int:
  """Passes signals on until the child has ended; returns its status."""
  while True:
    number, sent = _next_signal()
    if number == signal.SIGCHLD:
      ended, status = os.waitpid(child, os.WNOHANG)
      if ended:
        return status
    elif sent:
      os.kill(child, number)


def _next_signal() -> tuple[int, bool]:
  """Waits for a signal; tells whether the child is without it."""
  waited = _PASSED_ON | {signal.SIGCHLD}
  if hasattr(signal, 'sigwaitinfo'):
    found = signal.sigwaitinfo(waited)
    return found.si_signo, found.si_code <= _SENT_BY_PROCESS
  return signal.sigwait(waited), True


def _outcome(status: int, said: mmap.mmap) -> tuple[int, str | None]:
  """Returns an exit code, and what to say of a child that did not say it."""
  code, note = (
    part.rstrip(b'\0').decode(errors='replace')
    for part in (said[:_CODE_BYTES], said[_CODE_BYTES:])
  )
  if code:
    return int(code), None
  if os.WIFSIGNALED(status):
    number = os.WTERMSIG(status)
    ended, how = 128 + number, f'ended by {_description(number)}'
    if number == signal.SIGKILL:
      how += ' (out of memory, or killed by somebody)'
  else:
    ended = DEFECT
    how = f'ended by code below Python, with {os.WEXITSTATUS(status)} and no result'
  return ended, f'{how}: {note}' if note else how


def _description(number: int) -> str:
  return f'{signal.Signals(number).name}, {signal.strsignal(number)}'


def _end_as(code: int, text: str | None) -> NoReturn:
  if text is not None:
    try:
      os.write(2, f'tfeval: {printable(text)}\n'.encode(errors='backslashreplace'))
    except OSError:
      pass
  os._exit(code)
