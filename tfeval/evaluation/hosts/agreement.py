"""Other hosts: whether they run the same, and whether they have done their share."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from tfeval.datasets.options import SKIP
from tfeval.engine.cluster import Cluster
from tfeval.evaluation.manifest import difference, read_manifest
from tfeval.runs import predictions
from tfeval.runs.result_file import (
  DONE,
  HOSTS,
  MANIFEST,
  PREDICTIONS,
  RESULT,
  Manifest,
)
from tfeval.utils.errors import UserError
from tfeval.utils.paths import Path

_SECONDS_BETWEEN_LOOKS = 0.5


def describe_host(manifest: Manifest, hosts: Cluster) -> Manifest:
  """Returns the manifest of a host: that of the run, and which hosts it knows."""
  cluster = list(hosts.addresses) if hosts.addresses else None
  return manifest.replaced(further={'host': {'index': hosts.index, 'cluster': cluster}})


def check_agreement(directory: Path, manifest: Manifest, hosts: Cluster) -> set[int]:
  """Checks that the hosts that have begun run the same as this one.

  Args:
    directory: of the run.
    manifest: of this host, see `describe_host`.
    hosts: which there are.

  Returns:
    The indices of the other hosts that have begun.

  Raises:
    UserError: one does not.
  """
  begun = set()
  for share in sorted((directory / HOSTS).glob('host-*-of-*')):
    if not (share / MANIFEST).is_file():
      continue
    index, _, count = share.name.removeprefix('host-').partition('-of-')
    if not (index + count).isdecimal():
      continue
    if int(count) != hosts.count:
      raise UserError(
        f'{share} is a share of {int(count)} hosts, here there are '
        f'{hosts.count}: start all with one number, the share of the '
        'wrong one deleted'
      )
    if int(index) != hosts.index:
      _check_same(share, int(index), manifest)
      begun.add(int(index))
  return begun


def _check_same(share: Path, index: int, manifest: Manifest) -> None:
  here = manifest
  try:
    there = read_manifest(share)
    on_error = there['dataset'].get('on_error')
    if on_error != SKIP and (share / DONE).is_file():
      # Where nothing had to be skipped it makes no difference.
      here = manifest.replaced(dataset=manifest.dataset.replaced(on_error=on_error))
    key, theirs, ours = difference(there, here) or (None, None, None)
  except UserError as error:
    raise UserError(
      f'{share / MANIFEST} is damaged: delete {share}, and start host {index} again'
    ) from error
  if key is None:
    key = 'the cluster of TF_CONFIG'
    theirs, ours = _cluster(there), _cluster(manifest)
  if theirs != ours:
    raise UserError(
      f'host {index} disagrees with host {manifest.further["host"]["index"]}: '
      f'{key} is {str(theirs)[:200]} there and {str(ours)[:200]} here: '
      'start the wrong one of them again with the flags, code and data '
      f'of the others, its directory in {share.parent} deleted'
    )


def _cluster(manifest: Mapping[str, Any]) -> Any:
  host = manifest.get('host')
  return host.get('cluster') if isinstance(host, Mapping) else None


def wait(
  directory: Path,
  manifest: Manifest,
  hosts: Cluster,
  timeout: float,
  advance: Callable[[int], None],
) -> None:
  """Waits until the shares of all hosts are there.

  Args:
    directory: of the run.
    manifest: of this host, see `describe_host`.
    hosts: which there are.
    timeout: seconds to wait while nothing new comes.
    advance: is told how many more rows other hosts have stored.

  Raises:
    UserError: one has another experiment, or does not finish in time.
  """
  seen = dict.fromkeys(set(range(hosts.count)) - {hosts.index}, 0)
  deadline = time.monotonic() + timeout
  before: set[int] = set()
  while True:
    # Also when it is done: it may have been started once more, as something else.
    missing = [
      index
      for index in seen
      if not (directory / hosts.directory(index) / DONE).is_file()
    ]
    begun = check_agreement(directory, manifest, hosts)
    rows = {index: _rows(directory / hosts.directory(index)) for index in seen}
    if begun != before or rows != seen:
      deadline = time.monotonic() + timeout
      advance(max(0, sum(rows.values()) - sum(seen.values())))
      before, seen = begun, rows
    # Another process of this host may have joined them and removed the shares.
    if not missing or (directory / RESULT).is_file():
      return
    if time.monotonic() > deadline:
      raise _never_arrived(directory, hosts, missing, seen, begun, timeout)
    time.sleep(_SECONDS_BETWEEN_LOOKS)
    # File systems of a network may show an old listing until it is asked for.
    list(directory.glob('*'))


def wait_for_run(directory: Path, hosts: Cluster, timeout: float) -> None:
  """Waits until host 0 has made one run of all shares.

  Args:
    directory: of the run.
    hosts: which there are; this one's share is done.
    timeout: seconds to wait while nothing new comes of any host.

  Raises:
    UserError: host 0 does not finish in time.
  """
  seen, deadline = -1, 0.0
  while not (directory / RESULT).is_file():
    rows = sum(_rows(directory / hosts.directory(i)) for i in range(hosts.count))
    if rows > seen:
      seen, deadline = rows, time.monotonic() + timeout
    if time.monotonic() > deadline:
      raise UserError(
        f'host 0 has not joined the {hosts.count} shares in {directory}, and nothing '
        f'new came for {timeout:g} s: see why it ended, and that it shares this '
        f'`output_dir`{hosts.told}'
      )
    time.sleep(_SECONDS_BETWEEN_LOOKS)
    # As above.
    list(directory.glob('*'))


def _rows(share: Path) -> int:
  """Returns how many rows a host has stored, as far as can be seen while it works."""
  try:
    return sum(
      part.get('rows', 0) for part in predictions.listed_parts(share / PREDICTIONS)
    )
  except (UserError, TypeError):
    return 0


def _never_arrived(
  directory: Path,
  hosts: Cluster,
  missing: list[int],
  seen: dict[int, int],
  agreed: set[int],
  timeout: float,
) -> UserError:
  each = ', '.join(
    f'host {index} ({seen[index]} images in {hosts.directory(index)})'
    if index in agreed
    else f'host {index} (nothing: is this `output_dir` shared?)'
    for index in missing
  )
  return UserError(
    f'not finished, and nothing new for {timeout:g} s: {each}, of {hosts.count} '
    f'hosts in {directory}: start it again, then the same command here; what is done '
    f'is kept{hosts.told}'
  )
