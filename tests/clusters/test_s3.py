"""Paths at s3:// do what those of pathlib do, however the server behaves."""

import errno
import io
import multiprocessing
import os
import random
import subprocess
import sys
import threading
import time

import pytest

from tfeval.utils import exclusive, files, paths, s3_files, s3_requests
from tfeval.utils.errors import NotWritten, UserError

pytestmark = pytest.mark.clusters


@pytest.fixture
def both(s3, tmp_path):
  return paths.path(s3.url) / 'root', tmp_path


@pytest.fixture
def patience(monkeypatch):
  """Rounds of one try each, with next to no waits: six requests are all there are."""
  monkeypatch.setenv('AWS_MAX_ATTEMPTS', '1')
  monkeypatch.setattr(s3_requests, '_WAITS', [0.01] * 5)


def fill(root):
  for name in ('a/part-00001.parquet', 'a/b/part-0.parquet', 'a/.x.1.tmp', 'c.json'):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(name.encode())


def same(both, look):
  """Holds that something is seen alike on both; returns it."""
  seen = []
  for root in both:
    try:
      seen.append(look(root))
    except OSError as error:
      seen.append((type(error), error.errno, error.strerror))
  assert seen[0] == seen[1]
  return seen[1]


def names(root, found):
  return sorted(str(path).removeprefix(f'{root}/') for path in found)


def is_file(path):
  return path.is_file()


def test_what_is_there(both):
  for root in both:
    fill(root)
  for look in (
    lambda root: names(root, root.iterdir()),
    lambda root: names(root, (root / 'a').glob('part-*.parquet')),
    lambda root: names(root, (root / 'a').glob('.*.tmp')),
    lambda root: names(root, root.rglob('*')),
    lambda root: [
      ((root / name).exists(), (root / name).is_file(), (root / name).is_dir())
      for name in ('a', 'c.json', 'none', 'a/b', 'c.jso', 'a/b/part-0.parquet')
    ],
    lambda root: (root / 'c.json').read_text('utf-8'),
    lambda root: files.sha256_of(root / 'a/part-00001.parquet'),
  ):
    assert same(both, look)


def test_what_is_missing(both):
  missing = same(both, lambda root: (root / 'none').read_bytes())
  assert missing[0] is FileNotFoundError
  assert same(both, lambda root: list((root / 'none').iterdir())) == missing
  assert same(both, lambda root: list((root / 'none').rglob('*'))) == []
  assert same(both, lambda root: list((root / 'none').glob('*'))) == []
  same(both, lambda root: (root / 'none').unlink(missing_ok=True))


def test_files_are_replaced_renamed_and_removed(both):
  for root in both:
    fill(root)
    files.write_atomically(root / 'c.json', b'new')
    (root / 'a/b/part-0.parquet').replace(root / 'd')
    (root / 'a/.x.1.tmp').unlink()
  tree = same(
    both, lambda root: names(root, [p for p in root.rglob('*') if p.is_file()])
  )
  assert tree == ['a/part-00001.parquet', 'c.json', 'd']
  assert same(both, lambda root: (root / 'd').read_bytes()) == b'a/b/part-0.parquet'
  for root in both:
    files.remove_tree(root / 'a')
  assert same(both, lambda root: names(root, root.rglob('*'))) == ['c.json', 'd']


def test_names_that_patterns_or_urls_would_read_otherwise(both):
  odd = ['a[1].x', 'b*', 'c?d', 'e f%20g', 'ä', '#h', 'i+j&k', "l'm"]
  for root in both:
    for name in odd:
      (root / name).write_bytes(name.encode())
  assert same(both, lambda root: names(root, root.iterdir())) == sorted(odd)
  assert same(both, lambda root: [(root / n).read_bytes().decode() for n in odd]) == odd
  (both[0] / 'b*').unlink()
  (both[0] / 'c?d').replace(both[0] / 'z')
  left = sorted({*odd, 'z'} - {'b*', 'c?d'})
  assert names(both[0], both[0].iterdir()) == left
  both[0].remove_tree()
  assert not both[0].exists()


def test_a_file_is_read_as_one_of_a_disk(both, monkeypatch):
  monkeypatch.setattr(s3_files, '_WINDOW', 1000)
  draw = random.Random(0)
  content = draw.randbytes(300_000)
  for root in both:
    (root / 'x').write_bytes(content)
  handles = [(root / 'x').open('rb') for root in both]
  for _ in range(60):
    step = draw.choice(('seek', 'back', 'end', 'read', 'all'))
    offset, size = draw.randrange(310_000), draw.choice((1, 10, 999, 5000))
    found = []
    for handle in handles:
      if step == 'seek':
        found.append(handle.seek(offset))
      elif step == 'back':
        found.append(handle.seek(-min(handle.tell(), 50), io.SEEK_CUR))
      elif step == 'end':
        found.append(handle.seek(-size, io.SEEK_END))
      else:
        found.append((handle.read(size), handle.tell()))
    assert found[0] == found[1]
  (both[0] / 'empty').write_bytes(b'')
  assert (both[0] / 'empty').read_bytes() == b''


def test_a_small_file_is_one_request_to_write_and_one_to_read(s3):
  path = paths.path(s3.url) / 'a/b.json'
  s3.faults()
  files.write_json(path, {'a': 1})
  assert s3.counts() == {'PUT': 1}
  assert files.read_json(path) == {'a': 1}
  assert s3.counts() == {'PUT': 1, 'GET': 1}
  assert path.is_file() and not (path / 'none').is_file()
  assert s3.counts() == {'PUT': 1, 'GET': 1, 'HEAD': 2}


def test_a_file_that_is_replaced_while_it_is_read(s3, monkeypatch):
  monkeypatch.setattr(s3_files, '_WINDOW', 1000)
  path = paths.path(s3.url) / 'x'
  path.write_bytes(bytes(5000))
  with path.open('rb') as file:
    path.write_bytes(bytes(5001))
    with pytest.raises(OSError, match='replaced while it was read'):
      file.read()


def test_large_content_and_many_names(s3):
  root = paths.path(s3.url) / 'many'
  store = s3_requests._file_system(s3.url)
  store.pipe({f'{root}/{i:04d}': b'x' for i in range(1500)})
  assert len(list(root.iterdir())) == len(list(root.rglob('*'))) == 1500
  content = random.Random(1).randbytes(1 << 20) * 120  # Several requests from 100 MB.
  (root / 'large').write_bytes(content)
  assert (root / 'large').read_bytes() == content
  s3.faults()
  root.remove_tree()
  assert s3.counts() == {'LIST': 2, 'DELETES': 2}
  assert not list(root.glob('*'))


def test_copies_to_this_machine(both, tmp_path):
  fill(both[0])
  with paths.local_copy(both[0]) as copy:
    assert names(copy, copy.rglob('*')) == names(both[0], both[0].rglob('*'))
    assert (copy / 'c.json').read_bytes() == b'c.json'
  with pytest.raises(UserError, match='cannot copy .*none .*No such file'):
    with paths.local_copy(both[0] / 'none'):
      pass


def test_what_others_write_is_seen_at_once(s3):
  root = paths.path(s3.url) / 'runs'
  assert not (root / 'a').exists() and not list(root.glob('*'))
  code = 'import sys; from tfeval.utils import paths\n'
  code += "paths.path(sys.argv[1]).write_bytes(b'theirs')"
  subprocess.run([sys.executable, '-c', code, f'{root}/a'], check=True)
  assert [*root.glob('*')] == [root / 'a'] and (root / 'a').read_bytes() == b'theirs'


def test_forks_and_threads_have_files_too(s3):
  root = paths.path(s3.url)
  (root / 'before').write_bytes(b'1')

  def work(name):
    (root / name).write_bytes((root / 'before').read_bytes())

  fork = multiprocessing.get_context('fork')
  workers = [fork.Process(target=work, args=(f'fork-{i}',)) for i in range(2)]
  workers += [threading.Thread(target=work, args=(f'thread-{i}',)) for i in range(4)]
  for worker in workers:
    worker.start()
  for worker in workers:
    worker.join(60)
  assert len(list(root.iterdir())) == 7


CREATING = """
import sys, time
from tfeval.utils import exclusive, paths
url, name = sys.argv[1:]
root = paths.path(url)
root.exists()
print('ready', flush=True)
sys.stdin.readline()
print(sum(
  exclusive.create(root / f'{i}', f'{name} {i} '.encode() * 1000) << i
  for i in range(20)
), flush=True)
"""


def race(url, count=4):
  """Returns how often each of 20 files was created by several processes at once."""
  processes = [
    subprocess.Popen(
      [sys.executable, '-c', CREATING, url, f'process-{i}'],
      text=True,
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
    )
    for i in range(count)
  ]
  for process in processes:
    assert process.stdout.readline() == 'ready\n'
  for process in processes:
    process.stdin.write('go\n')
    process.stdin.flush()
  done = [int(process.communicate(timeout=120)[0]) for process in processes]
  for i in range(20):
    content = (paths.path(url) / f'{i}').read_bytes().decode().split()
    winners = [f'process-{k}' for k in range(count) if done[k] >> i & 1]
    assert content[0] in winners
    assert content == [content[0], str(i)] * 1000
  return [sum(one >> i & 1 for one in done) for i in range(20)]


@pytest.mark.parametrize(
  'faults',
  [{}, {'busy_every': 5}, {'forbids_listing': True}, {'seconds': 0.05}],
  ids=['well', 'busy', 'unlisted', 'slow'],
)
def test_one_of_several_processes_creates(s3, faults):
  s3.faults(**faults)
  created = race(f'{s3.url}/claims')
  s3.faults()
  assert created == [1] * 20


@pytest.mark.parametrize('fault', ['ignores_conditions', 'refuses_conditions'])
def test_a_store_without_conditions_loses_no_byte(s3, fault):
  s3.faults(**{fault: True})
  assert min(race(f'{s3.url}/claims')) >= 1
  path = paths.path(s3.url) / 'late'
  assert exclusive.create(path, b'first') and not exclusive.create(path, b'second')
  assert path.read_bytes() == b'first'


def test_who_created_knows_it_though_the_answer_was_lost(s3):
  path = paths.path(s3.url) / 'claim'
  s3.faults(loses_created=True)
  assert exclusive.create(path, b'mine')
  assert s3.counts()['PUT'] == 2
  assert not exclusive.create(path, b'mine')


def test_conditions_that_meet_are_decided_later(s3, patience):
  s3.faults(conflicts=2)
  assert exclusive.create(paths.path(s3.url) / 'claim', b'mine')
  assert s3.counts()['PUT'] == 3


def test_a_store_that_is_busy_now_and_then(s3, patience):
  root = paths.path(s3.url) / 'root'
  s3.faults(busy_every=3)
  fill(root)
  assert names(root, root.rglob('*.parquet')) == [
    'a/b/part-0.parquet',
    'a/part-00001.parquet',
  ]
  assert (root / 'c.json').read_bytes() == b'c.json'
  root.remove_tree()
  assert not root.exists()
  assert sum(s3.counts().values()) > 12


def test_a_store_that_stays_busy(s3, patience):
  path = paths.path(s3.url) / 'a'
  s3.faults(busy_always=True)
  for act in (lambda: path.exists(), lambda: files.write_atomically(path, b'')):
    with pytest.raises(UserError) as caught:
      act()
    said = str(caught.value)
    assert '\n' not in said and said.startswith('cannot ')
    assert 'it answers 50' in said and ', at the last of 6 tries in 0 s' in said
  assert set(s3.counts().values()) == {6}


def test_an_answer_that_breaks_off_is_asked_for_again(s3, patience):
  path = paths.path(s3.url) / 'a'
  path.write_bytes(bytes(100_000))
  s3.faults(breaks_off=2)
  assert path.read_bytes() == bytes(100_000)
  assert s3.counts()['GET'] == 3


def test_a_store_that_is_full(s3):
  path = paths.path(s3.url) / 'a'
  path.write_bytes(b'before')
  s3.faults(full=True)
  for write in (files.write_atomically, exclusive.create):
    with pytest.raises(
      NotWritten, match='cannot write .* the store is full: .*507|Full'
    ):
      write(path.with_name(write.__name__), b'more')
  with pytest.raises(NotWritten):
    files.write_atomically(path, b'after')
  s3.faults()
  assert path.read_bytes() == b'before'


def test_a_store_that_forbids_listing(s3, caplog):
  s3_files._tell_unlisted.cache_clear()
  root = paths.path(s3.url) / 'runs'
  fill(root)
  s3.faults(forbids_listing=True)
  files.make_directory(root / 'new')
  files.write_atomically(root / 'new/x', b'x')
  assert (root / 'new/x').read_bytes() == b'x'
  assert (root / 'new/x').is_file() and (root / 'new/x').exists()
  assert not (root / 'new/y').is_file() and not (root / 'new/y').exists()
  with pytest.raises(FileNotFoundError):
    (root / 'new/y').read_bytes()
  files.remove_leftovers(root)
  assert not list(root.glob('*'))
  assert [one.message for one in caplog.records] == [
    f'{s3.url} may not be listed (s3:ListBucket): what may not be read there counts as '
    'missing'
  ]
  with pytest.raises(PermissionError, match='403 AccessDenied.*AWS_ACCESS_KEY_ID'):
    list(root.iterdir())


def test_an_object_that_may_not_be_read_though_its_folder_may_be_listed(s3):
  path = paths.path(s3.url) / 'a'
  path.write_bytes(b'x')
  s3.faults(forbids_reading=True)
  for look in (path.exists, path.is_file, (path / 'none').is_file):
    with pytest.raises(UserError, match='^cannot read .* 403 .*: set AWS_ACCESS'):
      look()
  with pytest.raises(PermissionError, match='403 AccessDenied'):
    path.read_bytes()
  with pytest.raises(NotWritten, match='403 AccessDenied'):
    files.write_atomically(path, b'y')


def test_credentials_that_are_none(s3, monkeypatch):
  path = paths.path(s3.url) / 'a'
  s3.faults(unknown_key=True)
  with pytest.raises(UserError, match='cannot read .*InvalidAccessKeyId.*AWS_PROFILE'):
    path.exists()
  with pytest.raises(NotWritten, match='AWS_PROFILE'):
    exclusive.create(path, b'')
  s3.faults()
  monkeypatch.delenv('AWS_ACCESS_KEY_ID')
  monkeypatch.setenv('AWS_SHARED_CREDENTIALS_FILE', os.devnull)
  monkeypatch.setenv('AWS_CONFIG_FILE', os.devnull)
  with pytest.raises(NotWritten, match='credentials.*: set AWS_ACCESS_KEY_ID'):
    files.write_atomically(path, b'')
  monkeypatch.setenv('AWS_PROFILE', 'nobody')
  with pytest.raises(UserError, match='profile .*nobody.* could not be found'):
    path.exists()


def test_buckets_that_are_not_there_or_no_buckets(s3):
  missing = paths.path(f'{s3.url}-none/runs')
  with pytest.raises(NotWritten, match=f'no bucket {s3.url[5:]}-none'):
    files.make_directory(missing)
  with pytest.raises(NotWritten, match='no bucket'):
    files.write_atomically(missing / 'x', b'')
  assert not (missing / 'x').exists()
  with pytest.raises(UserError, match='(?i)invalid bucket name'):
    paths.path('s3://a_B!/x').exists()


def test_nobody_answers(s3, monkeypatch):
  monkeypatch.setenv('AWS_ENDPOINT_URL', 'http://127.0.0.1:9')
  monkeypatch.setenv('AWS_MAX_ATTEMPTS', '2')
  started = time.monotonic()
  with pytest.raises(UserError, match='^cannot read [^\n]* connect to [^\n]*$'):
    (paths.path(s3.url) / 'a').exists()
  assert time.monotonic() - started < 20
  monkeypatch.setenv('AWS_ENDPOINT_URL', 'nowhere')
  with pytest.raises(UserError, match='^cannot read [^\n]*nowhere[^\n]*$'):
    (paths.path(s3.url) / 'a').exists()


def test_ctrl_c_leaves_no_write_behind(s3, monkeypatch):
  path = paths.path(s3.url) / 'a'
  path.write_bytes(b'old')
  s3.faults(seconds=1)
  script = """if True:
    import signal, sys, time
    from tfeval.utils import paths
    path = paths.path(sys.argv[1])
    path.exists()
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
      path.write_bytes(b'interrupted')
    except KeyboardInterrupt:
      path.write_bytes(b'newer')
    """
  ran = subprocess.run(
    [sys.executable, '-c', script, str(path)], text=True, capture_output=True
  )
  s3.faults()
  time.sleep(1.5)
  assert (ran.returncode, ran.stderr) == (0, '')
  assert path.read_bytes() == b'newer'


def test_errno_of_a_full_store(s3):
  s3.faults(full=True)
  with pytest.raises(OSError) as caught:
    (paths.path(s3.url) / 'a').write_bytes(b'')
  assert caught.value.errno == errno.ENOSPC
