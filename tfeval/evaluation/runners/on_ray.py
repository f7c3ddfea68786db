"""`runner=ray`: pieces on a cluster of Ray, which may lose nodes and get new ones.

Each worker is an actor that keeps its model. It has at most one piece that it does and
one that waits: the scheduler of Ray never sees the others.
"""

import contextlib
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from tfeval.evaluation.pieces import records
from tfeval.evaluation.pieces.options import PieceConfig
from tfeval.evaluation.pieces.places import Places
from tfeval.evaluation.pieces.planned import Plan
from tfeval.evaluation.pieces.standing import Standing
from tfeval.evaluation.runners import ray_cluster
from tfeval.evaluation.runners.ray_crew import Crew, Member, why_of
from tfeval.evaluation.runners.sharing_out import TRIES, SharingOut
from tfeval.utils import files, paths
from tfeval.utils.errors import Interrupted, UserError
from tfeval.utils.paths import Path
from tfeval.utils.progress import Advance, Progress

# Of a worker: one that it does, one that waits.
IN_FLIGHT = 2
_SECONDS, _SECONDS_TO_CLOSE = 1.0, 5.0


def run(
  plan: Plan,
  places: Places,
  config: PieceConfig,
  given: Mapping[str, Any],
  progress: Progress,
) -> dict[int, str]:
  """Does all pieces of a plan that are not done.

  Args:
    plan, places: the plan; all nodes have to see where it lies.
    config: which cluster, and what a worker needs of it.
    given: options of workers by name.
    progress: is told how many images are done.

  Returns:
    Why, of pieces that could not be done, by number.

  Raises:
    UserError: Ray is not installed, the cluster cannot be reached, or no worker can do
      pieces.
    Interrupted: Ctrl-C or SIGTERM; what is done is kept.
  """
  to_do = _to_do(plan, places)
  if not to_do:
    return {}
  share = SharingOut(plan, to_do)
  with ray_cluster.connected(config.ray_address) as ray, _marked(places) as mark:
    task = (paths.absolute(str(places.plan)), plan.id, str(mark), dict(given))
    images = sum(_images(plan, number) for number in to_do)
    with progress('pieces', images) as advance:
      crew, seconds = Crew(ray, config, task), _SECONDS_TO_CLOSE
      driver = _Driver(ray, crew, share, plan, advance)
      try:
        driver.run()
      except KeyboardInterrupt as error:
        seconds = 0.0
        done = len(to_do) - share.left - len(share.failures)
        raise Interrupted(
          f'{done:,} of {len(to_do):,} pieces are done and kept: the same command goes '
          'on from there'
        ) from error
      finally:
        crew.close(seconds)
  for number in driver.lost:
    # Of those that ended their workers nobody else could.
    records.fail(places, number, 'ray', share.failures[number])
  return share.failures


def _images(plan: Plan, number: int) -> int:
  return len(plan.piece(number).positions)


def _to_do(plan: Plan, places: Places) -> list[int]:
  """Returns the pieces that are not done."""
  done = set(Standing(plan, places).done())
  return [number for number in range(plan.count) if number not in done]


@contextlib.contextmanager
def _marked(places: Places) -> Iterator[Path]:
  """Writes a file that nodes see which see where the output goes."""
  root = paths.path(paths.absolute(str(places.root)))
  mark = root / f'ray-{secrets.token_hex(6)}'
  files.make_directory(root)
  files.write_atomically(mark, b'')
  try:
    yield mark
  finally:
    with contextlib.suppress(OSError, UserError):
      mark.unlink()


class _Driver:
  """Hands out pieces and takes note of what became of them.

  Attributes:
    lost: pieces that were given up since they ended their workers.
  """

  def __init__(
    self, ray: Any, crew: Crew, share: SharingOut, plan: Plan, advance: Advance
  ):
    self._ray, self._crew, self._share = ray, crew, share
    self._plan, self._advance = plan, advance
    self._flying: dict[Any, Member] = {}
    self.lost: list[int] = []

  def run(self) -> None:
    """Returns when all pieces are done or given up."""
    crew, share = self._crew, self._share
    while share.left:
      crew.recruit(share.left)
      self._hand_out()
      for answer in self._answers():
        if answer in crew.opening:
          crew.opened(answer)
        elif answer in self._flying:
          self._take(self._flying[answer])

  def _hand_out(self) -> None:
    members = self._crew.members
    free, others = [one for one in members if one.is_open], self._crew.expected()
    # What waits for one worker cannot be done by another: the last pieces do not wait.
    most = IN_FLIGHT if self._share.waiting > len(members) else 1
    for flying in range(most):
      for member in free:
        if len(member.flying) == flying:
          number = self._share.take(member, others)
          if number is not None:
            answer = member.actor.do.remote(number)
            member.flying.append((answer, number))
            self._flying[answer] = member

  def _answers(self) -> list[Any]:
    waited_for = [*self._flying, *self._crew.opening]
    if not waited_for:
      return []
    ready, _ = self._ray.wait(waited_for, timeout=_SECONDS)
    if ready and len(waited_for) > 1:
      # All that came meanwhile: of thousands one at a time would be slow.
      ready, _ = self._ray.wait(waited_for, num_returns=len(waited_for), timeout=0)
    return ready

  def _take(self, member: Member) -> None:
    """Takes the answers of a worker that are there, the oldest first."""
    while member.flying:
      answer, number = member.flying[0]
      try:
        reason = self._ray.get(answer, timeout=0)
      except self._ray.exceptions.GetTimeoutError:
        return
      except self._ray.exceptions.RayActorError as error:
        self._lose(member, error)
        return
      except self._ray.exceptions.RayError as error:
        reason = why_of(error)
      self._land(member)
      if reason is None:
        self._done(member, number)
      else:
        self._share.failed(member, number, reason)

  def _land(self, member: Member) -> int:
    answer, number = member.flying.popleft()
    del self._flying[answer]
    return number

  def _done(self, member: Member, number: int) -> None:
    member.misses = 0
    for other in self._share.done(member, number):
      if other in self._crew.members:
        self._missed(other, number)
    workers = sum(one.is_open for one in self._crew.members)
    self._advance(_images(self._plan, number), f'{workers} workers')

  def _missed(self, member: Member, number: int) -> None:
    """Counts a piece that another worker could do; one of a bad node is retired."""
    member.misses += 1
    if member.misses >= TRIES:
      why = f'it failed at {TRIES} pieces in a row that others could do'
      self._share.gone(member)
      self._crew.retire(member, f'{why}, the last was {number}')

  def _lose(self, member: Member, error: Exception) -> None:
    """Gives the pieces of a worker that has ended to others."""
    self._crew.drop(member)
    begun = self._land(member)
    while member.flying:
      self._share.put_back(self._land(member))
    self._share.gone(member)
    reason = f'its worker on {member.node} ended: {why_of(error)}'
    self._share.failed(member, begun, reason)
    if begun in self._share.failures:
      self.lost.append(begun)
