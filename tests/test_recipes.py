"""Recipes for clusters: parsed, and their commands run in processes of this machine.

The schedulers are stood in for; what they start is tfeval.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
import yaml
from evaluations import DIES_WRITING, content, make_inputs
from schedulers import GCLOUD, SCONTROL, ended, install, start

from tfeval import cli
from tfeval.cli import command_flags, evaluate

CONFIGS = pathlib.Path(__file__).resolve().parents[1] / 'configs'
SCRIPTS = sorted(CONFIGS.glob('*.sh'))
IMAGES = 50

# `tfeval` on PATH. Where DIES_WRITING is set, host 1 is killed inside that writing,
# once: when it is started again, the mark is there.
TFEVAL = f"""#!{sys.executable}
import os, pathlib, sys
python = sys.executable
arguments, mark = sys.argv[1:], pathlib.Path(__file__).with_name('has_died')
dies_writing = os.environ.get('DIES_WRITING')
if dies_writing and '--host_index=1' in arguments and not mark.exists():
  mark.touch()
  os.execv(python, [python, '-c', {DIES_WRITING!r}, dies_writing, *arguments])
os.execv(python, [python, '-m', 'tfeval', *arguments])
"""

# Two tasks; signals are passed on; the highest exit code, or 128 + signal.
SRUN = f"""#!{sys.executable}
import os, signal, subprocess, sys
assert sys.argv[1] == '--kill-on-bad-exit=0' and os.environ['SRUN_CPUS_PER_TASK']
tasks = [subprocess.Popen(sys.argv[2:], env={{
    **os.environ, 'SLURM_NTASKS': '2', 'SLURM_PROCID': str(i)}}) for i in range(2)]
signal.signal(signal.SIGTERM, lambda *_: [task.terminate() for task in tasks])
codes = [task.wait() for task in tasks]
sys.exit(max(128 - code if code < 0 else code for code in codes))
"""


@pytest.fixture(scope='module')
def flags(tmp_path_factory):
  """Flags of a small evaluation; those of recipes are their examples."""
  command, *flags = make_inputs(tmp_path_factory.mktemp('inputs'), IMAGES)
  assert command == 'evaluate'
  return [*flags, '--batch_size=4', '--rows_per_part=8', '--host_timeout=200']


@pytest.fixture(scope='module')
def whole(flags, tmp_path_factory):
  output = tmp_path_factory.mktemp('whole')
  assert cli.main(['evaluate', *flags, f'--output_dir={output}']) == 0
  return found(output)


@pytest.fixture
def programs(tmp_path):
  """A folder of programs, first on PATH."""
  return install(
    tmp_path / 'bin', tfeval=TFEVAL, srun=SRUN, scontrol=SCONTROL, gcloud=GCLOUD
  )


def found(output: pathlib.Path):
  """Returns the counts and the predictions of a run."""
  files = content(output)
  counts = [
    (metric['name'], metric['labels'], metric['correct'], metric['count'])
    for metric in files['result.json']['metrics']
    if metric['rule'] == 'all'
  ]
  assert {count for *_, count in counts} == {IMAGES}
  return counts, {
    name: data for name, data in files.items() if name.startswith('predictions/')
  }


@pytest.mark.parametrize('script', SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_clean(script):
  beside = os.path.dirname(sys.executable)
  shellcheck = shutil.which('shellcheck', path=f'{beside}:{os.environ["PATH"]}')
  for checker in (['bash', '-n'], [shellcheck]):
    subprocess.run([*checker, script], check=True, timeout=60)
  assert os.access(script, os.X_OK)
  assert max(map(len, script.read_text().splitlines())) <= 88


def documents(*, data_service=False):
  text = (CONFIGS / 'jobset.yaml').read_text()
  if data_service:  # As its comment says.
    text = re.sub('^#[|] ', '', text, flags=re.MULTILINE)
  (document,) = yaml.safe_load_all(text)
  return document, {
    job['name']: job['template']['spec'] for job in document['spec']['replicatedJobs']
  }


def container(job):
  (only,) = job['template']['spec']['containers']
  return only


def test_jobset_brings_pods_back_to_their_index():
  """What Kubernetes and JobSet ask of the fields; see their API references."""
  document, jobs = documents()
  assert document['apiVersion'] == 'jobset.x-k8s.io/v1alpha2'
  assert document['kind'] == 'JobSet' and list(jobs) == ['hosts']
  hosts, pod = jobs['hosts'], jobs['hosts']['template']['spec']
  assert hosts['completionMode'] == 'Indexed'
  environment = {one['name']: one['value'] for one in container(hosts)['env']}
  assert environment == {'NUM_HOSTS': str(hosts['completions'])}
  assert hosts['parallelism'] == hosts['completions']
  # podFailurePolicy is refused with any other; two pods never write one share.
  assert pod['restartPolicy'] == 'Never' and hosts['podReplacementPolicy'] == 'Failed'
  disrupted, terminated, mistake = hosts['podFailurePolicy']['rules']
  assert disrupted == {
    'action': 'Ignore',
    'onPodConditions': [{'type': 'DisruptionTarget', 'status': 'True'}],
  }
  for rule, action, codes in (
    (terminated, 'Ignore', [128 + signal.SIGTERM]),
    (mistake, 'FailJob', [1, 2]),
  ):
    assert rule == {
      'action': action,
      'onExitCodes': {
        'containerName': container(hosts)['name'],
        'operator': 'In',
        'values': codes,
      },
    }
  (rule,) = document['spec']['failurePolicy']['rules']
  assert re.fullmatch('[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?', rule['name'])
  assert (rule['action'], rule['onJobFailureReasons']) == (
    'FailJobSet',
    ['PodFailurePolicy'],
  )
  assert pod['terminationGracePeriodSeconds'] >= 60


def test_jobset_flags_and_volumes():
  _, jobs = documents()
  flag_values, rest = command_flags.parse(
    evaluate, 'evaluate', container(jobs['hosts'])['args']
  )
  assert not rest
  mounts = {
    one['mountPath']: one['name'] for one in container(jobs['hosts'])['volumeMounts']
  }
  assert set(mounts) == {flag_values.data_dir, flag_values.output_dir}
  claims = {
    one['name']: one['persistentVolumeClaim']
    for one in jobs['hosts']['template']['spec']['volumes']
  }
  assert claims[mounts[flag_values.data_dir]]['readOnly']
  assert not claims[mounts[flag_values.output_dir]].get('readOnly')


def test_jobset_with_data_service():
  document, jobs = documents(data_service=True)
  assert list(jobs) == ['hosts', 'dispatcher', 'workers']
  assert document['spec']['successPolicy'] == {
    'operator': 'All',
    'targetReplicatedJobs': ['hosts'],
  }
  # JobSet's DNS: JOBSET-REPLICATED_JOB-JOB_INDEX-POD_INDEX.JOBSET.
  name = document['metadata']['name']
  address = f'{name}-dispatcher-0-0.{name}:5050'
  assert f'--tf_data_service={address}' in container(jobs['hosts'])['args']
  assert container(jobs['dispatcher'])['args'] == ['dispatcher', '--port=5050']
  assert container(jobs['workers'])['args'] == ['worker', f'--dispatcher={address}']
  # Workers read what hosts would.
  for key in ('image', 'volumeMounts'):
    assert container(jobs['workers'])[key] == container(jobs['hosts'])[key]


def test_jobset_commands(programs, flags, whole, tmp_path):
  """What pods would start, started in this process one after the other."""
  (programs / 'tfeval').write_text('#!/bin/bash\nprintf "%s\\n" "$@"\n')
  only = container(documents()[1]['hosts'])
  for index in (1, 0):
    code, said = ended(
      start(
        programs,
        [*only['command'], *flags, f'--output_dir={tmp_path / "runs"}'],
        NUM_HOSTS='2',
        JOB_COMPLETION_INDEX=str(index),
      )
    )
    assert code == 0 and cli.main(said.splitlines()) == 0
  assert found(tmp_path / 'runs') == whole


@pytest.mark.slow
def test_slurm_job_whose_time_is_up(programs, flags, whole, tmp_path):
  """USR1 comes before the time limit; the job goes back into the queue, and on."""
  output, requeued = tmp_path / 'runs', programs / 'scontrol.log'
  command = [CONFIGS / 'slurm.sh', *flags, f'--output_dir={output}']

  def start_job():
    return start(programs, command, SLURM_JOB_ID='77', SLURM_CPUS_PER_TASK='1')

  job = start_job()
  # Both hosts have begun, and their model is not even traced.
  while job.poll() is None and len([*output.glob('*/hosts/*/manifest.json')]) < 2:
    time.sleep(0.01)
  job.send_signal(signal.SIGUSR1)
  code, said = ended(job)
  assert code == 128 + signal.SIGTERM and 'back into the queue' in said, said
  assert requeued.read_text() == 'requeue 77\n'
  assert not [*output.glob('*/result.json')]
  code, said = ended(start_job())
  assert code == 0, said
  assert found(output) == whole
  assert requeued.read_text() == 'requeue 77\n'


@pytest.mark.slow
def test_slurm_job_with_a_mistake_is_not_requeued(programs):
  code, said = ended(
    start(programs, [CONFIGS / 'slurm.sh', '--model=Nothing'], SLURM_JOB_ID='77')
  )
  assert code == 2 and 'Nothing' in said
  assert not (programs / 'scontrol.log').exists()


@pytest.mark.slow
def test_tpu_slice_that_loses_a_host(programs, flags, whole, tmp_path):
  """Host 1 is killed, and started again; on CPUs, by the documented variable."""
  output = tmp_path / 'runs'
  code, said = ended(
    start(
      programs,
      [CONFIGS / 'tpu_vm.sh', *flags, f'--output_dir={output}'],
      TPUS='slice',
      ZONE='z',
      TFEVAL='tfeval',
      STRATEGY='default',
      PAUSE='0',
      DIES_WRITING='6',
    )
  )
  assert code == 0, said
  assert 'host 1 on slice, worker 1: exit code 137, attempt 1 of 3' in said
  assert found(output) == whole
  workers = [
    line.split()[0] for line in (programs / 'gcloud.log').read_text().splitlines()
  ]
  assert sorted(workers) == ['0', '1', '1'] and workers[-1] == '1'


def test_tpu_hosts_have_chips_of_their_own(programs):
  """The commands that hosts are sent, for TPUs."""
  (programs / 'tfeval').write_text('#!/bin/bash\nenv; echo "$@"; exit "${CODE:-0}"\n')
  process = start(
    programs,
    [CONFIGS / 'tpu_vm.sh', '--model=a b'],
    TPUS='slice slice',
    ZONE='z',
    TFEVAL='tfeval',
    TPU_NAME='slice',
    TPU_LOAD_LIBRARY='0',
  )
  code, said = ended(process)
  assert code == 0
  lines = said.splitlines()
  for index in range(4):
    assert (
      'evaluate --model=a b --strategy=tpu --num_hosts=4 --tpu=local '
      f'--host_index={index}'
    ) in lines
  assert lines.count('TPU_PROCESS_BOUNDS=1,1,1') == 4
  assert lines.count('TPU_CHIPS_PER_PROCESS_BOUNDS=2,2,1') == 4
  assert 'TPU_NAME' not in said and 'TPU_LOAD_LIBRARY' not in said


@pytest.mark.parametrize('exit_code, attempts', [(2, 1), (255, 2)])
def test_tpu_hosts_that_fail(programs, exit_code, attempts):
  (programs / 'tfeval').write_text(f'#!/bin/bash\nexit {exit_code}\n')
  code, said = ended(
    start(
      programs,
      [CONFIGS / 'tpu_vm.sh'],
      TPUS='slice',
      ZONE='z',
      TFEVAL='tfeval',
      ATTEMPTS='2',
      PAUSE='0',
    )
  )
  assert code == exit_code
  assert f'host 1 ended with exit code {exit_code}' in said
  assert len((programs / 'gcloud.log').read_text().splitlines()) == 2 * attempts


def test_tpu_names_are_asked_for(programs):
  code, said = ended(start(programs, [CONFIGS / 'tpu_vm.sh'], ZONE='z'))
  assert code and 'names of TPU VMs' in said
