"""Workers that share pieces by files: each is done, once if nobody dies."""

import collections
import contextlib
import itertools
import logging
import tempfile
from pathlib import Path
from unittest import mock

import hypothesis
import pytest
from hypothesis import strategies as st

from tfeval.evaluation.pieces import claim, known
from tfeval.evaluation.pieces.claims import Claims
from tfeval.utils import exclusive
from tfeval.utils.errors import NotWritten, UserError

TIMEOUT = 300.0


class Clock:
  """Seconds that pass when somebody sleeps."""

  def __init__(self):
    self.now = 0.0

  def __call__(self):
    return self.now

  def sleep(self, seconds):
    self.now += seconds


def worker(directory, count, done, clock=None, **options):
  clock = clock or Clock()
  options = {'timeout': TIMEOUT, 'start': 0, **options}
  is_done = done.__contains__
  return Claims(directory, count, is_done, clock=clock, sleep=clock.sleep, **options)


def do_all(claims, done, fails=frozenset(), wait=True):
  """Does all pieces but those that fail; returns the numbers in their order."""
  order = []
  for number in claims.pieces(wait):
    order.append(number)
    if number in fails:
      claims.failed(number, f'no {number}')
    else:
      done.add(number)
  return order


def die(claims):
  """Ends a worker as SIGKILL does: nothing more is written."""
  claims._beating.release()


def files_of(directory):
  return {
    path.relative_to(directory).as_posix()
    for path in directory.rglob('*')
    if path.is_file()
  }


@contextlib.contextmanager
def small_blocks():
  with contextlib.ExitStack() as stack:
    for module in (claim, known):
      stack.enter_context(mock.patch.object(module, 'BLOCK', 4))
      stack.enter_context(mock.patch.object(module, 'REGION', 3))
    yield


def test_one_worker_goes_round_and_leaves_marks(tmp_path):
  done = set()
  order = do_all(worker(tmp_path, 250, done, start=170), done)
  # First to the end of its block, then round it: the next block is begun afterwards.
  assert order == [*range(170, 200), *range(100, 170), *range(200, 250), *range(100)]
  marks = {'00000/done', '00001/done', '00002/done', 'region-00000.done'}
  assert files_of(tmp_path) == marks | {f'{n // 100:05d}/{n}.0' for n in range(250)}


def test_of_no_pieces_all_are_done(tmp_path):
  assert do_all(Claims(tmp_path, 0, lambda number: False), set()) == []


def test_what_is_done_is_found_by_few_looks(tmp_path):
  done, asked = set(), []
  do_all(worker(tmp_path, 600, done), done)

  def is_done(number):
    asked.append(number)
    return number in done

  assert list(Claims(tmp_path, 600, is_done).pieces()) == []
  assert not asked
  # Without a region's mark each block has to be asked for, which makes it again.
  (tmp_path / 'region-00000.done').unlink()
  (tmp_path / '00004/done').unlink()
  assert list(Claims(tmp_path, 600, is_done).pieces()) == []
  assert sorted(asked) == [*range(400, 500)]
  assert (tmp_path / 'region-00000.done').is_file()


def test_records_without_claims_are_not_done_again(tmp_path):
  done = set(range(0, 90, 2))
  assert do_all(worker(tmp_path, 90, done), done) == [*range(1, 90, 2)]


def test_many_workers_need_little_more_than_a_claim_for_each_piece(tmp_path):
  count, workers = 1000, 15
  done, made = set(), []

  def make(path, content):
    made.append(path)
    return exclusive.create(path, content.to_bytes())

  everybody = [
    worker(tmp_path, count, done, start=None).pieces(False) for _ in range(workers)
  ]
  with mock.patch.object(claim, 'make', make):
    turns = collections.deque(everybody)
    while turns:
      if (number := next(turns[0], None)) is None:
        turns.popleft()
      else:
        assert number not in done
        done.add(number)
        turns.rotate()
  assert len(done) == count
  assert len(made) < count + 10 * workers


def test_a_worker_that_meets_another_stays_with_its_model(tmp_path):
  done, near = set(), lambda number: range(number // 50 * 50, number // 50 * 50 + 50)
  first = worker(tmp_path, 400, done, start=250).pieces()
  for _ in range(5):
    next(first)
  second = worker(tmp_path, 400, done, start=254, near=near)
  order = list(itertools.islice(second.pieces(), 45))
  assert {number // 50 for number in order} == {5}


def test_a_claim_that_stands_still_is_taken_over_by_the_watchers_clock(tmp_path):
  done, clock = set(), Clock()
  dead = worker(tmp_path, 3, done, worker='early')
  number = next(pieces := dead.pieces())
  die(dead)
  clock.now = 1e9  # Of another time than the first.
  order = do_all(worker(tmp_path, 3, done, clock), done)
  assert sorted(order[:2]) == [1, 2] and order[2] == number
  assert TIMEOUT <= clock.now - 1e9 < 1.2 * TIMEOUT
  assert claim.latest(tmp_path, number)[1].deaths == 1
  assert list(pieces) == []


def test_a_claim_that_beats_is_left_alone_however_long(tmp_path):
  done, clock = set(), Clock()
  slow = worker(tmp_path, 2, done)
  pieces = slow.pieces()
  number = next(pieces)

  def sleep(seconds):
    clock.now += seconds
    slow._beating.beat()
    if clock.now > 20 * TIMEOUT:
      done.add(number)

  fast = Claims(tmp_path, 2, done.__contains__, clock=clock, sleep=sleep, start=0)
  assert do_all(fast, done) == [1]
  assert clock.now > 20 * TIMEOUT
  assert list(pieces) == []


def test_who_does_not_wait_ends_before_others_do(tmp_path):
  done = set()
  slow = worker(tmp_path, 3, done).pieces()
  next(slow)
  clock = Clock()
  fast = worker(tmp_path, 3, done, clock)
  assert sorted(do_all(fast, done, wait=False)) == [1, 2]
  assert not clock.now


def test_what_a_stopped_worker_had_is_free_at_once(tmp_path):
  done, clock = set(), Clock()
  with pytest.raises(KeyboardInterrupt):
    with worker(tmp_path, 3, done, worker='first') as claims:
      pieces = claims.pieces()
      assert next(pieces) == 0
      assert str(claims.look(0)) == 'claimed by first'
      raise KeyboardInterrupt
  assert str(claims.look(0)) == 'free'
  assert do_all(worker(tmp_path, 3, done, clock), done) == [0, 1, 2]
  assert not clock.now


def test_a_worker_that_was_superseded_goes_on(tmp_path):
  done, clock = set(), Clock()
  paused = worker(tmp_path, 4, done)
  pieces = paused.pieces()
  assert next(pieces) == 0
  order = do_all(worker(tmp_path, 4, done, clock), done)
  assert sorted(order[:3]) == [1, 2, 3] and order[3] == 0
  paused._beating.beat()  # What it does when it wakes.
  assert list(pieces) == []
  assert claim.latest(tmp_path, 0)[0] == 1


def test_failures_are_tried_again_last_and_given_up_with_their_reason(tmp_path):
  done, clock = set(), Clock()
  first = worker(tmp_path, 5, done, clock, worker='gpu-1', attempts=3)
  order = do_all(first, done, fails={2})
  assert order[-2:] == [2, 2] and collections.Counter(order)[2] == 3
  assert done == {0, 1, 3, 4}
  assert first.given_up == {2: 'no 2'}
  assert str(first.look(2)) == 'failed 3 times, the last time: no 2'
  assert not (tmp_path / '00000/done').exists()
  # Whoever comes later tries once more, and is told then.
  second = worker(tmp_path, 5, done, clock)
  assert do_all(second, done, fails={2}) == [2]
  assert second.given_up == first.given_up
  # What kept the others from it is mended.
  third = worker(tmp_path, 5, done, clock)
  assert do_all(third, done) == [2] and not third.given_up
  assert (tmp_path / '00000/done').exists()


def test_a_piece_that_nobody_can_do_is_not_tried_for_ever(tmp_path):
  tries, done = 0, {0}
  for _ in range(40):
    claims = worker(tmp_path, 2, done, attempts=2)
    order = do_all(claims, done, fails={1})
    tries += collections.Counter(order)[1]
    assert claims.given_up == {1: 'no 1'}
  assert tries == 20


def test_workers_on_broken_nodes_leave_their_pieces_to_a_good_one(tmp_path):
  done, clock = {11}, Clock()
  for _ in range(3):
    try:
      do_all(worker(tmp_path, 12, done, clock), done, fails=range(12))
    except UserError:
      pass
  good = worker(tmp_path, 12, done, clock)
  assert sorted(do_all(good, done)) == [*range(11)] and not good.given_up


def test_what_has_failed_elsewhere_is_done_without_waiting(tmp_path):
  done, clock = set(), Clock()
  do_all(worker(tmp_path, 5, done), done, fails={2}, wait=False)
  assert do_all(worker(tmp_path, 5, done, clock, attempts=4), done) == [2]
  assert not clock.now


def test_a_reason_is_one_bounded_line(tmp_path):
  claims = worker(tmp_path, 1, set(), worker='a\x1b[1m\nb')
  number = next(pieces := claims.pieces())
  assert str(claims.look(number)) == 'claimed by a b'
  claims.failed(number, 'no\nmodel \x07' + 'long ' * 1000)
  said = claims.look(number)
  assert said.reason.startswith(r'no model \x07long') and len(said.reason) < 310
  pieces.close()


def test_a_worker_at_which_everything_fails_ends(tmp_path):
  done = {7}
  claims = worker(tmp_path, 100, done)
  with pytest.raises(UserError, match=r'all of the first 10 .* failed on .*: no \d+: '):
    do_all(claims, done, fails=range(100))
  # Others do what it could not, the same pieces included.
  assert sorted(do_all(worker(tmp_path, 100, done), done)) == [
    *range(7),
    *range(8, 100),
  ]


def test_a_piece_at_which_workers_die_again_and_again_is_given_up(tmp_path):
  done, clock, deaths = {1}, Clock(), 0
  while True:
    claims = worker(tmp_path, 2, done, clock, attempts=2)
    if next(claims.pieces(), None) is None:
      break
    die(claims)
    deaths += 1
  assert deaths == 20
  assert claims.given_up == {0: '20 workers died or were stopped at it'}


def test_a_store_that_lets_two_make_one_file_costs_double_work_alone(tmp_path):
  """TensorFlow's file systems know no condition: both look, then both write."""
  done, did, looks = set(), [], collections.Counter()

  def create(path, content):
    looks[path] += 1
    if looks[path] > 2:
      return False
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return True

  with mock.patch.object(exclusive, 'create', create):
    turns = [worker(tmp_path, 300, done, start=0).pieces(False) for _ in range(2)]
    while any(turns):
      numbers = [next(pieces, None) for pieces in turns]
      did += [number for number in numbers if number is not None]
      done.update(numbers)
      turns = [p for p, n in zip(turns, numbers, strict=True) if n is not None]
  assert done - {None} == set(range(300))
  twice = [number for number, times in collections.Counter(did).items() if times == 2]
  assert len(did) == 300 + len(twice) and len(twice) > 100


def test_a_store_that_fails_now_and_then_is_asked_again(tmp_path):
  done, calls, clock = set(), itertools.count(), Clock()

  def flaky(call):
    def asked(*arguments):
      if next(calls) % 3 == 0:
        raise NotWritten('503 Slow Down')
      return call(*arguments)

    return asked

  with (
    mock.patch.object(exclusive, 'create', flaky(exclusive.create)),
    mock.patch.object(claim, 'latest', flaky(claim.latest)),
  ):
    is_done = flaky(done.__contains__)
    claims = Claims(tmp_path, 50, is_done, clock=clock, sleep=clock.sleep)
    order = do_all(claims, done)
  assert sorted(order) == [*range(50)] and clock.now > 0


def test_a_store_that_never_answers_is_told(tmp_path):
  (tmp_path / 'claims').write_text('a file')
  clock = Clock()
  with pytest.raises(UserError, match='cannot write .*0.0: Not a directory'):
    do_all(worker(tmp_path / 'claims', 3, set(), clock), set())
  assert clock.now < 10


def test_beats_that_cannot_be_written_are_told_once(tmp_path, caplog):
  done = set()
  claims = worker(tmp_path, 3, done)
  pieces = claims.pieces()
  with (
    mock.patch.object(claim, 'write', side_effect=NotWritten('cannot write: full')),
    caplog.at_level(logging.WARNING, 'tfeval'),
  ):
    for number in pieces:
      claims._beating.beat()
      claims._beating.beat()
      done.add(number)
  assert done == {0, 1, 2}
  (record,) = caplog.records
  assert record.getMessage().startswith('cannot write: full; the work goes on')


def test_the_thread_beats_while_a_piece_is_done(tmp_path):
  claims = Claims(tmp_path, 1, lambda number: False, timeout=0.2)
  number = next(pieces := claims.pieces())
  before = claim.latest(tmp_path, number)[1]
  for _ in range(200):
    if claim.latest(tmp_path, number)[1].beat > before.beat + 1:
      break
    claims._beating._stopped.wait(0.02)
  else:
    pytest.fail('no beat')
  pieces.close()
  assert claims._beating._thread is None


def test_a_piece_whose_record_is_gone_is_opened_again(tmp_path):
  done, clock = set(), Clock()
  do_all(worker(tmp_path, 120, done), done)
  done.remove(17)
  assert do_all(worker(tmp_path, 120, done, clock), done) == []
  known.reopen(tmp_path, 17, 'join')
  assert do_all(worker(tmp_path, 120, done, clock), done) == [17]
  assert not clock.now
  assert (tmp_path / '00000/done').exists()


@hypothesis.given(
  st.one_of(
    st.binary(max_size=80),
    st.sampled_from(
      [
        b'{}',
        b'[]',
        b'null',
        b'{"worker": 1}',
        b'{"worker": "a", "beat": -1}',
        b'{"worker": "a", "over": "x"}',
        b'{"worker": "a", "failures": true}',
        b'{"worker": "a", "reason": ["x"]}',
        b'{"worker": "a", "deaths": 1e99}',
        b' ' * (1 << 15),
      ]
    ),
  )
)
@hypothesis.settings(max_examples=40, deadline=None)
def test_what_is_no_claim_delays_a_piece_and_no_more(content):
  with tempfile.TemporaryDirectory() as name:
    directory, done, clock = Path(name), set(), Clock()
    (directory / '00000').mkdir()
    claim.path_of(directory, 0, 0).write_bytes(content)
    assert do_all(worker(directory, 2, done, clock), done) == [1, 0]
    assert clock.now < 1.2 * TIMEOUT


class Machine:
  """A worker of a simulated cluster, with a clock of its own."""

  def __init__(self, cluster, offset, rate):
    self.cluster, self.offset, self.rate = cluster, offset, rate
    self.holds, self.runs, self.is_awake = None, True, True
    self.claims = Claims(
      cluster.directory,
      cluster.count,
      cluster.done.__contains__,
      worker='twin',
      timeout=TIMEOUT,
      clock=lambda: offset + rate * cluster.now,
      sleep=lambda seconds: cluster.sleep(seconds / rate),
    )
    self.pieces = self.claims.pieces()

  def act(self, action):
    """Ends its piece in some way, and takes the next."""
    if not self.runs:
      return
    if action == 'kill':
      die(self.claims)
      self.runs = False
      self.pieces.close()
    elif action in ('pause', 'wake'):
      self.is_awake = action == 'wake'
    elif self.is_awake:
      if self.holds is not None and action == 'fail':
        self.claims.failed(self.holds, 'bad luck')
        self.cluster.failures[self.holds] += 1
      elif self.holds is not None:
        self.cluster.finish(self.holds)
      self.holds = None
      self.take()

  def take(self):
    try:
      self.holds = next(self.pieces, None)
    except UserError:
      self.holds = None
    self.runs = self.holds is not None


class Cluster:
  """Workers in turn; while one sleeps, the others beat and end what they hold."""

  def __init__(self, directory, count, clocks):
    self.directory, self.count, self.now = directory, count, 0.0
    self.done, self.failures = set(), collections.Counter()
    self.times = collections.Counter()
    self.machines = [Machine(self, *one) for one in clocks]

  def finish(self, number):
    self.times[number] += number not in self.done
    self.done.add(number)

  def sleep(self, seconds):
    end = self.now + seconds
    while self.now < end:
      self.now = min(end, self.now + TIMEOUT / 5)
      for one in self.machines:
        if one.runs and one.is_awake:
          one.claims._beating.beat()
          if one.holds is not None:
            self.finish(one.holds)


CLOCKS = st.tuples(st.floats(-1e9, 1e9), st.floats(0.85, 1.15))


@hypothesis.given(
  count=st.integers(1, 30),
  clocks=st.lists(CLOCKS, min_size=2, max_size=4),
  script=st.lists(
    st.tuples(
      st.integers(0, 3), st.sampled_from(['do', 'do', 'fail', 'kill', 'pause', 'wake'])
    ),
    max_size=40,
  ),
)
@hypothesis.settings(max_examples=60, deadline=None)
def test_whatever_happens_to_others_the_last_worker_does_all(count, clocks, script):
  with tempfile.TemporaryDirectory() as name, small_blocks():
    cluster = Cluster(Path(name), count, [*clocks, (0.0, 1.0)])
    *others, last = cluster.machines
    for index, action in script:
      others[index % len(others)].act(action)
    last.take()
    while last.runs:
      last.act('do')
    for one in others:  # Those that were paused find that all is done.
      one.act('wake')
      while one.runs:
        one.act('do')
    given_up = set(last.claims.given_up)
    assert cluster.done | given_up == set(range(count))
    assert all(cluster.failures[number] >= 3 for number in given_up)
    assert all(times == 1 for times in cluster.times.values())


@hypothesis.given(
  count=st.integers(1, 40),
  clocks=st.lists(CLOCKS, min_size=2, max_size=5),
  turns=st.lists(st.integers(0, 4), max_size=60),
)
@hypothesis.settings(max_examples=40, deadline=None)
def test_while_all_live_no_piece_is_done_twice(count, clocks, turns):
  with tempfile.TemporaryDirectory() as name, small_blocks():
    cluster = Cluster(Path(name), count, clocks)
    taken = collections.Counter()
    for index in [*turns, *[*range(len(clocks))] * (count + 1)]:
      one = cluster.machines[index % len(clocks)]
      one.act('do')
      taken.update({one.holds} - {None})
    assert taken == {number: 1 for number in range(count)}
    assert cluster.done == set(range(count))
    assert not any(path.suffix == '.1' for path in Path(name).rglob('*'))
