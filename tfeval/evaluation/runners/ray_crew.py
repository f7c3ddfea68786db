"""The workers on a cluster of Ray: as many as fit, made anew where they were lost."""

import collections
import dataclasses
import logging
import time
from collections.abc import Iterable
from typing import Any

from tfeval.evaluation.pieces.options import PieceConfig
from tfeval.evaluation.runners import ray_cluster
from tfeval.evaluation.runners.ray_worker import RayWorker
from tfeval.utils.errors import UserError, one_line

_LOG = logging.getLogger('tfeval')
# How often the nodes of the cluster are counted.
_SECONDS_BETWEEN = 5.0
# After these it is told that there are no workers; where some were asked for that do
# not fit, a machine may be on its way for so long.
_SECONDS_TO_TELL, _SECONDS_FOR_NODES = 60.0, 1200.0
# Workers that end one after another before any has begun.
_MOST_BAD_STARTS, _SECONDS_AFTER_BAD = 3, 60.0
_LONGEST = 300


@dataclasses.dataclass(eq=False)
class Member:
  """A worker.

  Attributes:
    actor: of Ray.
    node: what its machine is called, once it has begun.
    is_open: whether it can be given pieces.
    flying: what it was given, the oldest first: what Ray calls the answer, the piece.
    misses: pieces in a row that others could do.
    since: when it was asked for.
  """

  actor: Any
  node: str = ''
  is_open: bool = False
  flying: collections.deque[tuple[Any, int]] = dataclasses.field(
    default_factory=collections.deque
  )
  misses: int = 0
  since: float = dataclasses.field(default_factory=time.monotonic)


class Crew:
  """The workers.

  Attributes:
    members: those that are there or on their way, as keys: they stay in order.
    opening: of those on their way, by what Ray calls the answer.
  """

  def __init__(self, ray: Any, config: PieceConfig, task: tuple[Any, ...]):
    """Makes none yet.

    Args:
      ray: the module.
      config: what a worker needs, and how many there may be.
      task: what each opens.
    """
    self._ray, self._task, self._most = ray, task, config.ray_workers
    self._cpus = config.ray_cpus
    self._gpus = ray_cluster.gpus_of_worker(ray, config.ray_gpus)
    self.members: dict[Member, None] = {}
    self.opening: dict[Any, Member] = {}
    # They keep what they have of their nodes: no other is begun there.
    self._idle: list[Member] = []
    self._bad_starts, self._why = 0, ''
    self._next_look, self._since, self._told = 0.0, time.monotonic(), False
    self._kind = ray.remote(RayWorker)

  def recruit(self, useful: int) -> None:
    """Makes workers where there is room.

    Args:
      useful: how many have something to do.

    Raises:
      UserError: there are none, and there will be none.
    """
    now = time.monotonic()
    if now < self._next_look and self.members:
      return
    self._next_look = now + _SECONDS_BETWEEN
    if self._bad_starts >= _MOST_BAD_STARTS and not self.members:
      raise UserError(f'workers on Ray cannot start: {self._why}')
    wanted = min(self._room(), useful)
    while len(self.members) < wanted:
      self._begin()
    self._wait_for_first(now)

  def _room(self) -> int:
    """Returns how many workers there should be.

    Raises:
      UserError: none.
    """
    room = ray_cluster.room(self._ray, self._cpus, self._gpus)
    works = any(one.is_open for one in self.members)
    if self._idle and room <= len(self._idle) and not works:
      raise UserError(f'no worker on Ray can do pieces: {self._why}')
    room -= len(self._idle)
    if self._most is not None:
      # More than fit make a cluster grow that can.
      return self._most
    if not room:
      raise UserError(f'{self._too_large()}: give less, or a cluster with more')
    return room

  def _too_large(self) -> str:
    return (
      f'no node has {self._cpus:g} CPUs and {self._gpus:g} GPUs for a worker '
      f'(`ray_cpus`, `ray_gpus`): the cluster is {ray_cluster.described(self._ray)}'
    )

  def _begin(self) -> None:
    try:
      actor = self._kind.options(
        num_cpus=self._cpus,
        num_gpus=self._gpus,
        max_restarts=0,
        max_task_retries=0,
        scheduling_strategy='SPREAD',
      ).remote()
    except ValueError as error:
      raise UserError(f'`ray_cpus`, `ray_gpus`: {one_line(error)}') from error
    member = Member(actor)
    self.members[member] = None
    self.opening[actor.open.remote(*self._task)] = member

  def _wait_for_first(self, now: float) -> None:
    """Tells that workers are waited for; not for ever where they do not fit."""
    waits = now - self._since
    if any(one.is_open for one in self.members):
      self._since, self._told = now, False
    elif waits > _SECONDS_TO_TELL:
      fits = ray_cluster.room(self._ray, self._cpus, self._gpus)
      if not fits and waits > _SECONDS_FOR_NODES:
        raise UserError(f'{self._too_large()}, after {waits:.0f} s')
      if not self._told:
        self._told = True
        _LOG.warning(
          'no worker has started on Ray for %.0f s: %d of %g CPUs and %g GPUs fit, '
          'others may use them',
          *(waits, fits, self._cpus, self._gpus),
        )

  def expected(self) -> list[Member]:
    """Returns the workers that are there, or will be soon."""
    late = time.monotonic() - _SECONDS_TO_TELL
    return [one for one in self.members if one.is_open or one.since > late]

  def opened(self, answer: Any) -> Member | None:
    """Takes note of what a worker has answered; returns it if it can begin."""
    member = self.opening.pop(answer)
    try:
      member.node, why = self._ray.get(answer)
    except self._ray.exceptions.RayError as error:
      self._bad_starts += 1
      self._why = why_of(error)
      self.drop(member)
      if self._bad_starts >= _MOST_BAD_STARTS:
        self._next_look = time.monotonic() + _SECONDS_AFTER_BAD
      return None
    if why is not None:
      self.retire(member, why)
      return None
    self._bad_starts, member.is_open = 0, True
    return member

  def retire(self, member: Member, why: str) -> None:
    """Gives a worker nothing more, since its node can do nothing."""
    self._why = f'{member.node}: {why}'
    _LOG.warning('a worker on %s is given no pieces: %s', member.node, why)
    self.members.pop(member)
    self._idle.append(member)
    self._next_look = 0.0

  def drop(self, member: Member) -> None:
    """Ends a worker, or what is left of it."""
    self.members.pop(member, None)
    self._kill([member])
    self._next_look = min(self._next_look, time.monotonic() + 1)

  def close(self, seconds: float) -> None:
    """Ends all workers.

    Args:
      seconds: that they have to let go of what they keep.
    """
    free = [one for one in self.members if one.is_open and not one.flying]
    if free and seconds:
      answers = [one.actor.close.remote() for one in free]
      self._ray.wait(answers, num_returns=len(answers), timeout=seconds)
    self._kill([*self.members, *self._idle])

  def _kill(self, members: Iterable[Member]) -> None:
    for member in members:
      try:
        self._ray.kill(member.actor)
      except (self._ray.exceptions.RayError, ValueError, ConnectionError):
        pass  # It is gone, or the cluster is.


def why_of(error: Exception) -> str:
  """Returns what Ray says of the end of a worker, without its advice.

  >>> why_of(Exception('The actor died.\\n\\tpid: 1\\n\\tip: 10.0.0.1\\nThe actor is '
  ...   'dead because its node has died. Some common causes include: ...'))
  'The actor is dead because its node has died.'
  """
  text = str(error)
  raised = [
    line
    for line in text.splitlines()
    if line and not line[0].isspace() and 'Error: ' in line.partition(' ')[0] + ' '
  ]
  if 'Traceback' in text and raised:
    return one_line(Exception(raised[-1]), _LONGEST)
  found = text.rpartition('\tip: ')[2].partition('\n')[2] or text
  return one_line(Exception(found.partition('Some common causes')[0]), _LONGEST)
