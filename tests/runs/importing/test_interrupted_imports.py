"""Imports that are killed, that meet, and that are read while they are written."""

import shutil
import signal
import threading
import time

import numpy as np
import pytest
from evaluations import run_content
from kills import Forks

from tfeval.datasets.labels import imagenet, sets
from tfeval.runs import run
from tfeval.runs.importing import importer, sources
from tfeval.runs.verification import verify
from tfeval.utils import locks
from tfeval.utils.errors import BeingWritten, UserError

IMAGES = 40
TRUTH = np.array(imagenet.original_validation_labels()[:IMAGES])
# Right first answers of the two models.
RIGHT = {'third': 14, 'half': 20}


@pytest.fixture(scope='module')
def predictions(tmp_path_factory):
  """A folder of the predictions of two models."""
  directory = tmp_path_factory.mktemp('predictions')
  for name, every in (('third', 3), ('half', 2)):
    wrong = np.arange(IMAGES)[:, None] % every
    np.save(directory / f'{name}.npy', (TRUTH[:, None] + wrong + range(5)) % 1000)
  names = [imagenet.validation_name(n + 1) for n in range(IMAGES)]
  (directory / 'ids.txt').write_text('\n'.join(names))
  return directory


@pytest.fixture(scope='module')
def command(predictions):
  return [
    'import',
    f'--predictions={predictions / "third.npy"}',
    f'--order={predictions / "ids.txt"}',
    '--partial',
    '--json',
  ]


def imported(predictions, name, directory, overwrite=False):
  (source,) = sources.find_sources(
    str(predictions / f'{name}.npy'), None, str(directory)
  )
  config = importer.ImportConfig(
    labels=(sets.LabelSource('original'),),
    order=str(predictions / 'ids.txt'),
    partial=True,
    overwrite=overwrite,
  )
  return importer.import_predictions(source, config)


@pytest.mark.parametrize(
  'overwrite, steps',
  [
    (False, range(99)),
    (True, range(5)),
    pytest.param(True, range(99), marks=pytest.mark.slow),
  ],
)
def test_killed_at_every_step(command, tmp_path, overwrite, steps):
  """The same command ends with the same bytes, and leaves nothing else."""
  forks = Forks()

  def run(directory, step=None, *more):
    return forks.run(
      [*command, f'--output_dir={directory}', *more], step=step, root=directory
    )

  assert run(tmp_path / 'whole') == 0
  whole = run_content(tmp_path / 'whole')
  assert whole['result.json']['metrics'][0]['correct'] == RIGHT['third']
  more = ['--overwrite'] * overwrite
  for step in steps:
    directory = tmp_path / str(step)
    if overwrite:
      shutil.copytree(tmp_path / 'whole', directory)
    code = run(directory, step, *more)
    if code == 0:
      break
    assert code == -signal.SIGKILL
    assert run(directory, None, *more) == 0, step
    assert run_content(directory) == whole, step
  assert step >= 10 if len(steps) == 99 else step == 4
  forks.close()


def test_of_two_at_the_same_moment_one_is_refused(predictions, tmp_path):
  for attempt in range(5):
    directory, done = tmp_path / str(attempt), {}
    begin = threading.Barrier(2)

    def other(name, directory=directory, done=done, begin=begin):
      begin.wait()
      try:
        done[name] = imported(predictions, name, directory)
      except UserError as error:
        done[name] = error

    threads = [threading.Thread(target=other, args=[name]) for name in RIGHT]
    for thread in threads:
      thread.start()
    for thread in threads:
      thread.join()
    (made,) = [name for name, one in done.items() if isinstance(one, run.Run)]
    (refused,) = [one for one in done.values() if isinstance(one, UserError)]
    assert 'is being written by another' in str(refused) or 'another run' in str(
      refused
    )
    assert run.load_run(directory).score()[0].correct == RIGHT[made]
    assert not [*directory.rglob('.*')]


def test_what_is_being_written_is_not_overwritten(predictions, tmp_path):
  imported(predictions, 'third', tmp_path / 'run')
  before = run_content(tmp_path / 'run')
  with locks.locked(tmp_path / 'run'):
    with pytest.raises(BeingWritten, match='is being written by another tfeval: wait'):
      imported(predictions, 'half', tmp_path / 'run', overwrite=True)
    assert imported(predictions, 'third', tmp_path / 'run').path == tmp_path / 'run'
  assert run_content(tmp_path / 'run') == before


def test_a_host_at_work_is_not_overwritten(predictions, tmp_path):
  imported(predictions, 'third', tmp_path / 'run')
  with locks.locked(tmp_path / 'run/hosts/host-00001-of-00002'):
    with pytest.raises(BeingWritten, match='host-00001-of-00002 is being written'):
      imported(predictions, 'half', tmp_path / 'run', overwrite=True)
  imported(predictions, 'half', tmp_path / 'run', overwrite=True)
  assert not (tmp_path / 'run/hosts').exists()


def test_a_begun_evaluation_is_not_replaced(predictions, tmp_path):
  imported(predictions, 'third', tmp_path / 'run')
  (tmp_path / 'run/result.json').unlink()
  imported(predictions, 'half', tmp_path / 'run')  # Of an import nothing is kept.
  (tmp_path / 'run/result.json').unlink()
  (tmp_path / 'run/manifest.json').write_text('{"model": {"name": "mine"}}')
  with pytest.raises(UserError, match='holds another run, .*: choose another'):
    imported(predictions, 'half', tmp_path / 'run')
  imported(predictions, 'half', tmp_path / 'run', overwrite=True)


def test_what_a_killed_process_left_is_no_content(predictions, tmp_path):
  (tmp_path / 'run').mkdir()
  for name in ('.lock', '.manifest.json.0123456789abcdef.tmp', '.hosts.x.tmp'):
    (tmp_path / 'run' / name).write_text('')
  imported(predictions, 'third', tmp_path / 'run')
  assert not [*(tmp_path / 'run').rglob('.*')]


def test_a_run_that_was_replaced_since_it_was_loaded(predictions, tmp_path):
  """The same images with the same labels: no digest tells."""
  found = imported(predictions, 'third', tmp_path / 'run')
  loaded = run.load_run(tmp_path / 'run')
  assert loaded.score()[0].correct == RIGHT['third']
  imported(predictions, 'half', tmp_path / 'run', overwrite=True)
  for stale in (found, loaded):
    for read in (stale.score, stale.to_arrow, stale.sorted_rows):
      with pytest.raises(BeingWritten, match='read it again once it is complete'):
        read()
  assert run.load_run(tmp_path / 'run').score()[0].correct == RIGHT['half']


def test_a_run_that_is_replaced_while_it_is_verified(
  predictions, tmp_path, monkeypatch
):
  imported(predictions, 'third', tmp_path / 'run')
  summarize_store = verify.summarize_store

  def overtaken(*arguments, **further):
    imported(predictions, 'half', tmp_path / 'run', overwrite=True)
    return summarize_store(*arguments, **further)

  monkeypatch.setattr(verify, 'summarize_store', overtaken)
  with pytest.raises(BeingWritten):
    verify.verify(tmp_path / 'run')


def test_an_incomplete_run_may_be_in_the_making(predictions, tmp_path):
  imported(predictions, 'third', tmp_path / 'run')
  (tmp_path / 'run/result.json').unlink()
  with pytest.raises(UserError, match='no result.json: run tfeval import'):
    run.load_run(tmp_path / 'run')
  with locks.locked(tmp_path / 'run'):
    with pytest.raises(UserError, match='if no other tfeval is writing it, run tfeval'):
      run.load_run(tmp_path / 'run')


def test_readers_see_the_old_run_or_the_new_one(predictions, tmp_path):
  """Counts of one run beside what is said of another one are none."""
  directory = tmp_path / 'run'
  imported(predictions, 'third', directory)
  end, faults, seen = time.monotonic() + 1, [], {}

  def going():
    # On a machine that does much else a second is too short to see both.
    missing = not {*RIGHT} <= seen.keys()
    return time.monotonic() < end + 20 * missing

  def write():
    number = 0
    while going():
      number += 1
      imported(predictions, [*RIGHT][number % 2], directory, overwrite=True)
      time.sleep(0.03)

  def read(look):
    while going():
      try:
        name, correct = look()
        right = correct == RIGHT[name]
      except UserError as error:
        name = correct = str(error)
        right = 'being written' in name or 'no other tfeval is writing' in name
      seen[name] = seen.get(name, 0) + 1
      if not right:
        faults.append((name, correct))

  def score():
    found = run.load_run(directory)
    return found.result.model.name, found.score()[0].correct

  def check():
    failed = [one for one in verify.verify(directory) if one.state != verify.OK]
    assert not failed, failed
    return 'third', RIGHT['third']

  writer = threading.Thread(target=write)
  writer.start()
  checker = threading.Thread(target=read, args=[check])
  checker.start()
  read(score)
  writer.join()
  checker.join()
  assert not faults
  assert {*RIGHT} <= seen.keys() and len(seen) > 2
