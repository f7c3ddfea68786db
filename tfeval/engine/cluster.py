"""Several hosts: which there are, and which images each evaluates."""

import dataclasses
import json
import logging
import os
import re
from collections.abc import Mapping
from typing import Any

from tfeval.engine.options import AUTO, MULTI_WORKER, HostsConfig
from tfeval.utils.errors import UserError

_LOG = logging.getLogger('tfeval')
TF_CONFIG = 'TF_CONFIG'
_ADDRESS = re.compile(r'\S+:\d{1,5}')
_MOST = 99_999


@dataclasses.dataclass(frozen=True)
class Cluster:
  """The hosts of an evaluation, as one of them sees them.

  Attributes:
    count: how many there are.
    index: which of them this is, from 0; 0 joins what all have done.
    addresses: `HOST:PORT` of each, where TF_CONFIG has told them.
  """

  count: int = 1
  index: int = 0
  addresses: tuple[str, ...] | None = None

  @property
  def told(self) -> str:
    """Who says so, where it is TF_CONFIG: for a message, else empty.

    >>> Cluster(2, 0, ('a:1', 'b:1')).told
    ' (TF_CONFIG names 2 hosts: unset it to evaluate here alone)'
    """
    if self.addresses is None or self.count == 1:
      return ''
    return f' ({TF_CONFIG} names {self.count} hosts: unset it to evaluate here alone)'

  def shard(self, images: int, batch_size: int, index: int | None = None) -> range:
    """Returns the positions that a host evaluates.

    Batches are split evenly, not images: every batch is then one of those that a
    single host makes, and so are the numbers that come of it.

    Args:
      images: how many there are in all.
      batch_size: images in a batch.
      index: of the host; this one's by default.

    >>> [Cluster(3).shard(100, 16, index) for index in range(3)]
    [range(0, 32), range(32, 64), range(64, 100)]
    """
    index = self.index if index is None else index
    batches = -(-images // batch_size)
    first, stop = batches * index // self.count, batches * (index + 1) // self.count
    return range(min(first * batch_size, images), min(stop * batch_size, images))

  def directory(self, index: int | None = None) -> str:
    """Returns the name of a host's directory, inside that of the run.

    >>> Cluster(3, 1).directory()
    'hosts/host-00001-of-00003'
    """
    index = self.index if index is None else index
    return f'hosts/host-{index:05d}-of-{self.count:05d}'


def find_cluster(
  hosts: HostsConfig, strategy: str, environ: Mapping[str, str] = os.environ
) -> Cluster:
  """Returns the hosts that options or TF_CONFIG name.

  Args:
    hosts: come first.
    strategy: of `STRATEGIES`; TF_CONFIG is read where it is `auto` or `multi_worker`.
    environ: where TF_CONFIG may be.

  Raises:
    UserError: they contradict each other, are malformed or missing.
  """
  count, index, given = hosts.num_hosts, hosts.host_index, environ.get(TF_CONFIG)
  if given == '{}':  # As platforms set it for a host that is alone.
    given = None
  if (count is None) != (index is None):
    raise UserError('`num_hosts` and `host_index` go together: give both or none')
  if count is not None:
    if given and strategy == MULTI_WORKER:
      raise UserError('both TF_CONFIG and `num_hosts` name the hosts: give one')
    if not 0 <= index < count <= _MOST:
      raise UserError(
        f'`host_index={index}` is not one of `num_hosts={count}`: give 0 to {count - 1}'
      )
    return Cluster(count, index)
  if given and strategy in (AUTO, MULTI_WORKER):
    return parse_tf_config(given)
  if strategy == MULTI_WORKER:
    raise UserError(
      '`strategy=multi_worker` knows no hosts: set TF_CONFIG, or give '
      '`num_hosts` and `host_index`'
    )
  return Cluster()


def log_waiting(hosts: Cluster, output_dir: str, timeout: float) -> None:
  """Says which hosts TF_CONFIG names and who waits for whom: it may be left over.

  Args:
    hosts: as `find_cluster` found them.
    output_dir: that they share.
    timeout: seconds that host 0 waits while nothing new comes.
  """
  if hosts.addresses is None or hosts.count == 1:
    return
  others = [one for i, one in enumerate(hosts.addresses) if i != hosts.index]
  first = ', '.join(others[:3]) + ', ...' * (len(others) > 3)
  waits = (
    f'then waits for theirs in {output_dir}, {timeout:g} s while nothing new comes'
    if hosts.index == 0
    else f'{hosts.addresses[0]} joins all in {output_dir}'
  )
  _LOG.info(
    '%s names %d hosts: this is host %d, the others are %s; it evaluates its share of '
    'the images, %s; unset %s to evaluate here alone',
    TF_CONFIG,
    hosts.count,
    hosts.index,
    first,
    waits,
    TF_CONFIG,
  )


def parse_tf_config(text: str) -> Cluster:
  """Reads TF_CONFIG, as `tf.distribute.MultiWorkerMirroredStrategy` documents it.

  Args:
    text: JSON with `cluster`, whose `chief` comes before its `worker`s, and `task`.

  Raises:
    UserError: it is malformed, or this task is none that evaluates.

  >>> parse_tf_config('{"cluster": {"worker": ["a:1", "b:1"]},'
  ...       ' "task": {"type": "worker", "index": 1}}')
  Cluster(count=2, index=1, addresses=('a:1', 'b:1'))
  """
  try:
    config = json.loads(text)
  except (ValueError, RecursionError) as error:
    raise _malformed(f'it is not JSON ({error})') from error
  cluster, task = _entry(config, 'cluster'), _entry(config, 'task')
  addresses: dict[str, list[str]] = {}
  for kind in ('chief', 'worker'):
    addresses[kind] = cluster.get(kind, [])
    if not isinstance(addresses[kind], list) or not all(
      isinstance(one, str) and _ADDRESS.fullmatch(one) for one in addresses[kind]
    ):
      raise _malformed(
        f'cluster.{kind} is {str(addresses[kind])[:80]}, expected a list of HOST:PORT'
      )
  every = addresses['chief'] + addresses['worker']
  if len(set(every)) != len(every) or len(addresses['chief']) > 1 or not every:
    raise _malformed(
      f'its cluster of {len(every)} hosts has none, two chiefs or one address twice'
    )
  kind, index = task.get('type'), task.get('index')
  if not isinstance(kind, str) or kind not in addresses:
    raise _malformed(
      f'task.type is {kind!r}, expected chief or worker: start nothing on other hosts'
    )
  if (
    isinstance(index, bool)
    or not isinstance(index, int)
    or (not 0 <= index < len(addresses[kind]))
  ):
    raise _malformed(
      f'task.index is {index!r}, and there are {len(addresses[kind])} of type {kind}'
    )
  before = len(addresses['chief']) if kind == 'worker' else 0
  return Cluster(len(every), before + index, tuple(every))


def _entry(config: Any, name: str) -> dict[str, Any]:
  found = config.get(name) if isinstance(config, dict) else None
  if not isinstance(found, dict):
    raise _malformed(f'{name} is {str(found)[:80]}, expected an object')
  return found


def _malformed(what: str) -> UserError:
  return UserError(f'TF_CONFIG: {what}: mend or unset it')
