"""A run that was made in a folder of this machine, copied to where it belongs."""

import contextlib
import pathlib
import time
from collections.abc import Iterator

from tfeval.evaluation.hosts import shares
from tfeval.runs import predictions, run_directory
from tfeval.runs.result_file import FLAGS, MANIFEST, PREDICTIONS, RESULT
from tfeval.runs.run import Run, load_run
from tfeval.utils import files, locks
from tfeval.utils.errors import BeingWritten
from tfeval.utils.paths import Path

# Seconds to wait for another join of a run.
_PATIENCE_S = 120


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
  """Keeps others from writing a run; waits for who joins it at the same time."""
  with contextlib.ExitStack() as stack:
    for left in reversed(range(_PATIENCE_S)):
      try:
        stack.enter_context(locks.locked(directory))
        break
      except BeingWritten:
        if not left:
          raise
        time.sleep(1)
    yield


def publish(made: pathlib.Path, directory: Path, overwrite: bool) -> Run:
  """Copies a run, its result last.

  Two that copy the same run at once, or one after the other half, write the same bytes
  under the same names.

  Args:
    made: the folder that it was made in.
    directory: where it belongs; locked by this process where there are locks.
    overwrite: whether another run that is there is replaced; what is no run's stays.

  Raises:
    UserError: it cannot be written, or shares of hosts are there.
  """
  if overwrite:
    run_directory.clear(directory)
  else:
    shares.check_no_shares(directory)
  listed = (part['file'] for part in predictions.listed_parts(made / PREDICTIONS))
  parts = [f'{PREDICTIONS}/{name}' for name in (*listed, 'index.json')]
  for name in (MANIFEST, FLAGS, *parts, RESULT):
    # Behind the manifest: a directory that has none is somebody else's.
    files.make_directory((directory / name).parent)
    files.write_atomically(directory / name, (made / name).read_bytes())
  return load_run(directory)
