"""The same study by one process, Beam, Ray that loses a node, and a job array.

Two models, three sets, two protocols. One set is called as validation images are, so
that rows lack answers by some rules: its lists may be missing.
"""

import os
import shutil
import subprocess
import sys
import time

import pytest
from evaluations import run_content

pytest.importorskip('apache_beam', reason='needs apache-beam')
pytest.importorskip('ray', reason='needs ray')

from ray_nodes import cluster_of, kill_node, processes_of  # noqa: E402

pytestmark = pytest.mark.clusters
MODELS = ('--model=MobileNet:alpha=0.25', '--model=EfficientNetLite0')
PROTOCOLS = ('opencv', 'pil')
SMALL = ('--batch_size=2', '--rows_per_part=4', '--preflight=warn')
RUNS = 12


def run(*arguments):
  done = subprocess.run(
    [sys.executable, '-m', 'tfeval', *map(str, arguments)],
    text=True,
    capture_output=True,
    timeout=600,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  return done.stdout


@pytest.fixture(scope='module')
def asked(shared_data, tmp_path_factory):
  """What is evaluated, but for the protocol."""
  folder = tmp_path_factory.mktemp('photos')
  photos = sorted((shared_data / 'images').glob('n*.JPEG'))
  for photo in photos[:11]:
    of_class = folder / 'classed' / photo.name.partition('_')[0]
    of_class.mkdir(parents=True, exist_ok=True)
    shutil.copy(photo, of_class)
  (folder / 'named').mkdir()
  for number, photo in enumerate(photos[11:18]):
    name = f'ILSVRC2012_val_{1 + number:08d}.JPEG'
    shutil.copy(photo, folder / 'named' / name)
  sets = ('sample', f'folder:{folder}/classed', f'folder:{folder}/named')
  return (*MODELS, *(f'--dataset={one}' for one in sets), *SMALL)


@pytest.fixture(scope='module')
def alone(asked, tmp_path_factory):
  """The runs of one process."""
  directory = tmp_path_factory.mktemp('alone')
  for protocol in PROTOCOLS:
    run('evaluate', *asked, f'--protocol={protocol}', f'--output_dir={directory}')
  return directory


def runs(directory):
  return {
    path.parent.name: run_content(path.parent)
    for path in directory.glob('*/result.json')
  }


def same(directory, alone):
  found = runs(directory)
  assert len(found) == RUNS
  assert found == runs(alone)


def test_beam_with_two_processes(asked, alone, tmp_path):
  for protocol in PROTOCOLS:
    run(
      *('evaluate', *asked, f'--protocol={protocol}', f'--output_dir={tmp_path}'),
      '--runner=beam',
      '--beam_args=--direct_running_mode=multi_processing --direct_num_workers=2',
    )
  same(tmp_path, alone)


def test_ray_with_three_nodes_of_which_one_dies(asked, alone, tmp_path):
  with cluster_of(3) as cluster:
    nodes = [*cluster.worker_nodes]
    for protocol in PROTOCOLS:
      command = ['evaluate', *asked, f'--protocol={protocol}', '--runner=ray']
      command += [f'--output_dir={tmp_path}', f'--ray_address={cluster.address}']
      with subprocess.Popen(
        [sys.executable, '-m', 'tfeval', *command],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
      ) as process:
        while process.poll() is None and len(nodes) == 2:
          at_work = {int(name.split('-')[-1]) for name in workers_of(tmp_path)}
          for node in nodes:
            if at_work & processes_of(node):
              kill_node(node)
              cluster.worker_nodes.remove(node)
              nodes.remove(node)
              break
          time.sleep(0.02)
        _, error = process.communicate(timeout=600)
        assert process.returncode == 0, error
    assert len(nodes) == 1
  same(tmp_path, alone)


def workers_of(directory):
  """Returns who has done pieces, as records say."""
  import json

  for path in directory.glob('pieces-*/done/*/*.json'):
    try:
      yield json.loads(path.read_text())['worker']
    except (OSError, ValueError, KeyError):
      continue  # It was removed, or tells of a failure.


def test_a_job_array_out_of_order_with_a_piece_done_twice(asked, alone, tmp_path):
  for protocol in PROTOCOLS:
    where = tmp_path / protocol
    run('plan', *asked, f'--protocol={protocol}', f'--output_dir={where}')
    for task in (3, 0, 2, 1):
      run('work', where, f'--piece={task}/4')
    twice = where.glob('pieces-*/done/*/*007.json')
    for record in [*twice]:
      os.unlink(record)
    run('work', where, '--piece=7')
    run('join', where)
    for path in where.glob('*/result.json'):
      path.parent.rename(tmp_path / path.parent.name)
  same(tmp_path, alone)
