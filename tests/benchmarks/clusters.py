"""How far pieces go: time and memory of plan, claims and join, by number of pieces.

    python tests/benchmarks/clusters.py simulate
    KERAS_HOME=../shared/data/keras_home \
        python tests/benchmarks/clusters.py measure --dataset=folder:PHOTOS

`simulate` makes plans of many pieces of no work: it writes and reads the plan, lets
several processes claim all pieces and write their records, and reads every record by
its name, as the join does. Each step is a process of its own; memory is its peak beyond
what it has after the imports, TensorFlow among them.

`measure` lets 1, 2 and 4 workers do small pieces, as they are and with a forward pass
that sleeps instead, and joins them: beside what the model of cost says of it
(`tfeval.evaluation.pieces.cost`). Other flags are those of `tfeval plan`.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from tfeval.evaluation.pieces import places, plan_file, records
from tfeval.evaluation.pieces.claims import Claims
from tfeval.evaluation.pieces.plan_file import Plan, PlanFile, PlannedConfig, PlannedRun
from tfeval.evaluation.pieces.standing import Standing
from tfeval.utils import files

# A study of 40 models on 109 sets; its runs have so many pieces.
SETS, RUN_PIECES, PIECE_IMAGES = 109, 25, 2048


def plan_of(count: int) -> Plan:
  """Returns a plan with about so many pieces, whole runs of them."""
  runs = [
    PlannedRun(
      directory=f'Model{i // SETS}-weights-set{i % SETS}-validation',
      model=f'Model{i // SETS}',
      weights='imagenet',
      label=f'Model{i // SETS}',
      config=i % SETS,
      images=RUN_PIECES * PIECE_IMAGES,
      preflight=not i % SETS,
    )
    for i in range(count // RUN_PIECES)
  ]
  dataset = {'name': 'set', 'split': 'validation', 'digest': '0' * 64}
  configs = [
    PlannedConfig(options={'dataset': f'set{i}'}, dataset=dataset) for i in range(SETS)
  ]
  file = PlanFile(
    kind=plan_file.KIND,
    schema_version=plan_file.SCHEMA_VERSION,
    tfeval='0',
    code_sha256='0' * 64,
    piece_images=PIECE_IMAGES,
    configs=configs,
    runs=runs,
  )
  return Plan(file)


def make(path: pathlib.Path, count: int) -> int:
  """Makes and writes a plan."""
  plan_file.write(path, plan_of(count), overwrite=True)
  return count


def read(path: pathlib.Path, count: int) -> int:
  """Reads it again."""
  plan = plan_file.read(path)
  assert plan.count == count
  return count


def claim(path: pathlib.Path, count: int) -> int:
  """Does pieces of no work; returns how many this worker has done."""
  plan, where = places.open_plan(str(path))
  standing, done, start = Standing(plan, where), 0, int(os.environ['START'])
  with Claims(where.claims, plan.count, standing.is_done, start=start) as claims:
    for number in claims.pieces():
      piece = plan.piece(number)
      record = records.PieceDone(
        plan=plan.id,
        piece=number,
        start=piece.start,
        stop=piece.stop,
        manifest_sha256='0' * 64,
        parts=[],
        rows=PIECE_IMAGES,
        seconds=0.0,
        worker='w',
        findings=[],
      )
      files.make_directory(where.done(number).parent)
      files.write_json(where.done(number), record)
      done += 1
  return done


def again(path: pathlib.Path, count: int) -> int:
  """Starts a worker when all is done."""
  plan, where = places.open_plan(str(path))
  standing = Standing(plan, where)
  with Claims(where.claims, plan.count, standing.is_done) as claims:
    assert not list(claims.pieces())
  return count


def join(path: pathlib.Path, count: int) -> int:
  """Reads the record of every piece, run by run."""
  plan, where = places.open_plan(str(path))
  images = 0
  for run in range(len(plan.runs)):
    done = [records.read_done(where, plan, number) for number in plan.pieces(run)]
    images += sum(one.rows for one in done)
  assert images == plan.images
  return plan.count


STAGES = {one.__name__: one for one in (make, read, claim, again, join)}


def start(stage: str, path: pathlib.Path, count: int, place: int) -> subprocess.Popen:
  return subprocess.Popen(
    [sys.executable, __file__, 'stage', stage, str(path), str(count)],
    stdout=subprocess.PIPE,
    text=True,
    env={'TF_CPP_MIN_LOG_LEVEL': '3', **os.environ, 'START': str(place)},
  )


def stage(name: str, path: pathlib.Path, count: int) -> None:
  """Runs one step here, and says what it took."""
  pathlib.Path('/proc/self/clear_refs').write_text('5')  # The peak begins here.
  before, begun = resident('VmRSS'), time.monotonic()
  pieces = STAGES[name](path, count)
  seconds = time.monotonic() - begun
  found = {'pieces': pieces, 'seconds': seconds, 'mib': resident('VmHWM') - before}
  print(json.dumps(found))


def resident(field: str) -> float:
  """Returns memory of this process in MiB, from Linux."""
  status = pathlib.Path('/proc/self/status').read_text()
  return int(status.partition(f'{field}:')[2].split()[0]) / 1024


def run(name: str, path: pathlib.Path, count: int, workers: int = 1) -> dict:
  """Runs a step as processes at once; returns the longest and the largest."""
  each = [start(name, path, count, count * i // workers) for i in range(workers)]
  said = [json.loads(process.communicate()[0]) for process in each]
  assert sum(one['pieces'] for one in said) == count, said
  return {key: max(one[key] for one in said) for key in ('seconds', 'mib')}


def simulate(counts: list[int], workers: int, folder: str | None) -> None:
  print(f'{"pieces":>9} {"step":<18} {"s":>8} {"ms/piece":>9} {"MiB":>5}')
  for count in counts:
    with tempfile.TemporaryDirectory(dir=folder) as name:
      path = pathlib.Path(name) / plan_file.NAME
      for step in STAGES:
        here = workers if step == 'claim' else 1
        found = run(step, path, count, here)
        called = f'claim, {workers} workers' if step == 'claim' else step
        print(
          f'{count:9,d} {called:<18} {found["seconds"]:8.2f} '
          f'{1000 * found["seconds"] / count:9.4f} {found["mib"]:5.0f}',
          flush=True,
        )
      print(f'{count:9,d} plan.json has {path.stat().st_size / 1e6:.2f} MB')


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  commands = parser.add_subparsers(dest='command', required=True)
  one = commands.add_parser('simulate', help='pieces of no work')
  one.add_argument('--pieces', type=int, nargs='+', default=[1000, 10_000, 100_000])
  one.add_argument('--workers', type=int, default=4)
  one.add_argument('--folder', help='where to write; by default a temporary one')
  one = commands.add_parser('stage')
  one.add_argument('name', choices=STAGES)
  one.add_argument('path', type=pathlib.Path)
  one.add_argument('count', type=int)
  arguments = parser.parse_args()
  if arguments.command == 'stage':
    stage(arguments.name, arguments.path, arguments.count)
  else:
    simulate(arguments.pieces, arguments.workers, arguments.folder)


if __name__ == '__main__':
  main()
