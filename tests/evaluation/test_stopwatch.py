"""Who waits, and that what threads do at the same time counts once."""

import threading
import time

from tfeval.evaluation.stopwatch import HOST, INPUT, MODEL, Stopwatch


def _spend(watch: Stopwatch, what: str, seconds: float) -> None:
  with watch.counting(what):
    time.sleep(seconds)


def _after_two_batches() -> Stopwatch:
  watch = Stopwatch(time.monotonic())
  watch.done(1)
  watch.done(1)
  return watch


def test_threads_at_the_same_time_count_once():
  watch = _after_two_batches()
  list(watch.arriving([1]))
  threads = [threading.Thread(target=_spend, args=(watch, HOST, 0.2)) for _ in range(4)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert 0.2 <= watch.timing()['phases']['host'] < 0.5


def test_who_waits():
  assert Stopwatch(0).waits() == ''
  for slowest, words in (
    (INPUT, 'the model waits 91 %'),
    (MODEL, 'input waits'),
    (HOST, 'ranking and storing are slowest'),
  ):
    watch = _after_two_batches()
    for what in (INPUT, MODEL, HOST):
      watch._seconds[what] = 1.0 if what == slowest else 0.1
    assert watch.waits() == words
