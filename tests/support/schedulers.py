"""Programs of clusters that are stood in for, and how recipes are started with them."""

import os
import pathlib
import subprocess
import sys

from evaluations import DIES_WRITING

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / 'configs'
SECONDS = 300

# Slices of two hosts, whose command lines are kept; that of GONE has been preempted.
GCLOUD = f"""#!{sys.executable}
import os, pathlib, subprocess, sys
assert sys.argv[1:4] == ['compute', 'tpus', 'tpu-vm'], sys.argv
verb, name, *flags = sys.argv[4:]
flags = dict(flag.removeprefix('--').split('=', 1) for flag in flags)
assert name in ('slice', os.environ.get('GONE')) and flags['zone'] == 'z', sys.argv
if verb == 'describe':
  print('10.0.0.2 10.0.0.3')
  sys.exit()
assert verb == 'ssh', verb
if name == os.environ.get('GONE'):
  sys.exit(255)
with pathlib.Path(__file__).with_name('gcloud.log').open('a') as log:
  log.write(flags['worker'] + ' ' + flags['command'] + '\\n')
code = subprocess.call(['bash', '-c', flags['command']])
sys.exit(128 - code if code < 0 else code)
"""

# Runs the tasks of an array out of order, the lowest in two processes at once. What
# TASKS_END says happens to tasks when they run first, such as {"7": "USR1"}: USR1 (the
# time limit comes), or after how many writings of files it is killed with its node.
# Both are queued again. What is printed goes to files beside this one.
SBATCH = f"""#!{sys.executable}
import json, os, pathlib, signal, subprocess, sys, time
JOB, here = '77', pathlib.Path(__file__).parent
options, rest = dict(), sys.argv[1:]
while rest and rest[0].startswith('--'):
  name, _, value = rest.pop(0)[2:].partition('=')
  options[name] = value

def start(name, command, **environment):
  log = (here / f'{{name}}.log').open('a')
  environment = {{**os.environ, **environment}}
  return subprocess.Popen(command, stdout=log, stderr=log, env=environment)

if 'wrap' in options:
  assert options['dependency'] == f'afterany:{{JOB}}', options
  sys.exit(start('join', ['bash', '-c', options['wrap']]).wait())

text, queue = options['array'].partition('%')[0], []
text, _, step = text.partition(':')
for part in text.split(','):
  low, _, high = part.partition('-')
  queue += range(int(low), int(high or low) + 1, int(step or 1))
of_array = dict(MIN=min(queue), MAX=max(queue), COUNT=len(queue), STEP=step or 1)
of_array = {{f'SLURM_ARRAY_TASK_{{key}}': str(of_array[key]) for key in of_array}}
ends, twice = json.loads(os.environ.get('TASKS_END', '{{}}')), min(queue)
queue.sort(reverse=True)
worst = 0
while queue:
  task = queue.pop(0)
  end = ends.pop(str(task), None)
  variables = dict(of_array, SLURM_ARRAY_JOB_ID=JOB, SLURM_ARRAY_TASK_ID=str(task))
  if isinstance(end, int):
    variables['DIES_WRITING'] = str(end)
  times = 2 if task == twice else 1
  tasks = [start(f'task{{task}}', rest, **variables) for _ in range(times)]
  if end == 'USR1':  # Its run has begun, and the model is not even traced.
    begun = pathlib.Path(rest[1]).glob
    while tasks[0].poll() is None and not [*begun('pieces-*/runs/*/*')]:
      time.sleep(0.01)
    tasks[0].send_signal(signal.SIGUSR1)
  codes = [one.wait() for one in tasks]
  asked = here / 'scontrol.log'
  if isinstance(end, int) or asked.exists():
    if end == 'USR1':
      assert asked.read_text() == f'requeue {{JOB}}_{{task}}\\n'
      asked.unlink()
    (here / 'requeued.log').open('a').write(f'{{task}} {{codes[0]}}\\n')
    queue.append(task)
  else:
    worst = max(worst, *codes)
if 'parsable' in options:
  print(f'{{JOB}};cluster')
sys.exit(worst)
"""

SCONTROL = """#!/bin/bash
echo "$@" >>"$(dirname "$0")/scontrol.log"
"""

# Jobs of a file, their pods one after the other and out of order. Those of POD_DIES are
# killed with their node, after so many writings, when they run first.
KUBECTL = f"""#!{sys.executable}
import json, os, pathlib, subprocess, sys, yaml
here = pathlib.Path(__file__).parent
verb, *rest = sys.argv[1:]

def run(job, pod, index, dies):
  log = (here / f'{{job}}.log').open('a')
  environment = {{one['name']: one['value'] for one in pod.get('env', [])}}
  if index is not None:
    environment['JOB_COMPLETION_INDEX'] = str(index)
  if dies is not None:
    environment['DIES_WRITING'] = str(dies)
  environment = {{**os.environ, **environment}}
  command = pod['command'] + pod.get('args', [])
  return subprocess.call(command, stdout=log, stderr=log, env=environment)

def apply(job):
  spec, name = job['spec'], job['metadata']['name']
  (pod,) = spec['template']['spec']['containers']
  indexed = spec.get('completionMode') == 'Indexed'
  queue = list(reversed(range(spec['completions']))) if indexed else [None]
  dies = json.loads(os.environ.get('POD_DIES', '{{}}')) if indexed else {{}}
  failed = []
  while queue:
    index = queue.pop(0)
    killed = dies.pop(str(index), None)
    code = run(name, pod, index, killed)
    if killed is not None:
      (here / 'lost.log').open('a').write(f'{{index}} {{code}}\\n')
      queue.append(index)  # DisruptionTarget, which is ignored.
    elif code:
      failed.append(index)
  (here / f'{{name}}.failed').write_text(json.dumps(failed))

if verb == 'apply':
  flag, path, select, label = rest
  assert (flag, select) == ('-f', '-l'), rest
  (document,) = yaml.safe_load_all(open(path))
  key, _, value = label.partition('=')
  (job,) = [
      job for job in document['items'] if job['metadata']['labels'].get(key) == value]
  apply(job)
elif verb == 'wait':
  job = rest[-1].removeprefix('job/')
  assert rest[0] == '--for=condition=Complete'
  sys.exit(bool(json.loads((here / f'{{job}}.failed').read_text())))
else:
  assert verb == 'logs', verb
  print((here / (rest[-1].removeprefix('job/') + '.log')).read_text())
"""

# `tfeval` on PATH. Where DIES_WRITING is set, the first process that works is killed
# inside that writing; others begin when it is dead.
TFEVAL = f"""#!{sys.executable}
import os, pathlib, sys, time
python = sys.executable
arguments, mark = sys.argv[1:], pathlib.Path(__file__).with_name('has_died')
dies_writing = os.environ.get('DIES_WRITING')
if dies_writing and arguments[0] == 'work':
  try:
    mark.touch(exist_ok=False)
  except FileExistsError:
    while not (pid := mark.read_text()) or pathlib.Path('/proc', pid).exists():
      time.sleep(0.05)
  else:
    mark.write_text(str(os.getpid()))
    os.execv(python, [python, '-c', {DIES_WRITING!r}, dies_writing, *arguments])
os.execv(python, [python, '-m', 'tfeval', *arguments])
"""


def install(folder: pathlib.Path, **programs: str) -> pathlib.Path:
  """Writes programs into a folder that is made; returns it."""
  folder.mkdir()
  for name, text in programs.items():
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)
  return folder


def usage(path: pathlib.Path) -> str:
  """Returns the first commands in the comments at the top of a recipe."""
  lines = path.read_text().splitlines()
  indented = [line.startswith('#   ') for line in lines]
  first = indented.index(True)
  return '\n'.join(line[4:] for line in lines[first : indented.index(False, first)])


def start(programs: pathlib.Path, command: list, **environment) -> subprocess.Popen:
  # Where it is started, `python -m tfeval` finds this repository.
  return subprocess.Popen(
    [str(part) for part in command],
    cwd=CONFIGS.parent,
    text=True,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    env={**os.environ, 'PATH': f'{programs}:{os.environ["PATH"]}', **environment},
  )


def ended(process: subprocess.Popen) -> tuple[int, str]:
  said, _ = process.communicate(timeout=SECONDS)
  return process.returncode, said
