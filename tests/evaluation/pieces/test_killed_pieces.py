"""Workers and joiners that are killed at any moment: who comes after makes the run."""

import random
import signal
import time

import in_pieces
import pytest
from evaluations import ended, make_inputs, run_content, start

from tfeval import cli

IMAGES = 24


@pytest.fixture(scope='module')
def flags(tmp_path_factory):
  flags = make_inputs(tmp_path_factory.mktemp('inputs'), IMAGES)[1:]
  return [*flags, '--batch_size=2', '--rows_per_part=4']


@pytest.fixture(scope='module')
def whole(flags, tmp_path_factory):
  return in_pieces.whole(flags, tmp_path_factory.mktemp('whole'))


def killed(arguments, writing=None, after=None):
  """Kills a command inside its so-manieth writing, or after some seconds.

  Returns:
    Whether it was killed; else it has come to its end.
  """
  process = start(arguments, writing, TF_CPP_MIN_LOG_LEVEL='2')
  if after is not None:
    time.sleep(after)
    process.kill()
  code, err = ended(process)
  assert code in (0, -signal.SIGKILL), err
  return code != 0


def finish(study, *more):
  """Works and joins in this process; half of what others did is there."""
  assert cli.main(['work', str(study), *more]) == 0
  assert cli.main(['join', str(study)]) == 0


@pytest.mark.slow
def test_a_worker_and_joiners_that_are_killed_while_they_write(flags, whole, tmp_path):
  planned = in_pieces.plan(flags, tmp_path)
  numbers = range(planned[0].count)
  # Inside of the rows of a piece, whose record is not there.
  assert killed(['work', str(tmp_path), '--piece=0-5'], writing=5)
  there = [one is not None for one in in_pieces.records_of(planned)]
  assert 0 < sum(there) < planned[0].count
  in_pieces.do(planned, numbers)
  # At the manifest, at a part.
  for writing in (0, 6):
    assert killed(['join', str(tmp_path)], writing)
    assert in_pieces.runs_of(tmp_path) == {}
  assert cli.main(['join', str(tmp_path)]) == 0
  assert in_pieces.runs_of(tmp_path) == whole
  assert in_pieces.others_of(tmp_path) == {'plan.json', planned[1].root.name}


def test_a_joiner_that_is_killed_at_a_part(flags, whole, tmp_path):
  planned = in_pieces.plan(flags, tmp_path)
  in_pieces.do(planned)
  # Those before are of the folder that the run is made in.
  assert killed(['join', str(tmp_path)], writing=17)
  assert in_pieces.runs_of(tmp_path) == {} and (tmp_path / 'small.keras').is_dir()
  assert cli.main(['join', str(tmp_path)]) == 0
  assert in_pieces.runs_of(tmp_path) == whole


@pytest.mark.slow
def test_joiners_that_are_killed_at_every_write(flags, whole, tmp_path):
  planned = in_pieces.plan(flags, tmp_path)
  in_pieces.do(planned)
  kills = 0
  while killed(['join', str(tmp_path)], writing=kills):
    assert in_pieces.runs_of(tmp_path) in ({}, whole)
    kills += 1
  assert kills > 8
  assert in_pieces.runs_of(tmp_path) == whole


@pytest.mark.slow
@pytest.mark.parametrize('how', ['--piece=0-5', '--claim_timeout=2'])
def test_workers_that_are_killed_at_every_write(flags, whole, tmp_path, how):
  in_pieces.plan(flags, tmp_path)
  writing = 0
  # Each goes on after those before it, and writes less.
  while killed(['work', str(tmp_path), how], writing):
    writing = 0 if writing == 3 else writing + 1
  finish(tmp_path, '--claim_timeout=2')
  assert in_pieces.runs_of(tmp_path) == whole


@pytest.mark.slow
def test_twenty_kills_of_workers_and_joiners(flags, whole, tmp_path):
  planned = in_pieces.plan([*flags, '--piece_images=2'], tmp_path)
  rng, kills = random.Random(0), 0
  while kills < 20:
    command = rng.choice(['work', 'work', 'join'])
    if command == 'join' and None in in_pieces.records_of(planned):
      command = 'work'
    more = ['--claim_timeout=1'] if command == 'work' else ['--keep_pieces']
    arguments = [command, str(tmp_path), *more]
    if rng.random() < 0.5:
      kills += killed(arguments, writing=rng.randrange(6))
    else:
      kills += killed(arguments, after=rng.uniform(0, 12))
    for name, files in in_pieces.runs_of(tmp_path).items():
      assert files == whole[name]
    # So that there is something to be killed at.
    if None not in in_pieces.records_of(planned) and rng.random() < 0.5:
      for number in rng.sample(range(planned[0].count), 3):
        planned[1].done(number).unlink()
        in_pieces.lose_claims(planned)
      (tmp_path / 'small.keras/result.json').unlink(missing_ok=True)
  finish(tmp_path, '--claim_timeout=1')
  assert run_content(tmp_path / 'small.keras') == whole['small.keras']
