"""`tfeval.ensemble`."""

import contextlib
import shutil
import tempfile
import weakref
from typing import TYPE_CHECKING, Any

from tfeval.api import given
from tfeval.utils import errors
from tfeval.utils.arguments import of_kind, path_text, truth

if TYPE_CHECKING:
  from tfeval.runs.run import Run


def ensemble(
  *runs: Any,
  output_dir: given.Path | None = None,
  how: str = 'mean',
  name: str | None = None,
  overwrite: bool = False,
) -> 'Run':
  """Makes one run of several on the same images, from their stored rows.

      run = tfeval.ensemble('runs/a', 'runs/b', 'runs/c', output_dir='runs/abc')

  Args:
    *runs: two or more, of the same images, labels and classes.
    output_dir: the run directory that is made; by default a temporary one, which goes
      with the returned run.
    how: `'mean'` of the probabilities of all classes, which runs store with
      `store_logits`; or `'votes'`: the class that most of them name first. Of as many
      votes the one counts whose probabilities sum up to more, as far as the stored best
      classes tell, then the lowest index. Votes are no probabilities.
    name: of the model in results; by default how many there are.
    overwrite: whether to replace what the directory holds.

  Returns:
    A complete run; its manifest names the members, with the SHA-256 of their rows.

  Raises:
    UserError: the runs differ in what they may not, or lack what a mean takes; or the
      directory holds something else.
  """
  from tfeval.analysis.ensemble import members, written

  if how not in members.HOW:
    raise errors.unknown('`how`', str(how), members.HOW)
  if name is not None:
    of_kind('name', name, str, 'what the run is called')
  directory, overwrite = (
    path_text('output_dir', output_dir),
    truth('overwrite', overwrite),
  )
  found = members.of(given.complete(runs), how)
  if directory is not None:
    return written.write(found, how, name, directory, overwrite)
  with contextlib.ExitStack() as stack:
    directory = tempfile.mkdtemp(prefix='tfeval-')
    stack.callback(shutil.rmtree, directory, ignore_errors=True)
    run = written.write(found, how, name, directory, overwrite)
    weakref.finalize(run, stack.pop_all().close)
  return run
