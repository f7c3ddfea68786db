"""Evaluations that are interrupted, and evaluations on several hosts: same bytes."""

import contextlib
import json
import os
import pathlib
import shutil
import signal

import kills
import pytest
from evaluations import (
  content,
  ended,
  kill_until_it_ends,
  make_inputs,
  start,
  wait_for_parts,
  without_compute,
)

from tfeval import cli
from tfeval.evaluation import job
from tfeval.utils import files, locks
from tfeval.utils.errors import UserError

IMAGES = 50
# Each process goes on after those before it, which take some steps at the start.
TWENTY_STEPS = [*range(14), 6, 15, 9, 16, 12, 18]


@pytest.fixture(scope='module')
def inputs(tmp_path_factory):
  directory = tmp_path_factory.mktemp('inputs')
  return [*make_inputs(directory, IMAGES), '--batch_size=4', '--rows_per_part=8']


@pytest.fixture(scope='module')
def broken_inputs(inputs, tmp_path_factory):
  folder = tmp_path_factory.mktemp('broken') / 'images'
  shutil.copytree(next(f for f in inputs if '=folder:' in f).partition(':')[2], folder)
  for position in (0, 7, 8, 9, 10, 11, 30, 49):
    sorted(folder.iterdir())[position].write_bytes(b'')
  return [*[f for f in inputs if '=folder:' not in f], f'--dataset=folder:{folder}']


def run(command, output, *more):
  """Evaluates in this process; what cannot be learned from it takes processes."""
  return cli.main([*command, f'--output_dir={output}', *more])


@pytest.fixture(scope='module')
def whole(inputs, tmp_path_factory):
  output = tmp_path_factory.mktemp('whole')
  assert run(inputs, output) == 0
  return content(output)


@pytest.fixture(scope='module')
def whole_of_broken(broken_inputs, tmp_path_factory):
  output = tmp_path_factory.mktemp('whole')
  assert run(broken_inputs, output, '--on_error=skip') == 0
  found = content(output)
  assert found['result.json']['dataset']['evaluated'] == IMAGES - 8
  return found


@pytest.mark.parametrize(
  'step', [9, *[pytest.param(n, marks=pytest.mark.slow) for n in (2, 3, 4, 15, 16)]]
)
@pytest.mark.parametrize('sent, code', [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_while_writing(
  inputs, whole, tmp_path, capsys, monkeypatch, step, sent, code
):
  """Steps: manifest, flags, the index, then a part and the index in turns."""
  write, calls = files.write_atomically, []

  def interrupt(path, data, *flag):
    calls.append(path)
    if len(calls) == step:
      signal.raise_signal(sent)
    write(path, data, *flag)

  with monkeypatch.context() as patched:
    patched.setattr(files, 'write_atomically', interrupt)
    assert run(inputs, tmp_path) == code
  said = capsys.readouterr().err.splitlines()[-1]
  if step > 3:
    assert f'of {IMAGES} images are kept in {tmp_path}' in said
    assert said.endswith('the same command goes on from there')
  assert run(inputs, tmp_path) == 0
  assert ('goes on after' in capsys.readouterr().err) == (step > 3)
  assert content(tmp_path) == whole


@pytest.mark.slow
def test_skipped_images_move_no_other(broken_inputs, whole_of_broken, tmp_path, capsys):
  """A run that stops at a broken image goes on in skip mode."""
  assert run(broken_inputs, tmp_path, '--on_error=fail') == 2
  assert 'ILSVRC2012_val_00000001.JPEG is not a readable image' in (
    capsys.readouterr().err
  )
  assert run(broken_inputs, tmp_path, '--on_error=skip') == 0
  assert content(tmp_path) == whole_of_broken


@pytest.mark.parametrize('count', [2, pytest.param(3, marks=pytest.mark.slow)])
def test_hosts_one_after_the_other(inputs, whole, tmp_path, count):
  for index in reversed(range(count)):
    assert run(inputs, tmp_path, f'--num_hosts={count}', f'--host_index={index}') == 0
  assert without_compute(content(tmp_path)) == without_compute(whole)


@pytest.mark.slow
def test_hosts_that_skip(broken_inputs, whole_of_broken, tmp_path):
  for index in (2, 1, 0):
    assert (
      run(
        broken_inputs,
        tmp_path,
        '--on_error=skip',
        '--num_hosts=3',
        f'--host_index={index}',
      )
      == 0
    )
  assert without_compute(content(tmp_path)) == without_compute(whole_of_broken)


def test_a_host_that_never_arrives(inputs, whole, tmp_path, capsys):
  first = ('--num_hosts=2', '--host_index=0', '--host_timeout=1')
  assert run(inputs, tmp_path, *first) == 2
  said = capsys.readouterr().err.splitlines()[-1]
  assert 'nothing new for 1 s: host 1 (nothing: is this --output_dir shared?)' in said
  assert run(inputs, tmp_path, '--num_hosts=2', '--host_index=1') == 0
  assert 'of host 1 are done' in capsys.readouterr().err
  assert run(inputs, tmp_path, *first) == 0
  assert without_compute(content(tmp_path)) == without_compute(whole)
  # All of them may be started again, also where host 0 was killed after it had joined.
  left = tmp_path / 'small.keras/hosts/host-00001-of-00002'
  (left / 'predictions').mkdir(parents=True)
  (tmp_path / 'small.keras/.hosts.0123456789abcdef.tmp').mkdir()
  (tmp_path / 'small.keras/.lock').touch()
  assert run(inputs, tmp_path, '--num_hosts=2', '--host_index=1') == 0
  assert 'is complete: shown as it is' in capsys.readouterr().err
  assert left.is_dir()
  assert run(inputs, tmp_path, *first) == 0
  assert without_compute(content(tmp_path)) == without_compute(whole)
  assert not [*tmp_path.rglob('*hosts*')]


def test_hosts_with_other_flags_are_refused(inputs, tmp_path, capsys):
  assert run(inputs, tmp_path, '--num_hosts=2', '--host_index=1') == 0
  other = ('--num_hosts=2', '--host_index=0', '--host_timeout=1')
  assert run(inputs, tmp_path, *other, '--batch_size=5') == 2
  said = capsys.readouterr().err.splitlines()[-1]
  assert 'host 1 disagrees with host 0: compute.batch_size is 4 there and 5' in said
  # The right flags still do; nothing of the wrong ones is in the way.
  assert run(inputs, tmp_path, *other) == 0


def test_one_host_alone_leaves_shares_alone(inputs, tmp_path, capsys):
  assert run(inputs, tmp_path, '--num_hosts=2', '--host_index=1') == 0
  assert run(inputs, tmp_path) == 2
  assert 'holds shares of several hosts' in capsys.readouterr().err
  assert run(inputs, tmp_path, '--num_hosts=2', '--host_index=0') == 0


def classes_swapped(folder, swapped):
  """Makes class folders of the images of a folder; their labels go by `swapped`."""
  images = sorted(next(folder.parent.glob('images')).iterdir())
  for number, image in enumerate(images):
    wnid = ('n01440764', 'n01443537')[(number % 2) ^ swapped]
    (folder / wnid).mkdir(parents=True, exist_ok=True)
    shutil.copyfile(image, folder / wnid / f'{number:03}.jpg')


def test_other_labels_are_other_data(inputs, tmp_path, capsys):
  """Files moved to other class folders, between hosts and before going on."""
  source = pathlib.Path(next(f for f in inputs if '=folder:' in f).partition(':')[2])
  (tmp_path / 'images').symlink_to(source)
  folder = tmp_path / 'classes'
  flags = [*[f for f in inputs if '=folder:' not in f], f'--dataset=folder:{folder}']
  classes_swapped(folder, False)
  hosts = ('--num_hosts=2', '--host_index=1')
  assert run(flags, tmp_path / 'hosts', *hosts) == 0
  assert run(flags, tmp_path / 'alone') == 0
  (tmp_path / 'alone/small.keras/result.json').unlink()
  shutil.rmtree(folder)
  classes_swapped(folder, True)
  assert run(flags, tmp_path / 'alone') == 2
  assert 'pixels: dataset.size_digest is ' in capsys.readouterr().err
  assert run(flags, tmp_path / 'hosts', '--num_hosts=2', '--host_index=0') == 2
  assert 'host 1 disagrees with host 0: dataset.size_digest' in capsys.readouterr().err


def test_images_of_the_same_size_are_looked_at(inputs, tmp_path, capsys):
  source = pathlib.Path(next(f for f in inputs if '=folder:' in f).partition(':')[2])
  folder = tmp_path / 'images'
  shutil.copytree(source, folder)
  flags = [*[f for f in inputs if '=folder:' not in f], f'--dataset=folder:{folder}']
  assert run(flags, tmp_path / 'runs') == 0
  (tmp_path / 'runs/small.keras/result.json').unlink()
  image = sorted(folder.iterdir())[8]
  # A comment's bytes are no pixels.
  image.write_bytes(image.read_bytes()[:-3] + b'x' + image.read_bytes()[-2:])
  assert run(flags, tmp_path / 'runs') == 2
  assert 'was begun with other data: image 8 was ILSVRC2012_val_00000009' in (
    capsys.readouterr().err
  )


def test_a_run_completed_meanwhile_is_not_done_again(inputs, tmp_path, monkeypatch):
  """Between the look at a directory and its lock another process may finish."""
  assert run(inputs, tmp_path / 'other') == 0
  before = content(tmp_path / 'other')
  look = job.Job.find_run
  looks = []

  def find_run(self):
    looks.append(self)
    if len(looks) == 1:
      found = look(self)
      assert found is None
      shutil.copytree(tmp_path / 'other', tmp_path / 'runs', dirs_exist_ok=True)
      return found
    return look(self)

  monkeypatch.setattr(job.Job, 'find_run', find_run)
  written = (tmp_path / 'other/small.keras/result.json').read_bytes()
  assert run(inputs, tmp_path / 'runs') == 0
  assert len(looks) == 2
  assert (tmp_path / 'runs/small.keras/result.json').read_bytes() == written
  assert content(tmp_path / 'runs') == before


@pytest.mark.parametrize(
  'file, words',
  [
    ('result.json', 'holds a damaged run'),
    ('predictions/part-00001.parquet', 'was changed after it was written'),
  ],
)
def test_a_damaged_run_is_not_shown(inputs, tmp_path, capsys, file, words):
  assert run(inputs, tmp_path) == 0
  path = tmp_path / 'small.keras' / file
  path.write_bytes(path.read_bytes()[:-1] + b'x')
  assert run(inputs, tmp_path) == 2
  said = capsys.readouterr().err
  assert words in said and '--overwrite it' in said and 'shown as it is' not in said


def test_a_directory_is_written_by_one(inputs, tmp_path, capsys):
  with locks.locked(tmp_path / 'small.keras'):
    assert run(inputs, tmp_path) == 2
  assert 'is being written by another tfeval' in capsys.readouterr().err
  with contextlib.ExitStack() as held, pytest.raises(UserError):
    for _ in range(2):
      held.enter_context(locks.locked(tmp_path))


def test_what_is_being_written_is_not_overwritten(inputs, tmp_path, capsys):
  """Neither a run of this host nor the share of another one."""
  share = tmp_path / 'small.keras/hosts/host-00001-of-00002'
  for held in (tmp_path / 'small.keras', share):
    with locks.locked(held):
      (held / 'mine').touch()
      assert run(inputs, tmp_path, '--overwrite') == 2
      assert (held / 'mine').exists()
    said = capsys.readouterr().err.splitlines()[-1]
    assert f'{held} is being written by another tfeval' in said


def test_an_unwritable_directory(inputs, tmp_path, capsys):
  (tmp_path / 'file').write_text('')
  assert run(inputs, tmp_path / 'file') == 2
  assert 'cannot write' in capsys.readouterr().err


def test_killed_inside_the_first_write(inputs, whole, tmp_path):
  (tmp_path / 'small.keras').mkdir()
  (tmp_path / 'small.keras/.manifest.json.1.tmp').write_text('{')
  assert run(inputs, tmp_path) == 0
  assert content(tmp_path) == whole


@pytest.mark.slow
def test_killed_at_random_moments(inputs, whole, tmp_path):
  command = [*inputs, f'--output_dir={tmp_path}']
  assert any(
    one.startswith('exit -9')
    for one in kill_until_it_ends(command, tmp_path, kills=5, seed=3)
  )
  assert content(tmp_path) == whole


@pytest.mark.slow
def test_killed_at_twenty_steps(inputs, whole, tmp_path):
  command = [*inputs, f'--output_dir={tmp_path}']
  assert kills.kill_again_and_again(command, TWENTY_STEPS, tmp_path) == 20
  assert run(inputs, tmp_path) == 0
  assert content(tmp_path) == whole


@pytest.mark.slow
def test_overwriting_killed_at_twenty_steps(inputs, whole, tmp_path):
  """Begun with `--overwrite`, gone on with without."""
  assert run(inputs, tmp_path) == 0
  command = [*inputs, f'--output_dir={tmp_path}', '--overwrite']
  assert kills.kill_again_and_again(command, [*range(0, 40, 2)], tmp_path) == 20
  assert run(inputs, tmp_path) == 0
  assert content(tmp_path) == whole


@pytest.mark.slow
def test_killed_at_twenty_steps_with_a_cache(inputs, whole, tmp_path):
  def flags(where):
    return [*inputs, f'--cache_dir={where / "cache"}']

  def cached(where):
    # Their names have the digests of what is in them.
    return {str(one.relative_to(where)) for one in (where / 'cache').rglob('*')}

  assert run(flags(tmp_path / 'whole'), tmp_path / 'whole/runs') == 0
  where = tmp_path / 'killed'
  command = [*flags(where), f'--output_dir={where / "runs"}']
  assert kills.kill_again_and_again(command, TWENTY_STEPS, where) == 20
  assert run(flags(where), where / 'runs') == 0
  assert content(where / 'runs') == whole
  # Who goes on in the middle of a chunk does not write it.
  assert run(flags(where), where / 'again') == 0
  assert content(where / 'again') == whole
  assert cached(where) == cached(tmp_path / 'whole')
  assert len(cached(where)) == 4


@pytest.mark.slow
def test_the_joining_host_killed_at_twenty_steps(inputs, whole, tmp_path):
  hosts = [*inputs, '--num_hosts=2', '--host_timeout=60']
  assert run(hosts, tmp_path, '--host_index=1') == 0
  command = [*hosts, '--host_index=0', f'--output_dir={tmp_path}']
  # With its share done it joins from step 9 to 42, and removes shares from there on.
  steps = [*range(12), 24, 30, 24, 36, 24, 30, 44, 3]
  assert kills.kill_again_and_again(command, steps, tmp_path) == 20
  assert run(hosts, tmp_path, '--host_index=0') == 0
  assert without_compute(content(tmp_path)) == without_compute(whole)
  assert not [*tmp_path.rglob('hosts'), *tmp_path.rglob('.*')]


@pytest.mark.slow
@pytest.mark.parametrize(
  'sent, code, word',
  [(signal.SIGINT, 130, 'interrupted'), (signal.SIGTERM, 143, 'terminated')],
)
def test_signals(inputs, tmp_path, sent, code, word):
  command = [
    *inputs,
    f'--output_dir={tmp_path}',
    '--rows_per_part=40',
    '--batch_size=1',
  ]
  process = start(command)
  wait_for_parts(tmp_path, 1, process)
  process.send_signal(sent)
  found, err = ended(process)
  assert found == code
  assert err.splitlines()[-1].startswith(f'tfeval: {word}: ')
  assert ended(start(command))[0] == 0
  assert run([*inputs, '--rows_per_part=40', '--batch_size=1'], tmp_path / 'a') == 0
  directory = tmp_path / 'small.keras'
  assert (directory / 'predictions/index.json').read_bytes() == (
    tmp_path / 'a/small.keras/predictions/index.json'
  ).read_bytes()


@pytest.mark.slow
def test_three_hosts_at_once_one_of_them_killed(inputs, whole, tmp_path):
  hosts = ['localhost:1', 'localhost:2', 'localhost:3']  # Nobody listens there.

  def start_host(index, dies_writing=None):
    config = json.dumps(
      {'cluster': {'worker': hosts}, 'task': {'type': 'worker', 'index': index}}
    )
    return start(
      [*inputs, f'--output_dir={tmp_path}', '--strategy=multi_worker'],
      dies_writing,
      TF_CONFIG=config,
    )

  # Inside the writing of its second part.
  processes = [start_host(0), start_host(1, dies_writing=6), start_host(2)]
  assert ended(processes[1])[0] == -signal.SIGKILL
  parts = [*tmp_path.rglob('hosts/host-00001-of-00003/predictions/part-*.parquet')]
  assert parts
  code, err = ended(start_host(1))
  assert (code, 'goes on after' in err) == (0, True)
  assert [ended(processes[index])[0] for index in (2, 0)] == [0, 0]
  assert without_compute(content(tmp_path)) == without_compute(whole)
  assert os.listdir(tmp_path / 'small.keras').count('hosts') == 0
