"""Plans, claims and pieces at s3://: several workers, the bytes of one process."""

import pathlib
import subprocess
import sys

import pytest
from evaluations import content, make_inputs

from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.pieces import joining, plan_file, planning
from tfeval.evaluation.pieces.places import Places
from tfeval.evaluation.pieces.worker import Worker
from tfeval.evaluation.plans import make_plans, requests
from tfeval.utils import paths, progress

pytestmark = pytest.mark.clusters

WORKING = """
import sys, time
from tfeval.evaluation.pieces.claims import Claims
from tfeval.utils import paths
root, name, seconds = paths.path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
claims_, skew = root / 'claims', float(sys.argv[4])
record = lambda number: root / f'done/{number}'
clock = lambda: time.monotonic() + skew
did = []
with Claims(
  claims_, 40, lambda n: record(n).is_file(), name, timeout=8, clock=clock
) as claims:
  for number in claims.pieces():
    time.sleep(seconds)
    record(number).write_bytes(b'the same')
    did.append(number)
print(*did)
"""


def work(s3, seconds=(0, 0, 0.1)):
  """Three workers do 40 pieces, one of them slower; returns what each has done."""
  root = f'{s3.url}/study'
  processes = [
    subprocess.Popen(
      [sys.executable, '-c', WORKING, root, f'worker-{i}', str(one), str(i * 1e6)],
      text=True,
      stdout=subprocess.PIPE,
    )
    for i, one in enumerate(seconds)
  ]
  done = [list(map(int, one.communicate(timeout=200)[0].split())) for one in processes]
  assert [one.returncode for one in processes] == [0] * len(processes)
  s3.faults()
  store = paths.path(root) / 'done'
  assert {one.name for one in store.iterdir()} == {str(i) for i in range(40)}
  assert {one.read_bytes() for one in store.iterdir()} == {b'the same'}
  return done


@pytest.mark.parametrize(
  'faults',
  [{}, {'forbids_listing': True}, {'seconds': 0.03}, {'busy_every': 11}],
  ids=['well', 'unlisted', 'slow', 'busy'],
)
def test_each_piece_is_done_once(s3, faults):
  s3.faults(**faults)
  assert sorted(sum(work(s3), [])) == [*range(40)]


@pytest.mark.parametrize('fault', ['ignores_conditions', 'refuses_conditions'])
def test_a_store_without_conditions_loses_only_the_saving(s3, fault):
  s3.faults(**{fault: True})
  done = sum(work(s3), [])
  assert {*done} == {*range(40)} and len(done) < 60


@pytest.mark.parametrize('unlisted', [False, True])
def test_a_run_of_pieces_has_the_bytes_of_one_process(s3, tmp_path, tfeval, unlisted):
  flags = [*make_inputs(tmp_path, 20), '--batch_size=4', '--rows_per_part=8']
  assert tfeval(*flags, f'--output_dir={tmp_path / "whole"}')[0] == 0
  given = dict(one.removeprefix('--').split('=', 1) for one in flags[1:])
  (request,) = requests([given.pop('model')], ['imagenet'])
  name = given.pop('name')
  config = EvaluationConfig.of(
    **{**given, 'batch_size': 4, 'rows_per_part': 8}, output_dir=f'{s3.url}/runs'
  )
  s3.faults(forbids_listing=unlisted)
  path = plan_file.path_of(f'{s3.url}/runs')
  plan = planning.make_plan(planning.of_plans(make_plans([request], [config], [name])))
  assert plan_file.write(path, plan, overwrite=False)
  plan = plan_file.read(path)
  places = Places.of(path, plan)
  asked = []
  for numbers in (range(plan.count)[::-1], [0]):  # Out of order, one of them twice.
    worker = Worker(plan, places, progress.hidden)
    for number in numbers:
      s3.faults(forbids_listing=unlisted)
      worker.do(number)
      asked.append(s3.counts())
    worker.close()
  # Rows and a record are written, nothing is listed but the bucket, once a process.
  assert [one.get('PUT', 0) for one in asked] == [3, 2, 2, 0]
  assert unlisted or [one.get('LIST', 0) for one in asked[1:]] == [0, 0, 0]
  run = joining.Joiner(plan, places).join(0)
  s3.faults()
  with paths.local_copy(paths.path(f'{s3.url}/runs/{name}')) as copy:
    kept = tmp_path / 'kept'
    kept.mkdir()
    pathlib.Path(copy).rename(kept / name)
    found, wanted = content(kept), content(tmp_path / 'whole')
  assert str(run.path) == f'{s3.url}/runs/{name}'
  assert found == wanted
