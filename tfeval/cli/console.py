"""What the user sees while a command works: progress, and no start-up noise."""

import contextlib
import logging
import os
import pathlib
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from absl import logging as absl_logging
from rich import console as rich_console
from rich import progress as rich_progress

from tfeval import paths

_SECONDS_BETWEEN_LINES = 10
# What TensorFlow's C++ code says of healthy runs, or of an error that reaches the
# user as ours. Where there is a GPU, that it cannot be used is no noise.
_NOISE = re.compile(
    rb'^(I\d{4} |\d{4}-\d\d-\d\d \S+: I |To enable the following instructions'
    rb'|WARNING: All log messages before absl::InitializeLog)'
    rb'|^\t \[\[|oneDNN supports DT_|local_rendezvous\.cc|OP_REQUIRES failed at'
    rb'|jpeg_mem\.cc|png_io\.cc'
    # libjpeg's and libpng's own words, which name no image.
    rb'|^(libpng (warning|error)|(Empty|Corrupt|Invalid|Premature end of|Unsupported) '
    rb'JPEG|Maximum supported image|Input file read error|Improper call to JPEG)')
_NO_GPU_NOISE = re.compile(rb'failed call to cuInit|Could not find cuda drivers')


def prepare_environment() -> None:
  """Sets what TensorFlow and Keras read when they are imported."""
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '1')
  os.environ.setdefault('KERAS_BACKEND', 'tensorflow')
  # Ten of them, each after twice the wait: three minutes to say "no network".
  os.environ.setdefault('GCS_RETRY_CONFIG_MAX_RETRIES', '4')
  # TFDS warns of the folder that it is about to fill; TensorFlow of several models.
  for logger, noise in ((absl_logging.get_absl_logger(), 'has no dataset_info.json'),
                        (logging.getLogger('tensorflow'), 'tf.function retracing'),
                        # What --jit on several devices needs.
                        (logging.getLogger('tensorflow'), 'eagerly has significant')):
    logger.addFilter(lambda record, noise=noise: noise not in record.getMessage())


@contextlib.contextmanager
def quiet_tensorflow() -> Iterator[None]:
  """Where TensorFlow is imported and run: it prints no noise, and all on stderr.

  Keras and TFDS print progress of their own: stdout is for the result.
  """
  with without_noise(), contextlib.redirect_stdout(sys.stderr):
    prepare_environment()
    yield


def import_tensorflow_for(texts: Iterable[str]) -> None:
  """Imports TensorFlow where one of some paths is a URL, without its noise."""
  if any(map(paths.is_url, texts)):
    with quiet_tensorflow():
      import tensorflow  # noqa: F401


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
    sys.stderr = os.fdopen(os.dup(screen), 'w', buffering=1,
                           errors='backslashreplace')
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


def _pass_on(reader: int, screen: int) -> None:
  has_gpu = any(pathlib.Path('/dev').glob('nvidia[0-9]*'))
  with os.fdopen(reader, 'rb') as lines:
    for line in lines:
      noise = _NOISE.search(line) or (not has_gpu and _NO_GPU_NOISE.search(line))
      if not noise:
        os.write(screen, line)


@contextlib.contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
  """Shows progress, images/s and time left on stderr.

  Args:
    label: what is worked on.
    total: how many examples there are.

  Yields:
    A function that is told how many more examples are done.
  """
  console = rich_console.Console(stderr=True)
  if not console.is_terminal:
    yield _Lines(label, total)
    return
  columns = [
      rich_progress.TextColumn('{task.description}', markup=False),
      rich_progress.BarColumn(bar_width=None),
      rich_progress.MofNCompleteColumn(),
      _Rate(),
      rich_progress.TimeRemainingColumn(),
  ]
  with rich_progress.Progress(*columns, console=console) as bar:
    task = bar.add_task(label, total=total)
    yield lambda count: bar.advance(task, count)


class _Rate(rich_progress.ProgressColumn):
  """Images per second."""

  def render(self, task: rich_progress.Task) -> str:
    return f'{task.speed:.0f} images/s' if task.speed else '- images/s'


class _Lines:
  """Progress where there is no terminal: a plain line now and then."""

  def __init__(self, label: str, total: int):
    self._label, self._total, self._done = label, total, 0
    self._start = self._last = time.monotonic()

  def __call__(self, count: int) -> None:
    self._done += count
    now = time.monotonic()
    if self._done < self._total and now - self._last < _SECONDS_BETWEEN_LINES:
      return
    self._last = now
    rate = self._done / max(now - self._start, 1e-9)
    left = (self._total - self._done) / rate
    print(f'{self._label}: {self._done}/{self._total} images, {rate:.0f} images/s, '
          f'{left:.0f} s left', file=sys.stderr, flush=True)
