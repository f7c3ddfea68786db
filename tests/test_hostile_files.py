"""Files that do harm are read, and nothing beside them is opened because of them."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import naming_files
import opened_files
import pytest

import tfeval

HOSTILE = pathlib.Path(__file__).parents[2] / 'shared/cases/hostile'
SCRIPT = pathlib.Path(naming_files.__file__)
pytestmark = [
  pytest.mark.skipif(not HOSTILE.is_dir(), reason='needs the cases of hostile files'),
]
traced = pytest.mark.skipif(not opened_files.STRACE, reason='needs strace')
_MODEL = '--preprocess=identity --output=logits --preflight=off --batch_size=4'


def evaluation(name):
  return (
    f'evaluate --model={name} --dataset=folder:photos --output_dir=runs {_MODEL}'
  ).split()


CASES = {
  'savedmodel_writes': (evaluation('savedmodel_writes'), 'uses the operation SaveV2'),
  'savedmodel_exits': (evaluation('savedmodel_exits'), 'uses the operation Abort'),
  'savedmodel_reads': (evaluation('savedmodel_reads'), 'DecodeProtoV2'),
  'flipped_bit.weights.h5': (
    [*evaluation('small.keras'), '--weights=flipped_bit.weights.h5'],
    'flipped_bit.weights.h5',
  ),
  'dictionary.parquet': (
    'import --predictions=dictionary.parquet --output_dir=runs/a'.split(),
    'dictionary.parquet',
  ),
}


@pytest.fixture
def folder(tmp_path):
  """Where the cases lie, beside two photos."""
  for path in HOSTILE.iterdir():
    if path.is_dir():
      shutil.copytree(path, tmp_path / path.name, copy_function=shutil.copyfile)
      (tmp_path / path.name).chmod(0o755)
    else:
      shutil.copyfile(path, tmp_path / path.name)
  photos = tmp_path / 'photos/n01440764'
  photos.mkdir(parents=True)
  source = HOSTILE.parents[1] / 'data/images/n01440764_tench.JPEG'
  for name in ('a.JPEG', 'b.JPEG'):
    shutil.copyfile(source, photos / name)
  return tmp_path


def run(folder, arguments, before=()):
  return subprocess.run(
    [*before, sys.executable, '-m', 'tfeval', *arguments],
    cwd=folder,
    capture_output=True,
    text=True,
    timeout=300,
    check=False,
    env=environment(folder),
  )


def environment(folder):
  """Returns one in which libraries keep what they keep in a folder."""
  for name in ('home', 'tmp'):
    (folder / name).mkdir(exist_ok=True)
  return {
    **{name: value for name, value in os.environ.items() if name != 'KERAS_HOME'},
    'HOME': str(folder / 'home'),
    'TMPDIR': str(folder / 'tmp'),
    'PYTHONDONTWRITEBYTECODE': '1',
  }


@pytest.mark.slow
@traced
@pytest.mark.parametrize('name', CASES)
def test_nothing_is_written_or_opened_by_a_name_that_a_file_gave(folder, name):
  arguments, words = CASES[name]
  log = folder.parent / 'strace.log'
  ended = run(folder, arguments, opened_files.command(log))
  assert ended.returncode == 2
  assert words in ended.stderr
  assert sum(line.startswith('tfeval: ') for line in ended.stderr.splitlines()) == 1
  assert not list(folder.rglob('result.json'))
  (_, found), *more = opened_files.read(log, folder)
  assert not more
  written, read = inside(found.written, folder), inside(found.opened, folder)
  assert written <= {'runs', 'home', 'tmp'}
  there = {one for one in read if (folder / one).exists()}
  assert there <= {name, 'small.keras', 'photos', 'runs', 'home', 'tmp', '.'}
  assert 'secret.bin' in {one.name for one in folder.iterdir()} - read
  assert not elsewhere(found.written, folder)
  assert not foreign(found.started)


def inside(paths, folder):
  """Returns the first parts of paths below a folder."""
  below = {path for path in paths if path.is_relative_to(folder)}
  return {(*path.relative_to(folder).parts, '.')[0] for path in below}


def elsewhere(paths, *known):
  """Returns paths that are neither known nor of the system and its libraries."""
  own = (*known, pathlib.Path('/dev'), pathlib.Path('/proc'))
  return {path for path in paths if not any(path.is_relative_to(one) for one in own)}


def foreign(started):
  """Returns calls that start none of the programs of tfeval and of libraries."""
  package = pathlib.Path(tfeval.__file__).parent
  own = re.compile(
    rf'execve\("[^"]*", \["{re.escape(sys.executable)}", '
    rf'("-m", "tfeval"|"-P", "{re.escape(str(package))}/)|'
    # `platform` asks for the processor, matplotlib for fonts.
    r'execve\("[^"]*/uname", \["uname", "-p"\]|execve\("[^"]*/fc-list", \["fc-list", '
  )
  return [call for call in started if not own.match(call)]


def trace(folder, *kinds):
  """Reads files of some kinds and returns what was done of each, by case."""
  log = folder / 'log'
  ended = subprocess.run(
    [*opened_files.command(log), sys.executable, SCRIPT, *kinds],
    cwd=folder,
    capture_output=True,
    text=True,
    timeout=600,
    check=False,
    env=environment(folder),
  )
  assert not ended.returncode, ended.stderr[-2000:]
  said = [json.loads(line) for line in ended.stdout.splitlines()]
  for word in said:
    assert word['code'] in (0, 1, 2), word
  return said, opened_files.read(log, folder)


def hold(folder, found):
  """Holds that files of strangers have nothing opened, written, started or reached."""
  assert len(found) > 1
  for name, case in found[1:]:
    kind, number = name.split('/')[:2]
    own = [folder / place / f'{kind}{number}' for place in ('cases', 'out')]
    own += [folder / 'home', folder / 'tmp']
    decoys = {one for one in case.opened if one.is_relative_to(folder / 'decoy')}
    assert (name, decoys) == (name, set())
    assert (name, elsewhere(case.written, *own)) == (name, set())
    assert (name, foreign(case.started)) == (name, [])


@traced
def test_labels_and_flagfiles_have_nothing_opened(folder):
  said, found = trace(folder, 'labels', 'flagfiles')
  assert {word['code'] for word in said} == {2}
  hold(folder, found)


@pytest.mark.slow
@traced
@pytest.mark.parametrize('kind', naming_files.KINDS)
def test_no_file_has_another_one_opened(folder, kind):
  said, found = trace(folder, kind)
  assert [word['case'] for word in said] == [name for name, _ in found[1:]]
  hold(folder, found)
  secret = folder / naming_files.DECOY / 'secret'
  assert secret.read_text() == naming_files.SECRET


@pytest.mark.slow
@traced
def test_what_is_opened_is_seen(tmp_path):
  """Were the log not read rightly, the tests above could not fail."""
  (tmp_path / 'a').mkdir()
  (tmp_path / 'link').symlink_to('a')
  code = (
    'import os, socket, subprocess, shutil\n'
    'def tell(name):\n'
    '  try: os.open(name, os.O_RDONLY)\n'
    '  except OSError: pass\n'
    'tell("/begins/x")\n'
    'open("link/written", "w").close()\n'
    'open("a/written").close()\n'
    'tell("a/missing")\n'
    'os.open("written", os.O_RDONLY, dir_fd=os.open("a", os.O_RDONLY))\n'
    'os.rename("link", "renamed")\n'
    'subprocess.run(["true"])\n'
    'socket.socket(socket.AF_UNIX).connect_ex("a/socket")\n'
    'tell("/ends/x")\n'
    'open("a/later", "w").close()\n'
  )
  log = tmp_path / 'log'
  subprocess.run(
    [*opened_files.command(log), sys.executable, '-c', code], cwd=tmp_path, check=True
  )
  (_, before), (name, found) = opened_files.read(log, tmp_path)
  assert name == 'x'
  assert inside(found.opened, tmp_path) == {'a', 'link', 'renamed'}
  assert tmp_path / 'a/missing' in found.opened
  assert found.written >= {
    tmp_path / one for one in ('link/written', 'a/written', 'link', 'renamed')
  }
  assert ['connect', 'execve'] == sorted({one.split('(')[0] for one in found.started})
  assert before.written == {tmp_path / 'a/later'}


@pytest.mark.slow
def test_watching_goes_on_behind_a_damaged_checkpoint(folder):
  checkpoints = folder / 'checkpoints'
  checkpoints.mkdir()
  shutil.copyfile(folder / 'flipped_bit.weights.h5', checkpoints / 'e1.weights.h5')
  from_keras = (
    'import keras; keras.saving.load_model("small.keras", compile=False)'
    '.save_weights("checkpoints/e2.weights.h5")'
  )
  subprocess.run([sys.executable, '-c', from_keras], cwd=folder, check=True)
  kept = [flag for flag in evaluation('small.keras')[1:] if 'preflight' not in flag]
  ended = run(
    folder,
    ['watch', 'checkpoints', *kept, '--timeout=3', '--poll_seconds=1'],
  )
  assert 'e1.weights.h5 is left out after' in ended.stderr
  assert ended.returncode == 2
  assert len(list(folder.glob('runs/*/result.json'))) == 1


def test_a_dictionary_of_long_ids_takes_no_memory(folder):
  """2 kB: 1,000 rows of one id of 50 MB."""
  limited = ['bash', '-c', 'ulimit -v 1500000; exec "$@"', 'bash']
  ended = run(folder, CASES['dictionary.parquet'][0], limited)
  assert ended.returncode == 2
  assert ended.stderr.count('\n') == 1
  assert 'dictionary.parquet' in ended.stderr
