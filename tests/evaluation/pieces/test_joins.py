"""Joins of pieces that are damaged, late, done twice, or joined twice."""

import errno
import json
import os
import shutil
import threading

import in_pieces
import pytest
from evaluations import make_inputs

from tfeval.evaluation import resolve
from tfeval.evaluation.pieces import joining, places, records, worker
from tfeval.utils import json_text, parquet
from tfeval.utils.errors import UserError
from tfeval.utils.progress import hidden

IMAGES, PIECES = 13, 4


@pytest.fixture(scope='module')
def flags(tmp_path_factory):
  flags = make_inputs(tmp_path_factory.mktemp('inputs'), IMAGES)[1:]
  return [*flags, '--batch_size=2', '--rows_per_part=4']


@pytest.fixture(scope='module')
def whole(flags, tmp_path_factory):
  """The files of one process."""
  return in_pieces.whole(flags, tmp_path_factory.mktemp('whole'))


@pytest.fixture(scope='module')
def template(flags, tmp_path_factory):
  """A plan of four pieces that are all done."""
  output = tmp_path_factory.mktemp('done') / 'study'
  planned = in_pieces.plan(flags, output)
  assert planned[0].count == PIECES
  in_pieces.do(planned)
  return output


@pytest.fixture
def study(template, tmp_path):
  shutil.copytree(template, tmp_path / 'study')
  return tmp_path / 'study'


@pytest.fixture
def planned(study):
  return places.open_plan(str(study))


@pytest.fixture
def without_models(monkeypatch):
  """Whoever loads a model fails."""

  def load(*_):
    raise AssertionError('a model is loaded')

  monkeypatch.setattr(resolve, 'load_model', load)


def stamps(directory):
  return {
    path: (path.stat().st_mtime_ns, path.stat().st_ino)
    for path in directory.rglob('*')
    if path.is_file()
  }


def refused(tfeval, *command):
  """Holds that a command ends with one line; returns it."""
  code, out, err = tfeval(*command)
  last = err.splitlines()[-1]
  assert code == 2 and last.startswith('tfeval: '), err
  assert 'Traceback' not in err and 'Traceback' not in out
  assert len(last) < 1500 and last.isprintable()
  return last


def test_joined_twice_nothing_is_written_again(tfeval, study, whole, without_models):
  for keep in ('--keep_pieces', '', ''):
    code, _, err = tfeval('join', study, *filter(None, [keep]))
    assert code == 0, err
    assert in_pieces.runs_of(study) == whole
    before = stamps(study / 'small.keras')
    code, _, _ = tfeval('join', study)
    assert code == 0 and stamps(study / 'small.keras') == before


@pytest.mark.parametrize('chosen', [(), ('--piece=1',), ('--piece=0/2',)], ids=str)
def test_work_after_a_join_does_nothing_and_loads_no_model(
  tfeval, study, whole, without_models, chosen
):
  assert tfeval('join', study)[0] == 0
  before = stamps(study / 'small.keras')
  code, out, err = tfeval('work', study, '--json', *chosen)
  assert code == 0, err
  assert json.loads(out)['done'] == 0 and json.loads(out)['failed'] == []
  assert stamps(study / 'small.keras') == before
  code, _, err = tfeval('join', study)
  assert code == 0 and in_pieces.runs_of(study) == whole, err


def at_once(*calls):
  """Calls functions in threads that begin together; raises what they raise."""
  barrier, raised = threading.Barrier(len(calls)), []

  def run(call):
    barrier.wait()
    try:
      call()
    except BaseException as error:
      raised.append(error)

  threads = [threading.Thread(target=run, args=[call]) for call in calls]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  if raised:
    raise raised[0]


def test_joins_at_once_leave_one_run(planned, study, whole):
  def join():
    found = in_pieces.join(planned)
    joining.remove_pieces(planned[1], found)
    assert [one.path.name for one in found] == [*whole]

  at_once(join, join, join)
  assert in_pieces.runs_of(study) == whole
  assert not planned[1].all_done.exists()


def test_workers_at_once_at_the_same_pieces(flags, tmp_path, whole):
  planned = in_pieces.plan(flags, tmp_path)

  def work():
    in_pieces.do(planned, kind=in_pieces.Again)

  at_once(work, work)
  in_pieces.join(planned)
  assert in_pieces.runs_of(tmp_path) == whole


def test_a_worker_that_comes_late_changes_nothing(planned, study, whole, monkeypatch):
  """It writes its piece after all was joined and removed."""
  publish = records.publish

  def late(*arguments):
    found = in_pieces.join(planned)
    assert joining.remove_pieces(planned[1], found)
    return publish(*arguments)

  monkeypatch.setattr(records, 'publish', late)
  in_pieces.do(planned, [2], in_pieces.Again)
  before = stamps(study / 'small.keras')
  assert planned[1].done(2).is_file()
  joining.remove_pieces(planned[1], in_pieces.join(planned))
  assert stamps(study / 'small.keras') == before
  assert in_pieces.runs_of(study) == whole
  assert not planned[1].all_done.exists()


def changed(**values):
  return lambda content: {**json.loads(content), **values}


def changed_part(**values):
  def change(content):
    record = json.loads(content)
    record['parts'][0].update(values)
    return record

  return change


DAMAGED = {
  'empty': lambda content: b'',
  'half': lambda content: content[: len(content) // 2],
  'a list': lambda content: [],
  'nothing': lambda content: {},
  'another piece': changed(piece=2),
  'another plan': changed(plan='0' * 12),
  'other positions': changed(stop=7),
  'negative': changed(start=-1),
  'a truth': changed(piece=True),
  'rows': changed(rows=3),
  'rows as text': changed(rows='4'),
  'seconds': changed(seconds=float('nan')),
  'seconds before': changed(seconds=-1.0),
  'findings': changed(findings=[3]),
  'hardware': changed(hardware='fast'),
  'parts of texts': changed(parts=['a']),
  'deep': lambda content: b'[' * 100_000,
  'another file': changed_part(file='../../../plan.json'),
  'an absolute file': changed_part(file='/etc/passwd'),
  'a file of no name': changed_part(file=None),
  'no positions': changed_part(positions=None),
  'endless positions': changed_part(positions=[[4, 10**15]]),
  'positions of others': changed_part(positions=[[0, 4]]),
  'positions of no rows': changed_part(positions=[[4, 7]]),
  'positions twice': changed_part(positions=[[4, 6], [4, 6]]),
  'classes': changed_part(classes=10**12),
  'a digest': changed_part(sha256='0' * 64),
  'no digest': changed_part(sha256=3),
  'sizes': changed_part(step_sizes=['a']),
}


QUICK = ('half', 'another plan', 'another file', 'endless positions', 'classes')


@pytest.mark.parametrize(
  'how',
  [
    *QUICK,
    *[pytest.param(n, marks=pytest.mark.slow) for n in DAMAGED if n not in QUICK],
  ],
)
def test_damaged_records_are_named_and_done_again(
  tfeval, planned, study, how, whole, request
):
  path = planned[1].done(1)
  content = DAMAGED[how](path.read_bytes())
  path.write_bytes(
    content if isinstance(content, bytes) else json.dumps(content).encode()
  )
  said = refused(tfeval, 'join', study)
  assert 'piece 1' in said or path.name in said, said
  assert in_pieces.runs_of(study) == {}
  assert '--piece=1' in said, said
  if how in ('half', 'another file'):  # What is done is the same for all.
    done = in_pieces.do(planned, range(PIECES))
    assert [one is not None for one in done] == [False, True, False, False]
    in_pieces.join(planned)
    assert in_pieces.runs_of(study) == whole


def flip(path):
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 16
  path.write_bytes(content)


@pytest.mark.parametrize(
  'damage',
  [
    pytest.param(flip, id='flipped'),
    pytest.param(os.unlink, id='missing', marks=pytest.mark.slow),
    pytest.param(
      lambda path: path.write_bytes(b''), id='empty', marks=pytest.mark.slow
    ),
  ],
)
def test_damaged_rows_are_named_and_done_again(tfeval, planned, study, whole, damage):
  record = planned[1].done(3)
  (rows,) = record.parent.glob('0000003-*.parquet')
  damage(rows)
  said = refused(tfeval, 'join', study)
  assert 'piece 3 is damaged' in said and f'tfeval work {study}' in said, said
  assert in_pieces.runs_of(study) == {} and not record.exists()
  # What is said does it.
  assert tfeval('work', study)[0] == 0
  in_pieces.join(planned)
  assert in_pieces.runs_of(study) == whole


def test_a_join_that_replaces_takes_runs_alone(tfeval, planned, study, whole, tmp_path):
  (name,) = whole
  run, elsewhere = study / name, tmp_path / 'elsewhere'
  elsewhere.mkdir()
  (elsewhere / 'part-00000.parquet').write_text('mine')
  run.mkdir()
  (run / 'manifest.json').write_text('{}')
  (run / 'result.json').write_text('{}')
  (run / 'predictions').symlink_to(elsewhere)
  assert 'is a link out of' in refused(tfeval, 'join', study, '--overwrite')
  assert (elsewhere / 'part-00000.parquet').read_text() == 'mine'
  (run / 'predictions').unlink()
  (run / 'predictions').mkdir()
  (run / 'predictions/notes.txt').write_text('mine')
  assert tfeval('join', study, '--overwrite')[0] == 0
  assert (run / 'predictions/notes.txt').read_text() == 'mine'
  (run / 'predictions/notes.txt').unlink()
  assert in_pieces.runs_of(study) == whole
  # Its pieces stay, as another such join may be at work; the next one tidies up.
  assert planned[1].done(0).is_file()
  assert tfeval('join', study)[0] == 0 and not planned[1].all_done.exists()


def test_pieces_that_are_a_link_to_elsewhere_are_refused(
  tfeval, planned, study, tmp_path
):
  planned[1].root.rename(tmp_path / 'pieces')
  planned[1].root.symlink_to(tmp_path / 'pieces')
  for command in ('work', 'join'):
    assert 'is a link out of' in refused(tfeval, command, study)


def test_a_record_of_other_weights_is_named(tfeval, planned, study):
  path = planned[1].done(2)
  path.write_text(json.dumps(changed(manifest_sha256='0' * 64)(path.read_text())))
  said = refused(tfeval, 'join', study)
  assert 'piece 2' in said and 'is of another code, data or weights' in said
  assert in_pieces.runs_of(study) == {}


def test_pieces_that_are_missing_are_named_with_the_reason(tfeval, planned, study):
  for number in (1, 3):
    planned[1].done(number).unlink()
  records.fail(planned[1], 3, 'a-host', 'the disk is gone')
  said = refused(tfeval, 'join', study)
  assert '2 of 4 pieces are not done (1, 3; piece 3 failed: the disk is gone' in said
  assert in_pieces.runs_of(study) == {}


def test_what_is_lost_after_all_was_done_is_found_by_any_worker(
  tfeval, flags, tmp_path, whole
):
  """Claims say that it is done; the join tells workers that it is not."""
  planned = in_pieces.plan(flags, tmp_path)
  assert tfeval('work', tmp_path)[0] == 0
  planned[1].done(2).unlink()
  said = refused(tfeval, 'join', tmp_path)
  assert '1 of 4 pieces are not done (2)' in said
  code, out, err = tfeval('work', tmp_path)
  assert code == 0 and out.startswith('1 of 4 pieces done here'), err
  assert tfeval('join', tmp_path)[0] == 0
  assert in_pieces.runs_of(tmp_path) == whole


@pytest.mark.slow
@pytest.mark.parametrize('where', ['root', 'done', 'run', 'predictions'])
def test_a_file_in_the_way_is_named(tfeval, planned, study, where):
  path = {
    'root': planned[1].root,
    'done': planned[1].all_done,
    'run': study / 'small.keras',
    'predictions': study / 'small.keras/predictions',
  }[where]
  if path.is_dir():
    shutil.rmtree(path)
  path.parent.mkdir(exist_ok=True)
  path.write_text('in the way')
  if where in ('root', 'done'):
    refused(tfeval, 'work', study, '--piece=0')
  refused(tfeval, 'join', study)
  assert path.read_text() == 'in the way' and in_pieces.runs_of(study) == {}


@pytest.mark.parametrize('name', ['done', 'claims'])
def test_links_lead_no_removal_elsewhere(tfeval, planned, study, tmp_path, name):
  """A study of a stranger: what its folders point at stays."""
  elsewhere = tmp_path / 'elsewhere'
  folder = planned[1].root / name
  if folder.is_dir():
    folder.rename(elsewhere)
  else:
    elsewhere.mkdir()
  (elsewhere / 'precious').write_text('mine')
  folder.symlink_to(elsewhere)
  before = stamps(elsewhere)
  tfeval('join', study)
  assert stamps(elsewhere) == before


def full_after(monkeypatch, writes):
  """Lets a disk be full after so many files were written."""
  left, fsync = [writes], os.fsync

  def full(descriptor):
    left[0] -= 1
    if left[0] < 0:
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    fsync(descriptor)

  monkeypatch.setattr(os, 'fsync', full)
  return left


def test_a_full_disk_ends_a_join_at_any_file(tfeval, study, whole, monkeypatch):
  for writes in range(100):
    with monkeypatch.context() as patched:
      left = full_after(patched, writes)
      code, _, err = tfeval('join', study, '--keep_pieces')
    if left[0] >= 0:
      break
    assert code == 2 and err.splitlines()[-1].startswith('tfeval: '), err
    assert 'No space left' in err and 'Traceback' not in err
    assert in_pieces.runs_of(study) == {}
  assert writes > 8 and code == 0
  assert in_pieces.runs_of(study) == whole


@pytest.mark.slow
def test_a_full_disk_ends_a_piece_at_any_file(
  tfeval, flags, tmp_path, whole, monkeypatch
):
  planned = in_pieces.plan(flags, tmp_path)
  for writes in range(100):
    with monkeypatch.context() as patched:
      left = full_after(patched, writes)
      code, _, err = tfeval('work', tmp_path, '--piece=0')
    if left[0] >= 0:
      break
    assert code == 2 and 'No space left' in err and 'Traceback' not in err, err
    assert not planned[1].done(0).exists()
  assert writes > 1 and code == 0
  in_pieces.do(planned)
  in_pieces.join(planned)
  assert in_pieces.runs_of(tmp_path) == whole


def test_other_runs_of_the_same_name_are_not_replaced(tfeval, planned, study, whole):
  directory = study / 'small.keras'
  assert tfeval('join', study, '--keep_pieces')[0] == 0
  manifest = json.loads((directory / 'manifest.json').read_text())
  manifest['compute']['batch_size'] = 3
  (directory / 'manifest.json').write_text(json.dumps(manifest))
  before = stamps(directory)
  refused(tfeval, 'join', study)
  assert stamps(directory) == before
  code, _, err = tfeval('join', study, '--overwrite')
  assert code == 0 and in_pieces.runs_of(study) == whole, err


def test_a_worker_of_another_tensorflow_is_refused(tfeval, planned, study, monkeypatch):
  import tensorflow as tf

  planned[1].done(0).unlink()
  monkeypatch.setattr(tf, '__version__', '9.9.9')
  said = refused(tfeval, 'work', study, '--piece=0')
  assert "'tensorflow': '9.9.9'" in said and ' here: give all workers' in said, said
  assert not planned[1].done(0).exists()


@pytest.mark.slow
def test_a_worker_of_other_weights_is_refused(flags, tfeval, tmp_path):
  import small_models

  model = tmp_path / 'model.keras'
  small_models.build().save(model)
  output = tmp_path / 'study'
  own = [*in_pieces.without(flags, '--model'), f'--model={model}']
  planned = in_pieces.plan(own, output)
  in_pieces.do(planned, [1])
  small_models.build().save(model)
  said = refused(tfeval, 'work', output, '--piece=0')
  assert 'give all workers the same code, data and weights' in said, said
  assert not planned[1].done(0).exists()


@pytest.mark.parametrize(
  'how',
  [
    'changed',
    *[
      pytest.param(n, marks=pytest.mark.slow)
      for n in ('added', 'removed', 'of another class')
    ],
  ],
)
def test_data_that_changed_after_the_plan_is_refused(flags, tfeval, tmp_path, how):
  folder = tmp_path / 'images'
  shutil.copytree(in_pieces.folder_of(flags), folder)
  first, second, *_ = sorted(folder.iterdir())
  output = tmp_path / 'study'
  own = [*in_pieces.without(flags, '--dataset'), f'--dataset=folder:{folder}']
  planned = in_pieces.plan(own, output)
  in_pieces.do(planned, [1, 2, 3])
  if how == 'changed':
    first.write_bytes(second.read_bytes() + b'\0')
  elif how == 'added':
    shutil.copy(first, folder / 'ILSVRC2012_val_00000777.JPEG')
  elif how == 'removed':
    first.unlink()
  else:
    first.rename(folder / 'ILSVRC2012_val_00000778.JPEG')
  said = refused(tfeval, 'work', output, '--piece=0')
  assert 'is not what the plan was made of' in said, said
  assert not planned[1].done(0).exists()
  refused(tfeval, 'join', output)
  assert in_pieces.runs_of(output) == {}


@pytest.mark.parametrize(
  'piece', ['4', '-1', '0-4', '3-2', '4/4', '0/0', 'a', '', '1.5', '0x1', '1' * 30, '٣']
)
def test_pieces_that_are_none_of_the_plan(tfeval, study, without_models, piece):
  said = refused(tfeval, 'work', study, f'--piece={piece}')
  assert f'--piece={piece}' in said


def test_what_a_run_is_is_written_again_where_it_is_damaged(
  planned, study, whole, tfeval
):
  path = planned[1].begun(0)
  for content in (b'', b'{}', b'[]', b'{"manifest": 3, "strategy": "default"}'):
    path.write_bytes(content)
    said = refused(tfeval, 'join', study)
    assert 'is damaged' in said and f'tfeval work {study}' in said
    assert in_pieces.runs_of(study) == {}
    assert tfeval('work', study, '--piece=0')[0] == 0
  path.unlink()
  assert 'are not done' in refused(tfeval, 'join', study)
  assert tfeval('work', study)[0] == 0
  in_pieces.join(planned)
  assert in_pieces.runs_of(study) == whole


def test_unknown_worker_code_is_refused(planned, monkeypatch):
  from tfeval.evaluation import fingerprint

  monkeypatch.setattr(fingerprint, 'code_sha256', lambda: 'f' * 64)
  for make in (
    lambda: worker.Worker(*planned, hidden),
    lambda: joining.Joiner(*planned),
  ):
    with pytest.raises(UserError, match='here it is ffffffffffff: install the same'):
      make()


def test_what_a_store_does_not_let_be_read_is_not_called_damaged(
  tfeval, planned, study, monkeypatch
):
  """Nobody is told to delete what is only away for a while."""
  read = json_text.read

  for path in (planned[1].begun(0), planned[1].done(1)):

    def fails(asked, path=path, **options):
      if asked == path:
        raise OSError(errno.EIO, 'the store is away')
      return read(asked, **options)

    monkeypatch.setattr(json_text, 'read', fails)
    said = refused(tfeval, 'join', study)
    assert 'the store is away' in said and 'delete' not in said, said
    assert 'damaged' not in said
  monkeypatch.setattr(json_text, 'read', read)

  def is_away(*_):
    raise OSError(errno.EIO, 'the store is away')

  monkeypatch.setattr(parquet, 'content', is_away)
  said = refused(tfeval, 'join', study)
  assert 'the store is away' in said and 'damaged' not in said, said
