"""How far pieces go: time and memory of plan, claims and join, by number of pieces.

    python tests/benchmarks/clusters.py simulate
    KERAS_HOME=../shared/data/keras_home python tests/benchmarks/clusters.py measure

`simulate` makes plans of many pieces of no work: it writes and reads the plan, lets
several processes claim all pieces and write their records, and reads every record by
its name, as the join does. Each step is a process of its own; memory is its peak beyond
what it has after the imports, TensorFlow among them.

    python tests/benchmarks/clusters.py paper --images_per_second=2000

`paper` prints what the model of cost says of a study on 1 to 10,000 workers.

`measure` lets 1, 2 and 4 workers do small pieces and joins them, as they are and with
forward passes that sleep, beside what the model of cost says of workers that share no
core (`tfeval.evaluation.pieces.cost`), with constants measured with one worker. Each
worker has done a piece before the clock starts: start-up is apart. Other flags are
those of `tfeval plan`.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import memory

from tfeval.evaluation.pieces import places, plan_file, planned, records
from tfeval.evaluation.pieces.claims import Claims
from tfeval.evaluation.pieces.cost import Constants, estimate
from tfeval.evaluation.pieces.planned import Plan, PlanFile, PlannedConfig, PlannedRun
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
    kind=planned.KIND,
    schema_version=planned.SCHEMA_VERSION,
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


def work(path: pathlib.Path, count: int) -> int:
  """Does real pieces once all workers have loaded; says what is beside the images."""
  if of := int(os.environ['PINNED']):
    # Each has cores of its own, as on machines of their own.
    cores, place = sorted(os.sched_getaffinity(0)), int(os.environ['NUMBER'])
    os.sched_setaffinity(0, cores[place % len(cores) :: of] or cores)
  from tfeval.engine.forward import ForwardPass
  from tfeval.evaluation.pieces.worker import Worker
  from tfeval.utils.progress import hidden

  result, pause = ForwardPass.result, float(os.environ['SLEEP'])

  def slow(self, handle):
    time.sleep(pause)
    return result(self, handle)

  ForwardPass.result = slow
  plan, where = places.open_plan(str(path))
  worker, done, seconds = Worker(plan, where, hidden), 0, 0.0
  start = int(os.environ['START'])
  with Claims(where.claims, plan.count, worker.is_done, start=start) as claims:
    for number in claims.pieces():
      found = worker.do(number)
      if not done:
        print('ready', flush=True)
        sys.stdin.readline()
        begun = time.monotonic()
      else:
        seconds += found.seconds
      done, last = done + 1, time.monotonic()
  # Not what it waits for others then, to do what they leave.
  taken = last - begun
  worker.close()
  print(json.dumps({'done': done, 'taken': taken, 'seconds': seconds}))
  return done


STAGES = {one.__name__: one for one in (make, read, claim, again, join, work)}


def start(
  stage: str,
  path: pathlib.Path,
  count: int,
  place: int,
  pause: float = 0.0,
  number: int = 0,
  pinned: int = 0,
) -> subprocess.Popen:
  return subprocess.Popen(
    [sys.executable, __file__, 'stage', stage, str(path), str(count)],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
    env={
      'TF_CPP_MIN_LOG_LEVEL': '3',
      **os.environ,
      'START': str(place),
      'SLEEP': str(pause),
      'NUMBER': str(number),
      'PINNED': str(pinned),
    },
  )


def stage(name: str, path: pathlib.Path, count: int) -> None:
  """Runs one step here, and says what it took."""
  pathlib.Path('/proc/self/clear_refs').write_text('5')  # The peak begins here.
  before, begun, cpu = resident('VmRSS'), time.monotonic(), time.process_time()
  pieces = STAGES[name](path, count)
  seconds = time.monotonic() - begun
  cpu, peak = time.process_time() - cpu, resident('VmHWM') - before
  found = {'pieces': pieces, 'seconds': seconds, 'cpu': cpu, 'mib': peak}
  print(json.dumps(found))


def resident(field: str) -> float:
  """Returns memory of this process in MiB, from Linux."""
  status = pathlib.Path('/proc/self/status').read_text()
  return int(status.partition(f'{field}:')[2].split()[0]) / 1024


def run(name: str, path: pathlib.Path, count: int, workers: int = 1) -> dict:
  """Runs a step as processes at once: the longest, the largest, all CPU seconds."""
  each = [start(name, path, count, count * i // workers) for i in range(workers)]
  said = [json.loads(process.communicate()[0]) for process in each]
  assert sum(one['pieces'] for one in said) == count, said
  found = {key: max(one[key] for one in said) for key in ('seconds', 'mib')}
  return {**found, 'cpu': sum(one['cpu'] for one in said)}


def simulate(counts: list[int], workers: int, folder: str | None) -> None:
  print(f'{"pieces":>9} {"step":<18} {"s":>8} {"ms/piece":>9} {"CPU ms":>7} {"MiB":>5}')
  for count in counts:
    with tempfile.TemporaryDirectory(dir=folder) as name:
      path = pathlib.Path(name) / plan_file.NAME
      for step in ('make', 'read', 'claim', 'again', 'join'):
        here = workers if step == 'claim' else 1
        found = run(step, path, count, here)
        called = f'claim, {workers} workers' if step == 'claim' else step
        print(
          f'{count:9,d} {called:<18} {found["seconds"]:8.2f} '
          f'{1000 * found["seconds"] / count:9.4f} '
          f'{1000 * found["cpu"] / count:7.4f} {found["mib"]:5.0f}',
          flush=True,
        )
      print(f'{count:9,d} plan.json has {path.stat().st_size / 1e6:.2f} MB')


def command(*arguments: str) -> float:
  """Runs a command of tfeval; returns its wall seconds."""
  begun = time.monotonic()
  subprocess.run(
    [sys.executable, '-m', 'tfeval', *arguments],
    check=True,
    stdout=subprocess.DEVNULL,
    env={'TF_CPP_MIN_LOG_LEVEL': '3', **os.environ},
  )
  return time.monotonic() - begun


def together(
  path: pathlib.Path, workers: int, pause: float, pinned: bool
) -> tuple[float, list[dict]]:
  """Has workers do a plan.

  Returns:
    Seconds from when all have begun to the last piece, and what they say.
  """
  count = plan_file.read(path).count
  each = [
    start('work', path, count, count * i // workers, pause, i, workers * pinned)
    for i in range(workers)
  ]
  for process in each:
    assert process.stdout.readline() == 'ready\n'
  for process in each:
    process.stdin.write('go\n')
    process.stdin.flush()
  said = [json.loads(process.stdout.readline()) for process in each]
  wall = max(one['taken'] for one in said)
  for process in each:
    process.communicate()
  assert sum(one['done'] for one in said) == count
  return wall, said


def measure(
  photos: pathlib.Path, images: int, piece: int, sleep: float, flags: list[str]
) -> None:
  """Prints times of 1, 2 and 4 workers, and what the model of cost says of them."""
  with tempfile.TemporaryDirectory() as name:
    folder = memory.make_folder(photos, images, pathlib.Path(name) / 'photos')
    for kind, pause, pinned in (
      ('sleep-bound', sleep, False),
      ('as it is', 0.0, False),
      ('on cores of their own', 0.0, True),
    ):
      constants = None
      for workers in (1, 2, 4):
        study = pathlib.Path(name) / f'{kind}-{workers}'
        command(
          'plan',
          f'--dataset=folder:{folder}',
          f'--output_dir={study}',
          f'--piece_images={piece}',
          f'--batch_size={piece // 2}',
          *flags,
        )
        wall, said = together(study / plan_file.NAME, workers, pause, pinned)
        pieces = images // piece - workers
        if constants is None:
          seconds = said[0]['seconds']
          alone = wall / pieces
          constants = Constants(
            images_per_second=pieces * piece / seconds,
            piece_s=(wall - seconds) / pieces,
            operation_s=0,
            store_operations_per_s=1e9,
            image_bytes=0,
          )
          print(
            f'{kind}: {constants.images_per_second:.1f} images/s, '
            f'{1000 * constants.piece_s:.1f} ms of a piece beside its images'
          )
        found = estimate(pieces, 1, pieces * piece, workers, constants).seconds
        model = found['work'] + found['waiting'] + found['overhead']
        joined = command('join', str(study))
        print(
          f'  {workers} workers: {pieces} pieces in {wall:.2f} s, model {model:.2f} s, '
          f'{alone * pieces / wall:.2f} x one worker; join, with its start '
          f'{joined:.1f} s',
          flush=True,
        )


def paper(models: int, pieces: int, images: int, constants: Constants) -> None:
  """Prints a table of the model of cost."""
  runs = models * SETS
  print(f'{pieces:,} pieces of {runs:,} runs, {images:,} images')
  print(f'{"workers":>8} {"hours":>9} {"efficiency":>10}  largest parts')
  for workers in (1, 10, 30, 100, 300, 1000, 3000, 10_000):
    found = estimate(pieces, runs, images, workers, constants, models)
    parts = sorted(found.seconds.items(), key=lambda part: -part[1])[:3]
    told = ', '.join(f'{name} {seconds / found.wall_s:.0%}' for name, seconds in parts)
    print(
      f'{workers:8,d} {found.wall_s / 3600:9.2f} {found.efficiency:10.0%}  {told}',
      flush=True,
    )


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  commands = parser.add_subparsers(dest='command', required=True)
  one = commands.add_parser('simulate', help='pieces of no work')
  one.add_argument('--pieces', type=int, nargs='+', default=[1000, 10_000, 100_000])
  one.add_argument('--workers', type=int, default=4)
  one.add_argument('--folder', help='where to write; by default a temporary one')
  one = commands.add_parser('measure', help='real pieces')
  one.add_argument(
    '--photos', type=pathlib.Path, default=memory.ROOT.parent / 'shared/data/images'
  )
  one.add_argument('--images', type=int, default=640)
  one.add_argument('--piece_images', type=int, default=16)
  one.add_argument('--sleep', type=float, default=0.3, help='seconds of a batch')
  one = commands.add_parser('paper', help='the model of cost')
  one.add_argument('--models', type=int, default=40)
  one.add_argument('--pieces', type=int, default=100_000)
  one.add_argument('--images', type=int, default=40 * SETS * 50_000)
  for field in dataclasses.fields(Constants):
    one.add_argument(f'--{field.name}', type=float, default=field.default)
  one = commands.add_parser('stage')
  one.add_argument('name', choices=STAGES)
  one.add_argument('path', type=pathlib.Path)
  one.add_argument('count', type=int)
  arguments, flags = parser.parse_known_args()
  if arguments.command == 'stage':
    stage(arguments.name, arguments.path, arguments.count)
  elif arguments.command == 'paper':
    fields = dataclasses.fields(Constants)
    given = {field.name: getattr(arguments, field.name) for field in fields}
    paper(arguments.models, arguments.pieces, arguments.images, Constants(**given))
  elif arguments.command == 'measure':
    flags = flags or ['--model=MobileNet:alpha=0.25', '--preflight=off']
    measure(
      arguments.photos,
      arguments.images,
      arguments.piece_images,
      arguments.sleep,
      flags,
    )
  else:
    simulate(arguments.pieces, arguments.workers, arguments.folder)


if __name__ == '__main__':
  main()
