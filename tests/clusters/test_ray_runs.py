"""Runs that a cluster of Ray made: the bytes of one process, whatever it loses."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

ray = pytest.importorskip('ray')

import psutil  # noqa: E402
from evaluations import run_content  # noqa: E402
from planned import plan_of  # noqa: E402
from ray_nodes import cluster_of, kill_node, processes_of  # noqa: E402

from tfeval.evaluation.pieces import plan_file  # noqa: E402
from tfeval.evaluation.pieces.options import PieceConfig  # noqa: E402
from tfeval.evaluation.pieces.places import Places  # noqa: E402
from tfeval.evaluation.runners import on_ray  # noqa: E402
from tfeval.evaluation.runners.ray_worker import RayWorker  # noqa: E402
from tfeval.utils import progress  # noqa: E402
from tfeval.utils.errors import UserError  # noqa: E402

pytestmark = pytest.mark.clusters

# Loading it is noted; its weights tell that it is the same everywhere.
COUNTED = """
import os, pathlib, uuid
import keras

def build():
  notes = pathlib.Path(os.environ['COUNTED_LOADS'])
  (notes / f'{os.getpid()}-{uuid.uuid4().hex}').touch()
  return keras.Sequential([
    keras.Input((32, 32, 3)),
    keras.layers.Rescaling(1 / 255),
    keras.layers.GlobalAveragePooling2D(),
    keras.layers.Dense(1000, activation='softmax'),
  ])
"""


@pytest.fixture(scope='module')
def counted(tmp_path_factory):
  """The folder of a module that notes when its model is loaded; nodes see it."""
  folder = tmp_path_factory.mktemp('modules')
  (folder / 'counted_loads.py').write_text(COUNTED)
  (folder / 'loads').mkdir()
  before = {name: os.environ.get(name) for name in ('PYTHONPATH', 'COUNTED_LOADS')}
  paths = [str(folder), before['PYTHONPATH']]
  os.environ['PYTHONPATH'] = os.pathsep.join(filter(None, paths))
  os.environ['COUNTED_LOADS'] = str(folder / 'loads')
  yield folder
  for name, value in before.items():
    os.environ.pop(name) if value is None else os.environ.update({name: value})


@pytest.fixture(scope='module')
def cluster(counted):
  with cluster_of(3) as found:
    yield found


@pytest.fixture(scope='module')
def photos(shared_data, tmp_path_factory):
  """Shared photos in folders of their classes."""
  root = tmp_path_factory.mktemp('photos') / 'set'
  for photo in sorted((shared_data / 'images').glob('n*.JPEG'))[:32]:
    folder = root / photo.name.partition('_')[0]
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(photo, folder)
  return root


def _start(*arguments):
  return subprocess.Popen(
    [sys.executable, '-m', 'tfeval', *map(str, arguments)],
    text=True,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
  )


def _run(*arguments):
  process = _start(*arguments)
  out, err = process.communicate(timeout=300)
  assert process.returncode == 0, err
  return out, err


def _runs(directory):
  return {
    path.parent.name: run_content(path.parent)
    for path in directory.glob('*/result.json')
  }


def test_a_node_and_a_process_are_lost_and_the_bytes_are_the_same(
  cluster, photos, tmp_path
):
  asked = [
    *('evaluate', '--model=MobileNet:alpha=0.25', '--model=EfficientNetLite0'),
    *('--dataset=sample', f'--dataset=folder:{photos}', '--batch_size=2'),
    *('--rows_per_part=4', '--json'),
  ]
  alone, out = tmp_path / 'alone', tmp_path / 'out'
  one, _ = _run(*asked, f'--output_dir={alone}')
  on_three = [*asked, f'--output_dir={out}', '--runner=ray']
  on_three += [f'--ray_address={cluster.address}']
  process = _start(*on_three)
  killed = set()
  nodes = [*cluster.worker_nodes]
  while process.poll() is None and len(killed) < 2:
    workers = _workers_of(out)
    head = processes_of(cluster.head_node)
    for node in nodes:
      if 'node' not in killed and workers & processes_of(node):
        kill_node(node)
        cluster.worker_nodes.remove(node)
        killed.add('node')
    if 'process' not in killed and workers & head:
      os.kill((workers & head).pop(), signal.SIGKILL)
      killed.add('process')
    time.sleep(0.02)
  three, err = process.communicate(timeout=300)
  assert process.returncode == 0 and killed == {'node', 'process'}, err
  assert _runs(out) == _runs(alone) and len(_runs(out)) == 4
  # Nothing but the results is on stdout, and they are those of one process.
  assert [_told(entry) for entry in json.loads(three)] == [
    _told(entry) for entry in json.loads(one)
  ]
  assert 'raylet' not in err and 'Ray' not in err
  # Once more it has nothing to do.
  start = time.monotonic()
  assert len(json.loads(_run(*on_three)[0])) == 4
  print(f'again: {time.monotonic() - start:.1f} s')


def _told(entry):
  return {
    key: value for key, value in entry.items() if key not in ('timing', 'run_dir')
  }


def _workers_of(out):
  """Returns the processes that have done pieces."""
  found = set()
  for path in out.glob('pieces-*/done/*/*.json'):
    try:
      found.add(int(json.loads(path.read_text())['worker'].rpartition('-')[2]))
    except (OSError, ValueError):
      pass
  return found


def test_a_model_is_loaded_once_by_each_worker(cluster, counted, photos, tmp_path):
  folder = f'--dataset=folder:{photos}'
  _save_weights(counted, tmp_path)
  asked = [
    *('--model=counted_loads:build', f'--weights={tmp_path}/own.weights.h5'),
    *(folder, f'{folder}:limit=20', '--batch_size=2', '--rows_per_part=2'),
    *('--preflight=off', '--preprocess=identity', '--protocol=slim:rounding=nearest'),
    f'--output_dir={tmp_path}/out',
  ]
  _run('plan', *asked)
  where = f'{tmp_path}/out'
  work = ['work', where, '--runner=ray', f'--ray_address={cluster.address}']
  work.append('--trust_model')
  _run(*work)
  loads = [path.name.partition('-')[0] for path in (counted / 'loads').iterdir()]
  assert len(set(loads)) == len(loads) and 1 <= len(loads) <= 3
  workers = _workers_of(tmp_path / 'out')
  assert {str(one) for one in workers} <= {*loads}
  done = {
    path: path.stat().st_mtime_ns
    for path in (tmp_path / 'out').glob('pieces-*/done/*/*')
  }
  assert len([path for path in done if path.suffix == '.json']) == 26
  # Nothing is done twice.
  start = time.monotonic()
  _run(*work)
  print(f'work again: {time.monotonic() - start:.1f} s')
  assert done == {path: path.stat().st_mtime_ns for path in done}
  assert len([*(counted / 'loads').iterdir()]) == len(loads)
  _run('join', where, '--trust_model')
  assert len(_runs(tmp_path / 'out')) == 2


def _save_weights(counted, directory):
  script = (
    'import counted_loads; '
    f'counted_loads.build().save_weights({str(directory / "own.weights.h5")!r})'
  )
  subprocess.run([sys.executable, '-c', script], check=True, capture_output=True)
  for path in (counted / 'loads').iterdir():
    path.unlink()


def test_a_cluster_of_this_machine_is_started_and_ended(tmp_path):
  before = _ray_processes()
  out, _ = _run(
    *('evaluate', '--model=MobileNet:alpha=0.25', '--dataset=sample', '--batch_size=2'),
    *('--rows_per_part=2', f'--output_dir={tmp_path}/out', '--preflight=off'),
    *('--runner=ray', '--ray_workers=1', '--json'),
  )
  assert json.loads(out)[0]['dataset']['evaluated'] == 9
  end = time.monotonic() + 15
  while _ray_processes() - before and time.monotonic() < end:
    time.sleep(0.2)
  assert not _ray_processes() - before


def _ray_processes():
  found = set()
  for process in psutil.process_iter(['name']):
    if process.info['name'] in ('raylet', 'gcs_server'):
      found.add(process.pid)
  return found


def test_workers_of_another_code_are_told(cluster, tmp_path):
  plan = plan_of(models=1, runs=1, pieces=3)
  plan_file.write(tmp_path / 'plan.json', plan, overwrite=False)
  config = PieceConfig(ray_address=cluster.address, ray_workers=1)
  places = Places.of(tmp_path / 'plan.json', plan)
  with pytest.raises(
    UserError, match='no worker on Ray can do pieces: .* made by tfeval 0 with code 000'
  ):
    on_ray.run(plan, places, config, {}, progress.hidden)


def test_a_node_that_does_not_see_the_output_says_so(tmp_path):
  _, why = RayWorker().open(f'{tmp_path}/plan.json', 'x', f'{tmp_path}/mark', {})
  assert why == (
    f'it does not see {tmp_path}/plan.json: give an `output_dir` that all nodes see at '
    'the same place, such as a shared disk, gs:// or s3://'
  )
  # The same plan, on a disk of its own.
  plan = plan_of(models=1, runs=1, pieces=3)
  plan_file.write(pathlib.Path(tmp_path / 'plan.json'), plan, overwrite=False)
  _, why = RayWorker().open(f'{tmp_path}/plan.json', plan.id, f'{tmp_path}/mark', {})
  assert why.startswith(f'it does not see {tmp_path}/mark')
