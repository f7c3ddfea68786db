"""The shares of several hosts: waited for, held against each other, and joined.

Each host writes into a directory of its own, `hosts/host-00001-of-00003` inside that
of the run, and puts `done.json` there last. No host needs another one to do its
share; host 0 makes one store of all.

Nothing here imports TensorFlow.
"""

import time
from collections.abc import Callable
from typing import Any

from tfeval import files, predictions, resume
from tfeval.errors import UserError
from tfeval.hosts import Hosts
from tfeval.paths import Path
from tfeval.result_file import DONE, HOSTS, MANIFEST, PREDICTIONS, RESULT
from tfeval.settings import SKIP

_SECONDS_BETWEEN_LOOKS = 0.5
# Given two manifests: None, or (key, value there, value here) where they differ.
Difference = Callable[[dict[str, Any], dict[str, Any]], tuple | None]


def describe_host(manifest: dict[str, Any], hosts: Hosts) -> dict[str, Any]:
  """Returns the manifest of a host: that of the run, and which hosts it knows."""
  cluster = list(hosts.cluster) if hosts.cluster else None
  return {**manifest, 'host': {'index': hosts.index, 'cluster': cluster}}


def finish_share(directory: Path, shard: range) -> None:
  """Marks a host's share as done."""
  files.write_json(directory / DONE, {'start': shard.start, 'stop': shard.stop})


def wait(directory: Path, manifest: dict[str, Any], hosts: Hosts,
         timeout: float, difference: Difference,
         advance: Callable[[int], None]) -> None:
  """Waits until the shares of all hosts are there.

  Args:
    directory: of the run.
    manifest: of this host, see `describe_host`.
    hosts: which there are.
    timeout: seconds to wait while nothing new comes.
    difference: compares manifests.
    advance: is told how many more rows other hosts have stored.

  Raises:
    UserError: one has another experiment, or does not finish in time.
  """
  seen = dict.fromkeys(set(range(hosts.count)) - {hosts.index}, 0)
  missing = sorted(seen)
  deadline = time.monotonic() + timeout
  agreed: set[int] = set()
  while True:
    for index in missing:
      share = directory / hosts.directory(index)
      if index not in agreed and (share / MANIFEST).is_file():
        _hold_agreement(share, index, manifest, difference)
        agreed.add(index)
        deadline = time.monotonic() + timeout
      rows = _rows(share)
      if rows > seen[index]:
        advance(rows - seen[index])
        seen[index] = rows
        deadline = time.monotonic() + timeout
    missing = [index for index in missing
               if not (directory / hosts.directory(index) / DONE).is_file()]
    if not missing:
      return
    if time.monotonic() > deadline:
      raise _never_arrived(directory, hosts, missing, seen, agreed, timeout)
    time.sleep(_SECONDS_BETWEEN_LOOKS)
    # File systems of a network may show an old listing until it is asked for.
    list(directory.iterdir())


def wait_for_run(directory: Path, hosts: Hosts, timeout: float) -> None:
  """Waits until host 0 has made one run of all shares.

  Args:
    directory: of the run.
    hosts: which there are; this one's share is done.
    timeout: seconds to wait while nothing new comes of any host.

  Raises:
    UserError: host 0 does not finish in time.
  """
  seen, deadline = -1, 0.
  while not (directory / RESULT).is_file():
    rows = sum(_rows(directory / hosts.directory(i)) for i in range(hosts.count))
    if rows > seen:
      seen, deadline = rows, time.monotonic() + timeout
    if time.monotonic() > deadline:
      raise UserError(
          f'host 0 has not joined the {hosts.count} shares in {directory}, and nothing '
          f'new came for {timeout:g} s: see why it ended, and that it shares this '
          '--output_dir')
    time.sleep(_SECONDS_BETWEEN_LOOKS)
    # As above.
    list(directory.iterdir())


def _rows(share: Path) -> int:
  """Returns how many rows a host has stored, as far as can be seen while it works."""
  try:
    return sum(part.get('rows', 0)
               for part in predictions.listed_parts(share / PREDICTIONS))
  except (UserError, TypeError):
    return 0


def _hold_agreement(share: Path, index: int, manifest: dict[str, Any],
                    difference: Difference) -> None:
  there = files.read_json(share / MANIFEST)
  key, theirs, ours = difference(there, manifest) or (None, None, None)
  if key is None:
    key, theirs, ours = 'the cluster of TF_CONFIG', *(
        (one.get('host') or {}).get('cluster') for one in (there, manifest))
  if theirs != ours:
    raise UserError(f'host {index} disagrees with host {manifest["host"]["index"]}: '
                    f'{key} is {str(theirs)[:200]} there and {str(ours)[:200]} here: '
                    f'start it with the same flags, code and data, {share} deleted')


def _never_arrived(directory: Path, hosts: Hosts, missing: list[int],
                   seen: dict[int, int], agreed: set[int],
                   timeout: float) -> UserError:
  each = ', '.join(
      f'host {index} ({seen[index]} images in {hosts.directory(index)})'
      if index in agreed else f'host {index} (nothing: is this --output_dir shared?)'
      for index in missing)
  return UserError(
      f'not finished, and nothing new for {timeout:g} s: {each}, of {hosts.count} '
      f'hosts in {directory}: start it again, then the same command here; what is done '
      'is kept')


def join(directory: Path, manifest: dict[str, Any], hosts: Hosts,
         images: int) -> list[int]:
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
  gapless = manifest['dataset']['on_error'] != SKIP
  writer = predictions.Writer(directory / PREDICTIONS, manifest['store']['logits'],
                              size)
  done: list[int] = []
  for index in range(hosts.count):
    shard = hosts.shard(images, manifest['compute']['batch_size'], index)
    share = directory / hosts.directory(index)
    parts = resume.whole_parts(share / PREDICTIONS, shard, gapless)
    positions = resume.positions_of(parts)
    if (len(parts) != len(predictions.listed_parts(share / PREDICTIONS))
        or files.read_json(share / DONE) != {'start': shard.start, 'stop': shard.stop}
        or gapless and len(positions) != len(shard)):
      raise UserError(f'{share} is not whole, {len(positions)} of {len(shard)} images '
                      f'are: delete its {DONE} and start host {index} again')
    for part in parts:
      rows = predictions.read_part(share / PREDICTIONS, part, None)
      _write(writer, rows, resume.positions_of([part]), size)
    done += positions
  writer.flush()
  return done


def _write(writer: predictions.Writer, rows, positions: list[int], size: int) -> None:
  """Cuts rows where parts end."""
  start = 0
  while start < len(rows):
    part = positions[start] // size
    stop = next((i for i in range(start, len(rows)) if positions[i] // size != part),
                len(rows))
    writer.write(rows.slice(start, stop - start), positions[start:stop])
    start = stop


def clear(directory: Path) -> None:
  """Removes the shares, which are in the joined store now."""
  files.remove_tree(directory / HOSTS)
