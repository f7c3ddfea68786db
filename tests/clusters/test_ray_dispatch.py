"""Pieces of no work on three nodes of Ray, where workers end, fail and come."""

import os
import pathlib
import signal
import socket
import sys
import threading
import time
from collections import Counter

import pytest

ray = pytest.importorskip('ray')

from planned import plan_of  # noqa: E402
from ray_nodes import add_node, cluster_of, kill_node  # noqa: E402

from tfeval.evaluation.pieces.options import PieceConfig  # noqa: E402
from tfeval.evaluation.pieces.places import Places  # noqa: E402
from tfeval.evaluation.runners import on_ray, ray_cluster, ray_crew  # noqa: E402
from tfeval.utils import progress  # noqa: E402
from tfeval.utils.errors import Interrupted, UserError  # noqa: E402

pytestmark = pytest.mark.clusters


class StandIn:
  """A worker that only notes what it was given, in a file of its process."""

  def open(self, plan, plan_id, mark, given):
    self._given = given
    self._notes = pathlib.Path(given['notes'])
    node = ray.get_runtime_context().get_node_id()
    (self._notes / f'{os.getpid()}.open').write_text(node)
    self._is_bad = given.get('bad') in ('all', self._first())
    if self._is_bad and given.get('refuses'):
      return node, given['refuses']
    return node, None

  def _first(self):
    """Returns 'first' of the first that asks."""
    try:
      (self._notes / 'first').touch(exist_ok=False)
      return 'first'
    except FileExistsError:
      return 'later'

  def do(self, number):
    with open(self._notes / f'{os.getpid()}.begun', 'a') as file:
      file.write(f'{number}\n')
    time.sleep(self._given.get('seconds', 0))
    if number in self._given.get('kills', ()):
      os.kill(os.getpid(), signal.SIGKILL)
    if self._is_bad or number in self._given.get('fails', ()):
      return f'no {number}'
    with open(self._notes / f'{os.getpid()}.done', 'a') as file:
      file.write(f'{number}\n')
    return None

  def close(self):
    (self._notes / f'{os.getpid()}.closed').touch()


@pytest.fixture(scope='module')
def cluster():
  ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
  with cluster_of(3) as found:
    yield found


@pytest.fixture
def do(cluster, tmp_path, monkeypatch):
  """Does a plan; returns why pieces failed."""
  monkeypatch.setattr(ray_crew, 'RayWorker', StandIn)
  notes = tmp_path / 'notes'
  notes.mkdir()

  def run(plan, shown=progress.hidden, config=(), **given):
    places = Places.of(tmp_path / 'plan.json', plan)
    asked = PieceConfig(**{'ray_address': cluster.address, **dict(config)})
    return on_ray.run(plan, places, asked, {'notes': str(notes), **given}, shown)

  run.notes = notes
  return run


def _noted(do, kind):
  """Returns the numbers that each process has noted."""
  return {
    path.stem: [*map(int, path.read_text().split())]
    for path in do.notes.glob(f'*.{kind}')
  }


def _nodes(do):
  return {path.stem: path.read_text() for path in do.notes.glob('*.open')}


def _all(do, kind='done'):
  return sorted(sum(_noted(do, kind).values(), []))


def test_all_pieces_are_done_once_by_one_worker_for_each_cpu(do):
  plan = plan_of(models=3, runs=2, pieces=50)
  start = time.monotonic()
  assert do(plan) == {}
  seconds = time.monotonic() - start
  assert _all(do, 'begun') == _all(do) == [*range(300)]
  assert len(set(_nodes(do).values())) == len(_nodes(do)) == 3
  assert len([*do.notes.glob('*.closed')]) == 3
  print(f'300 pieces: {seconds:.2f} s')
  # The cluster is of others, and still there.
  assert do(plan_of(1, 1, 1)) == {}


def test_a_worker_has_one_model_as_long_as_it_has_pieces(do):
  assert do(plan_of(models=3, runs=2, pieces=20), seconds=0.02) == {}
  for numbers in _noted(do, 'done').values():
    models = [number // 40 for number in numbers]
    changes = sum(a != b for a, b in zip(models, models[1:], strict=False))
    # In the end it helps others.
    assert changes <= 3 and Counter(models).most_common(1)[0][1] >= 20


def test_never_more_than_two_pieces_of_a_worker_are_under_way(do, monkeypatch):
  seen, answers = [], on_ray._Driver._answers

  def counted(driver):
    seen.append([len(one.flying) for one in driver._crew.members])
    return answers(driver)

  monkeypatch.setattr(on_ray._Driver, '_answers', counted)
  start = time.monotonic()
  assert do(plan_of(models=3, runs=1, pieces=300)) == {}
  print(f'900 pieces: {time.monotonic() - start:.2f} s')
  counts = Counter(count for round_ in seen for count in round_)
  assert max(counts) == 2 and counts[2] > counts[1]


def test_ray_workers_bounds_them_and_there_are_no_more_than_pieces(do):
  assert do(plan_of(2, 1, 5), config={'ray_workers': 1}, seconds=0.05) == {}
  assert len(_nodes(do)) == 1 and _all(do) == [*range(10)]
  assert do(plan_of(1, 1, 2), seconds=0.05) == {}
  assert len(_nodes(do)) <= 1 + 2


def test_progress_counts_images_that_are_done(do):
  told = []

  def shown(label, total):
    told.append((label, total))
    return _Counting(told)

  failed = do(plan_of(1, 1, 12), shown, fails=[4])
  assert failed == {4: 'no 4'}
  assert told[0] == ('pieces', 12) and [*told[1:]] == [1] * 11


class _Counting:
  def __init__(self, told):
    self._told = told

  def __enter__(self):
    return lambda count, status='': self._told.append(count)

  def __exit__(self, *_):
    pass


def test_what_fails_three_times_is_named_and_others_go_on(do):
  failed = do(plan_of(models=2, runs=2, pieces=10), fails=[3, 27])
  assert failed == {3: 'no 3', 27: 'no 27'}
  assert Counter(_all(do, 'begun'))[3] == Counter(_all(do, 'begun'))[27] == 3
  assert len([one for one in _noted(do, 'begun').values() if 3 in one]) >= 2
  assert _all(do) == [i for i in range(40) if i not in (3, 27)]


def test_a_piece_that_ends_its_worker_three_times_is_given_up(do):
  failed = do(plan_of(models=1, runs=1, pieces=30), kills=[5], seconds=0.05)
  assert [*failed] == [5] and len(failed[5]) < 400
  assert 'ended: The actor is dead because its worker process has died' in failed[5]
  assert Counter(_all(do, 'begun'))[5] == 3 and len(_nodes(do)) >= 3
  assert sorted(set(_all(do))) == [i for i in range(30) if i != 5]


def test_a_killed_process_costs_the_piece_that_it_did(do):
  plan = plan_of(models=1, runs=3, pieces=20)
  killed = threading.Thread(target=_kill_one, args=(do,))
  killed.start()
  assert do(plan, seconds=0.1) == {}
  killed.join()
  assert sorted(set(_all(do))) == [*range(60)]
  # It was begun again, and perhaps what waited.
  assert 60 < len(_all(do, 'begun')) <= 62 and len(_nodes(do)) == 4


def _kill_one(do):
  while not (found := [*do.notes.glob('*.done')]):
    time.sleep(0.02)
  os.kill(int(found[0].stem), signal.SIGKILL)


def test_a_node_whose_pieces_all_fail_is_given_no_more(do, caplog):
  assert do(plan_of(models=3, runs=2, pieces=20), bad='first', seconds=0.02) == {}
  assert _all(do) == [*range(120)]
  assert 'is given no pieces: it failed at 3 pieces in a row that others could do' in (
    caplog.text
  )


def test_a_node_that_cannot_begin_is_told_and_others_go_on(do, caplog):
  assert do(plan_of(2, 1, 20), bad='first', refuses='it does not see x') == {}
  assert _all(do) == [*range(40)]
  assert 'is given no pieces: it does not see x' in caplog.text


def test_where_no_node_can_begin_it_is_an_error(do):
  with pytest.raises(UserError, match='no worker on Ray can do pieces: .*see x'):
    do(plan_of(2, 1, 20), bad='all', refuses='it does not see x')


def test_a_worker_that_no_node_has_room_for_is_an_error(do):
  with pytest.raises(UserError, match='no node has 64 CPUs and 0 GPUs .* is 3 nodes'):
    do(plan_of(1, 1, 1), config={'ray_cpus': 64.0})
  with pytest.raises(UserError, match='no node has 1 CPUs and 0.5 GPUs'):
    do(plan_of(1, 1, 1), config={'ray_gpus': 0.5})


def test_ctrl_c_ends_workers_and_keeps_what_is_done(do):
  class Interrupts(_Counting):
    def __enter__(self):
      return self._advance

    def _advance(self, count, status=''):
      self._told.append(count)
      if len(self._told) == 5:
        raise KeyboardInterrupt

  with pytest.raises(Interrupted, match='5 of 60 pieces are done and kept: the same'):
    do(plan_of(3, 1, 20), lambda label, total: Interrupts([]), seconds=0.05)
  end = time.monotonic() + 10
  while any(_is_there(int(pid)) for pid in _nodes(do)) and time.monotonic() < end:
    time.sleep(0.05)
  assert not any(_is_there(int(pid)) for pid in _nodes(do))


def _is_there(pid):
  try:
    os.kill(pid, 0)
    return True
  except ProcessLookupError:
    return False


def test_nothing_of_ray_goes_to_stdout_or_stderr(do, capfd):
  assert [*do(plan_of(2, 1, 5), kills=[1])] == [1]
  out, err = capfd.readouterr()
  assert out == '' and err == ''


def test_a_node_that_comes_is_used_and_one_that_dies_is_done_without(
  do, cluster, monkeypatch
):
  monkeypatch.setattr(ray_crew, '_SECONDS_BETWEEN', 0.5)
  fourth, lose, seconds = _Fourth(do, cluster), on_ray._Driver._lose, []

  def timed(driver, member, error):
    seconds.append(time.monotonic() - fourth.killed)
    lose(driver, member, error)

  monkeypatch.setattr(on_ray._Driver, '_lose', timed)
  plan = plan_of(models=4, runs=1, pieces=40)
  assert do(plan, lambda label, total: fourth, seconds=0.3) == {}
  assert fourth.killed and sorted(set(_all(do))) == [*range(160)]
  # What it did, and no more, was begun once more.
  begun = Counter(_all(do, 'begun'))
  assert 1 <= sum(count - 1 for count in begun.values()) <= 2
  assert len(seconds) == 1 and seconds[0] < 60
  print(f'a node that died was noticed after {seconds[0]:.1f} s')


class _Fourth(_Counting):
  """Adds a node in the beginning, kills it when it has done something."""

  def __init__(self, do, cluster):
    super().__init__([])
    self._do, self._cluster, self._node, self.killed = do, cluster, None, 0.0

  def __enter__(self):
    return self._advance

  def _advance(self, count, status=''):
    if self._node is None:
      self._node = add_node(self._cluster)
    elif not self.killed:
      pid = _of(self._do, self._node)
      if (self._do.notes / f'{pid}.done').exists():
        kill_node(self._node)
        self._cluster.worker_nodes.remove(self._node)
        self.killed = time.monotonic()


def _of(do, node):
  """Returns the process that has begun on a node."""
  return {there: pid for pid, there in _nodes(do).items()}.get(node.node_id)


@pytest.fixture
def silent():
  """The port of a server that takes connections and says nothing."""
  with socket.socket() as server:
    server.bind(('127.0.0.1', 0))
    server.listen()
    yield server.getsockname()[1]


def test_what_cannot_be_reached_is_told_within_seconds(silent, monkeypatch):
  monkeypatch.setattr(ray_cluster, '_SECONDS', 0.5)
  for address, why in {
    '127.0.0.1:1': 'Connection refused',
    'ray://127.0.0.1:1': 'Connection refused',
    f'127.0.0.1:{silent}': 'no answer within 0.5 s',
    f'ray://127.0.0.1:{silent}/x': 'no answer within 0.5 s',
    'no.such.host.invalid:6379': '',
    'HOST': 'is no address: give auto, HOST:PORT or ray://HOST:PORT',
    '127.0.0.1:99999': '',
  }.items():
    start = time.monotonic()
    with pytest.raises(UserError) as told, ray_cluster.connected(address):
      pass
    assert why in str(told.value) and address in str(told.value)
    assert '\n' not in str(told.value) and time.monotonic() - start < 5


def test_a_server_of_something_else_is_told():
  with socket.socket() as server:
    server.bind(('127.0.0.1', 0))
    server.listen()

    def answer():
      opened, _ = server.accept()
      with opened:
        opened.recv(100)
        opened.sendall(b'HTTP/1.1 400 Bad Request\r\n\r\n')

    threading.Thread(target=answer, daemon=True).start()
    address = f'127.0.0.1:{server.getsockname()[1]}'
    with (
      pytest.raises(UserError, match='what answers is no server of Ray'),
      ray_cluster.connected(address),
    ):
      pass
