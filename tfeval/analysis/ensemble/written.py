"""An ensemble as a run of its own: a directory like that of any run."""

import datetime
import logging
import os
import platform
import time
from typing import Any

import numpy as np
import pyarrow as pa

import tfeval
from tfeval.analysis.differences import protocol_difference
from tfeval.analysis.ensemble import combined
from tfeval.analysis.ensemble.members import MEAN, Members
from tfeval.runs import predictions, result_file, run, run_directory
from tfeval.runs.result_file import Manifest
from tfeval.runs.run import Run
from tfeval.runs.run_classes import BY_CLASS
from tfeval.runs.summary import (
  SUMMARY_COLUMNS,
  SummaryRequest,
  columns_read,
  summarize,
)
from tfeval.utils import files, flagfile, locks, paths
from tfeval.utils.errors import UserError

_LOG = logging.getLogger('tfeval')
_ROWS_PER_PART = 2000
# Names of members that a note has.
_NAMED = 10


def write(
  members: Members,
  how: str,
  name: str | None,
  output_dir: str | os.PathLike[str],
  overwrite: bool,
) -> Run:
  """Returns the run of an ensemble, made unless it is there.

  Args:
    members: the runs.
    how: of `members.HOW`.
    name: what it is called; None: by how many there are.
    output_dir: the run directory.
    overwrite: whether what is in it may be replaced.

  Raises:
    UserError: the directory holds something else, or cannot be written.
  """
  directory = paths.path(output_dir)
  _check_apart(directory, members)
  described = _manifest(members, how, name or f'{how} of {len(members.runs)} models')
  with locks.locked(directory):
    if run_directory.holds_manifest(directory) and not overwrite:
      return _there(directory, described)
    flags = flagfile.line('name', described.model.name) + '\n'
    run_directory.begin_run(directory, described, flags, resumed=False)
    try:
      return _written(directory, described, members, how)
    except UserError:
      run_directory.discard(directory)
      raise


def _check_apart(directory: paths.Path, members: Members) -> None:
  for member in members.runs:
    if paths.absolute(str(member.path)) == paths.absolute(str(directory)):
      raise UserError(
        f'`output_dir={directory}` is a member of the ensemble: choose another one'
      )


def _there(directory: paths.Path, described: Manifest) -> Run:
  found = None
  if (directory / result_file.RESULT).is_file():
    found = run.load_run(directory)
    keys = 'ensemble', 'model', 'store'
    if all(getattr(found.result, key) == getattr(described, key) for key in keys):
      _LOG.info(f'{directory} is complete: shown as it is (`overwrite` makes it again)')
      return found
  there = 'a run that is not complete' if found is None else found.key.title
  raise UserError(
    f'{directory} holds another run, {there}: choose another `output_dir`, or '
    '`overwrite` it'
  )


def _manifest(members: Members, how: str, name: str) -> Manifest:
  of = next((one for one in members.runs if one.result.imported is None), None)
  source = of or members.runs[0]
  there = Manifest.from_json(
    files.read_json(source.path / result_file.MANIFEST, source.path)
  )
  matched = source.result.model.matched
  described = members.classes.describe(
    None if matched is None else matched.by or BY_CLASS,
    None if matched is None else matched.order,
  )
  kept = members.classes.kept()
  if how != MEAN:
    kept = min(kept, *(one.result.store.classes for one in members.runs))
  content: dict[str, Any] = {
    'schema_version': result_file.SCHEMA_VERSION,
    'model': {
      'name': name,
      'output': 'probabilities' if how == MEAN else None,
      **({} if described is None else {'matched': described}),
    },
    'dataset': there.dataset.replaced(
      expected=len(members.aligned.ids),
      # Those of an import are of its files.
      notes=[*(there.dataset.notes if of else ()), *_notes(members, how)],
      resized_on_host=None,
    ),
    'protocol': _protocol(members),
    'store': {
      'logits': how == MEAN,
      'classes': kept,
      **(
        {'restricted': members.classes.kept('restricted')}
        if members.classes.has('restricted')
        else {}
      ),
    },
    'compute': {
      'versions': {
        'tfeval': tfeval.__version__,
        'python': platform.python_version(),
        'numpy': np.__version__,
        'pyarrow': pa.__version__,
      }
    },
    'ensemble': {
      'how': how,
      'members': [
        {
          'name': called,
          'rows_sha256': digest,
          'weights_sha256': one.result.model.weights_sha256
          or one.result.model.values_sha256,
          'protocol': one.result.protocol.text,
        }
        for called, digest, one in zip(
          members.names, members.digests(), members.runs, strict=True
        )
      ],
    },
  }
  return Manifest.from_json(content)


def _protocol(members: Members) -> Any:
  first = members.runs[0].result.protocol
  if all(one.result.protocol == first for one in members.runs):
    return first
  return {'name': 'unknown'}


def _notes(members: Members, how: str) -> list[str]:
  what = {MEAN: 'mean of the probabilities of'}.get(how, 'votes of')
  named = ', '.join(members.names[:_NAMED])
  more = len(members.names) - _NAMED
  notes = [f'{what} {named}' + (f' and {more} more' if more > 0 else '')]
  first = members.runs[0]
  for one in members.runs[1:]:
    if found := protocol_difference(first, one):
      notes.append(f'its models were evaluated with different protocols: {found}')
      break
  return notes


def _written(
  directory: paths.Path, described: Manifest, members: Members, how: str
) -> Run:
  started, classes = time.monotonic(), members.classes
  kept_by_rule = classes.kept_by_rule
  writer = None
  for rows in combined.blocks(members, how):
    if writer is None:
      writer = predictions.Writer(
        directory / result_file.PREDICTIONS,
        how == MEAN,
        _ROWS_PER_PART,
        described.store.classes,
        (),
        len(classes.space),
        classes.outputs,
        kept_by_rule,
      )
    writer.write(rows)
  if writer is None:
    raise UserError(f'{members.names[0]} stores no rows: evaluate again')
  writer.flush()
  columns = columns_read(SUMMARY_COLUMNS, classes)
  summary = summarize(
    predictions.read_parts(directory / result_file.PREDICTIONS, columns),
    request=SummaryRequest(classes=classes),
  )
  timing = {
    'finished': datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
    'seconds': time.monotonic() - started,
  }
  source = members.aligned.run.result.dataset
  return run.finish(
    directory,
    described,
    summary,
    {},
    timing,
    class_notes=source.class_notes or (),
  )
