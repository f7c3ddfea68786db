"""The shares of several hosts, merged once all are whole.

Each host writes into a directory of its own, `hosts/host-00001-of-00003` inside that
of the run, and puts `done.json` there last. No host needs another one to do its
share; host 0 makes one store of all.
"""

import pyarrow as pa

from tfeval.datasets.options import SKIP
from tfeval.engine.cluster import Cluster
from tfeval.evaluation import recorder
from tfeval.runs import predictions
from tfeval.runs.predictions import resume
from tfeval.runs.result_file import DONE, HOSTS, MANIFEST, PREDICTIONS, Manifest
from tfeval.utils import budgets, files
from tfeval.utils.errors import UserError
from tfeval.utils.json_object import JsonObject, WrongType
from tfeval.utils.paths import Path

# Seconds of a million years.
_LONGEST = 3e13


class Done(JsonObject):
  """What a host says of its share once it is done.

  Attributes:
    start, stop: the positions of its images.
    rows: how many of them the process that finished it has evaluated.
    seconds: how long that took.
  """

  start: int
  stop: int
  rows: int
  seconds: float


def read_share(share: Path, shard: range, gapless: bool) -> list[dict]:
  """Returns the parts of a host's share that says that it is done.

  Raises:
    UserError: it is not whole.
  """
  store = share / PREDICTIONS
  parts = resume.whole_parts(store, shard, gapless)
  rows = len(resume.positions_of(parts))
  listed, done = predictions.listed_parts(store), _read_done(share)
  if (
    len(parts) != len(listed)
    or (done.start, done.stop) != (shard.start, shard.stop)
    or gapless
    and rows != len(shard)
  ):
    raise UserError(
      f'{share} is not whole, {rows} of {len(shard)} images are: start '
      'this host again, then host 0'
    )
  return parts


def is_whole(share: Path, shard: range, gapless: bool) -> bool:
  """Returns whether a host's share, which says that it is done, still is."""
  try:
    read_share(share, shard, gapless)
  except UserError:
    return False
  return True


def finish_share(share: Path, shard: range, rows: int, seconds: float) -> None:
  """Marks a host's share as done.

  Args:
    share: the host's directory.
    shard: the positions of its images.
    rows: how many of them this process has evaluated.
    seconds: how long that took.
  """
  files.write_json(
    share / DONE,
    Done(start=shard.start, stop=shard.stop, rows=rows, seconds=seconds),
  )


def _read_done(share: Path) -> Done:
  """Reads what `finish_share` wrote.

  Raises:
    UserError: it is damaged.
  """
  content = files.read_json(share / DONE, share)
  try:
    done = Done.from_json(content if isinstance(content, dict) else {})
  except WrongType:
    done = Done.from_json({})
  if (
    None in done.values()
    or not 0 <= done.rows <= budgets.ROWS
    or not 0 < done.seconds < _LONGEST
  ):
    raise UserError(
      f'{share} is not whole, its {DONE} is damaged: start this host again, then host 0'
    )
  return done


def timing(directory: Path, hosts: Cluster) -> tuple[float, float]:
  """Returns the seconds of the slowest host, and the images/s of all at once.

  Raises:
    UserError: what a host said of itself is damaged.
  """
  done = [
    _read_done(directory / hosts.directory(index)) for index in range(hosts.count)
  ]
  return (
    max(one.seconds for one in done),
    sum(one.rows / one.seconds for one in done if one.rows),
  )


def check_no_shares(directory: Path) -> None:
  """Checks that a directory has no shares, which one host alone would remove.

  Raises:
    UserError: it has.
  """
  found = sorted(
    share.name
    for share in (directory / HOSTS).glob('host-*')
    if (share / MANIFEST).is_file()
  )
  if found:
    raise UserError(
      f'{directory} holds shares of several hosts ({found[0]}'
      f'{", ..." * (len(found) > 1)}): give `num_hosts` and `host_index` '
      'to go on, `overwrite` to replace them, or another `output_dir`'
    )


def merge_shares(
  directory: Path, manifest: Manifest, hosts: Cluster, images: int
) -> list[int]:
  """Makes one store of the shares of all hosts, as a single host would have.

  Args:
    directory: of the run.
    manifest: what is run.
    hosts: which there are.
    images: how many there are in all.

  Returns:
    The positions of all rows.

  Raises:
    UserError: a share is not whole.
  """
  size = resume.part_size(manifest)
  gapless = manifest.dataset.on_error != SKIP
  writer = recorder.writer_of(directory / PREDICTIONS, manifest)
  done: list[int] = []
  for index in range(hosts.count):
    shard = hosts.shard(images, manifest.compute.batch_size, index)
    share = directory / hosts.directory(index)
    for part in read_share(share, shard, gapless):
      rows = predictions.read_part(share / PREDICTIONS, part, None)
      append_rows(writer, rows, part, size)
      done += resume.positions_of([part])
  writer.flush()
  return done


def append_rows(
  writer: predictions.Writer, rows: pa.Table, part: dict, size: int
) -> None:
  """Writes the rows of a part, cut where parts of the whole end.

  Args:
    writer: of the whole.
    rows: of the part.
    part: its entry in the index.
    size: how many positions a part of the whole covers.
  """
  positions = resume.positions_of([part])
  on_host, steps = part.get('resized_on_host', []), part.get('step_sizes', [])
  start = 0
  while start < len(rows):
    number = positions[start] // size
    stop = next(
      (i for i in range(start, len(rows)) if positions[i] // size != number), len(rows)
    )
    writer.write(
      rows.slice(start, stop - start),
      positions[start:stop],
      [one for one in on_host if one // size == number],
      steps,
    )
    start = stop
