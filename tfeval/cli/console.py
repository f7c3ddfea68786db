"""What the user sees of a working command: our messages, no start-up noise."""

import contextlib
import gc
import logging
import os
import pathlib
import re
import resource
import sys
import threading
from collections.abc import Iterable, Iterator

from tfeval.cli import command_flags, streams
from tfeval.evaluation import libraries
from tfeval.reports import terminal
from tfeval.utils import paths
from tfeval.utils.errors import UserError
from tfeval.utils.printable import printable
from tfeval.utils.remote_path import is_of_tensorflow

# What TensorFlow's C++ code says of healthy runs, or of an error that reaches the
# user as ours. Where there is a GPU, that it cannot be used is no noise.
_NOISE = re.compile(
  rb'^(I\d{4} |\d{4}-\d\d-\d\d \S+: I |To enable the following instructions'
  rb'|WARNING: All log messages before absl::InitializeLog)'
  rb'|^\t \[\[|oneDNN supports DT_|local_rendezvous\.cc|OP_REQUIRES failed at'
  rb'|op_kernel\.cc:\d+\]'
  rb'|jpeg_mem\.cc|png_io\.cc'
  # libjpeg's and libpng's own words, which name no image.
  rb'|^(libpng (warning|error)|(Empty|Corrupt|Invalid|Premature end of|Unsupported) '
  rb'JPEG|Maximum supported image|Input file read error|Improper call to JPEG)'
)
# How such an error goes on where Python raised it inside of a graph: its traceback.
_RAISED = re.compile(rb'local_rendezvous\.cc|op_kernel\.cc:\d+\]')
_TRACEBACK = re.compile(
  rb'^(Traceback \(most recent call last\):|  |\s*$|\t \[\[|[\w.]+: )'
)
# With 3 GB its graphs come out wrong, with 4 a small model is evaluated.
_ADDRESS_SPACE = 4 * 10**9
_LONGEST_LINE = 1 << 16
_NO_GPU_NOISE = re.compile(rb'failed call to cuInit|Could not find cuda drivers')


class _Messages(logging.Handler):
  """Shows what the library logs, a line each, on what is stderr at that time."""

  def emit(self, record: logging.LogRecord) -> None:
    kind = 'warning: ' if record.levelno >= logging.WARNING else ''
    text = command_flags.with_dashes(record.getMessage())
    terminal.print_line(f'tfeval: {kind}{text}', sys.stderr)


@contextlib.contextmanager
def messages_on_stderr() -> Iterator[None]:
  """Where what the library logs is shown, and goes nowhere else."""
  logger, plots = logging.getLogger('tfeval'), logging.getLogger('matplotlib')
  # It warns of homes that it cannot write to, and that it looks for fonts.
  of_plots = plots.level
  plots.setLevel(logging.ERROR)
  before = logger.handlers, logger.level, logger.propagate
  logger.handlers, logger.propagate = [_Messages()], False
  logger.setLevel(logging.INFO)
  try:
    yield
  finally:
    logger.handlers, level, logger.propagate = before
    logger.setLevel(level)
    plots.setLevel(of_plots)


@contextlib.contextmanager
def kept_imports() -> Iterator[None]:
  """Where modules are imported: they stay, so that nobody looks for garbage in them.

  To look there takes a tenth of the start, and with TensorFlow a second.
  """
  enabled, known = gc.isenabled(), len(sys.modules)
  gc.disable()
  try:
    yield
  finally:
    if len(sys.modules) > known:
      gc.freeze()
    if enabled:
      gc.enable()


@contextlib.contextmanager
def quiet_tensorflow() -> Iterator[None]:
  """Where TensorFlow is imported and run: it prints no noise, and all on stderr.

  Keras and TFDS print progress of their own: stdout is for the result.

  Raises:
    UserError: it cannot run here.
  """
  _check_address_space()
  with without_noise(), contextlib.redirect_stdout(sys.stderr):
    libraries.prepare_environment()
    with kept_imports():
      libraries.import_tensorflow()
    yield


def _check_address_space() -> None:
  limit, _ = resource.getrlimit(resource.RLIMIT_AS)
  if limit != resource.RLIM_INFINITY and limit < _ADDRESS_SPACE:
    raise UserError(
      f'the address space is limited to {limit:,} bytes (ulimit -v), TensorFlow needs '
      f'{_ADDRESS_SPACE:,} and more'
    )


def import_tensorflow_for(texts: Iterable[str]) -> None:
  """Imports TensorFlow where it reads one of some paths, without its noise."""
  if any(paths.is_url(one) and is_of_tensorflow(one) for one in texts):
    with quiet_tensorflow():
      pass


@contextlib.contextmanager
def without_noise() -> Iterator[None]:
  """Drops known noise of TensorFlow from stderr and lets all else through.

  C++ code writes to the file descriptor, some of it before a log level can stop
  it: the descriptor is a pipe as long as the context lasts, and a thread passes
  on what is no noise. Python's own stderr stays what it is.
  """
  sys.stderr.flush()
  screen = os.dup(2)
  reader, writer = os.pipe()
  os.dup2(writer, 2)
  os.close(writer)
  python_stderr = sys.stderr
  if python_stderr is sys.__stderr__:
    sys.stderr = streams.remarks(os.dup(screen))
  pump = threading.Thread(target=_pass_on, args=(reader, screen), daemon=True)
  pump.start()
  try:
    yield
  finally:
    if sys.stderr is not python_stderr:
      sys.stderr.close()
      sys.stderr = python_stderr
    # The last writing end of the pipe: the thread comes to its end.
    os.dup2(screen, 2)
    pump.join(timeout=5)
    os.close(screen)


@contextlib.contextmanager
def silent() -> Iterator[None]:
  """Where nothing is printed, of Python or of C++; with --verbosity=debug all is.

  For libraries that print dozens of lines and raise what goes wrong.
  """
  if command_flags.verbose():
    yield
    return
  sys.stderr.flush()
  screen = os.dup(2)
  with open(os.devnull, 'w') as nowhere:
    os.dup2(nowhere.fileno(), 2)
    try:
      with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        yield
    finally:
      os.dup2(screen, 2)
      os.close(screen)


def _pass_on(reader: int, screen: int) -> None:
  has_gpu, raised = any(pathlib.Path('/dev').glob('nvidia[0-9]*')), False
  with os.fdopen(reader, 'rb') as lines:
    while line := lines.readline(_LONGEST_LINE):
      noise = _NOISE.search(line) or (not has_gpu and _NO_GPU_NOISE.search(line))
      if raised := bool(_RAISED.search(line) or (raised and _TRACEBACK.search(line))):
        continue
      if not noise:
        text = printable(line.decode(errors='backslashreplace'), keep='\n\t')
        # Whoever writes there is not to wait, be the screen closed or full.
        with contextlib.suppress(OSError):
          os.write(screen, text.encode(errors='backslashreplace'))
