"""stdout and stderr of a command, which may be full, closed or of a narrow encoding."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator


class CannotPrint(Exception):
  """The result cannot be written to where stdout goes."""


class ResultStream(io.TextIOWrapper):
  """A text stream whose errors can be told from those of other files."""

  def write(self, text: str) -> int:
    with _told():
      return super().write(text)

  def flush(self) -> None:
    with _told():
      super().flush()


@contextlib.contextmanager
def _told() -> Iterator[None]:
  try:
    yield
  except BrokenPipeError:
    raise  # Its reader has left, which is no error.
  except OSError as error:
    raise CannotPrint(error.strerror) from error


class RemarkStream(io.TextIOWrapper):
  """A text stream of what is said beside the result: where it cannot be, it is lost.

  No evaluation fails because its progress cannot be shown.
  """

  def write(self, text: str) -> int:
    with contextlib.suppress(OSError, ValueError):
      return super().write(text)
    return len(text)

  def flush(self) -> None:
    with contextlib.suppress(OSError, ValueError):
      super().flush()

  def close(self) -> None:
    with contextlib.suppress(OSError, ValueError):
      super().close()


def remarks(descriptor: int, encoding: str | None = None) -> RemarkStream:
  """Returns a stream to a descriptor, which is closed with it."""
  # Unbuffered: what could not be written is not tried again with every line.
  raw = open(descriptor, 'wb', buffering=0)
  return RemarkStream(raw, encoding, errors='backslashreplace', line_buffering=True)  # type: ignore[arg-type]


@contextlib.contextmanager
def guarded() -> Iterator[None]:
  """Where the process's own stdout and stderr are such streams; others stay."""
  before = sys.stdout, sys.stderr
  if sys.stdout is sys.__stdout__ and isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout = ResultStream(
      # A name that the terminal's encoding lacks is shown by its number.
      open(os.dup(1), 'wb'),
      sys.stdout.encoding,
      errors='backslashreplace',
      line_buffering=sys.stdout.line_buffering,
    )
  if sys.stderr is sys.__stderr__:
    encoding = None if sys.stderr is None else sys.stderr.encoding
    sys.stderr = remarks(os.dup(2), encoding)
  try:
    yield
  finally:
    if sys.stdout is not None:
      with contextlib.suppress(OSError, ValueError, CannotPrint):
        sys.stdout.flush()
    sys.stdout, sys.stderr = before
