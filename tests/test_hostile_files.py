"""Files that do harm are read, and nothing beside them is opened because of them."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

HOSTILE = pathlib.Path(__file__).parents[2] / 'shared/cases/hostile'
STRACE = shutil.which('strace')
pytestmark = [
  pytest.mark.skipif(not HOSTILE.is_dir(), reason='needs the cases of hostile files'),
]
_MODEL = '--preprocess=identity --output=logits --preflight=off --batch_size=4'
_OPENED = re.compile(
  r'\b(openat2?|open|creat|rename\w*|unlink\w*|mkdir\w*|link\w*|symlink\w*)\('
  r'(.*)$'
)
_NAME = re.compile(r'"((?:[^"\\]|\\.)*)"')


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
    env={**os.environ, 'PYTHONDONTWRITEBYTECODE': '1'},
  )


@pytest.mark.slow
@pytest.mark.skipif(STRACE is None, reason='needs strace')
@pytest.mark.parametrize('name', CASES)
def test_nothing_is_written_or_opened_by_a_name_that_a_file_gave(folder, name):
  arguments, words = CASES[name]
  log = folder.parent / 'strace.log'
  ended = run(
    folder, arguments, [STRACE, '-f', '-qq', '-e', 'trace=%file', '-o', str(log)]
  )
  assert ended.returncode == 2
  assert words in ended.stderr
  assert sum(line.startswith('tfeval: ') for line in ended.stderr.splitlines()) == 1
  before = {path.relative_to(HOSTILE).parts[0] for path in HOSTILE.iterdir()}
  now = {path.relative_to(folder).parts[0] for path in folder.iterdir()}
  assert now - before <= {'photos', 'runs'}
  assert not list(folder.rglob('result.json'))
  changed, read = touched(log.read_text(errors='replace'), folder)
  assert changed <= {'runs'}
  assert read <= {name, 'small.keras', 'photos', 'runs', 'dictionary.parquet', '.'}
  assert 'secret.bin' not in read


def touched(log, folder):
  """Returns what in a folder was written or changed, and what was opened at all."""
  changed, read = set(), set()
  for line in log.splitlines():
    found = _OPENED.search(line)
    if not found or ' = -1 ' in line:
      continue
    for name in _NAME.findall(found[2]):
      path = pathlib.Path(os.path.normpath(folder / name))
      if path.is_relative_to(folder):
        first = path.relative_to(folder).parts[:1] or ('.',)
        read.update(first)
        writes = not found[1].startswith('open') or re.search(
          r'O_(WRONLY|RDWR|CREAT)', found[2]
        )
        if writes:
          changed.update(first)
      elif found[1].startswith('open') and 'O_CREAT' in found[2]:
        # Caches of libraries and temporary files are theirs.
        assert str(path).startswith(('/tmp', '/dev', '/proc', str(pathlib.Path.home())))
  return changed, read


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
