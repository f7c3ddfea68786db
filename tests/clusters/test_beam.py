"""Pieces on Apache Beam: in this process, and in two of its workers."""

import collections
import logging
import os
import pathlib
import shutil

import pytest
from evaluations import make_inputs, run_content

import tfeval as api
from tfeval.evaluation.pieces import places
from tfeval.evaluation.pieces.options import PieceConfig
from tfeval.evaluation.pieces.standing import Standing
from tfeval.evaluation.runners import on_beam
from tfeval.utils.errors import UserError
from tfeval.utils.progress import hidden

pytest.importorskip('apache_beam', reason='needs apache-beam')
pytestmark = pytest.mark.clusters
IMAGES = 12
TWO = '--direct_running_mode=multi_processing --direct_num_workers=2'
CLASSES = ['n01440764', 'n01443537', 'n01484850', 'n01491361']
HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope='module')
def small(tmp_path_factory):
  """Options of a quick evaluation."""
  directory = tmp_path_factory.mktemp('inputs')
  flags = make_inputs(directory, IMAGES)[1:]
  given = dict(flag.removeprefix('--').split('=', 1) for flag in flags)
  classed = directory / 'classed'
  for number, path in enumerate(sorted((directory / 'images').iterdir())):
    folder = classed / CLASSES[number % len(CLASSES)]
    folder.mkdir(parents=True, exist_ok=True)
    path.rename(folder / f'{number:02d}.JPEG')
  given['dataset'] = f'folder:{classed}'
  return {**given, 'batch_size': 2, 'piece_images': 2}


@pytest.fixture
def counters(caplog):
  """Returns what Beam has counted in the last pipeline."""
  caplog.set_level(logging.INFO, 'tfeval')

  def read():
    (line,) = [text for text in caplog.messages if text.startswith('Beam: ')][-1:]
    pairs = (pair.rsplit(' ', 1) for pair in line.removeprefix('Beam: ').split(', '))
    return {name: int(value) for name, value in pairs}

  return read


def make_plan(small, output, **given):
  """Makes a plan of a quick evaluation."""
  return api.plan(**{**small, **given, 'output_dir': str(output)}).plan


def on_engine(output, beam_args=None, **given):
  """Does a plan by Beam; returns why pieces failed."""
  plan, where = places.open_plan(str(output))
  config = PieceConfig(runner='beam', beam_args=beam_args)
  return on_beam.run(plan, where, config, given, hidden)


def runs_of(output):
  """Returns the content of each run in a folder."""
  return {path.parent.name: run_content(path.parent) for path in results(output)}


def results(output):
  return sorted(output.glob('*/result.json'))


@pytest.fixture
def photo_folder(shared_data, tmp_path):
  """A folder of each of nine classes with a photo."""
  names = {}
  for path in sorted((shared_data / 'images').glob('n*_*.JPEG')):
    names.setdefault(path.name.partition('_')[0], path)
  folder = tmp_path / 'photos'
  for wnid, path in list(names.items())[:9]:
    (folder / wnid).mkdir(parents=True)
    shutil.copy(path, folder / wnid)
  return folder


def test_two_processes_write_what_one_writes_and_nothing_twice(
  photo_folder, tmp_path, counters, tfeval
):
  models = ['MobileNet:alpha=0.25', 'EfficientNetLite0']
  given = {
    'dataset': ['sample', f'folder:{photo_folder}'],
    'batch_size': 2,
    'rows_per_part': 4,
  }
  flags = [f'--model={model}' for model in models]
  flags += [f'--dataset={one}' for one in given['dataset']]
  flags += ['--batch_size=2', '--rows_per_part=4', f'--output_dir={tmp_path / "one"}']
  code, _, err = tfeval('evaluate', *flags)
  assert code == 0, err
  beam = tmp_path / 'beam'
  planned = api.plan(models, **given, output_dir=str(beam))
  assert on_engine(beam, TWO) == {}
  found = counters()
  # Each of 9 images of two models on two datasets, by threes of pieces.
  assert planned.plan.count == 12 and found['pieces_done'] == 12
  assert found['images'] == 36 and found['runs_joined'] == 4
  expected = runs_of(tmp_path / 'one')
  assert len(expected) == 4 and runs_of(beam) == expected
  # It knows what is done, by its records or by the runs.
  assert on_engine(beam) == {}
  found = counters()
  assert found['pieces_done_already'] == 12 and 'pieces_done' not in found
  # A plan lies where it is moved to, with what was done for it.
  shutil.move(beam, tmp_path / 'moved')
  assert on_engine(tmp_path / 'moved') == {} and counters() == found


def test_a_piece_that_fails_is_named_and_the_others_are_done(small, tmp_path, counters):
  folder = tmp_path / 'images'
  shutil.copytree(small['dataset'].removeprefix('folder:'), folder)
  (broken,) = folder.rglob('05.JPEG')
  broken.write_bytes(broken.read_bytes()[:100])
  output = tmp_path / 'output'
  make_plan(small, output, dataset=f'folder:{folder}')
  failed = on_engine(output)
  assert list(failed) == [2] and broken.name in failed[2]
  found = counters()
  assert (found['pieces_done'], found['pieces_failed']) == (5, 1)
  assert found['runs_not_joined'] == 1 and not results(output)
  assert not list(output.rglob('failures-*.json'))
  # Done again, it is the only one that is tried.
  assert list(on_engine(output)) == [2] and counters()['pieces_done_already'] == 5


def test_weights_that_are_missing_are_not_looked_for_by_each_piece(
  small, tmp_path, counters
):
  model = tmp_path / 'gone.keras'
  shutil.copy(small['model'], model)
  output = tmp_path / 'output'
  make_plan(small, output, model=str(model))
  model.unlink()
  failed = on_engine(output)
  assert list(failed) == list(range(6)) and counters()['pieces_failed'] == 6
  assert 'gone.keras' in failed[0]
  assert failed[5] == 'not tried, as the 3 before it failed'


@pytest.fixture
def counted(small, tmp_path, monkeypatch):
  """A plan of a model whose loads are counted, on two datasets: its folder, loads."""
  loads = tmp_path / 'loads'
  loads.mkdir()
  monkeypatch.setenv('BEAM_LOADS', str(loads))
  monkeypatch.syspath_prepend(str(HERE))
  known = os.environ.get('PYTHONPATH', '')
  monkeypatch.setenv('PYTHONPATH', os.pathsep.join([str(HERE), known]))
  output = tmp_path / 'output'
  sets = [small['dataset'], f'{small["dataset"]}:limit=8']
  model = {'model': 'beam_counted:build', 'name': 'counted', 'trust_model': True}
  make_plan(small, output, dataset=sets, **model)
  for path in loads.iterdir():
    path.unlink()
  return output, loads


def loads_by_process(loads):
  return collections.Counter(path.name.partition('-')[0] for path in loads.iterdir())


def test_each_process_loads_a_model_once(counted, counters):
  output, loads = counted
  assert on_engine(output, TWO, trust_model=True) == {}
  assert counters()['pieces_done'] == 10 and len(results(output)) == 2
  found = loads_by_process(loads)
  assert len(found) == 2 and set(found.values()) == {1}, found
  assert str(os.getpid()) not in found


def test_what_a_killed_worker_did_not_do_is_done(counted, counters, caplog):
  output, loads = counted
  (loads / 'dies').touch()
  assert on_engine(output, TWO, trust_model=True) == {}
  (warning,) = [text for text in caplog.messages if 'done again' in text]
  assert 'ended with -9' in warning
  assert len(results(output)) == 2
  plan, where = places.open_plan(str(output))
  assert all(map(Standing(plan, where).is_done, range(plan.count)))


def test_workers_refuse_another_plan_than_that_of_the_pipeline(small, tmp_path):
  make_plan(small, tmp_path)
  plan, where = places.open_plan(str(tmp_path))
  other = make_plan(small, tmp_path, piece_images=4, overwrite=True)
  config = PieceConfig(runner='beam')
  failed = on_beam.run(plan, where, config, {}, hidden)
  assert list(failed) == list(range(6))
  assert f'is plan {other.id} here, expected {plan.id}' in failed[0]


def test_a_pipeline_that_is_not_waited_for_is_said_to_go_on(
  small, tmp_path, monkeypatch
):
  monkeypatch.syspath_prepend(str(HERE))
  make_plan(small, tmp_path)
  args = '--runner=beam_handed.Handed --no_wait_until_finish'
  with pytest.raises(on_beam.GoesOn, match='Handed has taken the pipeline job-7'):
    on_engine(tmp_path, args)


@pytest.mark.parametrize(
  'beam_args, words',
  [
    ('--direct_num_worker=2', 'direct_num_worker=2 is no option of Beam'),
    ('two', 'two is no option'),
    ('--help', 'help is no option'),
    ('--runner=DirectRunner "', 'no list of options .No closing quotation'),
    ('--direct_running_mode=x', "direct_running_mode: invalid choice: 'x'"),
    ('--direct_num_workers=x', "direct_num_workers: invalid int value: 'x'"),
    ('--direct_num_workers=-1', 'expected at least 0'),
    ('--direct_num_workers=2', 'needs direct_running_mode=multi_processing'),
    ('--direct_running_mode=multi_threading', 'gains nothing'),
    ('--runner=Dataflou', "runner 'Dataflou' is none: .*DataflowRunner"),
    ('--runner=not_there.Runner', 'not installed .No module named'),
    ('--runner=json.Runner', 'json.Runner: .*has no attribute'),
    ('--runner=FlinkRunner --direct_num_workers=2', 'not of FlinkRunner'),
    ('--runner=DataflowRunner', 'disk of this machine, which workers of Dataflow'),
    ('--streaming', 'leave streaming out'),
  ],
)
def test_options_that_are_wrong_are_refused_in_one_line(
  small, tmp_path, beam_args, words
):
  make_plan(small, tmp_path)
  with pytest.raises(UserError, match=words) as caught:
    on_engine(tmp_path, beam_args)
  assert '\n' not in str(caught.value)
  assert not list(tmp_path.glob('pieces-*'))
